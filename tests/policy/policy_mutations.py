"""Broken policies by the thousand, each made anew from its kind and number: changed bytes, changed structure, one changed file of a directory."""

import functools
import json
import random
import re
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import yaml

from jupyter_guardrails.errors import PolicyError
from jupyter_guardrails.policy import Resource, decide, effective, load
from jupyter_guardrails.policy.explain import lines
from jupyter_guardrails.policy.yamltree import read_tree

SEED = 20260101
SLOWEST_S = 1.0
PERCENT = {"bytes": 40, "structure": 40, "directory": 20}  # of each hundred, so many are of that kind
ORIGINAL = Path(__file__).parents[1] / "policies" / "policies" / "full.yaml"
NOW = datetime(2026, 1, 1, tzinfo=UTC)
QUESTIONS = (
    ("data.read", Resource("nyc/flights", "restricted", "legal", ("sealed",), "carol", {"mail": "pii", "pay": "financial"})),
    ("data.request", Resource("hr/salaries")),
    ("network.connect", Resource("cdn.tracker.example:443")),
    ("kernel.start", Resource("large")),
    ("promotion.review", Resource("1", owner="ana")),
    ("package.use", Resource("evil-package")),
)
PIECES = (b"\t", b"&a ", b"*a", b"!!python/name:os.system ", b"{", b"}", b"[", b"]", b": ", b"- ", b"\xff", b"\x00")
PIECES += (b"null", b"<<: ", b"1e999", b'"', b"'", b"\n", b"%", b"? ", b"\r", b"\xef\xbb\xbf", b"\xe2\x80\xae", b"...\n", b"---\n")
TWICE = "\ue000"  # stands behind a key that is written a second time, until the text is made
NAMES = ("max", "memory", "profiles", "read", "users", "mode", "Mode", "for", "pii", "ü", "", "a" * 300, "\x1b[2J", "nyc/*", "not", "**", "1")
TEXTS = ("", " ", "x", "everyone", "*", "**", "-2GiB", "2GiB", "0GiB", "12h", "-5h", "80%", "-1%", "2048", "off", "yes", "no", "NaN", "1e999")
TEXTS += ("ü", "日本語", "🦉🦉🦉", "a\u202eb", "\x1b[2J", "\x00", "x" * 10_000, "ü" * 10_000, "🦉" * 10_000, "*" * 40, "a/" * 400, "2024-01-01")
TEXTS += (
    "{user}",
    "/{user}/..",
    "o''o = 'x",
    "a: b # c",
    "a:443",
    "[::1]:80",
    "10.0.0.0/8",
    "(" * 50,
    "a = 1 and " * 300 + "b = 2",
    "\u2028",
    "\ufeff",
)


@dataclass(frozen=True)
class Tally:
    """What became of a number of broken policies."""

    valid: int
    invalid: int
    slowest_s: float
    slowest: int


def unbroken(folder):
    """Paths of policies that the broken ones are made of, each written into a folder of its own: as it is, as YAML and JSON, divided."""
    for position in range(8):
        place = folder / str(position)
        place.mkdir(parents=True)
        data = _dumped(_tree(), random.Random(position)) if position else ORIGINAL.read_bytes()
        (place / "guardrails.yaml").write_bytes(data)
        yield place / "guardrails.yaml"
    for count in (2, 3):
        place = folder / f"{count} parts"
        place.mkdir()
        for name, data in _parts(count, 0).items():
            (place / name).write_bytes(data)
        yield place


def write(kind, number, folder):
    """The path of the broken policy of that kind and number, written into the folder."""
    chance = random.Random(f"{SEED} {kind} {number}")
    for old in folder.iterdir():
        old.unlink()
    if kind == "directory":
        for name, data in _directory(chance).items():
            (folder / name).write_bytes(data)
        return folder
    data = _bytes(ORIGINAL.read_bytes(), chance) if kind == "bytes" else _dumped(_changed(_tree(), chance), chance)
    (folder / "guardrails.yaml").write_bytes(data)
    return folder / "guardrails.yaml"


def run(kind, first, count, folder):
    """Loads and asks that many broken policies; AssertionError names the one that does anything but work or be refused, and where its bytes are."""
    folder.mkdir(parents=True)
    valid, slowest = 0, (0.0, first)
    for number in range(first, first + count):
        path = write(kind, number, folder)
        started = time.process_time()
        try:
            valid += outcome(path) is None
        except Exception as error:
            raise AssertionError(f"{type(error).__name__} by {kind} {number} of seed {SEED}, kept at {path}: {error}") from error
        slowest = max(slowest, (time.process_time() - started, number))
        assert slowest[0] < SLOWEST_S, f"{slowest[0]:.2f} s for {kind} {number} of seed {SEED}, kept at {path}"
    return Tally(valid, count - valid, *slowest)


def outcome(path):
    """The problems of a policy, checked to be readable; None if it is a policy, asked all there is to ask."""
    try:
        policy = load(path)
    except PolicyError as refusal:
        problems, exit_code = refusal.problems, refusal.exit_code
    else:
        _ask(policy)
        return None
    assert problems
    assert exit_code == 2
    for problem in problems:
        _check_readable(problem, path)
    return problems


def _ask(policy):
    assert re.fullmatch("[0-9a-f]{64}", policy.digest)
    for person in ("ana", "tom"):
        found = effective(policy, person)
        assert all(isinstance(line.text, str) and line.key for line in lines(found))
        for action, resource in QUESTIONS:
            decision = decide(found, action, resource, NOW)
            assert decision.reason
            assert decision.allowed or decision.next_step


def _check_readable(problem, path):
    """One line that can be printed as it is and starts with the file; the same for the line shown and the hint; no words of the libraries below."""
    assert problem.file.startswith(str(path))
    assert problem.message
    assert len(problem.message) < 700
    assert all(line.isprintable() for line in (problem.file, problem.message, problem.hint, problem.source))
    assert str(problem).startswith(f"{problem.file}:")
    assert not re.search("Input should|validation error|pydantic|Traceback", problem.message)


def _bytes(data, chance):
    """The bytes after one to six small changes: cut, copied, replaced, swapped lines, inserted pieces."""
    for _ in range(chance.choice((1, 1, 1, 2, 4, 6))):
        at, length = chance.randrange(len(data) + 1), chance.randint(1, 12)
        match chance.randrange(5):
            case 0:
                data = data[:at] + data[at + length :]
            case 1:
                data = data[:at] + data[at : at + length] * 3 + data[at + length :]
            case 2:
                data = data[:at] + chance.choice(PIECES) + data[at:]
            case 3:
                data = data[:at] + bytes([chance.randrange(256)]) + data[at + 1 :]
            case 4:
                rows = data.split(b"\n")
                chance.shuffle(rows)
                data = b"\n".join(rows)
    return data


@functools.cache
def _original():
    root, _ = read_tree(ORIGINAL.read_bytes(), ORIGINAL.name)  # PyYAML's own loader would read the `off` of YAML 1.1
    return json.dumps(root.plain())


def _tree():
    """The policy that uses every key, as dicts and lists of its own."""
    return json.loads(_original())


def _slots(value):
    """Every (container, key or position) in a tree."""
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield value, key
        yield from _slots(value[key])


def _changed(tree, chance):
    """The tree after one to three changes of its structure."""
    for _ in range(chance.choice((1, 1, 2, 3))):
        slots = list(_slots(tree))
        if not slots:
            return tree
        chance.choice(CHANGES)(slots, chance)
    return tree


def _drop(slots, chance):
    holder, key = chance.choice(slots)
    del holder[key]


def _rename(slots, chance):
    holder, key = chance.choice([slot for slot in slots if isinstance(slot[0], dict)] or slots)
    if isinstance(holder, dict):
        spoilt = (str.upper, str.title, lambda name: name[1:], lambda name: name[::-1], lambda _: chance.choice(NAMES))
        holder[chance.choice(spoilt)(str(key))] = holder.pop(key)


def _repeat(slots, chance):
    """A key or an entry stands there twice."""
    holder, key = chance.choice(slots)
    if isinstance(holder, dict):
        holder[f"{key}{TWICE}"] = _copy(holder[key])
    else:
        holder.insert(key, _copy(holder[key]))


def _replace(slots, chance):
    holder, key = chance.choice(slots)
    holder[key] = _strange(chance)


def _add(slots, chance):
    holder = chance.choice(slots)[0]
    if isinstance(holder, dict):
        holder[chance.choice(NAMES)] = _strange(chance)
    else:
        holder.append(_strange(chance))


def _swap(slots, chance):
    (one, key), (other, place) = chance.choice(slots), chance.choice(slots)
    one[key], other[place] = _copy(other[place]), _copy(one[key])


def _alike(slots, chance):
    """A value is replaced by one of the same key, or of the same list, somewhere else."""
    holder, key = chance.choice(slots)
    others = [other[place] for other, place in slots if place == key or other is holder]
    holder[key] = _copy(chance.choice(others))


def _reorder(slots, chance):
    holder = chance.choice(slots)[0]
    if isinstance(holder, list):
        chance.shuffle(holder)
    else:
        for key in chance.sample(sorted(holder), len(holder)):
            holder[key] = holder.pop(key)


def _move(slots, chance):
    """A part is written into another part too, under its own key."""
    (one, key), (other, _) = chance.choice(slots), chance.choice(slots)
    if isinstance(other, dict):
        other[str(key)] = _copy(one[key])
    else:
        other.append(_copy(one[key]))


def _share(slots, chance):
    """The same part stands in two places: YAML writes an alias."""
    (one, key), (other, place) = chance.choice(slots), chance.choice(slots)
    if not isinstance(one[key], dict | list):
        other[place] = one[key]
    else:
        other[place] = [shared := _copy(one[key]), shared]


def _wrap(slots, chance):
    holder, key = chance.choice(slots)
    for _ in range(chance.choice((1, 1, 2, 18, 40))):
        holder[key] = [holder[key]] if chance.random() < 0.5 else {chance.choice(NAMES): holder[key]}


CHANGES = (_drop, _drop, _rename, _repeat, _replace, _replace, _add, _swap, _alike, _alike, _reorder, _reorder, _move, _share, _wrap)


def _copy(value):
    return json.loads(json.dumps(value))


def _strange(chance):
    """A value of any kind that a file can hold."""
    numbers = (0, 1, -1, 2, 10**30, -(10**18), 2**63, 1.5, -0.5, 1e308, float("inf"), float("nan"))
    shapes = (None, True, False, [], {}, [[]], [None], {"": None}, {"a": {}}, ["x"] * 300, {f"k{n}": n for n in range(300)}, ["nyc/*", "hr/*"])
    return _copy(chance.choice(chance.choice((numbers, TEXTS, shapes))))


def _dumped(tree, chance):
    """The tree as YAML or JSON."""
    if chance.random() < 0.5:
        text = json.dumps(tree, ensure_ascii=False, indent=chance.choice((None, 1)))
    else:
        text = yaml.dump(tree, Dumper=yaml.CSafeDumper, allow_unicode=True, sort_keys=False, default_flow_style=chance.choice((None, False, True)))
    return text.replace(TWICE, "").encode()


def _directory(chance):
    """The policy as two or three files of a directory, one of them broken."""
    parts = _parts(chance.choice((2, 3)), chance.randrange(8))
    broken = chance.choice(sorted(parts))
    data = _bytes(parts[broken], chance) if chance.random() < 0.5 else _dumped(_changed(json.loads(parts[broken]), chance), chance)
    return parts | {broken: data}


@functools.cache
def _parts(count, variant):
    """The policy in so many files, in one of several ways: rules, groups and profiles are divided, any other key is in one of them."""
    chance = random.Random(f"{SEED} parts {count} {variant}")
    parts = [{"apiVersion": "guardrails/v1"} for _ in range(count)]
    for key, value in _tree().items():
        if key == "rules":
            for position, rule in enumerate(value):
                parts[position * count // len(value)].setdefault(key, []).append(rule)
        elif key in ("groups", "profiles"):
            for name, member in value.items():
                chance.choice(parts).setdefault(key, {})[name] = member
        elif key != "apiVersion":
            chance.choice(parts)[key] = value
    return {f"{position}0-part.yaml": json.dumps(part, indent=1).encode() for position, part in enumerate(parts, start=1)}
