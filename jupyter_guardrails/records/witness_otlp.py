"""An OpenTelemetry collector as a witness: OTLP logs over HTTP (JSON encoding); the one witness that answers what it took.

See https://opentelemetry.io/docs/specs/otlp/#otlphttp.
"""

from __future__ import annotations

import errno
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import requests

from jupyter_guardrails.records.sinks import WAIT_S, Told
from jupyter_guardrails.records.witness_syslog import NAME

INFO, WARN = 9, 13  # SeverityNumber
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def body(lines: Sequence[Told]) -> dict[str, Any]:
    """An ExportLogsServiceRequest: the JSON line is the body, what one filters by are attributes."""
    resource = {"attributes": [_attribute("service.name", NAME)]}
    scope = {"scope": {"name": f"{NAME}.audit"}, "logRecords": [_record(told) for told in lines]}
    return {"resourceLogs": [{"resource": resource, "scopeLogs": [scope]}]}


def _record(told: Told) -> dict[str, Any]:
    since = datetime.fromisoformat(told.time) - EPOCH
    nanoseconds = (since.days * 86400 + since.seconds) * 10**9 + since.microseconds * 1000
    said = {"guardrails.seq": str(told.seq), "guardrails.hash": told.hash, "guardrails.action": told.action}
    return {
        "timeUnixNano": str(nanoseconds),
        "observedTimeUnixNano": str(nanoseconds),
        "severityNumber": INFO if told.allowed else WARN,
        "severityText": "INFO" if told.allowed else "WARN",
        "body": {"stringValue": told.text},
        "attributes": [_attribute(name, value) for name, value in said.items()],
    }


def _attribute(name: str, value: str) -> dict[str, Any]:
    return {"key": name, "value": {"stringValue": value}}


class Otlp:
    """A collector's log receiver."""

    def __init__(self, url: str, *, required: bool, every_record: bool, rule: str) -> None:
        self.name, self.required, self.every_record, self.rule = url, required, every_record, rule
        self.url = url if url.rstrip("/").endswith("/v1/logs") else f"{url.rstrip('/')}/v1/logs"
        self._session = requests.Session()

    def send(self, lines: Sequence[Told]) -> None:
        """Called by the sinks; OSError unless the collector took all of it."""
        try:
            answer = self._session.post(self.url, json=body(lines), timeout=WAIT_S, allow_redirects=False)
        except requests.RequestException as error:  # an OSError whose text quotes addresses of objects
            raise ConnectionError(errno.ECONNREFUSED, f"no answer ({type(error).__name__})") from error
        if answer.status_code != 200:
            raise OSError(errno.EIO, f"it answered {answer.status_code}")
        refused = _refused(answer)
        if refused:
            raise OSError(errno.EIO, f"it refused {refused} of {len(lines)} lines")

    def close(self) -> None:
        """End kept connections."""
        self._session.close()


def _refused(answer: requests.Response) -> int:
    """How many lines a collector took no more than the rest of."""
    if "json" not in answer.headers.get("Content-Type", "") or not answer.content:
        return 0
    partial = answer.json().get("partialSuccess") or {}
    return int(partial.get("rejectedLogRecords") or 0)
