"""Ends of kernels that control was away for reach it later, in order, a bounded number of them."""

import asyncio

import pytest

from jupyter_guardrails.control.interface.messages import KernelSettle
from jupyter_guardrails.errors import ControlAway, NotFound
from jupyter_guardrails.kernels import undelivered
from jupyter_guardrails.kernels.undelivered import Undelivered


class Control:
    """Away for the first so many calls."""

    def __init__(self, away=0, unknown=()):
        self.away, self.unknown, self.took = away, unknown, []
        self.heard = asyncio.Event()

    async def __call__(self, request):
        if self.away:
            self.away -= 1
            raise ControlAway("away")
        if request.lease in self.unknown:
            raise NotFound("no such lease")
        self.took.append(request.lease)
        self.heard.set()
        return {}


def settle(lease):
    return KernelSettle(lease=lease, reason="shut down")


@pytest.mark.parametrize("away", [0, 3])
def test_it_is_told_once_control_is_back(away):
    async def run():
        control = Control(away, unknown=("b",))
        waiting = Undelivered(control, retry_s=0.01)
        for lease in "abc":
            waiting.add(settle(lease))
        async with asyncio.timeout(20):
            while len(waiting):
                await asyncio.sleep(0.01)
        assert control.took == ["a", "c"], "one that control no longer knows holds up no other"
        control.heard.clear()
        waiting.add(settle("d"))
        async with asyncio.timeout(20):
            await control.heard.wait()
        assert control.took == ["a", "c", "d"]

    asyncio.run(run())


def test_only_so_many_wait(monkeypatch, caplog):
    monkeypatch.setattr(undelivered, "MOST", 2)

    async def run():
        control = Control(away=1)
        waiting = Undelivered(control, retry_s=0.01)
        for lease in "abc":
            waiting.add(settle(lease))
        assert len(waiting) == 2
        async with asyncio.timeout(20):
            while len(waiting):
                await asyncio.sleep(0.01)
        assert control.took == ["b", "c"]

    asyncio.run(run())
    assert "lease a could not be closed, it expires by itself" in caplog.text
