"""The policy in force follows its files: whole versions only, in whatever way they are written."""

import os
import sys
import threading
import time
from pathlib import Path

import pytest

from jupyter_guardrails.control.policies import PATIENCE_S, SETTLE_S, PolicyHolder
from jupyter_guardrails.errors import PolicyError
from jupyter_guardrails.policy.load import MOST_FILES, fingerprint, load, read_policy

READING = sys.modules["jupyter_guardrails.policy.load"]  # as an attribute of its package it is the function of that name
START = "apiVersion: guardrails/v1\n"
TWO = START + "rules:\n- {name: a, for: everyone, kernels: {max: 7}}\n- {name: b, for: everyone, deny: {data: ['**']}}\n"


def long_ago(file: Path) -> None:
    """The file as if nobody had written it for a while."""
    os.utime(file, (time.time() - 60,) * 2)


@pytest.fixture
def file(tmp_path):
    made = tmp_path / "guardrails.yaml"
    made.write_text(TWO)
    long_ago(made)
    return made


@pytest.fixture
def holder(file):
    made = PolicyHolder(file)
    made.refresh()
    assert made.effective("ana").max_kernels.value == 7
    return made


def replace_with(file: Path, text: str) -> None:
    fresh = file.with_suffix(".new")
    fresh.write_text(text)
    fresh.replace(file)


def test_a_replaced_file_is_followed(holder, file):
    replace_with(file, TWO.replace("7", "8"))
    assert holder.changed()
    assert holder.refresh()
    assert holder.effective("ana").max_kernels.value == 8
    assert not holder.changed()
    assert not holder.refresh()


def test_mistakes_keep_the_old_policy_and_go_away_with_them(holder, file):
    before = holder.current.digest
    replace_with(file, TWO + "modus: warn\n")
    holder.refresh()
    assert holder.current.digest == before
    assert "unknown key `modus`" in holder.errors[0]
    replace_with(file, TWO)
    holder.refresh()
    assert (holder.current.digest, holder.errors) == (before, [])


def test_a_file_that_vanished_keeps_the_old_policy(holder, file):
    file.unlink()
    holder.refresh()
    assert holder.effective("ana").max_kernels.value == 7
    assert "there is no policy here" in holder.errors[0]


def test_what_is_still_being_written_in_place_is_waited_for(file):
    """Half of this file is a policy too: one without its deny."""
    half, rest = TWO[: TWO.index("- {name: b")], TWO[TWO.index("- {name: b") :]
    waits = []

    def wait(seconds):
        waits.append(seconds)
        if len(waits) == 1:  # the writer goes on while we wait
            with open(file, "a") as stream:
                stream.write(rest)
            written_now()

    def written_now():
        os.utime(file, (time.time() + 60,) * 2)  # and a minute from now as well: this may be held up

    holder = PolicyHolder(file, wait=wait)
    file.write_text(half)
    written_now()
    holder.refresh()
    assert len(holder.current.rules) == 2
    assert len(waits) >= 2
    assert all(0 < seconds <= SETTLE_S for seconds in waits)


def test_a_file_of_long_ago_is_taken_at_once(file):
    holder = PolicyHolder(file, wait=lambda seconds: pytest.fail("waited"))
    holder.refresh()
    assert holder.current is not None


def test_a_file_from_the_future_is_taken_too(file):
    os.utime(file, (time.time() + 9999,) * 2)
    waits = []
    holder = PolicyHolder(file, wait=waits.append)
    holder.refresh()
    assert holder.current is not None
    assert waits == [SETTLE_S]


def test_who_never_stops_writing_is_not_waited_for_for_ever(file):
    def wait(seconds):
        with open(file, "a") as stream:
            stream.write("#\n")

    holder = PolicyHolder(file, wait=wait)
    os.utime(file)
    holder.refresh()
    assert holder.current is not None
    assert file.read_text().count("#") <= PATIENCE_S / SETTLE_S


def test_threads_that_refresh_at_once_read_once(holder, file, monkeypatch):
    reads = []
    monkeypatch.setattr("jupyter_guardrails.control.policies.read_policy", lambda path: reads.append(path) or read_policy(path))
    replace_with(file, TWO.replace("7", "9"))
    threads = [threading.Thread(target=holder.refresh) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(reads) == 1
    assert holder.effective("ana").max_kernels.value == 9


def test_without_any_policy_everything_is_refused(tmp_path):
    holder = PolicyHolder(tmp_path / "nowhere.yaml")
    with pytest.raises(PolicyError, match="there is no policy here"):
        holder.effective("ana")
    holder.refresh()
    with pytest.raises(PolicyError) as caught:
        holder.effective("ana")
    assert "jupyter guardrails init" in caught.value.next_step


def test_groups_from_elsewhere_add_to_those_of_the_file(tmp_path):
    file = tmp_path / "guardrails.yaml"
    file.write_text(START + "groups: {a: [ana]}\nrules:\n- {name: r, for: {groups: [b]}, kernels: {max: 2}}\n")
    holder = PolicyHolder(file)
    holder.refresh()
    assert holder.effective("ana").groups == ("a",)
    assert holder.effective("ana", ("b", "a")).groups == ("a", "b")
    assert (holder.effective("ana").max_kernels.value, holder.effective("ana", ("b",)).max_kernels.value) == (5, 2)


def test_a_folder_is_watched_too(tmp_path):
    folder = tmp_path / "policy.d"
    folder.mkdir()
    (folder / "10-base.yaml").write_text("apiVersion: guardrails/v1\nmode: warn\n")
    holder = PolicyHolder(folder)
    holder.refresh()
    assert not holder.changed()
    assert holder.current.mode == "warn"
    (folder / "20-more.yaml").write_text("apiVersion: guardrails/v1\nrules: [{name: a, for: everyone, kernels: {max: 1}}]\n")
    assert holder.changed()
    holder.refresh()
    assert holder.effective("ana").max_kernels.value == 1
    (folder / "30-wrong.yml").write_text(START)
    assert holder.changed()
    holder.refresh()
    assert "would not be read" in holder.errors[0]
    assert holder.effective("ana").max_kernels.value == 1


def test_a_swapped_link_is_followed_as_kubernetes_swaps_it(tmp_path):
    """A mounted ConfigMap: `guardrails.yaml` -> `..data/guardrails.yaml`, and `..data` is replaced."""
    for number in (1, 2):
        (tmp_path / f"..{number}").mkdir()
        (tmp_path / f"..{number}" / "guardrails.yaml").write_text(TWO.replace("7", str(number)))
        long_ago(tmp_path / f"..{number}" / "guardrails.yaml")
    (tmp_path / "..data").symlink_to("..1")
    (tmp_path / "guardrails.yaml").symlink_to("..data/guardrails.yaml")
    for path in (tmp_path, tmp_path / "guardrails.yaml"):
        holder = PolicyHolder(path)
        holder.refresh()
        assert holder.effective("ana").max_kernels.value == 1
        (tmp_path / "..fresh").symlink_to("..2")
        (tmp_path / "..fresh").replace(tmp_path / "..data")
        holder.refresh()
        assert holder.effective("ana").max_kernels.value == 2
        (tmp_path / "..fresh").symlink_to("..1")
        (tmp_path / "..fresh").replace(tmp_path / "..data")


def test_a_directory_that_changes_while_it_is_read_is_read_again(tmp_path, monkeypatch):
    """Two files belong together; the second version of both arrives between reading one and the other."""
    versions = {n: {name: f"{START}rules: [{{name: {name}, for: everyone, kernels: {{max: {n}}}}}]\n" for name in ("a", "b")} for n in (1, 2)}

    def write(number):
        for name, text in versions[number].items():
            replace_with(tmp_path / f"{name}.yaml", text)

    write(1)
    real, reads = READING._read, []

    def read(file):
        content = real(file)
        reads.append(file.name)
        if len(reads) == 1:
            write(2)
        return content

    monkeypatch.setattr(READING, "_read", read)
    found = load(tmp_path)
    assert [rule.rule.kernels.max for rule in found.rules] == [2, 2]
    assert reads == ["a.yaml", "b.yaml", "a.yaml", "b.yaml"]


def test_a_directory_that_never_rests_is_a_mistake_with_a_next_step(tmp_path, monkeypatch):
    (tmp_path / "a.yaml").write_text(START)
    real = READING._read

    def read(file):
        content = real(file)
        with open(file, "a") as stream:
            stream.write("#\n")
        return content

    monkeypatch.setattr(READING, "_read", read)
    with pytest.raises(PolicyError, match="changes again and again while it is read") as caught:
        load(tmp_path)
    assert "`mv`" in caught.value.problems[0].hint


def test_a_directory_of_very_many_files_is_refused(tmp_path):
    for number in range(MOST_FILES + 1):
        (tmp_path / f"{number}.yaml").touch()
    with pytest.raises(PolicyError, match=f"{MOST_FILES} at most"):
        load(tmp_path)


def test_the_fingerprint_of_what_is_not_there_is_no_error(tmp_path):
    assert fingerprint(tmp_path / "no" / "file")[0].error
