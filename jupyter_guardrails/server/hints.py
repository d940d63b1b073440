"""Hints over Jupyter's own events that something is worth reading again, so that it shows at once and not with the next poll."""

# jupyter_server is partly untyped
# mypy: disable-error-code="no-untyped-call"
from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import yaml
from jupyter_server.serverapp import ServerApp

EVENTS = Path(__file__).parent / "events"


def of_kernels(serverapp: ServerApp) -> Callable[[str], None]:
    """A function of a kernel's id that says: its notices are worth reading again."""
    return _hinter(serverapp, EVENTS / "notice.yaml", "kernel_id")


def of_changes(serverapp: ServerApp) -> Callable[[str], None]:
    """A function of a topic that says: what control knows of that is worth reading again."""
    return _hinter(serverapp, EVENTS / "changed.yaml", "topic")


def _hinter(serverapp: ServerApp, file: Path, field: str) -> Callable[[str], None]:
    """Register an event of one field; what emits it."""
    events = serverapp.event_logger
    assert events is not None, "Jupyter makes it before it loads extensions"
    events.register_event_schema(file)
    schema = str(yaml.safe_load(file.read_text())["$id"])

    def hint(value: str) -> None:
        events.emit(schema_id=schema, data={field: value})

    return hint
