"""How often a run of a deployment was tried."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """A column: of runs before this version nobody knows more than that there was one."""
    op.add_column("job_runs", sa.Column("attempts", sa.Integer(), nullable=True))
