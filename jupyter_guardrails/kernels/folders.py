"""Making and removing the private folders of a kernel, and the entries for its granted data."""

from __future__ import annotations

import logging
import os
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from jupyter_core.paths import jupyter_runtime_dir

from jupyter_guardrails import errors
from jupyter_guardrails.kernels import run_dirs

LOG = logging.getLogger(__name__)

# PYTHONSAFEPATH=1 keeps files of the notebook's folder from running instead of the kernel; once the kernel is up, that folder is importable
# again, as in plain Jupyter, and programs that a notebook starts have it too. IPython 9.7 leaves '' out of sys.path under safe_path.
STARTUP = """\
def _restore_import_of_neighbours():
    import os
    import sys

    os.environ.pop("PYTHONSAFEPATH", None)
    if "" not in sys.path:
        packages = [i for i, entry in enumerate(sys.path) if entry.endswith(("site-packages", "dist-packages"))]
        sys.path.insert(packages[0] if packages else 0, "")


def _explain_refused_files():
    try:
        import guarded  # its import adds the explanation; imported here, the name doesn't appear in the notebook
    except Exception as error:  # an exotic Python: the kernel is as good without
        print(f"guarded, which explains refused files, could not be loaded: {error!r}")


_restore_import_of_neighbours()
_explain_refused_files()
del _restore_import_of_neighbours, _explain_refused_files
"""


@dataclass(frozen=True, slots=True)
class KernelFolders:
    """The private folders of one kernel, terminal or clean run, below `root` (0700, short: unix socket paths end at 107 bytes)."""

    root: Path

    @property
    def connection(self) -> Path:
        """Connection file and sockets: ipykernel rewrites the file."""
        return self.root / "c"

    @property
    def temporary(self) -> Path:
        """TMPDIR."""
        return self.root / "tmp"

    @property
    def state(self) -> Path:
        """What programs keep in a home folder: caches, IPython's profile."""
        return self.root / "state"

    @property
    def data(self) -> Path:
        """`<name>` entries for granted data; the kernel reads it only."""
        return self.root / "data"

    @property
    def hosts(self) -> Path:
        """What the kernel sees as /etc/hosts, where there are names to add; see forwards.py."""
        return self.root / "hosts"

    @property
    def passwd(self) -> Path:
        """What the kernel sees as /etc/passwd, where its account isn't in the machine's; see accounts.py."""
        return self.root / "passwd"

    @property
    def group(self) -> Path:
        """The same for /etc/group."""
        return self.root / "group"

    @property
    def configuration(self) -> Path:
        """Jupyter's configuration, empty; the kernel reads it only: what it wrote there could switch parts of a later server off."""
        return self.root / "config"

    @property
    def migrated(self) -> Path:
        """The one file there; jupyter_core 5.9 ends some `jupyter` commands that can't write it, and no program reads it."""
        return self.configuration / "migrated"


def make_folders(run_dir: Path) -> KernelFolders:
    """New private folders below `run_dir`/k. Their name is ours: a kernel's id may be chosen by whoever asks for the kernel.

    GuardrailsError, with nothing left, when the disk is full.
    """
    folders = KernelFolders(run_dir / "k" / secrets.token_hex(4))
    try:
        _fill(folders)
    except OSError as error:
        shutil.rmtree(folders.root, ignore_errors=True)
        message = f"the kernel's private folders can't be made in {run_dir}: {error.strerror}"
        raise errors.GuardrailsError(message, next_step="free some space there, then start the kernel again") from error
    return folders


def _fill(folders: KernelFolders) -> None:
    folders.root.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    for folder in (folders.root, folders.connection, folders.temporary, folders.state, folders.data, folders.configuration):
        folder.mkdir(mode=0o700)
    folders.migrated.touch()
    startup = folders.state / "ipython" / "profile_default" / "startup"
    startup.mkdir(parents=True)
    (startup / "00-guardrails.py").write_text(STARTUP)


def remove_folders(folders: KernelFolders) -> None:
    """Remove everything below; what a kernel made unremovable is named in the log."""
    shutil.rmtree(folders.root, onerror=lambda _call, path, failure: LOG.warning("could not remove %s: %s", path, failure[1]))


def show_grants(folders: KernelFolders, datasets: Mapping[str, str]) -> None:
    """`<data>/<name>` for each dataset that is delivered as files, and nothing else; the kernel can't change these entries.

    The folder itself stays: it may be in a kernel's root already.
    """
    if {str(entry.relative_to(folders.data)): _leads_to(entry) for entry in folders.data.rglob("*") if _is_leaf(entry)} == dict(datasets):
        return
    for entry in folders.data.iterdir():
        shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()
    for name, path in datasets.items():
        if not all(part and part not in (".", "..") for part in name.split("/")):
            raise errors.Refused(
                f"the dataset name {name!r} can't be a folder's name", next_step="tell your admin: a name is words with / between them"
            )
        entry = folders.data / name
        entry.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        entry.symlink_to(path)


def _is_leaf(entry: Path) -> bool:
    """Empty folders too: a place that was made for what was granted later, in a run before this one."""
    return entry.is_symlink() or not entry.is_dir() or not any(entry.iterdir())


def _leads_to(entry: Path) -> str:
    return os.readlink(entry) if entry.is_symlink() else ""


def server_secrets() -> tuple[str, ...]:
    """Where Jupyter servers of this account keep their tokens: shut to kernels in every mode."""
    return (os.path.realpath(jupyter_runtime_dir()),)


def make_run_dir() -> Path:
    """A run directory for a process that no launcher started, held as long as it lives; the caller removes it."""
    run_dir = run_dirs.new_name()
    run_dirs.make(run_dir)
    (run_dir / "k").mkdir(mode=0o700)
    return run_dir
