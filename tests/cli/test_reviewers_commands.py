"""The commands with which a reviewer sees what came, in docs/reviewers.md, run as they stand there; control is a service of a third account."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import service_machine

WHY_NOT = service_machine.why_not()
pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT or "-")]
GUIDE = (Path(__file__).parents[2] / "docs" / "reviewers.md").read_text()
DIGEST = "3f9a5c0be1d2"  # the guide's example


def commands(section):
    """The command lines of a section's blocks, without their comments."""
    text = GUIDE.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    blocks = re.findall(r"```bash\n(.*?)```", text, re.DOTALL)
    return [shlex.split(line, comments=True) for block in blocks for line in block.splitlines() if line.strip()]


SEE = commands("See what came")
REASON = "its outputs were cleared"


class Office:
    """Ana submits, ben reviews and operates; `say` runs a line of the guide about a submission."""

    def __init__(self, machine):
        self.machine = machine

    def run(self, account, *words, code=0):
        """What a command prints, run in the account's home."""
        home = self.machine.home(account)
        line = shlex.join([sys.executable, "-m", "jupyter_guardrails", *map(str, words)])
        command = self.machine.command(account, "sh", "-c", f"cd {shlex.quote(str(home))} && exec {line}")
        done = subprocess.run(command, env=self.machine.environment(account), cwd="/", capture_output=True, text=True, timeout=240, check=False)
        assert done.returncode == code, (words, done.stdout, done.stderr, self.machine.log())
        return done.stdout

    def say(self, account, words, submission=None, **expected):
        """A line of the guide, with this submission for its ID and its digest."""
        assert words[:2] == ["jupyter", "guardrails"]
        real = {"ID": submission and submission["id"], DIGEST: submission and submission["content_digest"][:12]}
        return self.run(account, *[real.get(word) or word for word in words[2:]], **expected)

    def submit(self, *sources):
        """A new version of ana's, in review."""
        path = self.machine.add_notebook("ana", *sources)
        said = ("--workspace", path.parent, "--reason", REASON, "--json")
        return json.loads(self.run("ana", "submit", path, *said))


@pytest.fixture(scope="module")
def office():
    with service_machine.made() as machine:
        if why_not := machine.add_kernelspec():
            pytest.skip(f"no package index answers here: {why_not}")
        machine.start_service()
        yield Office(machine)


@pytest.fixture(scope="module")
def first(office):
    """A version with its clean run."""
    found = office.submit("x = 1", "print(x)")
    assert found["state"] == "in_review", found
    return found


def test_this_file_runs_every_command_of_its_section():
    assert [words[3] for words in SEE] == ["list", "show", "review", "review", "save"]


def test_a_reviewer_sees_what_came(office, first):
    listed, shown, reviewed, page, saved = SEE
    assert first["id"] in office.say("ben", listed)
    assert "Cells were run once" in office.say("ben", shown, first)
    text = office.say("ben", reviewed, first)
    assert "no version was approved before this one" in text
    assert "cpu-seconds" in text
    assert f"ana on its warnings: {REASON}" in text
    office.say("ben", page, first)
    html = (office.machine.home("ben") / page[-1]).read_text()
    assert "<script" not in html
    assert f"<b>ana on its warnings:</b> {REASON}" in html
    assert "<pre>1\n</pre>" in html, "what the clean run printed"
    assert office.say("ben", saved, first).strip() == "sales-1.job.zip"
    verified = office.run("ben", "job", "verify", "sales-1.job.zip")
    assert verified.startswith("sales version 1: unchanged and signed")
    assert ("(nobody has approved this)" in verified, "self-test" in verified) == (True, False)


@pytest.mark.timeout(480)  # a submission and some twenty commands, on a machine that others use, too
def test_the_life_of_a_job_by_two_accounts_commands(office, first):
    """Sent back, withdrawn, anew approved, and retired: each by whom it is for, and what its author reads of it then."""

    def decide(word, submission, *more, account="ben", code=0):
        return office.run(account, "job", word, submission["id"], "--digest", submission["content_digest"][:12], *more, code=code)

    def shown(submission):
        return office.run("ana", "job", "show", submission["id"])

    decide("approve", first, account="ana", code=1)
    assert "changes are asked for" in decide("send-back", first, "--reason", "name the month")
    assert all(words in shown(first) for words in ("ben: send back: name the month", "submit it again: that is a new version"))
    office.run("ben", "job", "withdraw", first["id"], code=1)
    assert "withdrawn" in office.run("ana", "job", "withdraw", first["id"])
    decide("approve", first, code=1)
    second = office.submit("x = 1", "print(x)")
    assert "2: approved" in decide("approve", second, "--reason", "numbers agree")
    approved = shown(second)
    assert f"an operator deploys it: `jupyter guardrails job deploy {second['id']}`" in approved
    assert ("ben: approve: numbers agree" in approved, "error:" in approved) == (True, False)
    decide("reject", second, "--reason", "too late", code=1)
    office.run("ben", "job", "save", second["id"])
    assert "approved by: ben" in office.run("ben", "job", "verify", "sales-2.job.zip")
    assert "retired" in office.run("ben", "job", "retire", second["id"], "--reason", "replaced by a report")
    assert "NOT trusted" in office.run("ben", "job", "verify", "sales-2.job.zip", code=1)
    assert all(words in shown(second) for words in ("nothing of it runs any more", "said: replaced by a report"))
