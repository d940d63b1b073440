"""From an address in the policy to a witness: `journald`, `syslog`, `udp://…`, `tcp://…`, `https://…` (OTLP)."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from jupyter_guardrails.records.sinks import Witness
from jupyter_guardrails.records.witness_journald import Journald
from jupyter_guardrails.records.witness_otlp import Otlp
from jupyter_guardrails.records.witness_syslog import SyslogSocket, SyslogTcp, SyslogUdp

SYSLOG_PORTS = {"udp": 514, "tcp": 601}


def make(to: str, *, required: bool, every_record: bool, rule: str) -> Witness:
    """The witness of this address; the policy has checked it."""
    said: dict[str, Any] = {"required": required, "every_record": every_record, "rule": rule}
    if to == "journald":
        return Journald(**said)
    if to == "syslog":
        return SyslogSocket(**said)
    address = urlsplit(to)
    if address.scheme in SYSLOG_PORTS:
        kind = SyslogUdp if address.scheme == "udp" else SyslogTcp
        return kind(to, str(address.hostname), address.port or SYSLOG_PORTS[address.scheme], **said)
    return Otlp(to, **said)
