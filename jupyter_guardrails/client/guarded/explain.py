"""Says why a plain `open()` of governed data failed, and what a MemoryError means here. The sandbox enforces; this only explains.

When memory is used up there is none left to say so in: `_Ballast` keeps some address space, which costs no memory, and gives it back then.
"""

from __future__ import annotations

import errno
import mmap
import os
import re
import sys
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any

from guarded import sources, view
from guarded.errors import GuardedError

KINDS = (MemoryError, OSError)
REFUSED = (PermissionError, FileNotFoundError)  # where kernels have an own root, data that isn't granted isn't there at all
TOO_LARGE = (
    "guardrails: this file can't grow: your workspace is full, or the file is as large as your profile allows. What the workspace holds, and which "
    "files are the biggest, is in the Guardrails panel; delete something, and writing works again within seconds."
)
QUOTED_PATH = re.compile(r"['\"](/[^'\"\n]+)['\"]")  # pyarrow names the file in the message only
PATIENCE_S = 5.0
HERE = os.path.dirname(os.path.abspath(__file__))
LIMIT, PROFILE = "GUARDRAILS_MEMORY_BYTES", "GUARDRAILS_PROFILE"
MIB = 1 << 20
BALLAST_BYTES = 32 * MIB


def explanation(error: BaseException | None) -> str:
    """What the broker says about the files that an error names; empty for errors that have nothing to do with datasets."""
    if error is None or isinstance(error, GuardedError):
        return ""
    if isinstance(error, MemoryError):
        return _about_memory()
    if isinstance(error, OSError) and error.errno == errno.EFBIG and LIMIT in os.environ:
        return TOO_LARGE
    if not isinstance(error, REFUSED):
        return ""
    for path in dict.fromkeys(_paths(error)):
        try:
            message = sources.current().call("explain", timeout_s=PATIENCE_S, path=path)[0].get("message")
        except GuardedError as away:
            return f"(no explanation: {away.message})"
        if message:
            return str(message)
    return ""


def _about_memory() -> str:
    """Limit, where it comes from, what to do. A policy may have changed it since the start: a notice said so then."""
    limit = os.environ.get(LIMIT, "")
    if not limit.isdigit():
        return ""
    profile = os.environ.get(PROFILE, "")
    where = f" (profile {profile})" if profile else ""
    return (
        f"guardrails: this kernel started with a limit of {int(limit) // MIB} MiB of memory{where}, and this is more. Your variables are there. "
        "Delete what you no longer need (del name), read less at a time, or choose a larger profile in the Guardrails panel and restart the kernel."
    )


class _Ballast:
    """Address space that counts as data and is never touched; without it a traceback may not find the memory to be made in."""

    held: mmap.mmap | None = None

    def take(self, *_: Any) -> None:
        """At first, and after each cell: only where there is room, or the next cell would miss it."""
        limit = os.environ.get(LIMIT, "")
        if self.held is None and limit.isdigit() and _resident_bytes() < int(limit) - 3 * BALLAST_BYTES:
            try:
                self.held = mmap.mmap(-1, BALLAST_BYTES, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
            except OSError:
                self.held = None

    def drop(self) -> None:
        """Give it back."""
        if self.held is not None:
            self.held.close()
            self.held = None


def _resident_bytes() -> int:
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * mmap.PAGESIZE
    except OSError:  # not Linux: there is no such limit either
        return 0


_ballast = _Ballast()


def _paths(error: BaseException) -> Iterator[str]:
    for name in (getattr(error, "filename", None), getattr(error, "filename2", None)):
        if isinstance(name, (str, bytes)):
            yield os.path.abspath(os.fsdecode(name))
    yield from QUOTED_PATH.findall(str(error))


def install() -> None:
    """Explain in IPython's tracebacks where there is an IPython, else in those of the interpreter."""
    shell = _shell()
    if shell is not None:
        shell.set_custom_exc(KINDS, _show_in_ipython)
        shell.events.register("post_run_cell", _ballast.take)
        _ballast.take()
    elif getattr(sys.excepthook, "__module__", "") != __name__:
        sys.excepthook = _excepthook(sys.excepthook)


def _shell() -> Any:
    ipython = sys.modules.get("IPython")  # never imported from here: a script must not pay for it
    return ipython.get_ipython() if ipython is not None and hasattr(ipython, "get_ipython") else None


def _show_in_ipython(
    shell: Any, kind: type[BaseException], error: BaseException, trace: TracebackType | None, tb_offset: int | None = None
) -> list[str]:
    """Called by IPython for the exceptions of KINDS: its own traceback, then our explanation."""
    if issubclass(kind, MemoryError):
        _ballast.drop()
    lines = list(shell.InteractiveTB.structured_traceback(kind, error, _to_the_call(error, trace), tb_offset=tb_offset))
    words = explanation(error) or view.reason(error)
    lines += ["", words] if words else []
    shell._showtraceback(kind, error, lines)  # what `showtraceback` itself calls in the end; ipykernel sends it to the notebook
    return lines


def _to_the_call(error: BaseException, trace: TracebackType | None) -> TracebackType | None:
    """Of a refusal of ours only the frames as far as the call: what went on in here is nothing to read, why it was refused stands in its text."""
    frames, inner = [], trace
    while inner is not None:
        frames.append(inner)
        inner = inner.tb_next
    kept = len(frames)
    while isinstance(error, GuardedError) and kept > 1 and os.path.dirname(frames[kept - 1].tb_frame.f_code.co_filename) == HERE:
        kept -= 1
    if kept == len(frames):
        return trace
    for frame in reversed(frames[:kept]):
        inner = TracebackType(inner, frame.tb_frame, frame.tb_lasti, frame.tb_lineno)
    return inner


def _excepthook(inner: Callable[..., Any]) -> Callable[..., None]:
    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        inner(kind, error, trace)
        words = (explanation(error) or view.reason(error)) if isinstance(error, KINDS) else ""
        if words:
            print(words, file=sys.stderr)

    return hook
