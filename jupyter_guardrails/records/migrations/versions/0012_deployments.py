"""Where packages are deployed, and what their runs came to."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """New tables alone: nothing was deployed before this version."""
    op.create_table(
        "deployments",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("submission", sa.Text(), nullable=False),
        sa.Column("engine", sa.Text(), nullable=False),
        sa.Column("deployed_by", sa.Text(), nullable=False),
        sa.Column("run_as", sa.Text(), nullable=False),
        sa.Column("schedule", sa.Text(), nullable=False),
        sa.Column("parameters", sa.JSON(), nullable=False),
        sa.Column("self_test", sa.Boolean(), nullable=False),
        sa.Column("content_digest", sa.Text(), nullable=False),
        sa.Column("evidence_digest", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("updated_at", sa.Double(), nullable=False),
        sa.CheckConstraint("state in ('preparing', 'live', 'ended')", name=op.f("ck_deployments_state")),
        sa.ForeignKeyConstraint(["submission"], ["submissions.id"], name=op.f("fk_deployments_submission_submissions")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deployments")),
    )
    op.create_index(op.f("ix_deployments_submission"), "deployments", ["submission"])
    op.create_index(op.f("ix_deployments_deployed_by_state"), "deployments", ["deployed_by", "state"])
    op.create_table(
        "job_runs",
        sa.Column("deployment", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("engine_job", sa.Text(), nullable=False),
        sa.Column("started_at", sa.Double(), nullable=False),
        sa.Column("ended_at", sa.Double(), nullable=True),
        sa.Column("exit_code", sa.Integer(), nullable=True),
        sa.Column("peak_bytes", sa.BigInteger(), nullable=True),
        sa.Column("cell", sa.Integer(), nullable=True),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("log_tail", sa.Text(), nullable=False),
        sa.CheckConstraint("state in ('running', 'complete', 'failed', 'lost')", name=op.f("ck_job_runs_state")),
        sa.ForeignKeyConstraint(["deployment"], ["deployments.id"], name=op.f("fk_job_runs_deployment_deployments")),
        sa.PrimaryKeyConstraint("deployment", "number", name=op.f("pk_job_runs")),
    )
