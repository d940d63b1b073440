"""A server that `jupyter guardrails server` really started, with a home, a workspace and a policy of its own, for the tests of this folder."""

import json
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path

import requests
import urllib3
import websocket
from ports import free_port

TOKEN = "token-of-the-launched-server"
BIN = Path(sys.executable).parent
PATIENCE_S = 60.0
POLICY = """\
apiVersion: guardrails/v1
mode: enforce
require: [files, network]
profiles:
  small: {memory: 1GiB, cpus: 1}
rules:
  - {name: everyone, for: everyone, kernels: {profiles: [small], default: small, max: 5, terminals: small}}
"""


class Place:
    """Folders of one person, below a short path: `home`, and the workspace `home/work`."""

    def __init__(self):
        self.root = Path(tempfile.mkdtemp(prefix="ga-", dir="/tmp"))
        self.home, self.work = self.root / "home", self.root / "home" / "work"
        self.work.mkdir(parents=True)
        self.policy = self.root / "guardrails.yaml"
        self.policy.write_text(POLICY)
        self.secret = self.root / "secret.txt"
        self.secret.write_text("not for kernels")

    def remove(self):
        shutil.rmtree(self.root, ignore_errors=True)

    def environment(self):
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("GUARDRAILS_", "XDG_", "JUPYTER_", "PYTHON"))}
        ours = {"GUARDRAILS_POLICY": str(self.policy), "GUARDRAILS_STATE_DIR": str(self.root / "state")}
        return {**kept, **ours, "HOME": str(self.home), "JUPYTER_TOKEN": TOKEN}

    def serve(self, *command):
        """A running server; `command` as a person types it, to which port and workspace are added."""
        return Server(self, command)


class Server:
    """One process; what it says is in `place.root/server.log`."""

    def __init__(self, place, command):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/"
        self.log_path = place.root / f"server-{self.port}.log"
        arguments = [f"--port={self.port}", "--ServerApp.port_retries=0", f"--ServerApp.root_dir={place.work}", "--no-browser", "--allow-root"]
        with self.log_path.open("w") as log:
            self.process = subprocess.Popen(
                [BIN / command[0], *command[1:], *arguments], env=place.environment(), cwd=place.work, stdout=log, stderr=subprocess.STDOUT
            )

    def __enter__(self):
        with requests.Session() as session:
            logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)  # it warns of each try
            retry = urllib3.Retry(total=60, connect=60, backoff_factor=0.1, backoff_max=0.5)
            session.mount("http://", requests.adapters.HTTPAdapter(max_retries=retry))
            try:
                session.get(self.url + "api", timeout=30)
            except requests.ConnectionError as error:
                self.__exit__()
                raise AssertionError(self.log()) from error
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def log(self):
        return self.log_path.read_text()[-4000:]

    def rest(self, method, path, **arguments):
        return requests.request(method, self.url + path, headers={"Authorization": f"token {TOKEN}"}, timeout=60, **arguments)

    def run(self, code):
        """What a cell prints in a kernel of its own."""
        started = self.rest("POST", "api/kernels", json={})
        assert started.status_code == 201, f"{started.text}\n{self.log()}"
        try:
            return run_cell(self, started.json()["id"], code)
        finally:
            self.rest("DELETE", f"api/kernels/{started.json()['id']}")


def run_cell(server, kernel, code):
    """Printed text, and an error as `Name: value`."""
    header = {"msg_id": uuid.uuid4().hex, "msg_type": "execute_request", "username": "", "session": uuid.uuid4().hex, "version": "5.3", "date": ""}
    content = {"code": code, "silent": False, "store_history": False, "user_expressions": {}, "allow_stdin": False, "stop_on_error": True}
    connection = websocket.create_connection(
        f"ws://127.0.0.1:{server.port}/api/kernels/{kernel}/channels", header={"Authorization": f"token {TOKEN}"}, timeout=PATIENCE_S
    )
    connection.send(json.dumps({"header": header, "parent_header": {}, "metadata": {}, "content": content, "channel": "shell", "buffers": []}))
    printed, deadline = "", time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        message = json.loads(connection.recv())
        if message["parent_header"].get("msg_id") != header["msg_id"]:
            continue
        kind, said = message["msg_type"], message["content"]
        printed += said["text"] if kind == "stream" else f"{said['ename']}: {said['evalue']}" if kind == "error" else ""
        if kind == "status" and said["execution_state"] == "idle":
            connection.close()
            return printed
    raise AssertionError(f"no end of the cell after {printed!r}: {server.log()}")
