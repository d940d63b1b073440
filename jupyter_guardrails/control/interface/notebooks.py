"""What control hears of notebooks that it keeps something for."""

from __future__ import annotations

from pydantic import Field

from jupyter_guardrails.control.interface.messages import Request


class NotebookMoved(Request):
    """-> {moved: [{notebook, profile}]}. Profiles chosen for a notebook, or for those in a folder, go with it to its new path."""

    op = "notebook.moved"
    repeatable = True
    old: str = Field(min_length=1)
    new: str = Field(min_length=1)  # no path is every notebook
