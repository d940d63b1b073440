"""A running kernel, spoken to as VS Code and JupyterLab do: the binary websocket protocol `v1.kernel.websocket.jupyter.org`."""

from __future__ import annotations

import json
import struct
import time
import uuid
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import websocket

PROTOCOL = "v1.kernel.websocket.jupyter.org"
PATIENCE_S = 120.0


@dataclass
class Outcome:
    """What one cell did: its reply's status, its text, and the messages that it published."""

    status: str = ""
    text: str = ""
    messages: list[dict[str, Any]] = field(default_factory=list)

    def kinds(self) -> list[str]:
        """The types of the messages, in order."""
        return [message["header"]["msg_type"] for message in self.messages]

    def shown(self, mime: str) -> list[Any]:
        """Everything of one MIME type that was displayed."""
        found = [message["content"].get("data", {}).get(mime) for message in self.messages]
        return [one for one in found if one is not None]


def pack(channel: str, message: dict[str, Any]) -> bytes:
    """One message as the protocol frames it: count and offsets of the parts (little-endian, 64 bits), then the parts."""
    parts = [channel.encode(), *(json.dumps(message[part]).encode() for part in ("header", "parent_header", "metadata", "content"))]
    start, offsets = 8 * (len(parts) + 2), []
    for part in parts:
        offsets.append(start)
        start += len(part)
    numbers = [len(parts) + 1, *offsets, start]
    return struct.pack(f"<{len(numbers)}Q", *numbers) + b"".join(parts)


def unpack(frame: bytes) -> dict[str, Any]:
    """The reverse of `pack`; buffers are kept as bytes."""
    (count,) = struct.unpack_from("<Q", frame)
    offsets = struct.unpack_from(f"<{count}Q", frame, 8)
    parts = [frame[begin:end] for begin, end in pairwise(offsets)]
    names = ("header", "parent_header", "metadata", "content")
    return {
        "channel": parts[0].decode(),
        **{name: json.loads(part) or {} for name, part in zip(names, parts[1:5], strict=True)},
        "buffers": parts[5:],
    }


class LiveKernel:
    """One connection to one kernel of a server."""

    def __init__(self, server: Any, identity: str) -> None:
        self.server, self.id = server, identity
        self.connect()

    def connect(self) -> None:
        """A new connection, for instance after a restart."""
        self.session = uuid.uuid4().hex
        address = f"ws://127.0.0.1:{self.server.port}/api/kernels/{self.id}/channels?session_id={self.session}"
        header = {"Authorization": f"token {self.server.token}"}
        self.socket = websocket.create_connection(address, header=header, timeout=PATIENCE_S, subprotocols=[PROTOCOL])
        assert self.socket.getsubprotocol() == PROTOCOL

    def send(self, kind: str, content: dict[str, Any], *, channel: str = "shell", parent: dict[str, Any] | None = None) -> str:
        """Send one message; its id."""
        identity = uuid.uuid4().hex
        header = {"msg_id": identity, "msg_type": kind, "username": "", "session": self.session, "version": "5.3", "date": "2026-01-01T00:00:00Z"}
        message = {"header": header, "parent_header": parent or {}, "metadata": {}, "content": content}
        self.socket.send_binary(pack(channel, message))
        return identity

    def receive(self) -> dict[str, Any]:
        """The next message of any channel."""
        return unpack(self.socket.recv())

    def request(self, kind: str, content: dict[str, Any], *, channel: str = "shell") -> dict[str, Any]:
        """The content of the reply to one request; what else arrives meanwhile is dropped."""
        identity = self.send(kind, content, channel=channel)
        while True:
            message = self.receive()
            if message["parent_header"].get("msg_id") == identity and message["header"]["msg_type"].endswith("_reply"):
                return message["content"]

    def start(self, code: str, *, stdin: bool = False) -> str:
        """Send a cell, don't wait."""
        content = {"code": code, "silent": False, "store_history": True, "user_expressions": {}, "allow_stdin": stdin, "stop_on_error": False}
        return self.send("execute_request", content)

    def finish(self, identity: str, *, answer: str | None = None) -> Outcome:
        """Wait for a cell's reply and last output; questions to the person are answered with `answer`."""
        outcome, idle, deadline = Outcome(), False, time.monotonic() + PATIENCE_S
        while not (outcome.status and idle):
            message = self.receive()
            assert time.monotonic() < deadline, f"no end of the cell: {outcome}\n{self.server.tail()}"
            if message["parent_header"].get("msg_id") != identity:
                continue
            outcome.messages.append(message)
            kind, content = message["header"]["msg_type"], message["content"]
            if kind == "input_request":
                self.send("input_reply", {"value": answer, "status": "ok"}, channel="stdin", parent=message["header"])
            idle = idle or (kind == "status" and content["execution_state"] == "idle")
            outcome.status = content["status"] if kind == "execute_reply" else outcome.status
            outcome.text += text_of(kind, content)
        return outcome

    def run(self, code: str, *, answer: str | None = None) -> Outcome:
        """Run a cell to its end."""
        return self.finish(self.start(code, stdin=answer is not None), answer=answer)

    def wait_until_printed(self, identity: str, mark: str) -> None:
        """Until a running cell has printed `mark`."""
        printed = ""
        while mark not in printed:
            message = self.receive()
            if message["parent_header"].get("msg_id") == identity:
                printed += text_of(message["header"]["msg_type"], message["content"])

    def interrupt(self) -> None:
        """As the stop button does."""
        self.server.request("POST", f"api/kernels/{self.id}/interrupt").raise_for_status()

    def stop_cell(self, identity: str) -> Outcome:
        """Press stop once and wait for the end of the cell."""
        self.interrupt()
        return self.finish(identity)

    def restart(self) -> None:
        """As the restart button does; connected again when it returns."""
        self.socket.close()
        self.server.request("POST", f"api/kernels/{self.id}/restart").raise_for_status()
        self.connect()

    def close(self) -> None:
        """Shut the kernel down."""
        self.socket.close()
        self.server.request("DELETE", f"api/kernels/{self.id}")


def text_of(kind: str, content: dict[str, Any]) -> str:
    """What a person reads of one message."""
    if kind == "stream":
        return str(content["text"])
    if kind == "error":
        return "\n".join([*content["traceback"], f"{content['ename']}: {content['evalue']}"])
    return str(content.get("data", {}).get("text/plain", "")) if kind in ("execute_result", "display_data") else ""
