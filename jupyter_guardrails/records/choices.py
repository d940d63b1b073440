"""Which profile a person chose for the next kernel start, of one notebook or of all."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, delete, insert, select

from jupyter_guardrails.records.columns import storable
from jupyter_guardrails.records.tables import profile_choices

EVERY_NOTEBOOK = ""


def choose(connection: Connection, principal: str, notebook: str | None, profile: str, *, now: datetime) -> None:
    """Remember a choice; None = for every notebook without one of its own."""
    place = storable(notebook or EVERY_NOTEBOOK, limit=1000)
    connection.execute(delete(profile_choices).where(profile_choices.c.principal == principal, profile_choices.c.notebook == place))
    connection.execute(insert(profile_choices).values(principal=principal, notebook=place, profile=profile, chosen_at=now))


def chosen(connection: Connection, principal: str, notebook: str | None) -> str | None:
    """The profile chosen for this notebook, else for all of them, else None."""
    places = [storable(notebook or EVERY_NOTEBOOK, limit=1000), EVERY_NOTEBOOK]
    query = select(profile_choices.c.notebook, profile_choices.c.profile).where(profile_choices.c.principal == principal)
    found = {row.notebook: row.profile for row in connection.execute(query.where(profile_choices.c.notebook.in_(places)))}
    return next((found[place] for place in places if place in found), None)
