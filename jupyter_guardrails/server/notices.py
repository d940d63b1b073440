"""Telling a person, in the cell that was running, why their kernel was ended."""

# jupyter_server is partly untyped
# mypy: disable-error-code="untyped-decorator, no-untyped-call"
from __future__ import annotations

import json
import logging
from typing import Any, ClassVar

from jupyter_server.services.kernels.connection.base import (  # type: ignore[attr-defined]  # json_default is jupyter_client's, which only kernels/ imports
    deserialize_msg_from_ws_v1,
    json_default,
    serialize_msg_to_ws_v1,
)
from jupyter_server.services.kernels.connection.channels import ZMQChannelsWebsocketConnection

from jupyter_guardrails.server.cells import code_in

LOG = logging.getLogger(__name__)
MOST_UNSEEN = 100
V1 = "v1.kernel.websocket.jupyter.org"


class TellingConnection(ZMQChannelsWebsocketConnection):
    """A front end's connection that remembers which cell it ran last, so that a notice appears below it."""

    last_run: ClassVar[dict[str, dict[str, Any]]] = {}
    unseen: ClassVar[dict[str, list[str]]] = {}  # kernel -> what was told while nobody looked: shown below the next cell

    def handle_incoming_message(self, incoming_msg: Any) -> None:
        """Called for each message of the front end."""
        v1 = self.subprotocol == V1
        header = header_of(incoming_msg, v1=v1)
        runs = header.get("msg_type") == "execute_request"
        recorder = self.websocket_handler.settings.get("guardrails_cells")
        if runs and recorder is not None:  # before the kernel has it: whatever the cell does, it is known
            recorder.saw(self.kernel_id, code_in(incoming_msg, v1=v1))
        super().handle_incoming_message(incoming_msg)
        if runs:
            self.last_run[self.kernel_id] = header
            for text in self.unseen.pop(self.kernel_id, []):
                self.show(text)

    def show(self, text: str) -> None:
        """Write one line as the kernel's error stream, answering the last cell that ran."""
        message = self.session.msg("stream", {"name": "stderr", "text": text + "\n"}, parent=self.last_run.get(self.kernel_id))
        if self.subprotocol == V1:
            self.write_message(serialize_msg_to_ws_v1(message, "iopub", self.session.pack), binary=True)
        else:
            self.write_message(json.dumps(message | {"channel": "iopub"}, default=json_default))


def tell(kernel_id: str, reason: str) -> None:
    """Show a reason to everyone who looks at this kernel, or to whoever runs a cell in it next."""
    LOG.warning("kernel %s: %s", kernel_id, reason)
    opened = list(ZMQChannelsWebsocketConnection._open_sockets)
    looking = [connection for connection in opened if isinstance(connection, TellingConnection) and connection.kernel_id == kernel_id]
    seen = bool(looking) and kernel_id in TellingConnection.last_run  # a front end shows nothing that belongs to no cell
    for connection in looking if seen else ():
        connection.show(f"guardrails: {reason}")
    if not seen:
        _keep(kernel_id, f"guardrails: {reason}")


def _keep(kernel_id: str, text: str) -> None:
    TellingConnection.unseen.setdefault(kernel_id, []).append(text)
    while len(TellingConnection.unseen) > MOST_UNSEEN:  # of kernels that are gone
        TellingConnection.unseen.pop(next(iter(TellingConnection.unseen)))


def header_of(message: Any, *, v1: bool) -> dict[str, Any]:
    """The header of a front end's message, cheaply: `{}` for anything but a request to run code, or what is no message."""
    raw = message if isinstance(message, bytes) else message.encode()
    if b"execute_request" not in raw and b"\\u" not in raw:  # JSON can write each letter as \uXXXX
        return {}
    try:
        header = json.loads(deserialize_msg_from_ws_v1(raw)[1][0] if v1 else raw)
    except (ValueError, IndexError):
        return {}
    found = header if v1 or not isinstance(header, dict) else header.get("header")
    return found if isinstance(found, dict) else {}
