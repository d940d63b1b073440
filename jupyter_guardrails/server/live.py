"""Control's list of kernels with what the server's own watch measured a moment ago."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jupyter_guardrails.kernels.watch import Use


def with_live_use(known: dict[str, Any], samples: Mapping[str, Use]) -> dict[str, Any]:
    """Kernels of openapi.yaml: control knows them by their last beat, up to 10 s old; where the watch has a sample, it replaces that."""
    return {**known, "kernels": [_kernel(kernel, samples.get(kernel["id"])) for kernel in known["kernels"]]}


def _kernel(kernel: dict[str, Any], use: Use | None) -> dict[str, Any]:
    if use is None:
        return kernel
    return {
        **kernel,
        "memory_bytes": use.memory_bytes,
        "memory_peak_bytes": max(use.memory_peak_bytes, kernel["memory_peak_bytes"]),
        "cpu_percent": round(use.cpu_percent, 1),
        "cpu_s": round(max(use.cpu_s, kernel["cpu_s"]), 3),
        "idle_s": round(use.idle_s, 1),
    }
