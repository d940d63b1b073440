"""Refusals that a person understands: one mixin turns our errors into `{code, message, next_step, rule}` with the right status."""

# jupyter_server is partly untyped
# mypy: disable-error-code="untyped-decorator, no-untyped-call"
from __future__ import annotations

import json
import logging
from types import TracebackType
from typing import Any

from jupyter_server.base.handlers import APIHandler

from jupyter_guardrails import errors


class ExplainingHandler(APIHandler):
    """Base of our handlers, and of Jupyter's own that start kernels and terminals."""

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Called by tornado with what a handler raised. `message` holds everything that JupyterLab's dialog shows."""
        error = behind(kwargs["exc_info"][1]) if "exc_info" in kwargs else None
        if error is None:
            super().write_error(status_code, **kwargs)
            return
        self.set_status(error.status)
        self.set_header("Content-Type", "application/json")
        self.finish(json.dumps(self.body_of(error)))

    def body_of(self, error: errors.GuardrailsError) -> dict[str, Any]:
        """The answer's body."""
        return error.to_json()

    def log_exception(self, typ: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        """Called by tornado: a refusal is one line in the log, no traceback."""
        error = behind(value)
        if error is None:
            super().log_exception(typ, value, tb)
        else:
            self.log.warning("%s %s: %s", self.request.method, self.request.path, error)


class ExplainingStart(ExplainingHandler):
    """For Jupyter's handlers: JupyterLab shows `message` alone."""

    def body_of(self, error: errors.GuardrailsError) -> dict[str, Any]:
        """Our fields, with the whole sentence as `message`."""
        return {**error.to_json(), "message": str(error), "reason": None, "short_message": error.message}


class OneLine(logging.Filter):
    """For the server's log: jupyter_client writes a traceback, twice, for each refused start; the sentence says more."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Called for each record; keeps all of them."""
        if record.exc_info and behind(record.exc_info[1]):
            record.exc_info = record.exc_text = None
        return True


def behind(error: BaseException | None) -> errors.GuardrailsError | None:
    """The refusal that an exception is or was raised from: Jupyter wraps it into HTTP 500 on some routes."""
    while error is not None:
        if isinstance(error, errors.GuardrailsError):
            return error
        error = error.__cause__
    return None
