"""What people and programs get wrong: each ends within seconds in a sentence or in a governed kernel, never in an ungoverned one."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest

PATIENCE_S = 10.0  # for an answer
SOON_S = 60.0  # for what nobody waits for: a control that is started again, processes that end
OURS = ("jupyter_guardrails control", "jupyter_guardrails.control.")  # run as long as the server
NO_SPARE = ("--Guardrails.spare_kernel=False",)
PROGRAM = "import os, signal, subprocess, sys, time\nconnection = sys.argv[1]\n"


@pytest.fixture(scope="module")
def server(make_server, server):
    """Of the same account as the shared one; without a spare, which would be left behind on purpose."""
    account = server.account.pw_name if server.account.pw_uid != os.getuid() else None
    return make_server(account=account, arguments=NO_SPARE).wait_ready()


@pytest.fixture
def kernelspec(server):
    """Install a kernelspec of the server's person; gone at the end."""
    made = []

    def install(name, argv, **more):
        folder = server.root / "share" / "kernels" / name
        folder.mkdir(parents=True)
        made.append(folder)
        (folder / "kernel.json").write_text(json.dumps({"argv": argv, "display_name": name, "language": "python", **more}))
        os.chmod(folder, 0o755)
        return name

    yield install
    for folder in made:
        shutil.rmtree(folder)


def ask(server, name, **body):
    """The answer to a start, which came in time."""
    begun = time.monotonic()
    answer = server.rest("POST", "api/kernels", json={"name": name, **body})
    assert time.monotonic() - begun < PATIENCE_S, answer.text
    return answer


def check_refused(server, answer, *words):
    """A refusal that says what and what to do, and leaves nothing behind."""
    assert answer.status_code >= 400, answer.text
    for word in words:
        assert word in answer.json()["message"], answer.text
    assert answer.json().get("next_step"), answer.text
    assert below(server) == []
    check_works(server)


def check_works(server):
    """The allowed twin: the usual kernel starts and runs."""
    kernel = server.start_kernel()
    assert kernel.run("print(6 * 7)").strip() == "42"
    assert kernel.stop().status_code == 204


def below(server):
    """Command lines of everything that the server started, but control and what it keeps."""
    parents = {}
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            parents[int(entry)] = int(Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    found, todo = [], [server.process.pid]
    while todo:
        parent = todo.pop()
        todo += [pid for pid, above in parents.items() if above == parent]
        found += [command(pid) for pid, above in parents.items() if above == parent]
    return [line for line in found if line and not line.startswith(("npm", "node")) and not any(word in line for word in OURS)]  # Lab asks npm


def command(pid):
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")[:300]
    except OSError:
        return ""


def test_a_program_that_is_not_there(server, kernelspec):
    check_refused(server, ask(server, kernelspec("absent", ["/nowhere/python", "{connection_file}"])), "/nowhere/python")


def test_a_program_that_is_not_executable(server, kernelspec):
    plain = server.workspace / "not-a-program"
    plain.write_text("#!/bin/sh\n")
    check_refused(server, ask(server, kernelspec("plainfile", [str(plain), "{connection_file}"])), "not-a-program")


def test_a_program_that_is_a_folder(server, kernelspec):
    check_refused(server, ask(server, kernelspec("folder", ["/usr", "{connection_file}"])), "/usr")


def test_no_program_at_all(server, kernelspec):
    check_refused(server, ask(server, kernelspec("empty", [])), "names no program")


@pytest.mark.parametrize("text", ["{not json", "[]", '{"argv": [1]}', ""])
def test_a_kernelspec_that_cannot_be_read(server, kernelspec, text):
    name = kernelspec("broken", [])
    (server.root / "share" / "kernels" / name / "kernel.json").write_text(text)
    check_refused(server, ask(server, name), "broken")


def test_an_environment_that_is_not_granted(server, kernelspec):
    """A program in a folder that is no environment: what it needs beside it stays shut."""
    folder = server.secret / "bin"
    folder.mkdir()
    os.chmod(folder, 0o755)
    (folder / "kernel.sh").write_text("#!/nowhere/interpreter\n")
    os.chmod(folder / "kernel.sh", 0o755)
    check_refused(server, ask(server, kernelspec("elsewhere", [str(folder / "kernel.sh"), "{connection_file}"])))


@pytest.mark.parametrize("name", ["no-such", "two\nlines", "../python3", "x" * 300, "\x1b[2J", ""])
def test_a_name_that_is_no_kernelspecs(server, name):
    answer = ask(server, name)
    check_refused(server, answer, "there is no kernel called", "python3")
    assert answer.status_code == 404
    assert len(answer.json()["message"].splitlines()) == 2  # the second one is the next step


ODD_ENDS = {
    "exits at once": "sys.exit(3)",
    "kills its parent": "os.kill(os.getppid(), signal.SIGKILL)\ntime.sleep(60)",
    "forks at once and leaves": "for _ in range(5):\n    if os.fork() == 0:\n        os.setsid()\n        time.sleep(600)\nsys.exit(0)",
    "spins": "while True: pass",
    "closes everything": "os.closerange(0, 4096)\nwhile True: time.sleep(1)",
    "writes garbage": "open(connection, 'w').write('{not json')\ntime.sleep(60)",
    "never answers": "signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))\nwhile True: time.sleep(1)",
}


@pytest.mark.parametrize("what", ODD_ENDS)
def test_a_kernel_that_misbehaves_is_governed_and_ends_with_its_shutdown(server, kernelspec, what):
    program = server.workspace / "odd.py"
    secret = server.secret / "secret.txt"
    tell = f"try: open({str(secret)!r}); open('leaked', 'w')\nexcept OSError: open('held', 'w')\n"
    program.write_text(PROGRAM + tell + ODD_ENDS[what])
    for marker in ("held", "leaked"):
        (server.workspace / marker).unlink(missing_ok=True)
    answer = ask(server, kernelspec("odd", [sys._base_executable, str(program), "{connection_file}"]))
    if answer.status_code == 201:
        wait_for(lambda: (server.workspace / "held").exists())
        begun = time.monotonic()
        assert server.rest("DELETE", f"api/kernels/{answer.json()['id']}").status_code in (204, 404)
        assert time.monotonic() - begun < 2 * PATIENCE_S
    assert not (server.workspace / "leaked").exists()
    wait_for(lambda: below(server) == [])
    check_works(server)


def wait_for(fact):
    """What another process makes true, soon."""
    deadline = time.monotonic() + SOON_S
    while not fact():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_environment_variables_with_newlines_stay_one_variable(server, kernelspec):
    argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    metadata = {"supported_encryption": ["curve"]}
    name = kernelspec("newlines", argv, env={"MINE": "a\nLD_PRELOAD=/evil.so\nb", "LANG": "C.UTF-8"}, metadata=metadata)
    kernel = server.start_kernel(name)
    assert kernel.run("import os; print(repr(os.environ['MINE']), 'LD_PRELOAD' in os.environ)").strip() == r"'a\nLD_PRELOAD=/evil.so\nb' False"
    kernel.stop()


@pytest.mark.parametrize("variables", [{"A\0B": "x"}, {"A": "x\0y"}, {"A=B": "x"}, {"": "x"}])
def test_environment_variables_that_cannot_be(server, kernelspec, variables):
    answer = ask(server, kernelspec("impossible", [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"], env=variables))
    if answer.status_code == 201:
        server.rest("DELETE", f"api/kernels/{answer.json()['id']}")
    else:
        check_refused(server, answer)
    assert below(server) == []


def test_a_notebook_with_newlines_in_its_name_is_one_line_of_the_audit_log(server):
    name = 'a\n{"action":"kernel.start","allowed":true,"person":"root"}.ipynb'
    body = {"path": name, "type": "notebook", "name": name, "kernel": {"name": "python3"}}
    answer = server.rest("POST", "api/sessions", json=body)
    assert answer.status_code == 201, answer.text
    lines = (server.state / "audit.jsonl").read_text().splitlines()
    assert all(isinstance(json.loads(line), dict) for line in lines)
    assert not any(line.startswith('{"action":"kernel.start","allowed":true,"person":"root"}') for line in lines)
    server.rest("DELETE", f"api/sessions/{answer.json()['id']}")


POLICY = """\
apiVersion: guardrails/v1
mode: enforce
require: [files, network]
profiles: {small: {memory: 1GiB, cpus: 1}}
paths: {read: [PATHS]}
rules:
  - name: everyone
    for: everyone
    kernels: {profiles: [small], default: small, max: 5}
"""


@pytest.fixture
def own_server(make_server, server):
    """A server with a policy of its own, of the same account as the shared one."""

    def make(policy):
        account = server.account.pw_name if server.account.pw_uid != os.getuid() else None
        return make_server(account=account, policy=policy, arguments=NO_SPARE).wait_ready()

    return make


@pytest.fixture(scope="module")
def mortal(make_server, server):
    """A server whose control is killed again and again: each time another one takes its place."""
    account = server.account.pw_name if server.account.pw_uid != os.getuid() else None
    return make_server(account=account, policy=POLICY.replace("PATHS", ""), arguments=NO_SPARE).wait_ready()


@pytest.fixture
def granted():
    """A folder that every account can enter."""
    with tempfile.TemporaryDirectory(prefix="gp-", dir="/tmp") as made:
        os.chmod(made, 0o755)
        yield Path(made)


@pytest.mark.slow
def test_paths_that_vanished_are_told_and_two_hundred_are_no_burden(own_server, granted):
    folders = [granted / f"data {n}" for n in range(199)]
    for folder in folders:
        folder.mkdir()
        (folder / "x").write_text(folder.name)
    strange = granted / "a b 'quoted' ü"
    strange.mkdir()
    (strange / "x").write_text("strange")
    quoted = ", ".join(json.dumps(str(folder)) for folder in (*folders, strange))
    server = own_server(POLICY.replace("PATHS", quoted))
    kernel = server.start_kernel()
    assert "guardrails:" not in kernel.run(f"print(open({str(folders[150] / 'x')!r}).read(), open({str(strange / 'x')!r}).read())")
    kernel.stop()
    shutil.rmtree(folders[7])
    again = server.start_kernel()
    printed = again.run("print('runs')")
    assert "runs" in printed
    assert f"granted by the policy, but not there: {str(folders[7])!r}" in printed
    assert "not there" not in again.run("print('once')")
    again.stop()


def control_of(server):
    """The pid of the control that this server started."""
    return process_of(server, "control")[0]


def supervisor_of(server):
    """The pid of its supervisor, and its command line for another one."""
    pid, words = process_of(server, "jupyter_guardrails.control.supervisor")
    return pid, [word for word in words if word and not word.startswith("--ready-fd")]


def process_of(server, name):
    for entry in filter(str.isdigit, os.listdir("/proc")):
        line = Path(f"/proc/{entry}/cmdline")
        try:
            words = line.read_bytes().decode().split("\0")
        except OSError:
            continue
        if name in words and any(str(server.root) in word for word in words):
            return int(entry), words
    raise AssertionError(f"no {name}")


@pytest.mark.slow
def test_control_killed_while_kernels_run(mortal):
    """Running kernels go on, and what is asked meanwhile waits: it is started again by itself, and nothing was lost."""
    server = mortal
    kernel = server.start_kernel()
    kernel.run("kept = 1")
    killed = control_of(server)
    os.kill(killed, signal.SIGKILL)
    assert kernel.run("print(kept)").strip() == "1"
    wait_for(lambda: server.rest("GET", "guardrails/me").status_code == 200)
    assert control_of(server) != killed
    assert kernel.run("print(kept)").strip() == "1"
    assert kernel.stop().status_code == 204
    check_works(server)


@pytest.mark.slow
def test_control_and_its_supervisor_killed_while_kernels_run(own_server):
    """Running kernels go on, nothing new starts and it says why; when control is back, everything is."""
    server = own_server(POLICY.replace("PATHS", ""))
    kernel = server.start_kernel()
    kernel.run("kept = 1")
    pid, argv = supervisor_of(server)
    for one in (pid, control_of(server)):
        os.kill(one, signal.SIGKILL)
    assert kernel.run("print(kept)").strip() == "1"
    answer = ask(server, "python3")
    assert (answer.status_code, answer.json()["code"]) == (503, "control_away"), answer.text
    assert answer.json()["next_step"]
    assert server.rest("POST", "api/terminals", json={}).status_code == 503
    become = ["setpriv", f"--reuid={server.account.pw_uid}", f"--regid={server.account.pw_gid}", "--clear-groups"]
    variables = {"PATH": os.environ["PATH"], "HOME": str(server.root / "home")}
    prefix = become if server.account.pw_uid != os.getuid() else []
    with subprocess.Popen([*prefix, *argv], env=variables, cwd=server.root) as back:
        try:
            wait_for(lambda: server.rest("GET", "guardrails/me").status_code == 200)
            assert kernel.run("print(kept)").strip() == "1"
            check_works(server)
        finally:
            back.terminate()


@pytest.mark.slow
@pytest.mark.parametrize("delay_s", [0.0, 0.02, 0.05, 0.1, 0.2])
def test_control_killed_during_a_start(mortal, delay_s):
    """Whatever moment it is: a governed kernel, or a refusal and nothing left behind."""
    server = mortal
    pid = control_of(server)
    timer = threading.Timer(delay_s, os.kill, (pid, signal.SIGKILL))
    timer.start()
    answer = ask(server, "python3")
    timer.join()
    if answer.status_code == 201:
        kernel = server.attach(answer.json()["id"])
        assert "FileNotFoundError" in kernel.run(f"open({str(server.secret / 'secret.txt')!r})")
        kernel.stop()
    else:
        assert answer.status_code == 503, answer.text
        assert answer.json()["next_step"]
    wait_for(lambda: below(server) == [])
    wait_for(lambda: server.rest("GET", "guardrails/me").status_code == 200)  # the next one


@pytest.mark.parametrize("options", ["nr_inodes=2", "size=4k,nr_inodes=9"])
def test_a_full_disk_refuses_with_the_reason_and_is_forgotten_when_there_is_room(server, options):
    if os.getuid() != 0:
        pytest.skip("needs root to make a small file system")
    kernel = server.start_kernel()
    private = Path(kernel.run("import os; print(os.environ['TMPDIR'])").strip()).parents[1]
    kernel.stop()
    owner = f"uid={server.account.pw_uid},gid={server.account.pw_gid},mode=700"
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"{options},{owner}", "small", str(private)], check=True)
    try:
        answer = ask(server, "python3")
        assert answer.status_code >= 500
        assert "No space left" in answer.json()["message"], answer.text
        assert list(private.iterdir()) == []
    finally:
        subprocess.run(["umount", str(private)], check=True)
    check_refused(server, answer, "free some space")
