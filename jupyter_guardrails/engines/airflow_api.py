"""Airflow's REST API (v2, Airflow 3): a login of the operator's, its answers, and what went wrong in its own words."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import requests
import yaml

from jupyter_guardrails.errors import BadRequest, GuardrailsError

CREDENTIALS = "GUARDRAILS_AIRFLOW_CREDENTIALS"
PLACE = Path(".config") / "jupyter-guardrails" / "airflow.yaml"
HOW_TO_WRITE = "write `username:` and `password:`, or `token:`, and chmod 600 it"
LOOPBACK = ("127.0.0.1", "::1", "localhost")
FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
LARGEST_FILE = 64 << 10
TIMEOUT_S = 60.0
UNAUTHORIZED, NOT_FOUND = 401, 404


class Api:
    """One Airflow, as whoever the credentials' file names; it logs in when it is first asked."""

    def __init__(self, url: str, credentials: Path) -> None:
        self.url, self.credentials, self._token = checked_url(url), credentials, ""

    def ask(
        self, method: str, *segments: str, body: Mapping[str, Any] | None = None, query: Mapping[str, Any] | None = None
    ) -> dict[str, Any] | None:
        """The answer to `/api/v2/SEGMENTS`, None for what isn't there; GuardrailsError with Airflow's words for everything else."""
        path = "/".join(("/api/v2", *(quote(segment, safe="") for segment in segments)))
        fresh = not self._token
        self._token = self._token or self._login()
        answer = self._send(method, path, {"Authorization": f"Bearer {self._token}"}, body=body, query=query)
        if answer.status_code == UNAUTHORIZED and not fresh:  # tokens end, after a day by default
            self._token = ""
            return self.ask(method, *segments, body=body, query=query)
        if answer.status_code == NOT_FOUND:
            return None
        return _object(answer)

    def _login(self) -> str:
        found = read_credentials(self.credentials)
        if "token" in found:
            return found["token"]
        answer = self._send("POST", "/auth/token", {}, body=found)
        if answer.status_code == UNAUTHORIZED:
            raise GuardrailsError(f"Airflow does not let {found['username']!r} in", next_step=f"see {self.credentials}")
        return str(_object(answer).get("access_token"))

    def _send(
        self, method: str, path: str, headers: Mapping[str, str], *, body: Mapping[str, Any] | None, query: Mapping[str, Any] | None = None
    ) -> requests.Response:
        headers = {"Accept": "application/json", **headers}
        try:
            return requests.request(
                method, self.url + path, headers=headers, json=body, params=query, timeout=TIMEOUT_S, allow_redirects=False, auth=_nobody
            )
        except requests.RequestException as error:  # its text may quote what was sent
            raise GuardrailsError(
                f"Airflow does not answer at {self.url}: {type(error).__name__}", next_step="try again when its api-server runs"
            ) from None


def _nobody(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Given to requests so that it adds no login of a ~/.netrc."""
    return request


def _object(answer: requests.Response) -> dict[str, Any]:
    if answer.status_code == UNAUTHORIZED:
        raise GuardrailsError("Airflow does not take this login", next_step=f"see the token in your {CREDENTIALS} file")
    if not answer.ok or answer.is_redirect:
        words = " ".join(answer.text.split())[:500]
        raise GuardrailsError(f"Airflow refused it: {answer.status_code} {words}", next_step="may this login see, trigger, edit and pause DAGs?")
    try:
        said = answer.json() if answer.content else {}
    except ValueError:
        said = None
    if not isinstance(said, dict):
        raise GuardrailsError(f"{urlsplit(answer.url).netloc} is no API of Airflow 3", next_step="see promotion.engines.airflow.url in the policy")
    return said


def checked_url(text: str) -> str:
    """Where Airflow's api-server is, without a slash at its end; BadRequest where a login would travel unprotected."""
    found = urlsplit(text)
    protected = found.scheme == "https" or (found.scheme == "http" and found.hostname in LOOPBACK)
    if protected and found.hostname and not (found.username or found.password or found.query or found.fragment):
        return text.rstrip("/")
    raise BadRequest(
        f"{found.hostname or text[:100]!r} is no address to send a login to", next_step="promotion.engines.airflow.url: https://HOST[:PORT][/PATH]"
    )


def credentials_of(environ: Mapping[str, str]) -> Path:
    """The file that holds this account's login."""
    return Path(environ.get(CREDENTIALS) or Path(environ.get("HOME") or Path.home()) / PLACE)


def read_credentials(path: Path) -> dict[str, str]:
    """`{username, password}` or `{token}`; GuardrailsError, without a word of what stands there, for a file that others read or that is malformed."""
    try:
        with open(os.open(path, FLAGS), "rb") as file:
            _refuse_open(path, os.fstat(file.fileno()))
            said = yaml.safe_load(file.read(LARGEST_FILE))
    except OSError as error:
        raise GuardrailsError(f"Airflow's login can't be read from {path}: {error.strerror}", next_step=HOW_TO_WRITE) from None
    except yaml.YAMLError:
        raise GuardrailsError(f"{path} is not plain YAML", next_step=HOW_TO_WRITE) from None
    keys = set(said) if isinstance(said, dict) else set()
    if keys not in ({"token"}, {"username", "password"}) or not all(isinstance(value, str) and value for value in said.values()):
        raise GuardrailsError(f"{path} holds no login", next_step=HOW_TO_WRITE)
    return dict(said)


def _refuse_open(path: Path, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) & 0o077:
        raise GuardrailsError(f"{path} is not this account's alone", next_step=f"chown it to the account that deploys, and {HOW_TO_WRITE}")
