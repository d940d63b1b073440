"""The policy in force: the file's last valid version, read again when it changes, with the mistakes of the newest one beside it."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from jupyter_guardrails.errors import PolicyError, Problem
from jupyter_guardrails.policy import Decision, EffectivePolicy, Policy, Resource, decide, effective
from jupyter_guardrails.policy.load import Fingerprint, fingerprint, read_policy

NEXT_STEP = "ask your admin, or write a first policy: `jupyter guardrails init`; `jupyter guardrails policy check` names every mistake"
SETTLE_S, PATIENCE_S = 0.2, 5.0
MOST_PEOPLE = 2000  # whose effective policies are kept: some 50 KiB each under 1,000 rules


@dataclass(frozen=True, slots=True)
class InForce:
    """The last valid policy, the mistakes of the file if it is newer, and what the policy means for those who asked: swapped as one."""

    policy: Policy | None = None
    problem: PolicyError | None = None
    people: OrderedDict[tuple[str, tuple[str, ...]], EffectivePolicy] = field(default_factory=OrderedDict)


class PolicyHolder:
    """`current` is None until a first valid policy was read; `refresh` swaps whole policies or none. Safe to use from several threads."""

    def __init__(self, path: Path, *, wait: Callable[[float], None] = time.sleep) -> None:
        self.path = path
        self._now = InForce()
        self._wait = wait
        self._lock = threading.Lock()
        self._seen: Fingerprint | None = None

    @property
    def current(self) -> Policy | None:
        """The policy in force."""
        return self._now.policy

    @property
    def in_force(self) -> Policy:
        """The same; PolicyError with the places when there never was a valid one."""
        return _valid(self._now, self.path)

    @property
    def errors(self) -> list[str]:
        """Every mistake of the file as it is now, with file:line:column; empty when `current` is that file."""
        problem = self._now.problem
        return [str(item) for item in problem.problems] if problem else []

    def changed(self) -> bool:
        """Whether the file, or one of the folder, is another than at the last `refresh`; costs a stat each."""
        return fingerprint(self.path) != self._seen

    def refresh(self) -> bool:
        """Parse and validate, then swap; with mistakes the old policy stays in force. True if anything is new. Blocks: not for an event loop."""
        with self._lock:
            if not self.changed():  # another thread has read it meanwhile
                return False
            seen = self._settled()
            try:
                found = read_policy(self.path)
            except PolicyError as error:
                self._now = replace(self._now, problem=error)
            else:
                self._now, seen = InForce(found.policy), found.seen
            self._seen = seen
            return True

    def _settled(self) -> Fingerprint:
        """Wait until nobody has written for a moment: half of a file that is written in place could be a whole policy with fewer rules.

        A file that was put here by `mv` is whole, but how it came can't be seen. The wait ends with the patience: better a policy that
        somebody keeps touching than one that nobody follows any more.
        """
        seen = fingerprint(self.path)
        for _ in range(int(PATIENCE_S / SETTLE_S)):
            age_s = time.time() - max((state.modified_ns for state in seen), default=0) / 1e9
            before, left_s = seen, SETTLE_S - age_s
            if left_s > 0:  # also a time in the future: then what counts is that it stays the same
                self._wait(min(left_s, SETTLE_S))
            seen = fingerprint(self.path)
            if seen == before:
                break
        return seen

    def effective(self, person: str, groups: tuple[str, ...] = ()) -> EffectivePolicy:
        """What the policy in force means for one person. `groups`: those that the operating system or a Hub tells, beside the file's.

        PolicyError with the places when there never was a valid policy.
        """
        now = self._now
        policy = _valid(now, self.path)
        found = now.people.get((person, groups))
        if found is None:
            found = now.people[person, groups] = effective(policy, person, dict.fromkeys((*policy.groups_of(person), *groups)))
            while len(now.people) > MOST_PEOPLE:
                now.people.popitem(last=False)
        return found


def _valid(now: InForce, path: Path) -> Policy:
    if now.policy is None:
        problem = now.problem or PolicyError([Problem(str(path), 0, 0, "there is no policy here")])
        raise PolicyError(problem.problems, next_step=problem.next_step or NEXT_STEP)
    return now.policy


def allowed(policy: EffectivePolicy, action: str, name: str, now: datetime) -> Decision:
    """The decision about something that has no labels: a profile, a `host:port`, a package."""
    return decide(policy, action, Resource(name), now)
