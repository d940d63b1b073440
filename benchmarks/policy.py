"""The policy at scale: 10,000 people in 500 groups, 1,000 rules, 100,000 datasets; and the same questions to Cedar.

    .venv/bin/python benchmarks/policy.py [--scale 1] [--questions 1000] [--json]

The file, the people and the datasets are made up from a seed. Our part runs in a process of its own, so that its peak memory is only ours.
The targets are those of the whole scale; a smaller one is not judged. Exit status 1: a target is missed, or Cedar answers differently;
2: cedarpy isn't installed.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from jupyter_guardrails.policy import EffectivePolicy, Policy, Resource, decide, effective, load
from jupyter_guardrails.policy.globs import compile_glob
from jupyter_guardrails.policy.rule import DataEntry, Rule
from jupyter_guardrails.policy.visible import Visibility

NOW = datetime(2026, 1, 1, tzinfo=UTC)
TARGETS = {"load_and_compile_s": 2.0, "decision_us": 10.0, "visible_ms": 1.0, "peak_mb": 300.0}
ACTIONS = ("data.read", "data.request", "network.connect", "kernel.start")
CLASSES = {"public": 20, "internal": 50, "confidential": 20, "restricted": 10}
WORDS = ("sales", "orders", "visits", "claims", "trips", "sensor", "payroll", "survey", "budget", "stock")
PEOPLE_ASKED = 100


class World:
    """Who and what there is; the same for the same scale."""

    def __init__(self, scale: float) -> None:
        self.users = [f"u{number:05d}" for number in range(round(10_000 * scale))]
        self.groups = [f"g{number:03d}" for number in range(max(4, round(500 * scale)))]
        self.domains = [f"dom{number:03d}" for number in range(max(3, round(200 * scale)))]
        self.hosts = [f"h{number}.d{number % 50}.example.com" for number in range(300)]
        self.rules, self.datasets = round(1000 * scale), round(100_000 * scale)

    def resources(self) -> list[Resource]:
        """The datasets with the labels and columns of their contracts; each name has one slash, so that Cedar's * means what ours does."""
        some = random.Random(0)
        return [self._resource(some, number) for number in range(self.datasets)]

    def _resource(self, some: random.Random, number: int) -> Resource:
        domain, classification = some.choice(self.domains), some.choices(list(CLASSES), list(CLASSES.values()))[0]
        tags = tuple(f"t{some.randrange(50)}" for _ in range(some.randrange(3)))
        columns = {"id": "", "mail": "pii", "pay": "financial", "city": "public"}
        return Resource(f"{domain}/{some.choice(WORDS)}_{number}", classification, domain, tags, f"owner{number % 900}", columns)

    def policy(self) -> str:
        """The policy file: every kind of rule, for every kind of people."""
        some = random.Random(1)
        members: dict[str, list[str]] = {group: [] for group in self.groups}
        for user in self.users:
            for group in some.sample(self.groups, some.randint(1, 4)):
                members[group].append(user)
        document = {
            "apiVersion": "guardrails/v1",
            "groups": members,
            "profiles": {"small": {"memory": "2GiB", "cpus": 1}, "large": {"memory": "8GiB", "cpus": 4}},
            "rules": [{"name": f"rule-{number:04d}", "for": self._who(some), **self._rule(some, number)} for number in range(self.rules)],
        }
        return yaml.dump(document, Dumper=getattr(yaml, "CSafeDumper", yaml.SafeDumper), default_flow_style=None, sort_keys=False, width=150)

    def _who(self, some: random.Random) -> Any:
        kinds: list[Callable[[], Any]] = [
            lambda: "everyone",
            lambda: {"groups": some.sample(self.groups, some.randint(1, 3))},
            lambda: {"users": some.sample(self.users, some.randint(1, 5))},
            lambda: {"groups": some.sample(self.groups, 2), "not": {"users": some.sample(self.users, 3)}},
            lambda: {"users": [f"u{some.randrange(100):02d}*"]},
            lambda: {"groups": [f"g{some.randrange(10)}*"], "not": {"groups": some.sample(self.groups, 1)}},
        ]
        return some.choices(kinds, [3, 62, 15, 10, 5, 5])[0]()

    def _rule(self, some: random.Random, number: int) -> dict[str, Any]:
        def globs(most: int) -> list[str]:
            return [self._glob(some) for _ in range(some.randint(1, most))]

        label: dict[str, str] = some.choice(
            [{"classification": "restricted"}, {"classification": "confidential", "domain": some.choice(self.domains)}, {"tag": f"t{number % 50}"}]
        )
        kinds: list[dict[str, Any]] = [
            {"network": {"allow": [f"{some.choice(self.hosts)}:443", f"*.d{some.randrange(50)}.example.com:443"]}},
            {"kernels": {"profiles": ["small", "large"], "max": some.randint(1, 9)}, "budget": {"cpu_hours": 40}},
            {"mask": {some.choice(["pii", "financial"]): some.choice(["hash", "blank", "partial"])}, "data": {"read": globs(1)}},
            {"rows": {self._glob(some): some.choice(["site = 'A'", "team in {user.groups}", "region = {user.region}"])}},
            {"deny": {"data": globs(2), "network": [f"{some.choice(self.hosts)}:*"]}},
            {"deny": {"data": [{**label, "name": self._glob(some)} if some.random() < 0.3 else label]}},
        ]
        return kinds[number % 10] if number % 10 < len(kinds) else {"data": {"read": globs(4), "request": globs(3)}}

    def _glob(self, some: random.Random) -> str:
        domain, word = some.choice(self.domains), some.choice(WORDS)
        kinds = [f"{domain}/*", f"{domain}/{word}*", f"{domain}/{word}_{some.randrange(self.datasets)}", f"{domain[:5]}*/*", f"*/{word}_*7"]
        return some.choices(kinds, [50, 30, 10, 7, 3])[0]


def main() -> int:
    """Measure, print every figure beside its target, compare with Cedar."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=float, default=1.0, help="part of the whole scale (default: %(default)s)")
    parser.add_argument("--questions", type=int, default=1000, help="to Cedar and of each kind to us (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="print the figures for programs")
    parser.add_argument("--ours", type=Path, metavar="FILE", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    world = World(arguments.scale)
    if arguments.ours:
        print(json.dumps(measure(arguments.ours, world, arguments.questions)))
        return 0
    with tempfile.TemporaryDirectory(prefix="gr-bench-") as place:
        file = Path(place) / "guardrails.yaml"
        file.write_text(world.policy())
        figures = in_fresh_process(file, arguments.scale, arguments.questions)
        installed = importlib.util.find_spec("cedarpy") is not None
        cedar = compare(load(file), world, arguments.questions) if installed else {}
    missed = [key for key, target in TARGETS.items() if figures[key] > target] if arguments.scale == 1 else []
    if arguments.json:
        print(json.dumps({"scale": arguments.scale, **figures, **cedar, "missed": missed}))
    else:
        print(*lines(figures, missed, judged=arguments.scale == 1), *cedar_lines(cedar), sep="\n")
    if not installed:
        print("cedarpy isn't installed, so nothing is compared with Cedar: pip install 'jupyter_guardrails[dev]'", file=sys.stderr)
        return 2
    return 1 if missed or cedar["cedar_agrees"] != cedar["cedar_questions"] else 0


def in_fresh_process(file: Path, scale: float, questions: int) -> dict[str, float]:
    """`measure` in a process that did nothing else. Linux counts what its parent used before `exec` too: this one is still small."""
    command = [sys.executable, __file__, "--scale", str(scale), "--questions", str(questions), "--ours", str(file)]
    found: dict[str, float] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return found


def measure(file: Path, world: World, questions: int) -> dict[str, float]:
    """Our figures: seconds, milliseconds and microseconds as the names say, the last one the process's peak in 10^6 bytes."""
    resources = world.resources()
    policy, load_s = timed(lambda: load(file))
    visibility, compile_s = timed(lambda: Visibility(policy, resources))
    some = random.Random(2)
    people = some.choices(world.users, k=PEOPLE_ASKED)
    mine, effective_s = zip(*(timed(lambda name=name: effective(policy, name)) for name in people), strict=True)
    seen, visible_s = zip(*(timed(lambda name=name: visibility.of(name)) for name in some.choices(world.users, k=questions)), strict=True)
    names_s = [timed(one.readable_names)[1] for one in seen[:PEOPLE_ASKED]]
    times = {action: decision_times(action, mine, world, resources, questions) for action in ACTIONS}
    return {
        "load_and_compile_s": load_s + compile_s,
        "load_s": load_s,
        "compile_s": compile_s,
        "decision_us": statistics.median(time for one in times.values() for time in one),
        **{f"{action.replace('.', '_')}_us": statistics.median(one) for action, one in times.items()},
        "effective_ms": statistics.median(effective_s) * 1e3,
        "visible_ms": statistics.median(visible_s) * 1e3,
        "names_ms": statistics.median(names_s) * 1e3,
        "readable": statistics.median(one.readable.bit_count() for one in seen),
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6,
    }


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    """What it gives, and the seconds that it took."""
    start = time.perf_counter()
    found = work()
    return found, time.perf_counter() - start


def decision_times(action: str, mine: Sequence[EffectivePolicy], world: World, resources: Sequence[Resource], questions: int) -> list[float]:
    """Microseconds of each of some decisions, the best of ten rounds; before them a round in which the indexes are made."""
    some = random.Random(3)
    ask: dict[str, Callable[[], Resource]] = {
        "network.connect": lambda: Resource(f"{some.choice(world.hosts)}:443"),
        "kernel.start": lambda: Resource(some.choice(["small", "large", "huge"])),
    }
    asked = [(some.choice(mine), ask.get(action, lambda: some.choice(resources))()) for _ in range(questions)]
    rounds = [[decision_time(one, action, what) for one, what in asked] for _ in range(11)]
    return [min(times) for times in zip(*rounds[1:], strict=True)]


def decision_time(one: EffectivePolicy, action: str, what: Resource) -> float:
    """Microseconds."""
    start = time.perf_counter_ns()
    decide(one, action, what, NOW)
    return (time.perf_counter_ns() - start) / 1e3


def lines(figures: dict[str, float], missed: Sequence[str], *, judged: bool) -> Iterator[str]:
    """Each figure that has a target, with what it is made of."""
    parts = {
        "load_and_compile_s": "file {load_s:.2f} s, visibility of all datasets {compile_s:.2f} s",
        "decision_us": "data.read {data_read_us:.1f}, data.request {data_request_us:.1f}, network.connect {network_connect_us:.1f}, "
        "kernel.start {kernel_start_us:.1f}; one person's policy before {effective_ms:.2f} ms",
        "visible_ms": "{readable:,.0f} datasets readable; their names in a list {names_ms:.1f} ms",
        "peak_mb": "the whole process",
    }
    for key, target in TARGETS.items():
        name, _, unit = key.replace("_", " ").rpartition(" ")
        verdict = ("MISSED" if key in missed else "OK") if judged else "not judged"
        yield f"{name:16} {figures[key]:8.2f} {unit:2} (<= {target:g} {unit}: {verdict}; {parts[key].format(**figures)})"


def cedar_lines(found: dict[str, float]) -> Iterator[str]:
    """The comparison, if it was made."""
    if found:
        yield "cedarpy agrees in {cedar_agrees:,} of {cedar_questions:,} questions ({cedar_allowed:,} allowed);".format(**found)
        yield "median {cedar_us:.1f} us there under {cedar_policies:,} policies, {same_us:.1f} us here: ratio {cedar_ratio:.0f}".format(**found)


def compare(policy: Policy, world: World, questions: int) -> dict[str, float]:
    """The same questions to both. Both have parsed and compiled everything before, Cedar only the people and datasets that are asked about."""
    import cedarpy  # a development dependency, only for this comparison

    asked = balanced(policy, world, questions)
    policies = cedarpy.PolicySet.from_str("\n".join(text for rule in policy.rules for text in cedar_policies(rule.rule, world)))
    entities = cedarpy.Entities.from_json_str(json.dumps(list(cedar_entities(asked))))
    requests = [
        {"principal": entity("User", one.person), "action": entity("Action", action), "resource": entity("Dataset", what.name)}
        for one, action, what in asked
    ]
    ours, ours_s = zip(*(timed(lambda question=question: decide(*question, NOW)) for question in asked), strict=True)
    theirs, theirs_s = zip(*(timed(lambda request=request: cedarpy.is_authorized(request, policies, entities)) for request in requests), strict=True)
    assert not any(answer.diagnostics.errors for answer in theirs)
    here_us, there_us = statistics.median(ours_s) * 1e6, statistics.median(theirs_s) * 1e6
    return {
        "cedar_policies": len(policies),
        "cedar_questions": len(asked),
        "cedar_agrees": sum(mine.allowed == other.allowed for mine, other in zip(ours, theirs, strict=True)),
        "cedar_allowed": sum(answer.allowed for answer in theirs),
        "cedar_us": there_us,
        "same_us": here_us,
        "cedar_ratio": there_us / here_us,
    }


def balanced(policy: Policy, world: World, questions: int) -> list[tuple[EffectivePolicy, str, Resource]]:
    """Questions of many people about many datasets, as many allowed ones as refused ones where there are enough."""
    some, resources = random.Random(4), world.resources()
    people = [effective(policy, name) for name in some.choices(world.users, k=PEOPLE_ASKED)]
    found: dict[bool, list[tuple[EffectivePolicy, str, Resource]]] = {True: [], False: []}
    for _ in range(questions * 100):
        question = (some.choice(people), some.choice(["data.read", "data.request"]), some.choice(resources))
        kind = found[decide(*question, NOW).allowed]
        if len(kind) < questions // 2:
            kind.append(question)
    return some.sample(found[True] + found[False], len(found[True]) + len(found[False]))


def cedar_entities(asked: Sequence[tuple[EffectivePolicy, str, Resource]]) -> Iterator[dict[str, Any]]:
    """The people with their groups, and the datasets with their labels."""
    for one in {one.person: one for one, _, _ in asked}.values():
        parents = [{"type": "Group", "id": group} for group in one.groups]
        yield {"uid": {"type": "User", "id": one.person}, "attrs": {"name": one.person}, "parents": parents}
    for what in {what.name: what for _, _, what in asked}.values():
        labels = {"name": what.name, "classification": what.classification, "domain": what.domain, "tags": list(what.tags)}
        yield {"uid": {"type": "Dataset", "id": what.name}, "attrs": labels, "parents": []}


def entity(kind: str, name: str) -> str:
    """A name as Cedar writes it."""
    return f'{kind}::"{name}"'


def cedar_policies(rule: Rule, world: World) -> Iterator[str]:
    """What a rule says about data. A filter by user.region, which nothing tells here, shuts what it is for."""
    shut = [f"({names([pattern])})" for pattern, text in rule.rows.items() if "user.region" in text]
    said = {
        'permit (principal, action == Action::"data.read", resource)': [names(rule.data.read)] if rule.data.read else [],
        'permit (principal, action == Action::"data.request", resource)': [names(rule.data.request)] if rule.data.request else [],
        "forbid (principal, action, resource)": [*shut, *(f"({labels(entry)})" for entry in rule.deny.data)],
    }
    for head, terms in said.items():
        if terms:
            yield f"{head} when {{ ({people(rule, world)}) && ({' || '.join(terms)}) }};"


def people(rule: Rule, world: World) -> str:
    """Whom a rule is for, as a condition; patterns over groups are written out, as Cedar has none for an entity's parents."""

    def crowd(users: Sequence[str], groups: Sequence[str]) -> str:
        known = [group for pattern in groups for group in world.groups if compile_glob(pattern).fullmatch(group)]
        terms = [like("principal.name", pattern) if "*" in pattern else f"principal == {entity('User', pattern)}" for pattern in users]
        entities = ", ".join(entity("Group", group) for group in known)
        terms += [f"principal in [{entities}]"] if known else []
        return " || ".join(terms) or "false"

    return f"({crowd(rule.who.users, rule.who.groups)}) && !({crowd(rule.who.exclude.users, rule.who.exclude.groups)})"


def names(patterns: Sequence[str]) -> str:
    """A condition on the dataset's name."""
    return " || ".join(like("resource.name", pattern) for pattern in patterns)


def labels(entry: DataEntry) -> str:
    """A deny entry as a condition."""
    terms = [names([entry.name])] if entry.name else []
    terms += [f'resource.{key} == "{value}"' for key, value in (("classification", entry.classification), ("domain", entry.domain)) if value]
    return " && ".join([*terms, *([f'resource.tags.contains("{entry.tag}")'] if entry.tag else [])])


def like(what: str, pattern: str) -> str:
    """A pattern as a condition: Cedar has one kind of *, which crosses slashes."""
    return f'{what} like "{pattern.replace("**", "*")}"'


if __name__ == "__main__":
    sys.exit(main())
