"""What a run of a deployment left, and which run made what was published."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Two columns: of runs before this version nobody recorded their files, and what was published was made in kernels."""
    op.add_column("job_runs", sa.Column("data", sa.JSON(), nullable=True))
    op.add_column("publications", sa.Column("produced_by", sa.JSON(), nullable=True))
