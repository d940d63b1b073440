"""A kernel's channel that control serves in this process, and the kernel's side of it."""

import secrets
import socket
from pathlib import Path

import jupyter_guardrails
from jupyter_guardrails.control import channel
from jupyter_guardrails.control.interface import receive_frame, send_frame

CLIENT = Path(jupyter_guardrails.__file__).parent / "client"


class Kernel:
    """One side of a channel: asks, and gets results or errors with file descriptors."""

    def __init__(self, name):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(60)
        self.socket.connect(f"\0{name}")

    def ask(self, op, fds=(), **args):
        send_frame(self.socket, {"v": 1, "id": 7, "op": op, "args": args}, fds)
        answer, received = receive_frame(self.socket)
        assert answer["id"] == 7 or not answer["ok"], "only what was no request is answered without its number"
        return answer["result"] if answer["ok"] else answer["error"], received

    def result(self, op, **args):
        result, fds = self.ask(op, **args)
        assert fds == []
        return result


class Served:
    """A channel that control serves, by its abstract name."""

    def __init__(self, world, loop, **kernel):
        self.name = f"gr-test-{secrets.token_hex(6)}"
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(f"\0{self.name}")
        listener.listen(256)
        self.live = world.kernel(**kernel)
        self.loop = loop
        self.channel = loop.run(channel.serve(world.state(), self.live, listener.detach()))

    def connect(self):
        return Kernel(self.name)

    def close(self):
        self.loop.call(self.channel.close)
