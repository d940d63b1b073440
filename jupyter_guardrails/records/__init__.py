"""What happened and what was promised: leases, budgets, requests, grants, submissions and the audit chain, in one database."""

from jupyter_guardrails.records.database import Records, open_records

__all__ = ["Records", "open_records"]
