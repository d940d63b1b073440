"""What a kernel may ask of a database that has grants of its own: one SELECT, run there as an account that is its person's alone."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field

from jupyter_guardrails.control import following, scans, statements
from jupyter_guardrails.control.channel_operations import Arguments, Operation
from jupyter_guardrails.control.reads import Asked, decided, recorded
from jupyter_guardrails.control.state import Answer, ControlState, LiveKernel


class Sql(Arguments):
    """A dataset whose database an admin has opened, and one SELECT."""

    name: str
    sql: str = Field(max_length=100_000)
    purpose: str = Field(default="", max_length=200)


async def sql(state: ControlState, live: LiveKernel, arguments: Sql) -> Answer:
    """As `datasets.scan`: the reading end of a pipe, and the name by which to ask how it ended. Who closes the pipe cancels the statement."""
    statement = statements.statement_of(state, arguments.sql)
    read = await decided(state, live, Asked(arguments.name, purpose=arguments.purpose, statement=statement))
    await recorded(state, live, read)
    contract, name = read.contract, scans.fresh_name()
    order = {
        "do": "sql",
        "scan": name,
        "dataset": contract.name,
        "owner": contract.owner or "unknown",
        "place": dict(contract.place),
        "sql": arguments.sql,
    }
    outcome, fds = await scans.answer(state, order | {"login": statements.login_of(state, contract)})
    state.outcomes.put(live.lease, name, outcome)
    following.follow(state, live, read, scan=name, outcome=outcome)
    return Answer({"scan": name, "format": "arrow"}, fds)


OPERATIONS: Mapping[str, tuple[type[Arguments], Operation]] = {"datasets.sql": (Sql, sql)}
