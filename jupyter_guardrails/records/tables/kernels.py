"""Kernels and what they use: leases, budgets, warnings, history."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Boolean, CheckConstraint, Column, Double, ForeignKey, Index, Integer, Table, Text, UniqueConstraint

from jupyter_guardrails.records.columns import Time
from jupyter_guardrails.records.tables.naming import metadata

LIVE = ("starting", "active", "closing")  # states of leases that have not ended

leases = Table(
    "leases",
    metadata,
    Column("id", Text, primary_key=True),
    Column("key", Text, nullable=False),
    Column("principal", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("kernel_id", Text, nullable=False),
    Column("kernelspec", Text, nullable=False),
    Column("workspace", Text, nullable=False),
    Column("notebook", Text),
    Column("submission", Text),
    Column("profile", Text, nullable=False),
    Column("rule", Text, nullable=False),
    Column("policy_digest", Text, nullable=False),
    Column("memory_limit_bytes", BigInteger, nullable=False),
    Column("cpus", Double, nullable=False),
    Column("idle_limit_s", Integer),
    Column("state", Text, nullable=False),
    Column("created_at", Time, nullable=False),
    Column("started_at", Time),
    Column("beat_at", Time, nullable=False),
    Column("expires_at", Time, nullable=False),
    Column("ended_at", Time),
    Column("reason", Text, nullable=False),
    Column("pid", Integer),
    Column("report", JSON(none_as_null=True)),
    Column("cpu_s", Double, nullable=False),
    Column("cpu_counter_s", Double, nullable=False),  # what the kernel's own counter said last: it starts again at a restart
    Column("cpu_percent", Double, nullable=False),
    Column("memory_bytes", BigInteger, nullable=False),
    Column("memory_peak_bytes", BigInteger, nullable=False),
    Column("memory_gib_s", Double, nullable=False),
    Column("idle_s", Double, nullable=False),
    # what it holds of a budget: who has that (a person, or `rule/NAME`), and what is promised to it
    Column("holder", Text, nullable=False, server_default=""),
    Column("gpus", Integer, nullable=False, server_default="0"),
    Column("reserved_cpu_s", Double, nullable=False, server_default="0"),
    Column("reserved_memory_gib_s", Double, nullable=False, server_default="0"),
    Column("reserved_gpu_s", Double, nullable=False, server_default="0"),
    Column("gpu_s", Double, nullable=False, server_default="0"),
    Column("cpu_claimed_s", Double, nullable=False, server_default="0"),  # what its server said in sum; `cpu_s` is what was charged
    Column("pid_started", BigInteger),  # in clock ticks since boot, where control can see it: tells its process from a later one of that number
    # what a control that is started again goes on with
    Column("admission", JSON(none_as_null=True)),
    Column("listeners", JSON(none_as_null=True)),  # their kinds, in order
    CheckConstraint("state in ('starting', 'active', 'closing', 'settled', 'expired')", name="state"),
    UniqueConstraint("principal", "key"),
    Index(None, "principal", "kind", "state"),
    Index(None, "state", "expires_at"),
)

charges = Table(
    "charges",
    metadata,
    Column("principal", Text, primary_key=True),  # or `rule/NAME`: the people of that rule, who have a budget together
    Column("hour", BigInteger, primary_key=True, autoincrement=False),  # hours since 1970, by the clock of the records' side
    Column("cpu_s", Double, nullable=False),
    Column("memory_gib_s", Double, nullable=False),
    Column("kernels", Integer, nullable=False),
    Column("gpu_s", Double, nullable=False, server_default="0"),
)

budgets = Table(
    "budgets",
    metadata,
    Column("holder", Text, primary_key=True),
    Column("per", Text, primary_key=True),  # seconds of a rolling window, or "month"
    Column("first_hour", BigInteger, nullable=False),  # the oldest bucket that `used_…` has
    Column("used_cpu_s", Double, nullable=False),
    Column("used_memory_gib_s", Double, nullable=False),
    Column("used_gpu_s", Double, nullable=False),
    Column("reserved_cpu_s", Double, nullable=False),
    Column("reserved_memory_gib_s", Double, nullable=False),
    Column("reserved_gpu_s", Double, nullable=False),
)

profile_choices = Table(
    "profile_choices",
    metadata,
    Column("principal", Text, primary_key=True),
    Column("notebook", Text, primary_key=True),  # "" = all of them
    Column("profile", Text, nullable=False),
    Column("chosen_at", Time, nullable=False),
)

runs = Table(
    "runs",
    metadata,
    Column("lease", Text, primary_key=True),
    Column("started_at", Time, nullable=False),  # of the present run: a restart keeps the lease
    Column("kept_at", Time),  # when its person last said that it is still needed
)

notices = Table(
    "notices",
    metadata,
    Column("lease", Text, primary_key=True),
    Column("cause", Text, primary_key=True),
    Column("principal", Text, nullable=False),
    Column("phase", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("rule", Text, nullable=False),
    Column("enforced", Boolean, nullable=False),
    Column("since", Time, nullable=False),
    Column("interrupt_at", Time),
    Column("end_at", Time),
    CheckConstraint("cause in ('budget', 'idle', 'lifetime')", name="cause"),
    CheckConstraint("phase in ('warned', 'noticed', 'interrupted', 'ended', 'off')", name="phase"),
    Index(None, "principal", "since"),
)

allowances = Table(
    "allowances",
    metadata,
    Column("id", Text, primary_key=True),
    Column("principal", Text, nullable=False),
    Column("resource", Text, nullable=False),
    Column("amount", Double),
    Column("request", Text, ForeignKey("requests.id"), nullable=False),
    Column("label", Text, nullable=False),
    Column("granted_by", Text, nullable=False),
    Column("granted_at", Time, nullable=False),
    Column("expires_at", Time, nullable=False),
    Column("ended_at", Time),
    Index(None, "ended_at", "expires_at"),
)

samples = Table(  # a kernel over time: its beats in steps of 10 s, 1 min and 1 h (records/history.py)
    "samples",
    metadata,
    Column("lease", Text, primary_key=True),
    Column("every_s", Integer, primary_key=True, autoincrement=False),
    Column("at", BigInteger, primary_key=True, autoincrement=False),  # where the step begins, seconds since 1970
    Column("kernel_id", Text, nullable=False, index=True),
    Column("principal", Text, nullable=False),
    Column("beats", Integer, nullable=False),
    Column("cpu_percent", Double, nullable=False),  # mean of its beats
    Column("memory_bytes", BigInteger, nullable=False),  # most of its beats
    Index(None, "every_s", "at"),
)

past_use = Table(  # what leases used that ended long ago and were removed (records/past_use.py)
    "past_use",
    metadata,
    Column("principal", Text, primary_key=True),
    Column("day", BigInteger, primary_key=True, autoincrement=False),  # days since 1970 of the lease's end, UTC
    Column("kind", Text, primary_key=True),
    Column("profile", Text, primary_key=True),
    Column("kernelspec", Text, primary_key=True),
    Column("notebook", Text, primary_key=True),  # "" = none
    Column("kernels", Integer, nullable=False),
    Column("cpu_s", Double, nullable=False),
    Column("memory_gib_s", Double, nullable=False),
    Column("gpu_s", Double, nullable=False),
)
