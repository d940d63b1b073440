"""Policy that the operating system enforces on Jupyter kernels, approved data, and notebooks turned into production jobs."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import Any

try:
    __version__ = version("jupyter_guardrails")
except PackageNotFoundError:  # a source tree that was never installed
    __version__ = "0.0.0"


def _jupyter_labextension_paths() -> list[dict[str, str]]:
    """Called by JupyterLab to find the prebuilt front end."""
    return [{"src": "labextension", "dest": "jupyter-guardrails"}]


def _jupyter_server_extension_points() -> list[dict[str, Any]]:
    """Called by Jupyter Server; the extension itself is `jupyter_guardrails.server.app`."""
    return [{"module": "jupyter_guardrails.server.app"}]
