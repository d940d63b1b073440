"""Bringing a database to this version's tables with the migrations that the package ships."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from jupyter_guardrails.errors import Conflict

MIGRATIONS = Path(__file__).parent / "migrations"


def upgrade(connection: Connection, *, to: str = "head") -> None:
    """Run what is missing inside the caller's transaction; Conflict when a newer version of this project wrote the database.

    `to` an older revision makes the tables of then, for rows of then.
    """
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    scripts = ScriptDirectory.from_config(config)
    current = MigrationContext.configure(connection).get_current_revision()
    if current == scripts.get_current_head():
        return
    known = {script.revision for script in scripts.walk_revisions()} | {None}
    unknown = {current, None if to == "head" else to} - known
    if unknown:
        raise Conflict(
            f"the records are at revision {unknown.pop()}, which this version does not know: a newer one wrote them",
            next_step="install that newer version again, or restore a backup made before it",
        )
    command.upgrade(config, to)
