"""A memory bomb costs a cell, not the session: ten kinds of them in real governed kernels (see bombs.py; benchmarks/memory.py has the figures)."""

import asyncio
import os

import bombs
import pytest
from bombs import ARGV, BOMBS, Range

from jupyter_guardrails.kernels.governed import kernel_manager_class

EACH = 20 if os.environ.get("GUARDRAILS_SOAK") == "1" else 1
HELD = 1.7  # of the limit: how close it is held is measured by the benchmark, other tests take the processors that looking needs


@pytest.mark.slow
@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_a_bomb_costs_a_cell_and_not_the_session():
    outcomes = bombs.explode(EACH)
    lost = [one for one in outcomes if not one.survived]
    assert len(outcomes) == EACH * len(BOMBS)
    assert len(lost) <= max(1, len(outcomes) // 100), lost  # 99% can't be told from a tenth: one may be lost there
    over = [kind for kind, found in bombs.summary(outcomes).items() if found["peak_median"] >= HELD]
    if over and EACH == 1:  # one look says little on a machine that does much else: the middle of three counts
        outcomes += bombs.explode(2, over)
    peaks = {kind: found["peak_median"] for kind, found in bombs.summary(outcomes).items()}
    assert max(peaks.values()) < HELD, peaks
    assert all(one.said for one in outcomes), "a cell that says nothing tells nobody what went wrong"


async def traceback_of(client, code):
    lines = []
    await client.execute_interactive(code, output_hook=lambda m: lines.extend(m["content"].get("traceback", [])), timeout=60)
    return "\n".join(lines)


@pytest.mark.slow
def test_a_memory_error_says_the_limit_its_profile_and_what_to_do():
    async def scene(place):
        manager = kernel_manager_class(place.context, ARGV)(kernel_name="python3")
        await manager.start_kernel()
        client = manager.client()
        client.start_channels()
        await client.wait_for_ready(120)
        fine = await bombs.run(client, "x = bytearray(100 << 20); print(len(x))")
        shown = await traceback_of(client, "bytearray(1 << 31)")
        client.stop_channels()
        await manager.shutdown_kernel(now=True)
        return fine, shown

    with Range() as place:
        fine, shown = asyncio.run(scene(place))
    assert fine == f"{100 << 20}\n"
    assert shown.splitlines()[-1].startswith("guardrails: this kernel started with a limit of 512 MiB of memory (profile small)")
    assert "larger profile" in shown
