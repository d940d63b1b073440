"""The contents API stays in the workspace: no path of it may lead out through a symbolic link, for reading or for writing.

The check and the use are two steps, so that a kernel could swap a link in between; under the launcher the outer domain holds then.
"""

# jupyter_server is partly untyped
# mypy: disable-error-code="untyped-decorator, no-untyped-call"
from __future__ import annotations

import errno
import os
from typing import Any

from jupyter_server.services.contents.filecheckpoints import AsyncFileCheckpoints
from jupyter_server.services.contents.fileio import FileManagerMixin
from jupyter_server.services.contents.largefilemanager import AsyncLargeFileManager
from tornado import web
from traitlets import default


class BeneathRoot(FileManagerMixin):
    """Mixin for everything that turns API paths into paths of files."""

    root_dir: Any

    def _get_os_path(self, path: str) -> str:
        """Called by every operation of contents and checkpoints; 404 for a path that really lies outside."""
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

    @default("checkpoints_class")
    def _guarded_checkpoints(self) -> type[GuardedCheckpoints]:
        return GuardedCheckpoints


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
