"""What a notebook, a workspace or a kernelspec can make a launched server run gains nothing over the person's own kernel.

Each helper runs `attempts.py`, which tries to read a secret and control's token, to reach a listener of this machine, and to write control's
state; its twin is what it must be able to do, writing down in the workspace what it saw. Helpers that the server would start for an extension
(git) are started in the server's process, by a configuration file that the person names on the command line.
"""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
import requests
import websocket
from ports import free_port

pytestmark = pytest.mark.slow
TOKEN = "token-of-the-launched-server"
PATIENCE_S = 60.0
PYTHON = sys._base_executable
POLICY = """\
apiVersion: guardrails/v1
mode: enforce
require: [files, network]
profiles: {small: {memory: 1GiB, cpus: 1}}
rules:
  - name: everyone
    for: everyone
    kernels: {profiles: [small], default: small, max: 5, terminals: small}
"""
ATTEMPTS = """
import errno, json, os, socket
WS, SECRET, TOKEN, STATE, PORT = AIMS
def outcome(attempt):
    try:
        attempt()
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, str(error))
    return 'done'
def attempt_all(name):
    seen = {
        'secret': outcome(lambda: open(SECRET).close()),
        'token': outcome(lambda: open(TOKEN).close()),
        'network': outcome(lambda: socket.create_connection(('127.0.0.1', PORT), 2).close()),
        'state': outcome(lambda: open(STATE + '/from-' + name, 'w').close()),
        'workspace': outcome(lambda: os.makedirs(WS + '/seen', exist_ok=True)),
    }
    with open(WS + '/seen/' + name + '.part', 'w') as file:
        json.dump(seen, file)
    os.replace(WS + '/seen/' + name + '.part', WS + '/seen/' + name)
"""
JOBS = """
import glob, json, os, subprocess, threading, time
def work(folder=FOLDER):
    while True:
        for path in glob.glob(folder + '/*.job'):
            job = json.load(open(path))
            os.unlink(path)
            done = subprocess.run(job['argv'], cwd=job['cwd'], capture_output=True, text=True)
            with open(path + '.part', 'w') as file:
                json.dump([done.returncode, done.stdout + done.stderr], file)
            os.replace(path + '.part', path[:-4] + '.done')
        time.sleep(0.05)
threading.Thread(target=work, daemon=True).start()
"""


class Launched:
    """`jupyter guardrails server` of one account; what the helpers aim at lies around it."""

    def __init__(self, account, port):
        self.account = account
        self.root = Path(tempfile.mkdtemp(prefix="gl-", dir="/tmp"))
        self.ws, self.state = self.root / "ws", self.root / "state"
        for name in ("ws", "home", "share", "catalog", "secret", "ws/jobs"):
            (self.root / name).mkdir()
        (self.root / "secret" / "secret.txt").write_text("not for helpers")
        (self.root / "policy.yaml").write_text(POLICY)
        aims = (str(self.ws), str(self.root / "secret" / "secret.txt"), str(self.state / "control.token"), str(self.state), port)
        (self.ws / "attempts.py").write_text(f"import sys\nAIMS = {aims!r}\n{ATTEMPTS}\nif __name__ == '__main__':\n    attempt_all(sys.argv[1])\n")
        (self.ws / "jobs" / "config.py").write_text(f"FOLDER = {str(self.ws / 'jobs')!r}\n{JOBS}")
        self.own(self.root)
        self.port = free_port()
        self.log = (self.root / "log").open("w+")
        self.process = self._start()

    def _start(self):
        variables = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "HOME": str(self.root / "home"), "JUPYTER_TOKEN": TOKEN}
        variables |= {"JUPYTER_DATA_DIR": str(self.root / "share"), "GUARDRAILS_STATE_DIR": str(self.state)}
        variables |= {"GUARDRAILS_POLICY": str(self.root / "policy.yaml"), "GUARDRAILS_CATALOG": str(self.root / "catalog")}
        command = [sys.executable, "-m", "jupyter_guardrails", "server", f"--port={self.port}", f"--ServerApp.root_dir={self.ws}"]
        command += [f"--config={self.ws / 'jobs' / 'config.py'}", *(["--allow-root"] if self.account.pw_uid == 0 else [])]
        return subprocess.Popen([*self.become(), *command], env=variables, cwd=self.ws, stdout=self.log, stderr=subprocess.STDOUT)

    def become(self):
        account = self.account
        return ["setpriv", f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--clear-groups"] if account.pw_uid != os.getuid() else []

    def own(self, *paths):
        for path in paths:
            subprocess.run(["chown", "-R", f"{self.account.pw_uid}:{self.account.pw_gid}", str(path)], check=True)

    def wait_ready(self):
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                return requests.get(f"http://127.0.0.1:{self.port}/api", timeout=5) and self
            except requests.ConnectionError:
                assert self.process.poll() is None, (self.root / "log").read_text()
                assert time.monotonic() < deadline
                time.sleep(0.1)

    def rest(self, method, path, **arguments):
        url = f"http://127.0.0.1:{self.port}/{path}"
        return requests.request(method, url, headers={"Authorization": f"token {TOKEN}"}, timeout=60, **arguments)

    def put(self, name, text, *, mode=0o644):
        """A file of the workspace, as the person's kernel could write it."""
        path = self.ws / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)
        self.own(self.ws / Path(name).parts[0])
        return path

    def job(self, *argv, cwd=None):
        """Run a command in the server's process: its exit code and output."""
        done = self.ws / "jobs" / "one.done"
        self.put("jobs/one.new", json.dumps({"argv": argv, "cwd": str(cwd or self.ws)})).rename(self.ws / "jobs" / "one.job")
        wait_for(done.exists)
        code, printed = json.loads(done.read_text())
        done.unlink()
        return code, printed

    def start_kernel(self, name):
        """Start it, run one cell when it can, end it."""
        answer = self.rest("POST", "api/kernels", json={"name": name})
        assert answer.status_code == 201, answer.text + (self.root / "log").read_text()
        return answer.json()["id"]

    def saw(self, name):
        """What the attempts of that helper came to, once they are there."""
        path = self.ws / "seen" / name
        wait_for(path.exists)
        return json.loads(path.read_text())

    def ran(self, name):
        return (self.ws / "seen" / name).exists()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()
        shutil.rmtree(self.root, ignore_errors=True)


def wait_for(fact):
    deadline = time.monotonic() + PATIENCE_S
    while not fact():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture(scope="module")
def launched(server):
    with socket.create_server(("127.0.0.1", 0), backlog=64) as outside:
        made = Launched(server.account, outside.getsockname()[1])
        try:
            yield made.wait_ready()
        finally:
            made.stop()


def check_gains_nothing(launched, name):
    """It ran, as its twin shows, and reached nothing."""
    seen = launched.saw(name)
    assert seen.pop("workspace") == "done"
    assert "done" not in seen.values(), seen
    assert not (launched.state / f"from-{name}").exists()


def notebook(**metadata):
    cell = {"cell_type": "code", "id": "a", "execution_count": None, "metadata": {}, "outputs": [], "source": "x = 1"}
    return json.dumps({"cells": [cell], "metadata": metadata, "nbformat": 4, "nbformat_minor": 5})


def code_that_attempts(launched, name):
    return f"import runpy; runpy.run_path({str(launched.ws / 'attempts.py')!r})['attempt_all']({name!r})\n"


def test_the_attempts_themselves_work_without_a_sandbox(launched):
    """The twin of all: the same account, started by nobody of ours."""
    subprocess.run([*launched.become(), PYTHON, str(launched.ws / "attempts.py"), "free"], check=True)
    assert set(launched.saw("free").values()) == {"done"}
    (launched.state / "from-free").unlink()


def test_a_program_that_the_server_runs(launched):
    launched.job(PYTHON, "attempts.py", "job")
    check_gains_nothing(launched, "job")


@pytest.mark.parametrize("how", ["the metadata", "the address"])
def test_an_exporter_of_the_workspace(launched, how):
    launched.put("evil_exporter.py", code_that_attempts(launched, "exporter") + "class Evil: pass\n")
    named = "evil_exporter.Evil"
    launched.put("asks.ipynb", notebook(language_info={"name": "python", "nbconvert_exporter": named if how == "the metadata" else "python"}))
    address = "nbconvert/script/asks.ipynb" if how == "the metadata" else f"nbconvert/{named}/asks.ipynb"
    answer = launched.rest("GET", address)
    if launched.ran("exporter"):
        check_gains_nothing(launched, "exporter")
    else:
        assert answer.status_code >= 400
    launched.put("plain.ipynb", notebook(language_info={"name": "python", "nbconvert_exporter": "python", "file_extension": ".py"}))
    twin = launched.rest("GET", "nbconvert/script/plain.ipynb")
    assert (twin.status_code, "x = 1" in twin.text) == (200, True), twin.text


def test_a_template_and_a_configuration_beside_the_notebook(launched):
    """A template is a program: it must not be found there, nor a preprocessor that a configuration in the workspace names."""
    attempts = code_that_attempts(launched, "template")
    jinja = "{{ cycler.__init__.__globals__.os.system('" + f"{PYTHON} {launched.ws}/attempts.py template" + "') }}"
    for place in ("index.html.j2", "html/index.html.j2", "lab/index.html.j2", "templates/lab/index.html.j2", "nbconvert/templates/lab/index.html.j2"):
        launched.put(place, jinja)
    for place in ("jupyter_nbconvert_config.py", ".jupyter/jupyter_nbconvert_config.py", "jupyter_config.py"):
        launched.put(place, attempts)
    launched.put("nb.ipynb", notebook(template="index.html.j2", nbconvert={"template_file": "index.html.j2"}))
    answer = launched.rest("GET", "nbconvert/html/nb.ipynb")
    assert (answer.status_code, "x" in answer.text) == (200, True)
    if launched.ran("template"):
        check_gains_nothing(launched, "template")


@pytest.fixture
def repository(launched):
    """A git repository of the workspace."""
    folder = launched.ws / "repo"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    launched.own(folder)
    subprocess.run([*launched.become(), "git", "init", "-q", str(folder)], check=True, env={"PATH": os.environ["PATH"], "HOME": "/nonexistent"})
    (folder / "a").write_text("a")
    launched.own(folder)
    return folder


def test_a_file_system_monitor_of_git(launched, repository):
    with (repository / ".git" / "config").open("a") as file:
        file.write(f'[core]\n\tfsmonitor = "{PYTHON} {launched.ws}/attempts.py fsmonitor; false"\n')
    code, printed = launched.job("git", "status", "--short", cwd=repository)
    assert (code, "a" in printed) == (0, True), printed
    check_gains_nothing(launched, "fsmonitor")


def test_a_hook_of_git(launched, repository):
    hook = repository / ".git" / "hooks" / "pre-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\n{PYTHON} {launched.ws}/attempts.py hook\n")
    hook.chmod(0o755)
    launched.own(repository)
    code, printed = launched.job(
        "git", "-c", "user.name=x", "-c", "user.email=x@example.com", "commit", "-q", "--allow-empty", "-m", "x", cwd=repository
    )
    assert code == 0, printed
    check_gains_nothing(launched, "hook")


def test_a_configuration_of_git_in_the_workspace_does_not_count(launched, repository):
    launched.put(".gitconfig", f'[core]\n\tfsmonitor = "{PYTHON} {launched.ws}/attempts.py gitconfig; false"\n')
    assert launched.job("git", "status", "--short", cwd=repository)[0] == 0
    assert not launched.ran("gitconfig")


def kernelspec(launched, name, argv, **env):
    folder = launched.root / "share" / "kernels" / name
    folder.mkdir(parents=True, exist_ok=True)
    metadata = {"supported_encryption": ["curve"]}
    (folder / "kernel.json").write_text(json.dumps({"argv": argv, "display_name": name, "language": "python", "env": env, "metadata": metadata}))
    launched.own(launched.root / "share")
    return name


def test_a_pth_file_of_an_environment(launched):
    """Listing kernelspecs starts nothing; a start runs it in the kernel's sandbox."""
    subprocess.run([*launched.become(), PYTHON, "-m", "venv", "--without-pip", str(launched.ws / "env")], check=True)
    (packages,) = (launched.ws / "env" / "lib").glob("python3*/site-packages")
    (packages / "evil.pth").write_text(code_that_attempts(launched, "pth"))
    name = kernelspec(launched, "withpth", [str(launched.ws / "env" / "bin" / "python"), "-c", "import time; time.sleep(60)", "{connection_file}"])
    assert name in launched.rest("GET", "api/kernelspecs").json()["kernelspecs"]
    assert not launched.ran("pth")
    identity = launched.start_kernel(name)
    check_gains_nothing(launched, "pth")
    launched.rest("DELETE", f"api/kernels/{identity}")


def test_variables_of_a_kernelspec(launched):
    launched.put("evilpath/sitecustomize.py", code_that_attempts(launched, "variables"))
    variables = {"PYTHONPATH": str(launched.ws / "evilpath"), "PYTHONSTARTUP": str(launched.ws / "evilpath" / "sitecustomize.py")}
    argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    identity = launched.start_kernel(kernelspec(launched, "variables", argv, LD_PRELOAD="/nonexistent/evil.so", **variables))
    check_gains_nothing(launched, "variables")
    launched.rest("DELETE", f"api/kernels/{identity}")


def test_configuration_of_the_server_in_the_workspace_does_not_count(launched):
    """Written before a start: a second server of the same folder, beside the first."""
    for place in ("jupyter_server_config.py", ".jupyter/jupyter_server_config.py", "jupyter_config.py", "sitecustomize.py", "jupyter_server.py"):
        launched.put(place, code_that_attempts(launched, "configuration"))
    done = subprocess.run(
        [*launched.become(), sys.executable, "-m", "jupyter_guardrails", "server", f"--ServerApp.root_dir={launched.ws}", "--version"],
        cwd=launched.ws.parent,
        env={"PATH": os.environ["PATH"], "HOME": str(launched.root / "home"), "GUARDRAILS_STATE_DIR": str(launched.state)}
        | {"GUARDRAILS_POLICY": str(launched.root / "policy.yaml"), "GUARDRAILS_CATALOG": str(launched.root / "catalog")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert not launched.ran("configuration")


def test_start_files_of_ipython_in_the_workspace(launched):
    for profile in (".ipython", ".config/ipython"):
        launched.put(f"{profile}/profile_default/startup/00-evil.py", code_that_attempts(launched, "ipython"))
    launched.put("ipython_config.py", code_that_attempts(launched, "ipython"))
    identity = launched.start_kernel("python3")
    url = f"ws://127.0.0.1:{launched.port}/api/kernels/{identity}/channels"
    websocket.create_connection(url, header={"Authorization": f"token {TOKEN}"}, timeout=30).close()  # open once the kernel answers
    if launched.ran("ipython"):
        check_gains_nothing(launched, "ipython")
    launched.rest("DELETE", f"api/kernels/{identity}")


def test_start_files_of_a_shell_in_the_workspace(launched):
    for name in (".bashrc", ".bash_profile", ".profile"):
        launched.put(name, f"{PYTHON} {launched.ws}/attempts.py bashrc\n")
    launched.put(".inputrc", '"\\C-m": accept-line\n')
    name = launched.rest("POST", "api/terminals", json={}).json()["name"]
    terminal = websocket.create_connection(
        f"ws://127.0.0.1:{launched.port}/terminals/websocket/{name}", header={"Authorization": f"token {TOKEN}"}, timeout=30
    )
    terminal.send(json.dumps(["stdin", "echo en''d\r"]))
    printed = ""
    while not re.search(r"end\r?\n", printed):
        kind, *rest = json.loads(terminal.recv())
        printed += rest[0] if kind == "stdout" else ""
    terminal.close()
    check_gains_nothing(launched, "bashrc")
    launched.rest("DELETE", f"api/terminals/{name}")
