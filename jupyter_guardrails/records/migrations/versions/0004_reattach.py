"""What a control that is started again needs to go on with the leases of the one before it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Leases from before have none of it: their kernels run on, and their person is told what no longer works in them."""
    op.add_column("leases", sa.Column("admission", sa.JSON(none_as_null=True), nullable=True))
    op.add_column("leases", sa.Column("listeners", sa.JSON(none_as_null=True), nullable=True))
