"""A machine of its own for tests: /etc, /run and /var/lib in a mount namespace, three ordinary accounts, and control as a service of a fourth."""

import contextlib
import functools
import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from pathlib import Path

import nbformat
import requests
import urllib3
import websocket
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from ports import free_port
from uv import find_uv_bin

FIRST_UID = 47000
ACCOUNTS = {name: FIRST_UID + number for number, name in enumerate(("jupyter-guardrails", "ana", "ben", "carol"))}
NAMELESS = FIRST_UID + 99
TOKEN = "token-of-the-test-server"
RULES = """\
apiVersion: guardrails/v1
mode: enforce
require: [files, network]
admins: {users: [carol]}
profiles:
  small: {memory: 1GiB, cpus: 1}
rules:
  - name: everyone
    for: everyone
    kernels: {profiles: [small], default: small, max: 3, terminals: small}
"""  # of the machine's rule for everyone, the rest follows
POLICY = f"""\
{RULES}    publish: {{to: [ben]}}
    uploads: {{max_size: 1MiB}}
promotion:
  production_profile: small
  reviewers: {{users: [ana, ben]}}
"""
SETTINGS = "control: service\n"
# The test's own folders over the machine's, then the command; `$1` is where they are.
SET_UP = 'for place in etc run var/lib; do mount --bind "$1/$place" "/$place" || exit 99; done; shift; exec "$@"'


class Machine:
    """What the admin of a machine decided, and commands of its accounts."""

    def __init__(self, root):
        self.root = root
        for place in ("etc", "run", "var/lib", "home"):
            (root / place).mkdir(parents=True, mode=0o755)
        subprocess.run(["cp", "-a", "/etc/.", str(root / "etc")], capture_output=True, check=False)
        self.admins = root / "etc" / "jupyter" / "guardrails"
        shutil.rmtree(root / "etc" / "jupyter", ignore_errors=True)
        (self.admins / "catalog").mkdir(parents=True)
        for folder in (root, root / "etc" / "jupyter", self.admins, self.admins / "catalog"):
            folder.chmod(0o755)
        self._add_accounts()
        (self.admins / "guardrails.yaml").write_text(POLICY)
        (self.admins / "settings.yaml").write_text(SETTINGS)
        for place, owner in (("run/jupyter-guardrails", 0o755), ("var/lib/jupyter-guardrails", 0o700)):  # as systemd makes them
            (root / place).mkdir(mode=owner)
            os.chown(root / place, ACCOUNTS["jupyter-guardrails"], ACCOUNTS["jupyter-guardrails"])
        self.started = []

    def _add_accounts(self):
        with open(self.root / "etc" / "passwd", "a") as passwd, open(self.root / "etc" / "group", "a") as group:
            for name, uid in ACCOUNTS.items():
                passwd.write(f"{name}:x:{uid}:{uid}::{self.home(name)}:/bin/bash\n")
                group.write(f"{name}:x:{uid}:\n")
        for name in (*ACCOUNTS, str(NAMELESS)):
            self.home(name).mkdir(mode=0o700)
            uid = ACCOUNTS.get(name, NAMELESS)
            for folder in (self.home(name), *self._made(self.home(name) / "work"), *self._made(self.home(name) / "config")):
                os.chown(folder, uid, uid)

    def _made(self, folder):
        folder.mkdir()
        return [folder]

    def add_kernelspec(self, name="tiny"):
        """A kernelspec whose environment holds ipykernel only, on JUPYTER_PATH; why it can't be had, or nothing."""
        environment, spec = self.root / "environment", self.root / "jupyter" / "kernels" / name
        subprocess.run([find_uv_bin(), "venv", "-q", "--python", "/usr/bin/python3", str(environment)], check=True)
        install = [find_uv_bin(), "pip", "install", "-q", "--python", str(environment / "bin" / "python"), "ipykernel"]
        made = subprocess.run(install, capture_output=True, text=True, check=False)
        spec.mkdir(parents=True)
        argv = [str(environment / "bin" / "python"), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        told = {"argv": argv, "display_name": name, "language": "python", "metadata": {"supported_encryption": ["curve"]}}
        (spec / "kernel.json").write_text(json.dumps(told))
        return made.stderr[-300:]

    def add_notebook(self, account, *sources, name="sales.ipynb", kernel="tiny", remark="", parameters=False):
        """A notebook of 0600 in the account's workspace, as a fresh run from top to bottom leaves it; `parameters`: its first cell has them."""
        cells = [new_code_cell(source, execution_count=number, id=f"cell-{number}") for number, source in enumerate(sources, 1)]
        if parameters:
            cells[0].metadata["tags"] = ["parameters"]
        if remark:
            cells.append(new_markdown_cell(remark, id="remark"))
        path = self.home(account) / "work" / name
        nbformat.write(new_notebook(cells=cells, metadata={"kernelspec": {"name": kernel, "display_name": kernel}}), path)
        os.chown(path, ACCOUNTS[account], ACCOUNTS[account])
        path.chmod(0o600)
        return path

    def home(self, name):
        return self.root / "home" / name

    def command(self, account, *command):
        """A command line that runs as the account (a name or a uid), on this machine."""
        uid = ACCOUNTS.get(account, account)
        become = ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups"] if uid else []
        return ["unshare", "--mount", "sh", "-c", SET_UP, "sh", str(self.root), *become, *map(str, command)]

    def environment(self, account, **more):
        kept = {name: value for name, value in os.environ.items() if name.startswith(("SSL_CERT_", "UV_"))}
        kept |= {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "HOME": str(self.home(str(account))), "JUPYTER_TOKEN": TOKEN}
        kept |= {"JUPYTER_PATH": str(self.root / "jupyter")}
        return {**kept, "JUPYTER_CONFIG_DIR": str(self.home(str(account)) / "config"), **more}

    def run(self, account, *arguments, timeout=120, **environment):
        """The ended process of a Python command line."""
        command = self.command(account, sys.executable, *arguments)
        environ, cwd = self.environment(account, **environment), "/"
        return subprocess.run(command, env=environ, cwd=cwd, capture_output=True, text=True, check=False, timeout=timeout)

    def guardrails(self, account, *arguments, **environment):
        """The ended process of `jupyter guardrails …`."""
        return self.run(account, "-m", "jupyter_guardrails", *arguments, **environment)

    def ask(self, account, request, **environment):
        """What control answers to an expression of a request, as JSON; its error's text as `error`."""
        done = self.run(account, "-c", ASK, request, **environment)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    def start_service(self, *arguments):
        """Control, as systemd starts it; returns when it says that it is ready."""
        place = self.root / "notify"
        place.unlink(missing_ok=True)
        systemd = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        systemd.bind(str(place))
        place.chmod(0o666)
        ready = threading.Event()
        threading.Thread(target=self._hear, args=(systemd, ready), daemon=True).start()
        command = self.command("jupyter-guardrails", sys.executable, "-I", "-m", "jupyter_guardrails", "control", "--service", *arguments)
        environ = self.environment("jupyter-guardrails", NOTIFY_SOCKET=str(place))
        with open(self.root / "control.log", "ab") as log:
            self.service = process = subprocess.Popen(command, env=environ, cwd="/", stdout=log, stderr=log)
        self.started.append(process)
        deadline = time.monotonic() + 60
        while not ready.wait(0.2):
            assert process.poll() is None, self.log()
            assert time.monotonic() < deadline, self.log()
        return process

    def _hear(self, systemd, ready):
        """What control tells systemd; one that keeps no descriptors."""
        with systemd:
            while True:
                said, fds, _, _ = socket.recv_fds(systemd, 4096, 64)
                for fd in fds:
                    os.close(fd)
                if b"READY=1" in said.split(b"\n"):
                    ready.set()

    def end_service(self):
        self.service.terminate()
        assert self.service.wait(30) == 0, self.log()

    def lease_of(self, kernel_id):
        """As only its owner, and root, can know it."""
        with contextlib.closing(sqlite3.connect(self.root / "var/lib/jupyter-guardrails/records.sqlite")) as records:
            return records.execute("select id from leases where kernel_id = ?", (kernel_id,)).fetchone()[0]

    def owners_below(self, folder):
        return {path.lstat().st_uid for path in (self.root / folder).rglob("*")}

    def log(self):
        path = self.root / "control.log"
        return path.read_text()[-4000:] if path.exists() else ""

    def serve(self, account, *arguments, launcher=("jupyter_guardrails", "server"), **environment):
        """A governed server of the account, ready."""
        server = Served(self, account, *arguments, launcher=launcher, **environment)
        self.started.append(server.process)
        return server.wait_ready()

    def stop(self):
        for process in reversed(self.started):
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                try:
                    process.wait(30)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()


class Served:
    """One server process of one account."""

    def __init__(self, machine, account, *arguments, launcher, **environment):
        self.port = free_port()
        self.machine, self.account = machine, account
        self.workspace = machine.home(str(account)) / "work"
        command = [sys.executable, "-m", *launcher, "--no-browser", f"--port={self.port}", f"--ServerApp.root_dir={self.workspace}"]
        command += ["--ServerApp.jpserver_extensions={'jupyter_guardrails': True, 'jupyter_server_terminals': True}", *arguments]
        self.url, self.lines, self._ready = f"http://127.0.0.1:{self.port}/", [], threading.Event()
        environ = machine.environment(account, **environment)
        self.process = subprocess.Popen(
            machine.command(account, *command), env=environ, cwd="/", stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.append(line)
            if "is running at" in line:
                self._ready.set()
        self._ready.set()

    def log(self):
        return "".join(self.lines[-200:])

    def wait_ready(self):
        assert self._ready.wait(180), self.log()
        assert any("is running at" in line for line in self.lines), self.log()
        with requests.Session() as session:  # the line comes shortly before the port listens
            session.mount("http://", requests.adapters.HTTPAdapter(max_retries=urllib3.Retry(total=30, connect=30, backoff_factor=0.05)))
            session.get(f"{self.url}api", timeout=30)
        return self

    def rest(self, method, path, **arguments):
        headers = {"Authorization": f"token {TOKEN}"} | arguments.pop("headers", {})
        return requests.request(method, self.url + path, headers=headers, timeout=60, **arguments)

    def execute(self, kernel_id, code):
        """What a cell prints."""
        message = {
            "header": {"msg_id": uuid.uuid4().hex, "msg_type": "execute_request", "username": "", "session": "s", "version": "5.3", "date": ""}
        }
        content = {"code": code, "silent": False, "store_history": False, "user_expressions": {}, "allow_stdin": False, "stop_on_error": True}
        printed = ""
        with contextlib.closing(self._connect(f"api/kernels/{kernel_id}/channels?session_id=s")) as channels:
            channels.send(json.dumps(message | {"parent_header": {}, "metadata": {}, "content": content, "channel": "shell", "buffers": []}))
            while True:
                told = json.loads(channels.recv())
                if told["parent_header"].get("msg_id") != message["header"]["msg_id"]:
                    continue
                printed += told["content"].get("text", "") if told["msg_type"] == "stream" else str(told["content"].get("evalue", ""))
                if told["msg_type"] == "status" and told["content"]["execution_state"] == "idle":
                    return printed

    def type(self, terminal, text, *, until):
        """Type into a terminal, and wait for the file that this makes."""
        with contextlib.closing(self._connect(f"terminals/websocket/{terminal}")) as channel:
            channel.send(json.dumps(["stdin", text]))
            shown = ""
            while not until.exists():
                shown += channel.recv()
                assert len(shown) < 1 << 20, shown

    def _connect(self, path):
        return websocket.create_connection(f"ws://127.0.0.1:{self.port}/{path}", header={"Authorization": f"token {TOKEN}"}, timeout=60)

    def until_checked(self, submission):
        return self.until(submission, lambda found: found["state"] not in ("submitted", "checking"))

    def until(self, submission, holds):
        """The submission once that holds for it."""
        deadline = time.monotonic() + 150
        while not holds(found := self.rest("GET", f"guardrails/submissions/{submission}").json()):
            assert time.monotonic() < deadline, (found, self.log(), self.machine.log())
            time.sleep(0.2)  # the HTTP API has no event to wait for
        return found

    def stop(self):
        self.process.terminate()
        self.process.wait(30)


# Runs on the machine: one request, given as an expression, over the control that this account finds.
ASK = """
import json, os, sys
from jupyter_guardrails.cli.connection import settings_from
from jupyter_guardrails.control.interface import *
from jupyter_guardrails.control.interface import messages as m, usage, decisions
from jupyter_guardrails.control.interface.own import running_control
from jupyter_guardrails.errors import GuardrailsError
client = running_control(settings_from(os.environ))
try:
    print(json.dumps(client.call(eval(sys.argv[1]))))
except GuardrailsError as error:
    print(json.dumps({"error": str(error), "code": error.code}))
"""


@functools.cache  # asked by every file that makes one, in every worker
def why_not():
    """Why this machine can't be made here; empty where it can."""
    if os.getuid() != 0:
        return "needs root, which becomes other accounts"
    become = ["unshare", "--mount", "setpriv", f"--reuid={NAMELESS}", f"--regid={NAMELESS}", "--clear-groups"]
    program = [sys.executable, "-c", "import jupyter_guardrails.server.app"]
    tried = subprocess.run([*become, *program], cwd="/", capture_output=True, text=True, check=False)
    return "" if tried.returncode == 0 else f"needs mount namespaces, and a checkout that other accounts can read: {tried.stderr[-200:]}"


@contextlib.contextmanager
def made():
    """A machine in a folder with a short path; all that was started on it ends with the block."""
    root = Path(tempfile.mkdtemp(prefix="sm-", dir="/tmp"))
    root.chmod(0o755)
    machine = Machine(root)
    try:
        yield machine
    finally:
        machine.stop()
        subprocess.run(["rm", "-rf", str(root)], check=True)  # several environments: shutil takes its time
