"""Requests to control: whether a dataset is as its contract says."""

from __future__ import annotations

from pydantic import Field

from jupyter_guardrails.control.interface.messages import Request


class QualityCheck(Request):
    """-> {name} and Quality of openapi.yaml: the contract's rules measured now on raw data, for the dataset's owner and admins."""

    op = "datasets.quality"
    timeout_s = 1800.0
    name: str = Field(max_length=200)
