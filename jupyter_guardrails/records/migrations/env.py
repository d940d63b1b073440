"""Called by Alembic for each command; the connection is the one that records/upgrade.py opened."""

from __future__ import annotations

from alembic import context

from jupyter_guardrails.records.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
