"""kill -9 of control and of the server at random moments under load: nothing lost, nothing twice, nothing left over."""

import os
import random
import secrets
import signal
import time

import pytest
from kill_world import KILLS, KNOCK, POLICY, READ, SOAK, TTL_S, Killable, Load, balanced, no_orphans, records_of, wait_for

from tests.records.conftest import fresh_database, postgres  # noqa: F401 - a fixture

pytestmark = [pytest.mark.slow, pytest.mark.soak, pytest.mark.timeout(3600)]

LAUNCHED = ("jupyter_guardrails", "server")


@pytest.fixture
def dice():
    """Printed, so that a run that failed can be had again: GUARDRAILS_SEED=…"""
    seed = int(os.environ.get("GUARDRAILS_SEED") or secrets.randbits(32))
    print(f"GUARDRAILS_SEED={seed}")
    return random.Random(seed)


@pytest.fixture(params=["sqlite", "postgresql"] if SOAK else ["sqlite"])  # tests/control/test_control_kills.py is the short one of PostgreSQL
def server(server_class, request):
    records = fresh_database(request.getfixturevalue("postgres")) if request.param == "postgresql" else ""
    kind = type("KillServer", (Killable, server_class), {"records": records})
    made = kind(policy=POLICY, maximum=6, module=LAUNCHED, arguments=("--Guardrails.spare_kernel=False",))
    yield made
    made.stop()


def works(kernel, kept):
    """The same kernel, with what it knew; data and network are answered."""
    assert kernel.run("print(kept)").strip() == str(kept)
    assert "AA,3" in kernel.run(READ)
    assert "403" in kernel.run(KNOCK)


def test_control_killed_at_random_moments_under_load(server, dice):
    server.wait_ready()
    kernels = {number: server.start_kernel() for number in range(2)}
    for number, kernel in kernels.items():
        kernel.run(f"kept = {number}")
        works(kernel, number)
    load = Load(server)
    try:
        for _ in range(KILLS):
            time.sleep(dice.uniform(0, 1.5))  # the moment is what is random
            server.kill_control()
            number = dice.randrange(len(kernels))
            works(kernels[number], number)
            balanced(server)
    finally:
        load.stop()
    assert load.failures == []
    assert len(load.settled) > KILLS
    assert load.submitted
    ours = {kernel.id for kernel in kernels.values()}
    assert {one["id"] for one in server.rest("GET", "guardrails/kernels").json()["kernels"]} == ours
    assert {record["kernel"] for record in records_of(server.control, "kernel.reattach") if record["allowed"]} >= ours
    assert [record["reason"] for record in records_of(server.control, "kernel.end") if record["kernel"] in ours] == []
    fresh = server.start_kernel()
    fresh.run("kept = 9")
    works(fresh, 9)
    wait_for(lambda: finished(server), what="submissions that never came to an end")
    balanced(server, load)
    no_orphans(server)
    ended(server)
    balanced(server, load)


def finished(server):
    return all(one["state"] not in ("submitted", "checking") for one in server.rest("GET", "guardrails/submissions").json()["submissions"])


def ended(server):
    """Nothing of it runs once server and control have ended."""
    server.process.send_signal(signal.SIGTERM)
    server.process.wait(60)
    server.supervisor.terminate()
    server.supervisor.wait(60)
    wait_for(lambda: not server.processes(), what=lambda: f"left running: {server.processes()}")


def test_server_killed_at_random_moments_under_load(server, dice):
    """Its kernels end with it, their leases within their time to live; what they used until the last beat is charged, and no more."""
    server.wait_ready()
    server.policy.write_text(POLICY.replace("MAXIMUM", "60"))  # a killed server's leases count until their time to live is over
    load = Load(server)
    used = set()
    try:
        for _ in range(KILLS):
            if dice.random() < 0.7:
                server.wait_ready()
                kernel = server.start_kernel()
                used.add(kernel.id)
                kernel.send("while True: pass")
            time.sleep(dice.uniform(0, 2.0))  # the moment is what is random
            server.process.kill()
            server.process.wait()
            wait_for(lambda: not kernels_of(server), what=lambda: f"outlived their server: {kernels_of(server)}")
            balanced(server)
            server.start_again(LAUNCHED)
        server.wait_ready()
    finally:
        load.stop()
    assert load.failures == []
    wait_for(lambda: server.rest("GET", "guardrails/kernels").json()["kernels"] == [], within_s=2 * TTL_S)
    ends = {record["kernel"]: record["reason"] for record in records_of(server.control, "kernel.end") if record["kernel"] in used}
    assert ends == dict.fromkeys(used, "expired: no beats from its server")
    fresh = server.start_kernel()
    fresh.run("kept = 9")
    works(fresh, 9)
    wait_for(lambda: finished(server), what="submissions that never came to an end")
    balanced(server, load)
    no_orphans(server)
    ended(server)


def kernels_of(server):
    return [line for line in server.processes().values() if "ipykernel" in line]
