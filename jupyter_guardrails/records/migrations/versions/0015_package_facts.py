"""What whoever decided about a package was told of it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """A new table: of decisions before this version nothing was kept."""
    op.create_table(
        "package_facts",
        sa.Column("request", sa.Text(), sa.ForeignKey("requests.id", name="fk_package_facts_request_requests"), nullable=False),
        sa.Column("seen_by", sa.Text(), nullable=False),
        sa.Column("seen_at", sa.Double(), nullable=False),
        sa.Column("facts", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("request", "seen_by", name="pk_package_facts"),
    )
