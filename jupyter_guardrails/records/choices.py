"""Which profile a person chose for the next kernel start, of one notebook or of all."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, delete, insert, select

from jupyter_guardrails.records.columns import storable
from jupyter_guardrails.records.tables import profile_choices

EVERY_NOTEBOOK = ""


def choose(connection: Connection, principal: str, notebook: str | None, profile: str, *, now: datetime) -> None:
    """Remember a choice; None = for every notebook without one of its own."""
    forget(connection, principal, notebook)
    place = _place(notebook)
    connection.execute(insert(profile_choices).values(principal=principal, notebook=place, profile=profile, chosen_at=now))


def forget(connection: Connection, principal: str, notebook: str | None) -> None:
    """What was chosen for this notebook (None: for all) holds no longer."""
    connection.execute(delete(profile_choices).where(profile_choices.c.principal == principal, profile_choices.c.notebook == _place(notebook)))


def chosen(connection: Connection, principal: str, notebook: str | None) -> str | None:
    """The profile chosen for this notebook alone (None: for all), or None."""
    query = select(profile_choices.c.profile).where(profile_choices.c.principal == principal)
    return connection.execute(query.where(profile_choices.c.notebook == _place(notebook))).scalar()


def _place(notebook: str | None) -> str:
    return storable(notebook or EVERY_NOTEBOOK, limit=1000)
