"""Broken files: whatever is done to a policy, the answer is a policy or a PolicyError with places, soon."""

import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor

import policy_mutations as mutations
import pytest

from jupyter_guardrails.policy import load

TOTAL = 100_000 if os.environ.get("GUARDRAILS_SOAK") == "1" else 10_000
CHUNK = 500
WORKERS = max(1, len(os.sched_getaffinity(0)) // int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")))


@pytest.mark.soak
@pytest.mark.parametrize("kind", mutations.PERCENT)
def test_only_policy_errors_come_out(kind, tmp_path):
    """Nothing else, and none takes a second of the processor: the clock on the wall would measure what else the machine does."""
    firsts = range(0, TOTAL * mutations.PERCENT[kind] // 100, CHUNK)
    with ProcessPoolExecutor(WORKERS, mp_context=multiprocessing.get_context("spawn")) as pool:
        runs = [pool.submit(mutations.run, kind, first, CHUNK, tmp_path / str(first)) for first in firsts]
        tallies = [run.result() for run in runs]
    valid, invalid = sum(tally.valid for tally in tallies), sum(tally.invalid for tally in tallies)
    slowest_s, number = max((tally.slowest_s, tally.slowest) for tally in tallies)
    print(f"{kind}: {valid} valid, {invalid} refused; the slowest took {slowest_s:.3f} s (number {number})")
    assert valid + invalid == TOTAL * mutations.PERCENT[kind] // 100
    assert valid > 0
    assert invalid > 0


def test_unbroken_they_are_all_the_same_policy(tmp_path):
    paths = list(mutations.unbroken(tmp_path))
    assert [mutations.outcome(path) for path in paths] == [None] * 10
    assert len({load(path).digest for path in paths}) == 1


@pytest.mark.parametrize("kind", mutations.PERCENT)
def test_a_broken_policy_can_be_made_again(kind, tmp_path):
    one, two, three = (tmp_path / name for name in ("one", "two", "three"))
    for folder, number in ((one, 7), (two, 7), (three, 8)):
        folder.mkdir()
        mutations.write(kind, number, folder)
    first, again, other = ({file.name: file.read_bytes() for file in folder.iterdir()} for folder in (one, two, three))
    assert first == again != other


def test_what_is_not_a_policy_error_is_named_and_kept(tmp_path, monkeypatch):
    def fail(path):
        raise KeyError(path.name)

    monkeypatch.setattr(mutations, "load", fail)
    with pytest.raises(AssertionError, match=r"KeyError by structure 40 of seed 20260101, kept at .*guardrails\.yaml"):
        mutations.run("structure", 40, 3, tmp_path / "kept")
    assert (tmp_path / "kept" / "guardrails.yaml").read_bytes()


def test_each_line_left_out_is_survived(tmp_path, full_policy):
    lines, file = full_policy.read_text().splitlines(keepends=True), tmp_path / "guardrails.yaml"
    outcomes = []
    for position in range(len(lines)):
        file.write_text("".join(lines[:position] + lines[position + 1 :]))
        outcomes.append(mutations.outcome(file))
    assert None in outcomes
    assert any(outcomes)
    assert () not in outcomes


def test_cut_inside_a_line_it_is_a_mistake(tmp_path, full_policy):
    data, file = full_policy.read_bytes(), tmp_path / "guardrails.yaml"
    for place in (b"profiles: [sm", b"memory: 2Gi", b"apiVer", b"restricted-stays-shut\n    for: every"):
        file.write_bytes(data[: data.index(place) + len(place)])
        assert mutations.outcome(file)
