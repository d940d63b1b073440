"""Asking for a Python package over HTTP; the decision is made elsewhere."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from jupyter_guardrails.control.interface.package_requests import PackageAsk
from jupyter_guardrails.server.parse import Strict


class NewPackage(Strict):
    """NewPackage of openapi.yaml."""

    kind: Literal["package"]
    package: str = Field(min_length=1, max_length=200)
    purpose: str = Field(min_length=3, max_length=2000)
    days: int = Field(default=90, ge=1, le=365)

    def request(self) -> PackageAsk:
        """What control is asked."""
        return PackageAsk(package=self.package, purpose=self.purpose, days=self.days)
