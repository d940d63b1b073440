"""Reopening a job as an experiment, over HTTP: its files go into a new folder of the workspace, by the contents API's own rules."""

# jupyter_server is partly untyped
# mypy: disable-error-code="untyped-decorator, no-untyped-call"
from __future__ import annotations

import asyncio
import base64
import json
import shlex
import tempfile
from pathlib import Path, PurePosixPath
from typing import Any

from jupyter_server.auth.decorator import authorized
from jupyter_server.utils import ensure_async
from tornado import web

from jupyter_guardrails.control.interface import reopening
from jupyter_guardrails.control.interface.messages import SubmissionShow
from jupyter_guardrails.server.api import GuardrailsHandler
from jupyter_guardrails.server.parse import Strict, body_as


class ReopenHandler(GuardrailsHandler):
    @web.authenticated
    @authorized("write", resource="guardrails")
    async def post(self, identity: str) -> None:
        """A new folder with the job's notebook and files, its lock, and what it ran with."""
        body_as(self, Strict, optional=True)
        with tempfile.TemporaryDirectory(prefix="guardrails-reopen-") as scratch:
            found = await asyncio.to_thread(reopening.reopen, self.context.control, identity, Path(scratch))
            folder = await ensure_async(self.contents_manager.increment_filename(found.name, insert="-"))
            await self._write(folder, found, await self._kernelspec(identity))
        command = f"jupyter guardrails job reopen {identity} --to {shlex.quote(str(self.context.workspace / folder))}"
        said = {
            "folder": folder,
            "notebook": f"{folder}/{found.job.entry}",
            "details": _placed(found.pins["details"], folder),
            "next_step": f"for its own environment, in a shell of yours: `{command}`",
        }
        self.set_status(201)
        await self.finish(json.dumps({**found.pins, **said}))

    async def _kernelspec(self, identity: str) -> dict[str, Any]:
        """What a person's own notebook, of which a package says nothing, is opened with today; nothing where it is gone, too big or broken."""
        said = await self.context.call(SubmissionShow(id=identity))
        if said["person"] != self.current_user.username:
            return {}
        try:
            model = await ensure_async(self.contents_manager.get(said["notebook"], type="notebook", content=True))
        except web.HTTPError as error:
            self.log.info("%s can't be read for its kernel, JupyterLab will ask: %s", said["notebook"], error)
            return {}
        found = model["content"]["metadata"].get("kernelspec")
        return dict(found) if isinstance(found, dict) and isinstance(found.get("name"), str) else {}

    async def _write(self, folder: str, found: reopening.Reopened, kernelspec: dict[str, Any]) -> None:
        """Folders first; a name, a link or a full workspace is refused as for any upload."""
        parents = {parent.as_posix() for name in found.files for parent in PurePosixPath(folder, name).parents if parent.name}
        for parent in sorted(parents):
            await self._save(parent, {"type": "directory"})
        for name, file in sorted(found.files.items()):
            data = await asyncio.to_thread(file.read_bytes)
            await self._save(f"{folder}/{name}", _content(_with(data, kernelspec) if kernelspec and name in found.job.notebooks else data))
        pins = found.pins_text(kernelspec=kernelspec.get("name", ""))
        await self._save(f"{folder}/{reopening.PINS}", _content(pins.encode()))

    async def _save(self, path: str, model: dict[str, Any]) -> None:
        await ensure_async(self.contents_manager.save(model, path))


def _placed(details: dict[str, Any], folder: str) -> dict[str, Any]:
    """What was said of a job, with its further notebooks where they lie now."""
    return details | ({"then": [f"{folder}/{name}" for name in details["then"]]} if "then" in details else {})


def _content(data: bytes) -> dict[str, Any]:
    """A file of the contents API, byte for byte."""
    return {"type": "file", "format": "base64", "content": base64.b64encode(data).decode("ascii")}


def _with(notebook: bytes, kernelspec: dict[str, Any]) -> bytes:
    """The notebook's text, opened with that kernel."""
    found = json.loads(notebook)
    found["metadata"]["kernelspec"] = kernelspec
    return (json.dumps(found, indent=1, ensure_ascii=False) + "\n").encode()
