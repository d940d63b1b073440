"""Taking over a listening socket that a sandbox handed out: the server in between is not trusted to hand the right thing."""

from __future__ import annotations

import os
import socket

from jupyter_guardrails.errors import BadRequest


def take(fd: int, *families: int) -> socket.socket:
    """The listener behind a descriptor, non-blocking; ours from now on. BadRequest, and the descriptor closed, when it is anything else."""
    try:
        listener = socket.socket(fileno=fd)
    except OSError as error:
        os.close(fd)
        raise BadRequest(f"what came as a listener is no socket: {error.strerror}") from error
    listens = listener.type == socket.SOCK_STREAM and listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    if not listens or listener.family not in families:
        listener.close()
        raise BadRequest("what came as a listener is another kind of socket")
    listener.setblocking(False)
    return listener
