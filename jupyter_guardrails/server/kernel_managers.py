"""Jupyter's manager of all kernels, with the three things that a governed server needs of it."""

# jupyter_server is partly untyped
# mypy: disable-error-code="untyped-decorator, no-untyped-call"
from __future__ import annotations

import json
from typing import Any
from weakref import WeakKeyDictionary

from jupyter_server.services.kernels.kernelmanager import AsyncMappingKernelManager

from jupyter_guardrails import errors
from jupyter_guardrails.kernels import kernelspecs
from jupyter_guardrails.kernels.provisioner import GuardedProvisioner


class GuardedKernels(AsyncMappingKernelManager):
    """Starts kernels only through a GuardedProvisioner.

    Over unix sockets a kernel's ports are always the same numbers; the folder in which they lie is another one after a restart that was refused.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._places: WeakKeyDictionary[Any, str] = WeakKeyDictionary()  # by kernel manager

    async def _async_start_kernel(self, **kwargs: Any) -> str:
        """Called by the handlers of kernels and sessions."""
        if kwargs.get("kernel_name") is not None and self.kernel_spec_manager is not None:
            kernelspecs.refuse_unusable(kwargs["kernel_name"], self.kernel_spec_manager)
        before = set(self._pending_kernels)
        try:
            kernel_id = await super()._async_start_kernel(**kwargs)
        except json.JSONDecodeError as error:  # jupyter_client reads the connection file once more, and the kernel may write it
            self._forget_pending(before)
            message = "the kernel wrote something else into its connection file, and was ended"
            raise errors.BadRequest(message, next_step="choose another kernel, or mend its program") from error
        except Exception:  # re-raised: jupyter_client 8.10 keeps a kernel that failed to start as pending, and stopping the server then fails on it
            self._forget_pending(before)
            raise
        await self._refuse_ungoverned(kernel_id)
        self._places[self.get_kernel(kernel_id)] = self.get_kernel(kernel_id).ip
        return kernel_id

    start_kernel = _async_start_kernel  # type: ignore[assignment]  # jupyter_server 2.21 assigns the same way

    async def _async_restart_kernel(self, kernel_id: str, now: bool = False) -> Any:
        """Called by the restart's handler: where it was refused, nothing runs any more, and the kernel's state says so; it can be restarted later."""
        try:
            restarted = await super()._async_restart_kernel(kernel_id, now=now)
        except Exception:  # re-raised
            kernel = self._kernels.get(kernel_id)
            if kernel is not None and not await kernel.is_alive():
                kernel.execution_state = "dead"
            raise
        kernel = self._kernels.get(kernel_id)
        if kernel is not None and kernel.execution_state == "dead":  # jupyter_server 2.21 leaves it so until a cell has run
            kernel.execution_state = "starting"
        return restarted

    restart_kernel = _async_restart_kernel  # type: ignore[assignment]  # as above

    def _get_changed_ports(self, kernel_id: str) -> Any:
        """Called after a restart: what listens elsewhere now is listened to anew."""
        manager = self.get_kernel(kernel_id)
        return manager.ports if self._places.get(manager) != manager.ip else super()._get_changed_ports(kernel_id)

    def ports_changed(self, kernel_id: str) -> bool:
        """Called once by each connection that is made again: whether the channels of the one before lead nowhere."""
        changed = bool(super().ports_changed(kernel_id))
        manager = self.get_kernel(kernel_id)
        self._places[manager] = manager.ip
        return changed

    def _forget_pending(self, before: set[str]) -> None:
        for failed in set(self._pending_kernels) - before - set(self._kernels):
            self._pending_kernels.pop(failed)

    async def _refuse_ungoverned(self, kernel_id: str) -> None:
        manager = self.get_kernel(kernel_id)
        if isinstance(manager.provisioner, GuardedProvisioner) or (manager.provisioner is None and kernel_id in self._pending_kernels):
            return
        await self.shutdown_kernel(kernel_id, now=True)
        raise errors.Refused(
            f"this kernel was started by {type(manager.provisioner).__name__}, past the policy, and was ended",
            next_step="remove the setting or extension that brings its own kernel provisioner",
        )
