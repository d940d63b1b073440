"""How the server comes by control: what the launcher handed over, a control that runs already, one of its own, or a reason why there is none."""

from __future__ import annotations

import atexit
import json
import logging
import shutil
import socket
from collections.abc import MutableMapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jupyter_guardrails import errors
from jupyter_guardrails.control.interface import ControlClient, Settings, find_settings, start_own_control
from jupyter_guardrails.control.interface.client import OTHER_TOKEN
from jupyter_guardrails.control.interface.messages import Request
from jupyter_guardrails.control.interface.own import FoundControl, running_control
from jupyter_guardrails.control.interface.work import start_station
from jupyter_guardrails.kernels.folders import make_run_dir

LOG = logging.getLogger(__name__)
HANDED_OVER = "GUARDRAILS_CONTROL_FD"
LISTENS_S = 30.0


class NoControl(ControlClient):
    """Answers every request with the reason why control could not start: the server runs, nothing new starts."""

    def __init__(self, reason: str) -> None:
        super().__init__("", "")
        self.reason = reason

    def call_with_fds(self, request: Request, *, fds: Sequence[int] = ()) -> tuple[dict[str, Any], list[int]]:
        """Raises ControlAway, always."""
        raise errors.ControlAway(
            f"no kernel can start: control did not start ({self.reason})",
            next_step="read the server's log, run `jupyter guardrails doctor`, then start the server again",
        )


class LaunchedControl(ControlClient):
    """The control that the launcher handed over; when it dies, its supervisor starts it again behind the same socket, with the same token.
    Where that has ended too, one that is started anew can't be found from inside the server's domain: its socket is another file, its token is
    out of reach, and the mounter that makes kernels' roots ended with the first one."""

    def call_with_fds(self, request: Request, *, fds: Sequence[int] = ()) -> tuple[dict[str, Any], list[int]]:
        """Where that control has ended: ControlAway that says that the server must be started again."""
        try:
            return super().call_with_fds(request, fds=fds)
        except errors.ControlAway as error:
            if self._listens():
                raise
            raise self._ended() from error
        except errors.Refused as error:
            if error.message != OTHER_TOKEN:
                raise
            raise self._ended() from error

    def _listens(self) -> bool:
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
                connection.settimeout(LISTENS_S)
                connection.connect(self.socket_path)
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        except OSError:  # it is too busy to accept: that passes
            return True
        return True

    def _ended(self) -> errors.ControlAway:
        return errors.ControlAway(
            "nothing new can start: control, which decides for this server, has ended, and one that is started now can't be reached from in here",
            next_step="what runs goes on under its limits: save your work, end this server and start it again with `jupyter guardrails lab`",
        )


@dataclass(frozen=True)
class Boot:
    """A client for control, the folders of this server, and what is enforced around the server itself (empty: nothing)."""

    control: ControlClient
    workspace: Path
    run_dir: Path
    outer: dict[str, Any] = field(default_factory=dict)


def boot(environ: MutableMapping[str, str], *, root_dir: str, arguments: Sequence[str]) -> Boot:
    """Read the launcher's hand-over, once; without one (plain `jupyter lab`) find or start a control with the self-chosen settings."""
    handle = environ.pop(HANDED_OVER, None)
    if handle is not None:
        return _handed_over(int(handle))
    run_dir = make_run_dir()
    atexit.register(shutil.rmtree, run_dir, ignore_errors=True)
    settings = find_settings(arguments, environ, home=Path.home())
    return Boot(_control(settings), Path(root_dir).resolve(), run_dir)


def _handed_over(handle: int) -> Boot:
    with open(handle) as stream:
        told = json.load(stream)
    return Boot(_launched(told), Path(told["workspace"]).resolve(), Path(told["run_dir"]), told.get("outer", {}))


def _launched(told: dict[str, Any]) -> ControlClient:
    """A service's folder is in the server's domain: there a control that was started anew is found."""
    if told.get("token_file"):
        return FoundControl(told["socket"], told["token_file"], token=told["token"], service=True)
    return LaunchedControl(told["socket"], told["token"])


def _control(settings: Settings) -> ControlClient:
    try:
        found = running_control(settings) or _own(settings)
        if settings.service:
            atexit.register(start_station().terminate)
            return found
        return FoundControl(found.socket_path, settings.token_file, token=found.token)
    except (errors.GuardrailsError, OSError, ValueError) as error:
        LOG.critical("guardrails: control did not start, no kernel will: %s", error)
        return NoControl(str(error))


def _own(settings: Settings) -> ControlClient:
    own = start_own_control(settings, supervised=True)
    atexit.register(own.stop)  # after the server has shut its kernels down and settled their leases
    for sentence in settings.ignored:
        LOG.warning("guardrails: %s", sentence)
    whose = "self-chosen policy" if settings.self_chosen else "policy"
    advice = "nothing is enforced around the server itself: `jupyter guardrails lab` does that"
    LOG.warning("guardrails: %s %s; %s", whose, settings.policy_path, advice)
    return own.client
