"""The contents API stays in the workspace: no path of it may lead out through a symbolic link, for reading or for writing.

The check and the use are two steps, so that a kernel could swap a link in between; under the launcher the outer domain holds then.
What is new must have a name that doesn't mislead; what exists already can always be listed, opened, renamed and deleted.
"""

# jupyter_server is partly untyped
# mypy: disable-error-code="untyped-decorator, no-untyped-call"
from __future__ import annotations

import errno
import logging
import os
from typing import Any

from jupyter_server.services.contents.filecheckpoints import AsyncFileCheckpoints
from jupyter_server.services.contents.fileio import FileManagerMixin
from jupyter_server.services.contents.largefilemanager import AsyncLargeFileManager
from tornado import web
from traitlets import Integer, default

from jupyter_guardrails import errors
from jupyter_guardrails.control.interface.notebooks import NotebookMoved
from jupyter_guardrails.kernels.context import GovernedContext
from jupyter_guardrails.server import filenames, notebooks
from jupyter_guardrails.server.room import model_bytes, refuse_growth

LOG = logging.getLogger(__name__)


class BeneathRoot(FileManagerMixin):
    """Mixin for everything that turns API paths into paths of files."""

    root_dir: Any

    def _get_os_path(self, path: str) -> str:
        """Called by every operation of contents and checkpoints; 404 for a path that really lies outside, 400 for one that can't be."""
        problem = filenames.unusable(path)
        if problem:
            raise web.HTTPError(400, problem)
        found: str = super()._get_os_path(path)
        refuse_outside(found, self.root_dir)
        return found


class GuardedCheckpoints(BeneathRoot, AsyncFileCheckpoints):
    """Checkpoints, whose folder beside the notebook may be a link as well."""

    def checkpoint_path(self, checkpoint_id: str, path: str) -> str:
        """Called by every operation of checkpoints."""
        found: str = super().checkpoint_path(checkpoint_id, path)
        refuse_outside(found, self.root_dir)
        return found


class GuardedContentsManager(BeneathRoot, AsyncLargeFileManager):  # type: ignore[misc]  # jupyter_server's own bases disagree
    """Jupyter's own contents manager, held in the workspace."""

    max_notebook_bytes = Integer(
        notebooks.MAX_BYTES, min=1, config=True, help="A bigger notebook is not opened: the server would need several times its size of memory."
    )

    async def _refuse_growth(self, model: dict[str, Any], path: str) -> None:
        """507 for a file that would grow while the workspace is full."""
        context = self._context()
        if context is None:
            return
        await context.know_room()
        try:
            refuse_growth(context.quota, self._get_os_path(path), model_bytes(model))
        except errors.WorkspaceFull as full:
            raise web.HTTPError(full.status, f"{full.message}. {full.next_step}", reason="Workspace full") from full

    def _context(self) -> GovernedContext | None:
        application = getattr(self.parent, "web_app", None)
        return application.settings.get("guardrails") if application else None

    @default("checkpoints_class")
    def _guarded_checkpoints(self) -> type[GuardedCheckpoints]:
        return GuardedCheckpoints

    async def save(self, model: dict[str, Any], path: str = "") -> dict[str, Any]:
        """Called for saves, uploads, new files and copies; saving over what exists keeps its name, so that nobody loses an edit."""
        if not os.path.lexists(self._get_os_path(path)):
            refuse_misleading(path)
        await self._refuse_growth(model, path)
        with notebooks.half_characters_are_the_callers(path):
            saved: dict[str, Any] = await super().save(model, path)
        return saved

    async def rename_file(self, old_path: str, new_path: str) -> None:
        """Called for renames and moves: the old name may be any."""
        if old_path.rpartition("/")[2] != new_path.rpartition("/")[2]:
            refuse_misleading(new_path)
        await super().rename_file(old_path, new_path)
        await self._tell_moved(old_path.strip("/"), new_path.strip("/"))

    async def _tell_moved(self, old: str, new: str) -> None:
        """The size that somebody chose for a notebook goes with it; where control can't be told, the notebook has moved all the same."""
        context = self._context()
        if context is None or old == new:
            return
        try:
            await context.call(NotebookMoved(old=old, new=new))
        except errors.GuardrailsError as error:
            LOG.warning("a size chosen for %s stays with that name: %s", old, error)

    async def _copy_dir(self, from_path: str, to_path_original: str, to_name: str, to_path: str) -> dict[str, Any]:
        """Called by `copy` for folders, which pass `save` by."""
        refuse_misleading(to_name)
        copied: dict[str, Any] = await super()._copy_dir(from_path, to_path_original, to_name, to_path)
        return copied

    async def _notebook_model(self, path: str, content: bool = True, require_hash: bool = False) -> dict[str, Any]:
        """Called by `get`, which copies, conversions and downloads of notebooks use too."""
        if content:
            notebooks.refuse_big(self._get_os_path(path), path, self.max_notebook_bytes)
        with notebooks.half_characters_are_the_callers(path):
            model: dict[str, Any] = await super()._notebook_model(path, content=content, require_hash=require_hash)
        return model


class LeadsOutside(web.HTTPError, OSError):
    """404 for whoever asks; as an OSError of a link that can't be followed, jupyter_server's listings leave the entry out."""

    def __init__(self, message: str) -> None:
        super().__init__(404, message)
        self.errno = errno.ELOOP


def refuse_outside(path: str, root: str) -> None:
    """LeadsOutside unless the real path lies beneath the real root."""
    real_root = os.path.realpath(root)
    if os.path.commonpath([os.path.realpath(path), real_root]) != real_root:
        shown = os.path.relpath(path, root)
        raise LeadsOutside(f"{shown} leads out of the workspace; open data through the Guardrails panel or read it in a notebook")


def refuse_misleading(path: str) -> None:
    """400 with a sentence unless something new may have the path's last name."""
    problem = filenames.misleading(path.strip("/").rpartition("/")[2])
    if problem:
        raise web.HTTPError(400, problem)
