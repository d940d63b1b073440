"""Signals to children that may be about to end by themselves."""

import asyncio
import logging
import signal

from jupyter_guardrails.control.children import send_signal


async def ends_of(*command, times=1, number=signal.SIGKILL):
    """How a child ended that got a signal when it had closed its output, as often as asked."""
    ends = set()
    for _ in range(times):
        child = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
        await child.stdout.readline()
        send_signal(child, number)
        ends.add(await child.wait())
        send_signal(child, number)  # one that is known to have ended gets none
    return ends


def test_how_a_child_ended_is_known_whenever_its_signal_comes(caplog):
    with caplog.at_level(logging.WARNING):
        assert asyncio.run(ends_of("sh", "-c", "exit 7", times=100)) <= {7, -signal.SIGKILL}
    assert not caplog.records


def test_one_that_runs_is_ended():
    assert asyncio.run(ends_of("sh", "-c", "echo; exec sleep 600", number=signal.SIGTERM)) == {-signal.SIGTERM}
