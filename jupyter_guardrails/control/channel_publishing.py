"""What a kernel may ask with a file descriptor on its channel: to publish what is in the file."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from pydantic import Field

from jupyter_guardrails.catalog.published import contract_of
from jupyter_guardrails.control import labels, publications, publishing
from jupyter_guardrails.control.channel_operations import Arguments
from jupyter_guardrails.control.lineage_events import Run
from jupyter_guardrails.control.state import Answer, ControlState, LiveKernel
from jupyter_guardrails.errors import BadRequest, Refused


class Publish(Arguments):
    """The name that it gets, what it is, and how its file is to be read."""

    name: str = Field(max_length=200)
    description: str = Field(max_length=publishing.MAX_DESCRIPTION)
    format: str = Field(max_length=20)


async def publish(state: ControlState, live: LiveKernel, arguments: Publish, fds: list[int]) -> Answer:
    """A private publication with what the kernel's workspace carries by then."""
    if len(fds) != 1:
        raise BadRequest("send one descriptor of the file")
    if live.kind == "clean_run":
        raise Refused("a clean run publishes nothing: its results go into the package", next_step="publish from a kernel of yours")
    wanted = publishing.Wanted(arguments.name, arguments.description, arguments.format)
    row = await publishing.take(state, wanted, fds[0], lambda: labels.of_kernel(state, live))
    run = Run(live.lease, live.kernel_id, live.kind, state.principal)
    state.lineage.published(run, contract_of(row, ""), state.clock(), state.spawn)
    return Answer(await publications.shape(state, row))


Operation = Callable[[ControlState, LiveKernel, Any, list[int]], Awaitable[Answer]]
OPERATIONS: dict[str, tuple[type[Arguments], Operation]] = {"datasets.publish": (Publish, publish)}
