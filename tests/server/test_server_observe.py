"""Kernels of a governed server whose policy observes or warns: they reach what their account could, and each would-be refusal is recorded."""

import contextlib
import json
import os
import pwd
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

DENY = "  - {name: salaries-stay-shut, for: everyone, mode: enforce, deny: {data: [hr/salaries]}}\n"
PROXIED = "  - {name: no-cloud-credentials, for: everyone, mode: enforce, deny: {network: ['169.254.169.254:*']}}\n"
OTHER = "nobody"
pytestmark = pytest.mark.slow


def policy(mode, *, more="", require="[files, network]"):
    rule = "data: {read: [nyc/flights, nyc/other], browse: all}"
    return f"""apiVersion: guardrails/v1
mode: {mode}
require: {require}
profiles: {{small: {{memory: 1GiB, cpus: 1}}}}
rules:
  - name: everyone
    for: everyone
    kernels: {{profiles: [small], default: small, max: 10, terminals: small}}
    {rule}
{more}"""


@pytest.fixture(scope="module", params=["this account", "an ordinary account"])
def observing(request, make_server):
    """As whoever runs the tests, and, for root, as an ordinary account too."""
    if request.param == "an ordinary account" and os.getuid() != 0:
        pytest.skip("only root can become another account; this run is an ordinary one already")
    return make_server(policy=policy("observe", more=DENY), account=OTHER if request.param == "an ordinary account" else None).wait_ready()


@pytest.fixture
def kernel(observing):
    started = observing.start_kernel()
    yield started
    started.stop()


def recorded(kernel):
    """The kernel's refusals as {(action, resource): record}, after its end: then everything is in."""
    return {(record["action"], record["resource"]): record for record in refusals(kernel)}


def refusals(kernel):
    kernel.stop()
    records, after = [], 0
    while page := kernel.server.rest("GET", f"guardrails/audit?after={after}").json()["records"]:
        records, after = records + page, page[-1]["seq"]
    return [record for record in records if record["kernel"] == kernel.id and not record["allowed"]]


def test_files_outside_are_read_and_written_and_recorded_once(observing, kernel):
    secret, new = observing.secret / "secret.txt", observing.secret / "new.txt"
    printed = kernel.run(f"for _ in range(3):\n    print(open({str(secret)!r}).read())\nprint(open({str(new)!r}, 'w').write('x'))")
    assert "not for kernels" in printed
    assert new.read_text() == "x"
    found = refusals(kernel)
    for action, path in (("file.read", secret), ("file.write", new)):
        (record,) = [record for record in found if (record["action"], record["resource"]) == (action, str(path))]
        assert record["mode"] == "observe"
        assert record["rule"].startswith("built-in files")


def test_children_and_raw_system_calls_are_recorded_too(observing, kernel):
    (observing.secret / "second").write_text("2")
    kernel.run(f"import subprocess; subprocess.run(['cat', {str(observing.secret / 'secret.txt')!r}])")
    kernel.run(f"import ctypes; ctypes.CDLL(None).open({str(observing.secret / 'second')!r}.encode(), 0)")
    found = recorded(kernel)
    assert ("file.read", str(observing.secret / "secret.txt")) in found
    assert ("file.read", str(observing.secret / "second")) in found


def test_a_connection_goes_through_and_is_recorded(observing, kernel):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        assert "connected" in kernel.run(f"import socket; socket.create_connection(('127.0.0.1', {port})); print('connected')")
    record = recorded(kernel)["network.connect", f"127.0.0.1:{port}"]
    assert (record["mode"], "not on the approved network list" in record["reason"]) == ("observe", True)


def test_secrets_stay_shut_in_every_mode(observing, kernel):
    token, runtime = observing.state / "control.token", observing.root / "runtime"
    assert "PermissionError" in kernel.run(f"open({str(token)!r})")
    assert "PermissionError" in kernel.run(f"import glob; open(glob.glob({str(runtime)!r} + '/jpserver-*.json')[0])")
    assert "PermissionError" in kernel.run("import glob; [open(path) for path in glob.glob('/proc/*/environ')]")
    assert recorded(kernel)["file.read", str(token)]["mode"] == "enforce"


def test_a_dataset_with_an_enforced_deny_stays_shut_and_an_allowed_one_is_read(observing, kernel):
    path = observing.root / "data" / "salaries.csv"
    assert "PermissionError" in kernel.run(f"open({str(path)!r})")
    assert "AA,3" in kernel.run("import guarded; print(open(guarded.path('nyc/flights')).read())")
    record = recorded(kernel)["data.read", "hr/salaries"]
    assert record["mode"] == "enforce"
    assert "salaries-stay-shut" in record["rule"]


def test_what_is_not_enforced_is_not_said_to_be(observing, kernel):
    (shown,) = [one for one in observing.rest("GET", "guardrails/kernels").json()["kernels"] if one["id"] == kernel.id]
    assert not {"files", "network"} & set(shown["enforced"])
    me = observing.rest("GET", "guardrails/me").json()
    held = {guarantee["name"]: guarantee["held"] for guarantee in me["enforced"]}
    assert (held["files"], held["network"], me["policy"]["mode"]) == (False, False, "observe")


def test_nothing_is_recorded_of_a_kernel_that_stays_inside(observing, kernel):
    assert "42" in kernel.run("open('inside', 'w').write('42'); print(open('inside').read(), __import__('json').dumps({}))")
    assert {resource for action, resource in recorded(kernel) if action != "file.read"} == set()


def test_a_restarted_kernel_is_traced_again(observing, kernel):
    kernel.restart()
    assert "not for kernels" in kernel.run_when_back(f"print(open({str(observing.secret / 'secret.txt')!r}).read())")
    assert ("file.read", str(observing.secret / "secret.txt")) in recorded(kernel)


@pytest.fixture(scope="module")
def warning(make_server):
    return make_server(policy=policy("warn")).wait_ready()


def test_where_the_policy_warns_the_person_is_told_once(warning):
    kernel = warning.start_kernel()
    path = str(warning.secret / "secret.txt")
    printed = kernel.wait(kernel.send(f"import time; open({path!r})\nfor _ in range(100): time.sleep(0.05); open({path!r})"), until="will be refused")
    printed += kernel.run(f"print(open({path!r}).read())")
    assert "not for kernels" in printed
    assert "nothing was stopped, but once the policy is enforced" in printed
    assert printed.count(f"- {path}") == 1
    assert recorded(kernel)["file.read", path]["mode"] == "warn"


def test_a_softly_refused_dataset_is_delivered_and_recorded(warning):
    kernel = warning.start_kernel()
    assert "AA,3" in kernel.run(f"print(open({str(warning.root / 'data' / 'salaries.csv')!r}).read())")
    record = recorded(kernel)["data.read", "hr/salaries"]
    assert (record["mode"], record["rule"]) == ("warn", "built-in default: what nothing allows is refused")


def test_an_enforced_deny_of_a_host_keeps_the_network_behind_the_proxy(make_server):
    server = make_server(policy=policy("observe", more=PROXIED)).wait_ready()
    kernel = server.start_kernel()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        code = f"import socket\ntry: socket.create_connection(('127.0.0.1', {listener.getsockname()[1]}))\nexcept OSError as error: print(error)"
        assert "refused" in kernel.run(code)
    assert "not for kernels" in kernel.run(f"print(open({str(server.secret / 'secret.txt')!r}).read())")
    assert "http://127.0.0.1:3128" in kernel.run("import os; print(os.environ['HTTP_PROXY'])")


def test_a_fresh_init_observes_files_and_network(make_server, tmp_path):
    command = [sys.executable, "-m", "jupyter_guardrails", "init", str(tmp_path / "policy")]
    subprocess.run(command, check=True, capture_output=True)
    server = make_server(policy=(tmp_path / "policy" / "guardrails.yaml").read_text(), account=OTHER if os.getuid() == 0 else None).wait_ready()
    kernel = server.start_kernel()
    secret = server.secret / "secret.txt"
    with socket.create_server(("127.0.0.1", 0)) as listener:
        place = ("127.0.0.1", listener.getsockname()[1])
        assert "not for kernels" in kernel.run(f"import socket; socket.create_connection({place}); print(open({str(secret)!r}).read())")
    found = recorded(kernel)
    assert found["file.read", str(secret)]["mode"] == "observe"
    assert found["network.connect", f"127.0.0.1:{place[1]}"]["mode"] == "observe"


def test_kernels_stay_as_they_were_started_and_new_ones_follow_the_policy(make_server):
    server = make_server(policy=policy("observe"), account=OTHER if os.getuid() == 0 else None).wait_ready()
    attempt = f"print(open({str(server.secret / 'secret.txt')!r}).read())"
    old = server.start_kernel()
    server.policy.write_text(policy("enforce"))
    os.chown(server.policy, pwd.getpwnam(OTHER).pw_uid, -1) if os.getuid() == 0 else None
    new = server.start_kernel()
    assert "not for kernels" in old.run(attempt)
    assert "FileNotFoundError" in new.run(attempt)
    shown = {one["id"]: one["enforced"] for one in server.rest("GET", "guardrails/kernels").json()["kernels"]}
    assert "files" not in shown[old.id]
    assert "files" in shown[new.id]
    assert recorded(old)["file.read", str(server.secret / "secret.txt")]["mode"] == "observe"
    assert json.dumps(recorded(new)) == "{}"


def tracers(server):
    """Process ids of the server's tracers."""
    found = set()
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            parent = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
            if parent == server.process.pid and b"launch_tracer" in Path(f"/proc/{pid}/cmdline").read_bytes():
                found.add(int(pid))
    return found


def test_a_kernel_whose_tracer_is_gone_is_ended_with_the_reason(warning):
    before = tracers(warning)
    kernel = warning.start_kernel()
    message = kernel.send("import time; print('running', flush=True)\nwhile True: time.sleep(0.05)")
    kernel.wait(message, until="running")
    (tracer,) = tracers(warning) - before
    os.kill(tracer, signal.SIGKILL)
    assert "without it no file can be opened" in kernel.wait(message, until="without it no file")
