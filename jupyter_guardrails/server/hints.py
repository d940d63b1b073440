"""A hint over Jupyter's own events that something is worth reading again, so that a notice shows at once and not with the next poll."""

# jupyter_server is partly untyped
# mypy: disable-error-code="no-untyped-call"
from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import yaml
from jupyter_server.serverapp import ServerApp

FILE = Path(__file__).parent / "events" / "notice.yaml"
SCHEMA = str(yaml.safe_load(FILE.read_text())["$id"])


def hinter(serverapp: ServerApp) -> Callable[[str], None]:
    """Register the event; a function of a kernel's id that emits it."""
    events = serverapp.event_logger
    assert events is not None, "Jupyter makes it before it loads extensions"
    events.register_event_schema(FILE)

    def hint(kernel_id: str) -> None:
        events.emit(schema_id=SCHEMA, data={"kernel_id": kernel_id})

    return hint
