"""Broken files: whatever is done to a policy's bytes, the answer is a policy or a PolicyError with places, soon."""

import os
import random
import time

import pytest

from jupyter_guardrails.errors import PolicyError
from jupyter_guardrails.policy import effective, load

ROUNDS = 2000 if os.environ.get("GUARDRAILS_SOAK") == "1" else 200
PIECES = [
    b"\t",
    b"&a ",
    b"*a",
    b"!!python/name:os.system ",
    b"{",
    b"}",
    b"[",
    b"]",
    b": ",
    b"- ",
    b"\xff",
    b"\x00",
    b"null",
    b"<<: ",
    b"1e999",
    b'"',
    b"'",
    b"\n",
    b"%",
    b"? ",
]


def mutated(data, chance):
    """The bytes after one to six small changes: cut, copied, replaced, swapped lines, inserted pieces."""
    for _ in range(chance.randint(1, 6)):
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
                lines = data.split(b"\n")
                chance.shuffle(lines)
                data = b"\n".join(lines)
    return data


def mistakes_in(file):
    """The problems of a file, None if it is a policy; every other exception is a defect and ends the test."""
    try:
        effective(load(file), "ana")
    except PolicyError as error:
        return error.problems
    return None


@pytest.mark.soak
def test_only_policy_errors_come_out(tmp_path, full_policy):
    chance, original = random.Random(20260101), full_policy.read_bytes()
    file, valid, slowest = tmp_path / "guardrails.yaml", 0, 0.0
    for _ in range(ROUNDS):
        file.write_bytes(mutated(original, chance))
        started = time.process_time()
        found = mistakes_in(file)
        slowest = max(slowest, time.process_time() - started)
        valid += found is None
        assert found is None or found
        assert all(problem.message and "\n" not in problem.message for problem in found or ())
    assert 0 < valid < ROUNDS
    assert slowest < 2


def test_each_line_left_out_is_survived(tmp_path, full_policy):
    lines, file = full_policy.read_text().splitlines(keepends=True), tmp_path / "guardrails.yaml"
    outcomes = []
    for position in range(len(lines)):
        file.write_text("".join(lines[:position] + lines[position + 1 :]))
        outcomes.append(mistakes_in(file))
    assert None in outcomes
    assert any(outcomes)
    assert () not in outcomes


def test_cut_inside_a_line_it_is_a_mistake(tmp_path, full_policy):
    data, file = full_policy.read_bytes(), tmp_path / "guardrails.yaml"
    for place in (b"profiles: [sm", b"memory: 2Gi", b"apiVer", b"restricted-stays-shut\n    for: every"):
        file.write_bytes(data[: data.index(place) + len(place)])
        assert mistakes_in(file)
