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


def move(connection: Connection, principal: str, old: str, new: str) -> list[tuple[str, str]]:
    """What was chosen for a notebook, or for notebooks in a folder, holds for its new path instead; [(new path, profile)]."""
    held = _place(old)
    own = select(profile_choices).where(profile_choices.c.principal == principal, profile_choices.c.notebook != EVERY_NOTEBOOK)
    moved = []
    for row in connection.execute(own).mappings().all():
        if row["notebook"] == held or row["notebook"].startswith(f"{held}/"):
            forget(connection, principal, row["notebook"])
            place = f"{new}{row['notebook'].removeprefix(held)}"
            choose(connection, principal, place, row["profile"], now=row["chosen_at"])
            moved.append((place, row["profile"]))
    return moved


def chosen(connection: Connection, principal: str, notebook: str | None) -> str | None:
    """The profile chosen for this notebook alone (None: for all), or None."""
    query = select(profile_choices.c.profile).where(profile_choices.c.principal == principal)
    return connection.execute(query.where(profile_choices.c.notebook == _place(notebook))).scalar()


def _place(notebook: str | None) -> str:
    return storable(notebook or EVERY_NOTEBOOK, limit=1000)
