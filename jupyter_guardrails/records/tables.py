"""Every table. The migrations make exactly these (tests/records/test_records_database.py compares them)."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    true,
)

from jupyter_guardrails.records.columns import Time

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)

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

requests = Table(
    "requests",
    metadata,
    Column("id", Text, primary_key=True),
    Column("principal", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("dataset", Text, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("days", Integer, nullable=False),
    Column("state", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("rule", Text, nullable=False),
    Column("decided_by", Text, nullable=False),
    Column("created_at", Time, nullable=False),
    Column("updated_at", Time, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("amount", Double),  # kind `more`: the limit that is asked for, and until when
    Column("until", Time),
    CheckConstraint("state in ('open', 'granted', 'refused', 'expired')", name="state"),
    Index(None, "principal", "created_at"),
)

grants = Table(
    "grants",
    metadata,
    Column("id", Text, primary_key=True),
    Column("principal", Text, nullable=False),
    Column("dataset", Text, nullable=False),
    Column("request", Text, ForeignKey("requests.id")),
    Column("rule", Text, nullable=False),
    Column("granted_by", Text, nullable=False),
    Column("granted_at", Time, nullable=False),
    Column("expires_at", Time, nullable=False),
    Column("revoked_at", Time),
    Index(None, "principal", "dataset"),
)

submissions = Table(
    "submissions",
    metadata,
    Column("id", Text, primary_key=True),
    Column("principal", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("notebook", Text, nullable=False),
    Column("notebook_digest", Text, nullable=False),
    Column("frozen", Text, nullable=False),
    Column("draft", Boolean, nullable=False),
    Column("uid", BigInteger),  # of the account that submitted it, where control has one of its own
    Column("approved_at", Time),  # when it had all its approvals; what was replaced before has none
    Column("parameters", JSON, nullable=False),
    Column("reason", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("error", Text, nullable=False),
    Column("content_digest", Text, nullable=False),
    Column("evidence_digest", Text, nullable=False),
    Column("package", Text, nullable=False),
    Column("package_path", Text, nullable=False),
    Column("created_at", Time, nullable=False),
    Column("updated_at", Time, nullable=False),
    Column("revision", Integer, nullable=False),
    UniqueConstraint("principal", "key"),
    UniqueConstraint("principal", "name", "version"),
    Index(None, "principal", "created_at"),
)

checks = Table(
    "checks",
    metadata,
    Column("submission", Text, ForeignKey("submissions.id"), primary_key=True),
    Column("name", Text, primary_key=True),
    Column("position", Integer, nullable=False),
    Column("title", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("findings", JSON, nullable=False),
    Column("progress", JSON(none_as_null=True)),
    Column("seconds", Double),
    Column("updated_at", Time, nullable=False),
)

audit = Table(
    "audit",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("time", Text, nullable=False),
    Column("principal", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("resource", Text, nullable=False),
    Column("allowed", Boolean, nullable=False),
    Column("reason", Text, nullable=False),
    Column("rule", Text, nullable=False),
    Column("policy_digest", Text, nullable=False),
    Column("kernel", Text),
    Column("notebook", Text),
    Column("cell_digest", Text),
    Column("mode", Text),
    Column("code", Text),  # of a cell, where the policy says `cells: code`; not in the hash while null
    Column("previous_hash", Text, nullable=False),
    Column("hash", Text, nullable=False),
    UniqueConstraint("hash"),
    Index(None, "principal", "seq"),
)

anchors = Table(
    "anchors",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("hash", Text, nullable=False),
    Column("time", Text, nullable=False),
    Column("key", Text),  # null: from before anchors were signed
    Column("signature", Text),
)

witnesses = Table(  # how far each place outside of control has been told
    "witnesses",
    metadata,
    Column("name", Text, primary_key=True),
    Column("anchor_seq", BigInteger, nullable=False),
    Column("record_seq", BigInteger, nullable=False),
)

decisions = Table(
    "decisions",
    metadata,
    Column("submission", Text, ForeignKey("submissions.id"), primary_key=True),
    Column("reviewer", Text, primary_key=True),
    Column("decision", Text, nullable=False),
    Column("words", Text, nullable=False),
    Column("content_digest", Text, nullable=False),
    Column("evidence_digest", Text, nullable=False),
    Column("self_test", Boolean, primary_key=True),
    Column("rule", Text, nullable=False),
    Column("policy_digest", Text, nullable=False),
    Column("decided_at", Time, nullable=False),
    Column("uid", BigInteger),
    Column("as_reviewer", Boolean, nullable=False, server_default=true()),
    Column("datasets", JSON, nullable=False, server_default="[]"),  # inputs whose owner says this, or decides in their stead
    Column("conditions", Text, nullable=False, server_default=""),
    Column("expires_at", Time),
    Column("attestation", Text, nullable=False, server_default=""),  # of an approval: control's signature, a DSSE envelope
    Column("told", Text, nullable=False, server_default=""),  # of its end: "ahead", "lapsed"
)

revocations = Table(
    "revocations",
    metadata,
    Column("submission", Text, ForeignKey("submissions.id"), primary_key=True),
    Column("job", Text, nullable=False),
    Column("content_digest", Text, nullable=False),
    Column("evidence_digest", Text, nullable=False, index=True),
    Column("reason", Text, nullable=False),
    Column("retired_by", Text, nullable=False),
    Column("retired_at", Time, nullable=False),
    Column("attestation", Text, nullable=False),
)

suspensions = Table(
    "suspensions",
    metadata,
    Column("id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("suspended_by", Text, nullable=False),
    Column("rule", Text, nullable=False),
    Column("since", Time, nullable=False),
    Column("ends_kernels_at", Time),  # of people: when what runs is ended; of datasets: when kernels that were started with it are
    Column("lifted_at", Time),
    Column("lifted_by", Text, nullable=False),
    Column("lifted_reason", Text, nullable=False),
    CheckConstraint("kind in ('user', 'dataset', 'package', 'job')", name="kind"),
    Index(None, "kind", "name"),
)

exemptions = Table(
    "exemptions",
    metadata,
    Column("id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("person", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("unmasked", Boolean, nullable=False),
    Column("reason", Text, nullable=False),
    Column("given_by", Text, nullable=False),
    Column("rule", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("begins_at", Time, nullable=False),
    Column("ends_at", Time, nullable=False),
    Column("ended_at", Time),
    Column("ended_by", Text, nullable=False),
    CheckConstraint("kind in ('dataset', 'profile')", name="kind"),
    CheckConstraint("state in ('recorded', 'active', 'ended')", name="state"),
    Index(None, "person", "state"),
)

outbox = Table(
    "outbox",
    metadata,
    Column("id", Text, primary_key=True),
    Column("target", Text, primary_key=True),
    Column("event", JSON, nullable=False),
    Column("state", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("error", Text, nullable=False),
    Column("created_at", Time, nullable=False),
    Column("next_at", Time, nullable=False),
    CheckConstraint("state in ('waiting', 'sent', 'given_up')", name="state"),
    Index(None, "state", "next_at"),
)

# Limits that warn before they end anything, and more of them for a while

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

package_allowances = Table(  # a Python package that a job may hold for a while, though the policy's list doesn't name it
    "package_allowances",
    metadata,
    Column("id", Text, primary_key=True),
    Column("package", Text, nullable=False),  # as indexes compare names
    Column("for_group", Text, nullable=False),  # empty: for the person alone
    Column("principal", Text, nullable=False),  # who asked
    Column("request", Text, ForeignKey("requests.id"), nullable=False),
    Column("label", Text, nullable=False),
    Column("granted_by", Text, nullable=False),
    Column("granted_at", Time, nullable=False),
    Column("expires_at", Time, nullable=False),
    Column("ended_at", Time),
    Index(None, "ended_at", "expires_at"),
)

package_facts = Table(  # what somebody who may decide about a request for a package was told of it
    "package_facts",
    metadata,
    Column("request", Text, ForeignKey("requests.id"), primary_key=True),
    Column("seen_by", Text, primary_key=True),
    Column("seen_at", Time, nullable=False),
    Column("facts", Text, nullable=False),  # canonical JSON, so that its digest is that of these bytes
    Column("digest", Text, nullable=False),
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

# Derived data: what was given to which workspace, and what people published

marks = Table(
    "marks",
    metadata,
    Column("place", Text, primary_key=True),  # a workspace, or another folder that kernels may write: a real path
    Column("principal", Text, primary_key=True),
    Column("dataset", Text, primary_key=True),
    Column("version", Text, primary_key=True),
    Column("classification", Text, primary_key=True),
    Column("purposes", JSON, nullable=False),
    Column("expires_at", Time),  # of the grant or break-glass by which it was given last; null: the policy's own
    Column("kernel", Text, nullable=False),
    Column("since", Time, nullable=False),
    Index(None, "principal"),
)

publications = Table(
    "publications",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("author", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("audience", Text, nullable=False),  # the group that it is proposed or published to
    Column("description", Text, nullable=False),
    Column("classification", Text, nullable=False),
    Column("inherited", Text, nullable=False),  # the classification that it had before anybody reviewed it
    Column("purposes", JSON, nullable=False),
    Column("expires_at", Time),
    Column("inputs", JSON, nullable=False),
    Column("format", Text, nullable=False),
    Column("content", JSON, nullable=False),  # {digest, size_bytes, rows, columns, scan}: what was found in the file
    Column("digest", Text, nullable=False),  # of all that a reviewer decides about
    Column("decisions", JSON, nullable=False),
    Column("rule", Text, nullable=False),
    Column("created_at", Time, nullable=False),
    Column("updated_at", Time, nullable=False),
    Column("revision", Integer, nullable=False),
    CheckConstraint("state in ('private', 'proposed', 'published', 'superseded', 'withdrawn')", name="state"),
    UniqueConstraint("name", "version"),
    Index(None, "author", "state"),
)

# Quality of datasets: what each check found (records/quality.py)

quality = Table(
    "quality",
    metadata,
    Column("dataset", Text, primary_key=True),
    Column("checked_at", Time, primary_key=True),
    Column("version", Text, nullable=False),  # of the contract, of a product with those of its inputs
    Column("rules", Text, nullable=False),  # digest of the rules: results of other ones say nothing
    Column("checked_by", Text, nullable=False),
    Column("row_count", BigInteger, nullable=False),
    Column("results", JSON, nullable=False),  # [{state, count, percent, reason}] in the order of the rules; never a value of the data
)

# Packages in production: where each is deployed, and what its runs came to (records/deployments.py)

deployments = Table(
    "deployments",
    metadata,
    Column("id", Text, primary_key=True),
    Column("submission", Text, ForeignKey("submissions.id"), nullable=False, index=True),
    Column("engine", Text, nullable=False),
    Column("deployed_by", Text, nullable=False),
    Column("run_as", Text, nullable=False),  # whose rights its runs have
    Column("schedule", Text, nullable=False),  # five cron fields, "" = when somebody starts it
    Column("parameters", JSON, nullable=False),
    Column("self_test", Boolean, nullable=False),
    Column("content_digest", Text, nullable=False),
    Column("evidence_digest", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("reason", Text, nullable=False),  # why it ended
    Column("created_at", Time, nullable=False),
    Column("updated_at", Time, nullable=False),
    CheckConstraint("state in ('preparing', 'live', 'ended')", name="state"),
    Index(None, "deployed_by", "state"),
)

job_runs = Table(
    "job_runs",
    metadata,
    Column("deployment", Text, ForeignKey("deployments.id"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("state", Text, nullable=False),
    Column("engine_job", Text, nullable=False),  # how the engine calls it
    Column("started_at", Time, nullable=False),
    Column("ended_at", Time),
    Column("exit_code", Integer),
    Column("peak_bytes", BigInteger),
    Column("cell", Integer),  # the one that failed, counted from 1
    Column("error", Text, nullable=False),
    Column("log_tail", Text, nullable=False),
    Column("attempts", Integer),  # how often it was tried
    CheckConstraint("state in ('running', 'complete', 'failed', 'lost')", name="state"),
)
