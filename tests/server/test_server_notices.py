"""Limits that warn before they end anything, over HTTP and with real kernels: idle and kept, busy children, budgets, life time, stop."""

import json
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
from test_server_api import check

pytestmark = pytest.mark.slow
POLICY = """\
apiVersion: guardrails/v1
mode: enforce
require: [files, network]
profiles:
  small: {memory: 1GiB, cpus: 1, PROFILE}
rules:
  - name: everyone
    for: everyone
    kernels: {profiles: [small], default: small, max: 9, terminals: small}
    BUDGET
"""
WITHIN_S = 45.0  # other tests use the machine too
BURN = "import time\nkept = 41\nwhile True:\n    begin = time.process_time()\n    while time.process_time() - begin < 0.1: pass"


def policy(*, profile="idle: off", budget="budget: {}"):
    return POLICY.replace("PROFILE", profile).replace("BUDGET", budget)


@pytest.fixture
def server_with(make_server):
    """A server with a policy of its own that ends with the test."""
    servers = []

    def make(**arguments):
        servers.append(make_server(policy=policy(**arguments)).wait_ready())
        return servers[-1]

    yield make
    for server in servers:
        server.stop()


def kernels(server):
    answer = server.rest("GET", "guardrails/kernels").json()
    check("Kernels", answer)
    return answer


def listed(server, kernel):
    return next((found for found in kernels(server)["kernels"] if found["id"] == kernel.id), None)


def until(condition, *, within_s=WITHIN_S):
    """What it gives as soon as it gives something; asked several times a second."""
    deadline = time.monotonic() + within_s
    while not (found := condition()):
        assert time.monotonic() < deadline, "it never came about"
        time.sleep(0.1)
    return found


def phases(server, kernel, cause):
    found = listed(server, kernel)
    return [notice["phase"] for notice in found["notices"] if notice["kind"] == cause] if found else ["gone"]


@pytest.fixture(scope="module")
def waiting(make_server):
    """A server whose kernels end after an idle time of 30 s; one with a life time of 20 s; what its cell prints meanwhile, as a future."""
    short = "  short: {memory: 1GiB, cpus: 1, idle: off, lifetime: 20s}\nrules:"
    text = policy(profile="idle: 30s").replace("rules:", short).replace("[small]", "[small, short]")
    server = make_server(policy=text).wait_ready()
    assert server.rest("PUT", "guardrails/profile", json={"profile": "short", "notebook": "short.ipynb"}).status_code == 200
    body = {"path": "short.ipynb", "type": "notebook", "name": "short.ipynb", "kernel": {"name": "python3"}}
    short_lived = server.attach(server.rest("POST", "api/sessions", json=body).json()["kernel"]["id"])
    with ThreadPoolExecutor(1) as pool:
        printed = pool.submit(short_lived.wait, short_lived.send("kept = 41\nimport time\ntime.sleep(600)"))
        yield server, short_lived, printed


def test_an_idle_kernel_is_ended_with_its_reason_and_a_kept_or_a_busy_one_is_not(waiting):
    server, short_lived, _ = waiting
    left, kept, busy = (server.start_kernel() for _ in range(3))
    busy.run("import subprocess, sys; child = subprocess.Popen([sys.executable, '-c', 'while True: pass'])")
    for kernel in (left, kept):
        assert until(lambda kernel=kernel: phases(server, kernel, "idle") in (["warned"], ["noticed"]))
    answer = server.rest("POST", f"guardrails/kernels/{kept.id}/keep")
    assert answer.status_code == 200, answer.text
    check("Kept", answer.json())
    assert phases(server, kept, "idle") == []
    until(lambda: listed(server, left) is None)
    assert listed(server, kept)["idle_s"] < 30
    assert listed(server, busy)["idle_s"] < 30
    (ended,) = (one for one in kernels(server)["ended"] if one["id"] != short_lived.id)
    assert (ended["id"], ended["cause"]) == (left.id, "idle")
    assert ended["reason"] == "this kernel was ended: it was not used for 30 s, as its profile says"
    assert busy.run("child.kill(); print(6 * 7)") == "42\n"
    ends = [record for record in server.rest("GET", "guardrails/audit").json()["records"] if record["action"] == "kernel.end"]
    (end,) = (record for record in ends if record["kernel"] != short_lived.id)
    assert "it was not used for 30 s" in end["reason"]


def test_a_budget_that_runs_out_interrupts_keeps_the_variables_and_then_ends(server_with):
    server = server_with(budget="budget: {cpu_hours: 0.005, per: 1d, grace: 6s}")  # 18 s: the beats before it are 10 s apart
    kernel = server.start_kernel()
    printed = kernel.wait(kernel.send(BURN), patience_s=150)  # a busy machine takes long to use up 18 s
    used_up = "your budget is used up"
    steps = [f"{used_up} to", f"this kernel is going to be ended: {used_up}", f"interrupted: {used_up}", "KeyboardInterrupt"]
    assert all(step in printed for step in steps), printed
    assert printed.index(steps[0]) < printed.index(steps[1]) < printed.index(steps[2])
    assert all(printed.count(step) == 1 for step in steps[:3]), "one notice a cause, not one a beat"
    assert kernel.run("print(kept + 1)") == "42\n"
    (notice,) = listed(server, kernel)["notices"]
    assert (notice["kind"], notice["phase"], notice["can"]) == ("budget", "interrupted", ["stop", "more"])
    refused = server.rest("POST", "api/kernels", json={"name": "python3"})
    assert refused.status_code == 429, refused.text
    assert until(lambda: listed(server, kernel) is None)
    (ended,) = kernels(server)["ended"]
    assert ended["cause"] == "budget"
    assert "your budget is used up" in ended["reason"]
    assert ended["rule"].startswith("guardrails.yaml:")


def test_an_ending_is_called_off_when_the_policy_gives_more(server_with):
    server = server_with(budget="budget: {cpu_hours: 0.001, per: 1d, grace: 30s}")
    kernel = server.start_kernel()
    cell = kernel.send(BURN)
    assert "is going to be ended" in kernel.wait(cell, until="is going to be ended")
    server.policy.write_text(policy(budget="budget: {cpu_hours: 5, per: 1d, grace: 30s}"))
    until(lambda: phases(server, kernel, "budget") == ["off"])
    assert "your budget has room again" in kernel.wait(cell, until="your budget has room again")
    server.rest("POST", f"api/kernels/{kernel.id}/interrupt")
    assert "KeyboardInterrupt" in kernel.wait(cell)
    assert kernel.run("print(kept + 1)") == "42\n"
    assert kernels(server)["ended"] == []


def test_a_life_time_interrupts_and_ends(waiting):
    server, kernel, printing = waiting
    printed = printing.result()
    assert "interrupted: its profile lets it run for 20 s" in printed
    assert "KeyboardInterrupt" in printed
    until(lambda: listed(server, kernel) is None)
    assert [ended["cause"] for ended in kernels(server)["ended"] if ended["id"] == kernel.id] == ["lifetime"]


def test_where_the_policy_warns_nothing_is_ended_and_all_is_said(server_with, make_server):
    text = policy(profile="idle: 6s, lifetime: 3s", budget="budget: {cpu_hours: 0.00001, per: 1d, grace: 1s}").replace("mode: enforce", "mode: warn")
    server = make_server(policy=text).wait_ready()
    try:
        kernel = server.start_kernel()
        until(lambda: {n["kind"] for n in listed(server, kernel)["notices"] if n["would"]} == {"budget", "idle", "lifetime"})
        assert all(notice["ends_at"] is None for notice in listed(server, kernel)["notices"])
        printed = kernel.run("print(6 * 7)")
        assert "not enforced, only said: this kernel would be ended" in printed
        assert "42" in printed
        assert kernels(server)["ended"] == []
    finally:
        server.stop()


def test_a_kernel_is_stopped_by_its_person_with_that_as_the_reason(server, kernel):
    kernel.run("kept = 1")
    answer = server.rest("POST", f"guardrails/kernels/{kernel.id}/stop")
    assert answer.status_code == 200, answer.text
    check("Stopped", answer.json())
    assert listed(server, kernel) is None
    assert server.rest("GET", f"api/kernels/{kernel.id}").status_code == 404
    records = [record for record in server.rest("GET", "guardrails/audit?last=200").json()["records"] if record["kernel"] == kernel.id]
    records = [record for record in records if record["action"] != "kernel.cell"]  # that one was run is recorded beside it, now or a moment later
    last = [(record["action"], record["reason"]) for record in records[-2:]]
    assert last == [("kernel.stop", "stopped by its person"), ("kernel.end", "this kernel was stopped by you")]


def test_a_terminal_is_stopped_too(server):
    server.rest("POST", "api/terminals")
    name = next(found["id"] for found in kernels(server)["kernels"] if found["kind"] == "terminal")
    assert server.rest("POST", f"guardrails/kernels/{name}/stop").status_code == 200
    until(lambda: name not in [found["id"] for found in kernels(server)["kernels"]])


def test_a_front_end_that_listens_to_events_is_told_to_look(server_with):
    import websocket

    server = server_with(budget="budget: {cpu_hours: 0.0005, per: 1d}")
    address = f"ws://127.0.0.1:{server.port}/api/events/subscribe"
    events = websocket.create_connection(address, header={"Authorization": "token token-of-the-test-server"}, timeout=60)
    kernel = server.start_kernel()
    kernel.send(BURN)
    event = json.loads(events.recv())
    while "guardrails" not in event["schema_id"]:
        event = json.loads(events.recv())
    events.close()
    assert event["kernel_id"] == kernel.id
    assert phases(server, kernel, "budget") in (["warned"], ["noticed"])


def test_nobody_keeps_or_stops_without_a_token(server, kernel):
    for what in ("keep", "stop"):
        assert requests.post(f"{server.url}guardrails/kernels/{kernel.id}/{what}", timeout=30).status_code == 403
    assert listed(server, kernel) is not None
