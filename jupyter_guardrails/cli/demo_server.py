"""Jupyter servers of one's own for checks and benchmarks, driven as a browser would: REST and websockets on loopback."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests
import websocket

from jupyter_guardrails import errors

START_TIMEOUT_S = 90.0
CELL_TIMEOUT_S = 300.0


@dataclass
class CellRun:
    """What one cell did: `outputs` are the messages' contents by kind, in order."""

    id: str
    status: str
    seconds: float
    outputs: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    @property
    def text(self) -> str:
        """Everything that the cell printed or showed, as plain text."""
        return "".join(_as_text(kind, content) for kind, content in self.outputs)

    def as_saved(self) -> list[dict[str, Any]]:
        """The outputs as a notebook file holds them."""
        return [{"output_type": kind, **{key: value for key, value in content.items() if key != "transient"}} for kind, content in self.outputs]


def _as_text(kind: str, content: dict[str, Any]) -> str:
    if kind == "stream":
        return str(content["text"])
    if kind == "error":
        return "\n".join([f"{content['ename']}: {content['evalue']}", *content["traceback"]])
    return str(content.get("data", {}).get("text/plain", "")) + "\n"


class Kernel:
    """A running kernel of a server."""

    def __init__(self, server: Server, kernel_id: str, place: str) -> None:
        self.server, self.id = server, kernel_id
        self._place = place  # the session's path where there is one: ending only its kernel would leave it
        self._socket = self._open(CELL_TIMEOUT_S)

    def connect(self, *, timeout_s: float = CELL_TIMEOUT_S) -> None:
        """Once more after a restart, as JupyterLab does: a connection of before may miss what the new process says first."""
        self._socket.close()
        self._socket = self._open(timeout_s)

    def _open(self, timeout_s: float) -> websocket.WebSocket:
        address = f"ws://127.0.0.1:{self.server.port}/api/kernels/{self.id}/channels"
        return websocket.create_connection(address, header=[f"Authorization: token {self.server.token}"], timeout=timeout_s)

    def run(self, code: str, *, cell_id: str = "") -> CellRun:
        """Run code and wait for its last output."""
        begin = time.perf_counter()
        message_id = self.send(code)
        run = CellRun(cell_id, "", 0.0)
        replied = idle = False
        while not (replied and idle):
            message = self.receive()
            if message.get("parent_header", {}).get("msg_id") != message_id:
                continue
            kind, content = message["header"]["msg_type"], message["content"]
            if kind == "execute_reply":
                replied, run.status = True, content["status"]
            elif kind == "status":
                idle = content["execution_state"] == "idle"
            elif kind in ("stream", "error", "execute_result", "display_data"):
                run.outputs.append((kind, content))
        run.seconds = time.perf_counter() - begin
        return run

    def send(self, code: str) -> str:
        """Have code run; the identifier that its answers name."""
        message_id = uuid.uuid4().hex
        content = {"code": code, "silent": False, "store_history": True, "user_expressions": {}, "allow_stdin": False, "stop_on_error": False}
        header = {"msg_id": message_id, "msg_type": "execute_request", "username": "", "session": message_id, "version": "5.3"}
        request = {"header": header, "parent_header": {}, "metadata": {}, "content": content, "channel": "shell", "buffers": []}
        self._socket.send(json.dumps(request))
        return message_id

    def receive(self) -> dict[str, Any]:
        """The next message, whatever it answers."""
        message: dict[str, Any] = json.loads(self._socket.recv())
        return message

    def close(self) -> None:
        """Shut the kernel down and wait until the server has forgotten it."""
        self._socket.close()
        self.server.request("DELETE", self._place)


@dataclass
class Server:
    """A server process that answers on a loopback port."""

    process: subprocess.Popen[bytes]
    port: int
    token: str
    log: Path

    def request(self, method: str, path: str, body: Any = None, *, headers: dict[str, str] | None = None) -> requests.Response:
        """The answer; a status of 400 or more is an error with what the server said."""
        given = {"Authorization": f"token {self.token}", **(headers or {})}
        answer = requests.request(method, f"http://127.0.0.1:{self.port}{path}", json=body, headers=given, timeout=120)
        if answer.status_code >= 400:
            raise errors.GuardrailsError(f"{method} {path} answered {answer.status_code}: {answer.text[:2000]}", next_step=f"see {self.log}")
        return answer

    def kernel(self, name: str, *, notebook: str = "") -> Kernel:
        """A new kernel of a kernelspec, opened for a notebook as JupyterLab does it, or bare."""
        if not notebook:
            kernel_id = self.request("POST", "/api/kernels", {"name": name}).json()["id"]
            return Kernel(self, kernel_id, f"/api/kernels/{kernel_id}")
        body = {"path": notebook, "name": notebook, "type": "notebook", "kernel": {"name": name}}
        session = self.request("POST", "/api/sessions", body).json()
        return Kernel(self, session["kernel"]["id"], f"/api/sessions/{session['id']}")

    def stop(self) -> None:
        """End the server by its process id and wait."""
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@contextlib.contextmanager
def serve(module: Sequence[str], workspace: Path, *, environment: dict[str, str], log: Path) -> Iterator[Server]:
    """A server for the length of this block: `module` follows `python -m`, more arguments are added."""
    port, token = free_port(), secrets.token_hex(24)
    command = [
        sys.executable,
        "-m",
        *module,
        f"--ServerApp.root_dir={workspace}",
        f"--ServerApp.port={port}",
        "--ServerApp.ip=127.0.0.1",
        "--no-browser",
        *allow_root(),
    ]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, env={**environment, "JUPYTER_TOKEN": token}, cwd=workspace, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
    server = Server(process, port, token, log)
    try:
        _wait_until_it_answers(server)
        yield server
    finally:
        server.stop()


def _wait_until_it_answers(server: Server) -> None:
    end = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < end and server.process.poll() is None:
        with contextlib.suppress(requests.ConnectionError):
            server.request("GET", "/api/status")
            return
        time.sleep(0.1)
    raise errors.GuardrailsError(f"the server did not start (exit code {server.process.poll()}):\n{_tail(server.log)}", next_step=f"see {server.log}")


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-25:])


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def allow_root() -> list[str]:
    """What a server started by root needs."""
    return ["--allow-root"] if os.getuid() == 0 else []
