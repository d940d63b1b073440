"""Who uses this server: one person, as control says, whatever a browser, a cookie or a header claims.

Jupyter's own provider invents a name for each client that comes with the token, and lets each change it.
"""

# jupyter_server is partly untyped
# mypy: disable-error-code="untyped-decorator, no-untyped-call"
from __future__ import annotations

import os
import pwd
from typing import Any

from jupyter_server.auth.identity import PasswordIdentityProvider, User
from jupyter_server.auth.login import LoginHandler
from jupyter_server.serverapp import ServerApp
from traitlets import List, Unicode, default

from jupyter_guardrails import errors
from jupyter_guardrails.control.interface import ControlClient, messages

SECRET_BYTES = 32


class OnePerson(PasswordIdentityProvider):
    """Token and password open the server as before; whoever comes in is `person`."""

    person = Unicode(help="The principal of this server, as control names it.")
    updatable_fields = List(Unicode(), help="Nothing of a person is changed from a browser.")  # not configurable: a name is no preference

    @default("person")
    def _account(self) -> str:
        """Until control has answered: the account, which is what control makes a principal from."""
        return account_name()

    @default("updatable_fields")
    def _default_updatable_fields(self) -> list[str]:
        return []

    def user(self) -> User:
        """The person as Jupyter shows them."""
        return User(self.person, initials=self.person[:2].upper())

    def generate_anonymous_user(self, handler: Any) -> User:
        """Called by jupyter_server for a right token, a right password, and where authentication is off."""
        return self.user()

    def user_from_cookie(self, cookie_value: str) -> User:
        """Called by jupyter_server with the text of a cookie whose signature is right; it opens the server, and says nothing about who."""
        return self.user()

    def check_update(self, user_data: dict[Any, str]) -> None:
        """Called for PATCH /api/me; ValueError, which is answered with 400."""
        raise ValueError(f"you are {self.person}, as the guardrails' control knows you: a name, initials or a colour can't be set from here")


def link(serverapp: ServerApp) -> None:
    """Called before the server makes its provider: ours in place of Jupyter's default, never of one that somebody chose; a secret of this process."""
    chosen = serverapp.identity_provider_class
    if chosen is PasswordIdentityProvider and serverapp.login_handler_class is LoginHandler:  # else jupyter_server takes LegacyIdentityProvider
        serverapp.identity_provider_class = OnePerson
    # Jupyter keeps the key that signs login cookies in a file of its runtime folder, where whatever reads it is anybody
    serverapp.cookie_secret = os.urandom(SECRET_BYTES)


def name_person(serverapp: ServerApp, control: ControlClient) -> None:
    """Ask control for the principal; where it can't answer, the account's name stays, and no kernel starts anyway."""
    provider = serverapp.identity_provider
    if not isinstance(provider, OnePerson):
        serverapp.log.info("guardrails: people are identified by %s; kernels count for this server's owner", type(provider).__name__)
        return
    try:
        provider.person = control.call(messages.Me())["person"]
    except errors.GuardrailsError as error:
        serverapp.log.warning("guardrails: control does not say who this is, shown is the account %s: %s", provider.person, error)


def account_name() -> str:
    """The name of the account that runs this process; its number where it has none."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid-{os.getuid()}"
