"""Every table, by subject. The migrations make exactly these (tests/records/test_records_database.py compares them)."""

from __future__ import annotations

from jupyter_guardrails.records.tables.data import grants, marks, package_allowances, package_facts, publications, quality, requests
from jupyter_guardrails.records.tables.jobs import checks, decisions, deployments, job_runs, revocations, submissions
from jupyter_guardrails.records.tables.kernels import LIVE, allowances, budgets, charges, leases, notices, past_use, profile_choices, runs, samples
from jupyter_guardrails.records.tables.naming import metadata
from jupyter_guardrails.records.tables.oversight import anchors, audit, exemptions, outbox, suspensions, witnesses

__all__ = [
    "LIVE",
    "allowances",
    "anchors",
    "audit",
    "budgets",
    "charges",
    "checks",
    "decisions",
    "deployments",
    "exemptions",
    "grants",
    "job_runs",
    "leases",
    "marks",
    "metadata",
    "notices",
    "outbox",
    "package_allowances",
    "package_facts",
    "past_use",
    "profile_choices",
    "publications",
    "quality",
    "requests",
    "revocations",
    "runs",
    "samples",
    "submissions",
    "suspensions",
    "witnesses",
]
