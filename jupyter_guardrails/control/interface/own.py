"""Starting control for oneself (*own* mode), or finding the one that runs. One person, one machine, an honest label."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jupyter_guardrails import errors
from jupyter_guardrails.control.interface.client import ControlClient
from jupyter_guardrails.control.interface.messages import Me, Request
from jupyter_guardrails.control.interface.settings import Settings


@dataclass
class OwnControl:
    """A control process of ours and a client for it."""

    process: subprocess.Popen[bytes]
    client: ControlClient

    def stop(self, *, timeout_s: float = 10.0) -> None:
        """End it by its process id and wait."""
        self.process.terminate()
        try:
            self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def running_control(settings: Settings) -> ControlClient | None:
    """A client for the control that already serves this state directory, or None.

    Conflict when it serves another policy than this machine's admin's: it was started before there was one.
    Where this machine's control is a service it is never None: while that doesn't answer, each call is ControlAway.
    """
    if settings.service:
        return FoundControl(settings.control_socket, settings.token_file, service=True)
    try:
        token = settings.token_file.read_text().strip()
    except OSError:
        return None
    client = ControlClient(settings.control_socket, token)
    try:
        policy = client.call(Me())["policy"]["path"]
    except errors.ControlAway:
        return None
    if not settings.self_chosen and policy != str(settings.policy_path):
        message = f"the control that runs here serves {policy}, and this machine's policy is {settings.policy_path}"
        raise errors.Conflict(message, next_step="end that server, then start again")
    return client


class FoundControl(ControlClient):
    """The control at a socket, found again when it was started anew: each start has a token of its own, in the same file."""

    def __init__(self, socket_path: Path | str, token_file: Path | str, *, token: str = "", service: bool = False) -> None:
        super().__init__(socket_path, token)
        self.token_file = Path(token_file)
        self.service = self.sends_contents = service
        if not token:
            self._found_again()

    def call_with_fds(self, request: Request, *, fds: Sequence[int] = ()) -> tuple[dict[str, Any], list[int]]:
        """Once more with the new token, where there is one; else the refusal of the first try."""
        try:
            return super().call_with_fds(request, fds=fds)
        except (errors.Refused, errors.ControlAway) as error:
            if not self._found_again():
                self._explain(error)
                raise
        return super().call_with_fds(request, fds=fds)

    def _found_again(self) -> bool:
        try:
            token = self.token_file.read_text().strip()
        except OSError:
            return False
        changed, self.token = token != self.token, token
        return changed

    def _explain(self, error: errors.GuardrailsError) -> None:
        """Nothing else may answer for a service: then say whose it is to start it again."""
        if self.service and isinstance(error, errors.ControlAway) and error.__cause__ is not None:
            message = f"this machine's control, a service at {self.socket_path}, does not answer ({error.__cause__})"
            step = "what runs goes on; nothing new starts until it is back. Your admin sees why with: systemctl status jupyter-guardrails"
            raise errors.ControlAway(message, next_step=step) from error


def service_only(settings: Settings) -> errors.Refused:
    """Whoever would start a control beside the machine's."""
    step = "start it as an admin: systemctl start jupyter-guardrails"
    return errors.Refused(
        f"this machine's control is a service for all accounts, at {settings.control_socket}: no account runs its own", next_step=step
    )


def start_own_control(settings: Settings, *, supervised: bool = False) -> OwnControl:
    """Start `jupyter guardrails control` as a child that ends with this process; returns when it answers.

    `supervised`: should it die, it is started again and goes on with everything; the child is then its supervisor.
    Raises ControlAway with what it printed when it ends instead, or where this machine's control is a service.
    """
    if settings.service:
        raise service_only(settings)
    read_end, write_end = os.pipe()
    control = ["jupyter_guardrails.control.supervisor"] if supervised else ["jupyter_guardrails", "control", "--die-with-parent"]
    command = [sys.executable, "-I", "-m", *control, f"--ready-fd={write_end}"]
    command += [f"--policy={settings.policy_path}", f"--catalog={settings.catalog_path}"]
    command += [f"--state-dir={settings.state_dir}", f"--socket={settings.control_socket}"]
    command += [f"--as={settings.person}"] if settings.person else []
    process = subprocess.Popen(command, pass_fds=(write_end,), stdin=subprocess.DEVNULL)
    os.close(write_end)
    with open(read_end) as pipe:
        line = pipe.readline()
    if not line:
        raise errors.ControlAway(f"control ended at start with exit code {process.wait()}", next_step="read what it printed above")
    ready = json.loads(line)
    return OwnControl(process, ControlClient(ready["socket"], ready["token"]))


@contextlib.contextmanager
def connect(settings: Settings) -> Iterator[ControlClient]:
    """A client for the running control, or for one that is started for the length of this block (command line)."""
    client = running_control(settings)
    if client is not None:
        yield client
        return
    own = start_own_control(settings)
    try:
        yield own.client
    finally:
        own.stop()
