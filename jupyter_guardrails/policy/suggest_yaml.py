"""Suggestions as a policy file that `policy check` accepts, each line with its evidence, and what was left out as comments."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from jupyter_guardrails.policy.document import API_VERSION
from jupyter_guardrails.policy.suggest import Evidence, Suggested, Suggestion

MOST_PEOPLE, MOST_LEFT_OUT, WIDEST = 5, 50, 60


def as_yaml(found: Suggested, *, since: str) -> str:
    """The file. Whoever puts it in place reads it first: nothing in it was decided by anybody."""
    return "\n".join([*_head(since), f"apiVersion: {API_VERSION}", *_paths(found), *_rules(found), *_left_out(found)]) + "\n"


def quoted(text: str) -> str:
    """A YAML scalar in double quotes: everything but printable ASCII is escaped."""
    return '"' + "".join(letter if " " <= letter <= "~" and letter not in '"\\' else f"\\U{ord(letter):08X}" for letter in text) + '"'


def comment(text: str) -> str:
    """Text that can stand behind `#`: printable, on one line."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def _head(since: str) -> Iterator[str]:
    yield f"# Suggested from what was refused, or would have been, since {comment(since[:16])}. Read it, take out what should stay shut, then"
    yield "# put rules beside yours (in a policy.d/ as a file of its own, with `paths` moved to where yours stands), and try it before:"
    yield "#   jupyter guardrails policy check FILE; jupyter guardrails policy simulate NEW"


def _paths(found: Suggested) -> Iterator[str]:
    """They count for everybody: a policy's paths are for no rule."""
    by_key = {key: [one for one in found.suggestions if one.kind == f"paths.{key}"] for key in ("read", "write")}
    if any(by_key.values()):
        yield "paths:  # for everybody"
    for key, some in by_key.items():
        if some:
            yield f"  {key}:"
            yield from (_line(one, indent=4) for one in some)


def _rules(found: Suggested) -> Iterator[str]:
    """One rule for each set of people."""
    by_people: dict[tuple[tuple[str, ...], tuple[str, ...]], list[Suggestion]] = {}
    for one in found.suggestions:
        if not one.kind.startswith("paths."):
            by_people.setdefault((one.groups, one.users), []).append(one)
    if not by_people:
        yield "rules: []"
        return
    yield "rules:"
    for number, ((groups, users), some) in enumerate(by_people.items(), start=1):
        yield f"  - name: suggested-{number}"
        yield f"    for: {{{', '.join(_who(groups, users))}}}"
        yield from _part(some, "network.allow", ("    network:", "      allow:"))
        reads, asks = (list(_part(some, kind, (f"      {kind.partition('.')[2]}:",))) for kind in ("data.read", "data.request"))
        yield from (["    data:", *reads, *asks] if reads or asks else [])


def _who(groups: Sequence[str], users: Sequence[str]) -> Iterator[str]:
    for key, names in (("groups", groups), ("users", users)):
        if names:
            yield f"{key}: [{', '.join(map(quoted, names))}]"


def _part(some: Sequence[Suggestion], kind: str, head: Sequence[str]) -> Iterator[str]:
    chosen = [one for one in some if one.kind == kind]
    if chosen:
        yield from head
        yield from (_line(one, indent=8) for one in chosen)


def _line(one: Suggestion, *, indent: int) -> str:
    note = f"; {one.note}" if one.note else ""
    return f"{' ' * indent}- {quoted(one.value)}  # {told(one.evidence)}{note}"


def told(evidence: Evidence) -> str:
    """`12 times by ana, ben; last 2031-05-01`."""
    people = sorted(evidence.people)
    names = ", ".join(people[:MOST_PEOPLE]) + (f" and {len(people) - MOST_PEOPLE} more" if len(people) > MOST_PEOPLE else "")
    return comment(f"{evidence.count} times by {names}; last {evidence.last[:10]}")


def _left_out(found: Suggested) -> Iterator[str]:
    if not found.left_out:
        return
    yield "# Left out:"
    for one in found.left_out[:MOST_LEFT_OUT]:
        name = one.resource if len(one.resource) <= WIDEST else f"{one.resource[: WIDEST - 1]}…"
        yield f"#   {comment(f'{one.action} {name}: {one.why}')}; {told(one.evidence)}"
    if len(found.left_out) > MOST_LEFT_OUT:
        yield f"#   and {len(found.left_out) - MOST_LEFT_OUT} more, see --json"
