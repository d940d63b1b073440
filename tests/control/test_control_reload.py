"""A running control whose policy is replaced again and again under load, every tenth time by a broken file."""

import os
import threading
from dataclasses import replace

import pytest

from jupyter_guardrails.control.interface.messages import Audit, KernelAdmit, Kernels, KernelSettle, Me
from jupyter_guardrails.control.people import MISTAKES
from jupyter_guardrails.policy import load

ROUNDS = 200 if os.environ.get("GUARDRAILS_SOAK") == "1" else 20
POLICY = """apiVersion: guardrails/v1
admins: {{users: [carol]}}
profiles:
  small: {{memory: {n}MiB, cpus: 1}}
rules:
  - name: version-{n}
    for: everyone
    kernels: {{profiles: [small], max: {n}}}
    network: {{allow: ["h{n}.example.com:443"]}}
    workspace: {{size: {n}GiB}}
    budget: {{cpu_hours: {n}}}
"""
BROKEN = (
    lambda text: text[: text.index("rules:") + 30],  # ends in the middle
    lambda text: text.replace("kernels:", "kernals:"),
    lambda text: text.replace("MiB", ""),
    lambda text: "",
    lambda text: text.encode("utf-16"),
)


def numbers_in(me):
    """Every number of the version that an answer holds; more than one is a mix of versions."""
    values = {limit["key"]: limit["value"] for limit in me["limits"]}
    found = [values["kernels.max"], values["network"].removeprefix("h").partition(".")[0], values["workspace.size"].partition(" ")[0]]
    found += [values["budget"].partition(" ")[0], *(limit["rule"].rpartition("-")[2] for limit in me["limits"] if "version-" in limit["rule"])]
    return {int(number) for number in found} | {profile["memory_bytes"] >> 20 for profile in me["profiles"]}


class Load:
    """Threads that ask control without a pause and keep what was wrong with an answer."""

    def __init__(self, client, digests):
        self.client, self.digests = client, digests
        self.wrong, self.answers, self.stop = [], 0, threading.Event()
        self._threads = [threading.Thread(target=self._work, args=(ask,)) for ask in (self._me, self._me, self._start)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        for thread in self._threads:
            thread.join()

    def _work(self, ask):
        while not self.stop.is_set():
            try:
                ask()
            except Exception as error:  # noqa: BLE001 - broad: the main thread shows whatever it was
                self.wrong.append(repr(error))
                return
            self.answers += 1

    def _me(self):
        answer = self.client.call(Me())
        numbers, digest = numbers_in(answer), answer["policy"]["digest"]
        if len(numbers) != 1 or self.digests.get(digest) not in numbers:
            self.wrong.append((numbers, digest, self.digests.get(digest)))

    def _start(self):
        key = f"k{self.answers}"
        found = self.client.call(KernelAdmit(kernel_id=key, kernelspec="python3", workspace="/w", key=key))
        numbers = {found["memory_bytes"] >> 20, self.digests[found["policy_digest"]]}
        numbers |= {int(place.removeprefix("h").partition(".")[0]) for place in found["network_allow"]}
        self.client.call(KernelSettle(lease=found["lease"], reason="shut down"))
        if len(numbers) != 1:
            self.wrong.append(numbers)


def put(file, content):
    """The new content beside it, then `mv`."""
    fresh = file.with_suffix(".new")
    fresh.write_bytes(content if isinstance(content, bytes) else content.encode())
    fresh.replace(file)


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_no_policy_is_ever_half_applied(world, tmp_path):
    texts = {number: POLICY.format(n=number) for number in range(1, ROUNDS + 2)}
    digests = {}
    for number, text in texts.items():
        (tmp_path / "one.yaml").write_text(text)
        digests[load(tmp_path / "one.yaml").digest] = number
    put(world.policy, texts[1])
    client = world.start(person="carol").client
    current, broken = 1, 0
    with Load(client, digests) as work:
        for number in range(2, ROUNDS + 2):
            if number % 10 == 0:
                broken += 1
                put(world.policy, BROKEN[broken % len(BROKEN)](texts[number]))
                answer = client.call(Me())
                assert answer["policy"]["errors"]
                assert all("guardrails.yaml" in error for error in answer["policy"]["errors"])
            else:
                put(world.policy, texts[number])
                current, answer = number, client.call(Me())
                assert answer["policy"]["errors"] == []
            assert digests[answer["policy"]["digest"]] == current
    assert work.wrong == []
    assert work.answers > ROUNDS
    assert broken == ROUNDS // 10
    check_records(client, world, digests, broken)


def check_records(client, world, digests, broken):
    """Each reload is in the audit record, and each start names the version that it was decided under."""
    records = world.audit_lines()
    reloads = [record for record in records if record["action"] == "policy.reload"]
    assert len([record for record in reloads if not record["allowed"]]) == broken
    assert len([record for record in reloads if record["allowed"]]) == ROUNDS - broken
    starts = [record for record in records if record["action"] == "kernel.start"]
    assert all(record["rule"].endswith(f"version-{digests[record['policy_digest']]}") for record in starts)
    assert client.call(Kernels())["kernels"] == []
    assert client.call(Audit(after=0, limit=1))["records"]


def test_mistakes_are_shown_whole_to_admins_and_said_to_everybody(desk):
    put(desk.world.policy, POLICY.format(n=3))
    desk.ask(Me())
    put(desk.world.policy, POLICY.format(n=4) + "mode: [hunter2]\n")
    desk.service.state = desk.state = replace(desk.state, settings=replace(desk.state.settings, self_chosen=False))
    seen = desk.ask(Me())
    assert (seen["policy"]["errors"], numbers_in(seen)) == ([MISTAKES], {3})
    desk.service.state = desk.state = replace(desk.state, principal="carol")
    assert "hunter2" in desk.ask(Me())["policy"]["errors"][0]


def test_a_mistake_is_recorded_without_anybody_asking(world):
    world.start(person="carol")
    put(world.policy, "apiVersion: guardrails/v1\nmodus: 1\n")
    record = next(found for _ in range(600) if (found := reload_record(world)))
    assert (record["allowed"], record["principal"]) == (False, "(policy file)")
    assert record["reason"].startswith("1 mistake, the last valid policy stays")
    assert "unknown key `modus`" in record["reason"]


def reload_record(world):
    """The first record of a reload, or None after a moment."""
    journal = world.settings.state_dir / "audit.jsonl"
    records = world.audit_lines() if journal.exists() else []
    found = next((record for record in records if record["action"] == "policy.reload"), None)
    return found or threading.Event().wait(0.05) or None
