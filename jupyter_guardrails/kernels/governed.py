"""Governed kernels outside a server: a KernelManager class for nbclient, each instance in its own sandbox."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager

from jupyter_guardrails.kernels.context import GovernedContext
from jupyter_guardrails.kernels.provisioner import GuardedProvisioner

__all__ = ["GovernedContext", "kernel_manager_class"]


def kernel_manager_class(context: GovernedContext, argv: Sequence[str], env: Mapping[str, str] | None = None) -> type[AsyncKernelManager]:
    """A class for nbclient's `kernel_manager_class=`: it starts `argv` (with `{connection_file}` in it), whatever the notebook's kernelspec says.

    `env`: further variables, as those of a kernelspec.
    """

    class GovernedKernelManager(AsyncKernelManager):
        """Starts one command in the context's sandbox."""

        @property
        def kernel_spec(self) -> KernelSpec:
            """Called by everything that asks what to start; ipykernel's interrupts and encryption are assumed."""
            return _specification(argv, env or {})

        async def _async_pre_start_kernel(self, **kwargs: Any) -> tuple[list[str], dict[str, Any]]:
            """Called by `start_kernel`; a provisioner that is there already is kept by jupyter_client."""
            self.kernel_id = self.kernel_id or kwargs.pop("kernel_id", str(uuid.uuid4()))
            if self.provisioner is None:
                self.provisioner = GuardedProvisioner(context=context, kernel_id=self.kernel_id, kernel_spec=self.kernel_spec, parent=self)
            return await super()._async_pre_start_kernel(**kwargs)

    return GovernedKernelManager


def _specification(argv: Sequence[str], env: Mapping[str, str]) -> KernelSpec:
    return KernelSpec(argv=list(argv), env=dict(env), display_name="governed", language="python", metadata={"supported_encryption": ["curve"]})
