"""One notice as a mail to the addresses that the policy names: plain text, over TLS unless the policy says otherwise."""

from __future__ import annotations

import smtplib
import socket
import ssl
from email.message import EmailMessage
from typing import Any

from jupyter_guardrails.control.conversation import READ_S, Line
from jupyter_guardrails.policy.document import Notify
from jupyter_guardrails.policy.hosts import split_port

LONGEST_SUBJECT = 150
LINES = (("what", "title"), ("when", "time"), ("who", "person"), ("about", "resource"), ("why", "reason"), ("rule", "rule"), ("next", "next_step"))


class BoundedSMTP(smtplib.SMTP):
    """An SMTP client whose connection a `Line` makes, so that it can be cut."""

    def __init__(self, line: Line) -> None:
        self._line = line
        super().__init__(timeout=READ_S)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        """Called by smtplib, as its own SMTP_SSL overrides it."""
        return self._line.connect(host, port)


def send(line: Line, told: Notify, event: dict[str, Any], *, login: str, tls: ssl.SSLContext) -> None:
    """Return when the mail server took the message for everybody; OSError (smtplib's errors are such) otherwise. Runs in a thread."""
    with _greeted(line, told, login=login, tls=tls) as client:
        refused = client.send_message(message(told, event))
    if refused:
        raise OSError(f"the mail server took it for some, and refused {', '.join(sorted(refused))}")


def reach(line: Line, told: Notify, *, login: str, tls: ssl.SSLContext) -> None:
    """Connect, with TLS and log-in as for a mail, and send nothing; OSError when that fails."""
    with _greeted(line, told, login=login, tls=tls) as client:
        client.noop()


def message(told: Notify, event: dict[str, Any]) -> EmailMessage:
    """The mail. What people wrote is in lines of its own, without a character that could end one or steer a terminal."""
    mail = EmailMessage()
    mail["From"], mail["To"] = str(told.from_), ", ".join(told.to)
    mail["Subject"] = f"guardrails: {plain(event['title'])}"[:LONGEST_SUBJECT]
    mail["Message-ID"] = f"<{plain(event['id'])}@{str(told.from_).rpartition('@')[2]}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail["X-Guardrails-Id"], mail["X-Guardrails-Kind"] = plain(event["id"]), plain(event["kind"])
    lines = [f"{name + ':':<8}{plain(event[key])}" for name, key in LINES if event[key]]
    lines += [f"note:   {plain(event['self_test'])}: nobody else has decided this"] if event["self_test"] else []
    mail.set_content("\n".join(lines) + "\n")
    return mail


def plain(text: str) -> str:
    """One line of text: everything that isn't printable is a blank."""
    return "".join(letter if letter.isprintable() else " " for letter in str(text))


def _greeted(line: Line, told: Notify, *, login: str, tls: ssl.SSLContext) -> smtplib.SMTP:
    """A client that may send; without TLS only where the policy says so."""
    host, port = split_port(str(told.smtp))
    client = BoundedSMTP(line)
    client._host = host.strip("[]")  # type: ignore[attr-defined]  # what starttls checks the certificate against: smtplib sets it in __init__ only
    client.connect(host.strip("[]"), int(port))
    if told.starttls:
        client.starttls(context=tls)  # SMTPNotSupportedError where the server has none: then nothing is sent
    if login:
        name, _, password = login.partition(":")
        client.login(name, password)
    return client
