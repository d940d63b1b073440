"""The policy in force: the file's last valid version, read again when it changes, with the mistakes of the newest one beside it."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from jupyter_guardrails.errors import PolicyError, Problem
from jupyter_guardrails.policy import Decision, EffectivePolicy, Policy, Resource, decide, effective, load

NEXT_STEP = "ask your admin, or see docs/admins.md for a first policy; `jupyter guardrails policy check` names every mistake"


class PolicyHolder:
    """`current` is None until a first valid policy was read; `refresh` swaps whole policies or none."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.current: Policy | None = None
        self.problem: PolicyError | None = None
        self._seen: tuple[object, ...] | None = None
        self._effective: dict[tuple[str, str], EffectivePolicy] = {}

    @property
    def errors(self) -> list[str]:
        """Every mistake of the file as it is now, with file:line:column; empty when `current` is that file."""
        if self.problem is None:
            return []
        return [str(problem) for problem in self.problem.problems] or [str(self.problem)]

    def changed(self) -> bool:
        """Whether the file, or one of the folder, is another than at the last `refresh`; costs a stat each."""
        return _fingerprint(self.path) != self._seen

    def refresh(self) -> None:
        """Parse and validate, then swap; with mistakes the old policy stays in force. Blocks: not for an event loop."""
        seen = _fingerprint(self.path)
        try:
            if not self.path.exists():
                raise PolicyError([Problem(str(self.path), 0, 0, "there is no policy here")], next_step=NEXT_STEP)
            found = load(self.path)
        except PolicyError as error:
            self.problem = error
        else:
            self.current, self.problem, self._effective = found, None, {}
        self._seen = seen

    def effective(self, person: str) -> EffectivePolicy:
        """What the policy in force means for one person; PolicyError with the places when there never was a valid one."""
        if self.current is None:
            problems = self.problem.problems if self.problem else ()
            raise PolicyError(problems, next_step=self.problem.next_step if self.problem and self.problem.next_step else NEXT_STEP)
        key = (self.current.digest, person)
        if key not in self._effective:
            self._effective[key] = effective(self.current, person)
        return self._effective[key]


def allowed(policy: EffectivePolicy, action: str, name: str, now: datetime) -> Decision:
    """The decision about something that has no labels: a profile, a `host:port`, a package."""
    return decide(policy, action, Resource(name), now)


def _fingerprint(path: Path) -> tuple[object, ...]:
    """Changes when a file is written, replaced, added or removed."""
    files = sorted(path.glob("*.y*ml")) if path.is_dir() else [path]
    return tuple(_stat(file) for file in files)


def _stat(file: Path) -> tuple[object, ...]:
    try:
        found = file.stat()
    except OSError as error:
        return (str(file), error.errno)
    return (str(file), found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size)
