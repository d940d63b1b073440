"""A really started Jupyter Server with the extension, real control and real kernels, for the tests of this folder."""

import contextlib
import json
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from pathlib import Path

import pytest
import requests
import urllib3
import websocket
from ports import free_port

TOKEN = "token-of-the-test-server"
OTHER = "nobody"  # an account that every machine has
PATIENCE_S = 60.0  # for a cell
START_S = 150.0  # a start takes two seconds, and on a machine that does much else as long as it does; a test has 180
SECRET = "must-not-reach-a-kernel"
POLICY = """\
apiVersion: guardrails/v1
mode: enforce
require: [files, network]
profiles:
  small: {memory: 1GiB, cpus: 1}
  tiny: {memory: 512MiB, cpus: 1}
rules:
  - name: everyone-starts-small
    for: everyone
    kernels: {profiles: [small, tiny], default: small, max: MAXIMUM, terminals: tiny}
    data: {read: ["nyc/*"], request: ["hr/*"], browse: all}
    uploads: {max_size: 1MiB}
    publish: {to: [team]}
"""
CONTRACT = """\
apiVersion: v3.1.0
kind: DataContract
id: {name}
name: {title}
version: 1.0.0
status: active
domain: {domain}
description: {{purpose: A table for tests.}}
team: {{name: owners, members: [{{username: ben, role: owner}}]}}
servers: [{{server: local, type: local, path: {path}, format: csv}}]
schema:
  - name: {title}
    physicalType: table
    properties:
      - {{name: carrier, logicalType: string, description: Airline}}
      - {{name: flights, logicalType: integer, description: How many}}
customProperties: [{{property: guardrails.classification, value: internal}}]
"""


class GovernedServer:
    """One server process of one account; everything it needs lies below `root`."""

    def __init__(
        self,
        *,
        account=None,
        policy=POLICY,
        maximum=10,
        arguments=(),
        environment=None,
        state="state",
        extensions="'jupyter_guardrails': True",
        before=(),
        module=("jupyter_server",),
    ):
        self.account = pwd.getpwnam(account) if account else pwd.getpwuid(os.getuid())
        self.root = Path(tempfile.mkdtemp(prefix="gs-", dir="/tmp"))
        self.workspace, self.state, self.secret = self.root / "ws", self.root / state, self.root / "elsewhere"
        for folder in ("ws", "elsewhere", "home", "config", "runtime", "data", "catalog", "share"):
            (self.root / folder).mkdir()
        (self.secret / "secret.txt").write_text("not for kernels")
        (self.root / "config" / "migrated").touch()
        for name in ("nyc/flights", "hr/salaries"):
            self._add_dataset(name)
        self.policy = self.root / "guardrails.yaml"
        if policy is not None:
            self.policy.write_text(policy.replace("MAXIMUM", str(maximum)))
        subprocess.run(["chown", "-R", f"{self.account.pw_uid}:{self.account.pw_gid}", str(self.root)], check=True)
        self.port, self.extensions, self.before = free_port(), extensions, before
        self.url = f"http://127.0.0.1:{self.port}/"
        self.lines: list[str] = []
        self._ready, self._ended, self._asked_to_stop = threading.Event(), threading.Event(), False
        self.process = self._start(module, arguments, environment or {})
        threading.Thread(target=self._read_log, daemon=True).start()

    def _add_dataset(self, name):
        domain, _, title = name.partition("/")
        path = self.root / "data" / f"{title}.csv"
        path.write_text("carrier,flights\nAA,3\nUA,5\n")
        (self.root / "catalog" / f"{domain}_{title}.odcs.yaml").write_text(CONTRACT.format(name=name, domain=domain, title=title, path=path))

    def _start(self, module, arguments, environment):
        command = [sys.executable, "-m", *module, "--no-browser", "--ip=127.0.0.1", f"--port={self.port}", "--ServerApp.port_retries=0"]
        extensions = f"{{'jupyter_lsp': False, {self.extensions}}}"  # it looks for R's language server by an R of its own, when it likes
        command += [f"--ServerApp.root_dir={self.workspace}", f"--ServerApp.jpserver_extensions={extensions}", "--allow-root"]
        command += [
            f"--Guardrails.policy_path={self.policy}",
            f"--Guardrails.catalog_path={self.root / 'catalog'}",
            f"--Guardrails.state_dir={self.state}",
        ]
        variables = {
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "HOME": str(self.root / "home"),
            "JUPYTER_TOKEN": TOKEN,
            "AWS_SECRET_ACCESS_KEY": SECRET,
        }
        variables |= {"JUPYTER_CONFIG_DIR": str(self.root / "config"), "JUPYTER_RUNTIME_DIR": str(self.root / "runtime")}
        variables |= {"JUPYTER_DATA_DIR": str(self.root / "share"), **environment}
        become = ["setpriv", f"--reuid={self.account.pw_uid}", f"--regid={self.account.pw_gid}", "--clear-groups"]
        prefix = become if self.account.pw_uid != os.getuid() else []
        return subprocess.Popen(
            [*prefix, *self.before, *command, *arguments], env=variables, cwd=self.root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def _read_log(self):
        process, ready, ended = self.process, self._ready, self._ended  # of this start: another may follow while this one's output is still read
        for line in process.stdout:
            self.lines.append(line)
            if "is running at" in line:
                ready.set()
        ended.set()
        ready.set()

    def wait_ready(self):
        assert self._ready.wait(180), self.log()
        assert not self._ended.is_set(), self.log()
        with requests.Session() as session:  # the line comes shortly before the port listens
            session.mount(
                "http://", requests.adapters.HTTPAdapter(max_retries=urllib3.Retry(total=30, connect=30, backoff_factor=0.05, backoff_max=0.5))
            )
            session.get(self.url + "api", timeout=30)
        return self

    def wait_ended(self):
        assert self._ended.wait(120), self.log()
        return self.process.wait(10)

    def log(self):
        return "".join(self.lines[-200:])

    def rest(self, method, path, *, token=TOKEN, **arguments):
        headers = {"Authorization": f"token {token}"} if token else {}
        return requests.request(method, self.url + path, headers=headers | arguments.pop("headers", {}), timeout=60, **arguments)

    def start_kernel(self, name="python3", **body):
        answer = self.rest("POST", "api/kernels", json={"name": name, **body})
        assert answer.status_code == 201, f"{answer.status_code} {answer.text}\n{self.log()}"
        return self.attach(answer.json()["id"])

    def attach(self, kernel_id):
        return Kernel(self, kernel_id)

    def ask_to_stop(self):
        if self.process.poll() is None and not self._asked_to_stop:
            self._asked_to_stop = True
            self.process.send_signal(signal.SIGTERM)

    def stop(self):
        self.ask_to_stop()
        if self.process.poll() is None:
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                pytest.fail(f"the server did not stop within 30 s: {self.log()}")
        shutil.rmtree(self.root, ignore_errors=True)


class Kernel:
    """One running kernel, spoken to as a front end does."""

    def __init__(self, server, identity):
        self.server, self.id = server, identity
        self.socket = websocket.create_connection(
            f"ws://127.0.0.1:{server.port}/api/kernels/{identity}/channels?session_id={uuid.uuid4().hex}",
            header={"Authorization": f"token {TOKEN}"},
            timeout=PATIENCE_S,
        )

    def send(self, code):
        message_id = uuid.uuid4().hex
        header = {"msg_id": message_id, "msg_type": "execute_request", "username": "", "session": uuid.uuid4().hex, "version": "5.3", "date": ""}
        content = {"code": code, "silent": False, "store_history": False, "user_expressions": {}, "allow_stdin": False, "stop_on_error": True}
        self.socket.send(json.dumps({"header": header, "parent_header": {}, "metadata": {}, "content": content, "channel": "shell", "buffers": []}))
        return message_id

    def wait(self, message_id, *, until=None, patience_s=PATIENCE_S):
        """Everything that the cell printed, errors as `Name: value`; returns early when `until` has been printed."""
        printed, idle, replied = "", False, False
        deadline, others = time.monotonic() + patience_s, []
        while not (idle and replied):
            message = self._receive()
            others.append(
                (message["channel"], message["msg_type"], message["content"].get("execution_state"), message["parent_header"].get("msg_id"))
            )
            assert time.monotonic() < deadline, f"no answer to {message_id} after {others[-20:]}:\n{self.server.log()}"
            if message["parent_header"].get("msg_id") != message_id:
                continue
            kind, content = message["msg_type"], message["content"]
            printed += content["text"] if kind == "stream" else f"{content['ename']}: {content['evalue']}" if kind == "error" else ""
            replied = replied or kind == "execute_reply"
            idle = idle or (kind == "status" and content["execution_state"] == "idle")
            if until is not None and until in printed:
                break
        return printed

    def _receive(self):
        try:
            return json.loads(self.socket.recv())
        except websocket.WebSocketTimeoutException as error:
            raise AssertionError(f"kernel {self.id} says nothing:\n{self.server.log()}") from error

    def run(self, code):
        return self.wait(self.send(code))

    def wait_for_status(self, state):
        while True:
            message = self._receive()
            if message["msg_type"] == "status" and message["content"]["execution_state"] == state:
                return

    def restart(self):
        answer = self.server.rest("POST", f"api/kernels/{self.id}/restart")
        assert answer.status_code == 200, answer.text
        self.connect_again()

    def connect_again(self):
        """A new connection is open once the kernel answers; on an old one, what is sent while a kernel restarts may go to the one that died."""
        self.socket.close()
        self.__init__(self.server, self.id)

    def run_when_back(self, code):
        """jupyter_server 2.21 tells of a restart before it happens: what is sent until the new kernel listens may go to the one that died.

        And it opens a connection to a kernel that it takes for busy, as one that died in a cell, before output can come: the first of it is lost.
        """
        deadline = time.monotonic() + PATIENCE_S
        while True:
            self.connect_again()
            self.socket.settimeout(3)
            try:
                if "up" in self.run("print('up')") or time.monotonic() > deadline:
                    return self.run(code)
            except AssertionError:
                if time.monotonic() > deadline:
                    raise

    def stop(self):
        self.socket.close()
        return self.server.rest("DELETE", f"api/kernels/{self.id}")


@pytest.fixture(scope="session")
def server_class():
    """For a kind of server of a test's own."""
    return GovernedServer


@contextlib.contextmanager
def starting():
    """Start servers; all are stopped at the end of the block."""
    servers = []

    def make(**arguments):
        servers.append(GovernedServer(**arguments))
        return servers[-1]

    yield make
    for server in servers:  # all at once: each takes a second or two
        server.ask_to_stop()
    with contextlib.ExitStack() as stopping:  # one that doesn't stop fails, and keeps none of the others
        for server in servers:
            stopping.callback(server.stop)


@pytest.fixture(scope="module")
def make_server():
    """Start a server with other arguments; it is stopped after the tests of its file, whose machine it would share with all others."""
    with starting() as make:
        yield make


@pytest.fixture(scope="session")
def server():
    """The server that most tests share: of an ordinary account, unless root runs the tests in a place that others can't read."""
    with starting() as make:
        yield make(account=OTHER if os.getuid() == 0 and others_can_run_this() else None).wait_ready()


def others_can_run_this():
    """Whether another account can start this interpreter and import the project."""
    account = pwd.getpwnam(OTHER)
    command = [sys.executable, "-c", "import jupyter_guardrails.server.app"]
    tried = subprocess.run(command, user=account.pw_uid, group=account.pw_gid, extra_groups=[], cwd="/", capture_output=True, check=False)
    return tried.returncode == 0


@pytest.fixture
def kernel(server):
    """A fresh kernel of the shared server."""
    started = server.start_kernel()
    yield started
    started.stop()
