"""What a reviewer sees of a submission: gathered as the command does it, from control's answers and real packages."""

import re

import pytest
from decision_world import POLICY, DecisionWorld
from nbformat.v4 import new_output

from jupyter_guardrails.cli import review_text
from jupyter_guardrails.control.interface.decisions import SubmissionEvidence
from jupyter_guardrails.control.interface.jobs import DeclaredInput
from jupyter_guardrails.control.interface.lifecycle import SubmissionRetire
from jupyter_guardrails.errors import NotFound, PackageError
from jupyter_guardrails.review import evidence as review_evidence
from jupyter_guardrails.review import page as review_page

ONE = POLICY.replace("approvals: 2}", "approvals: 1, sign_off: [{classification: confidential}]}")
EVIL = "<script>alert(1)</script>"


class As:
    """Control's client for one person, without a socket between."""

    def __init__(self, world, person):
        self.world, self.person = world, person

    def call(self, request):
        return self.world.ask(self.person, request)

    def call_with_fds(self, request):
        answer = self.world.ask(self.person, request)
        return answer.result, list(answer.fds)


@pytest.fixture
def world(tmp_path):
    world = DecisionWorld(tmp_path, ONE)
    world.dataset("nyc/flights")
    world.dataset("nyc/secrets", "confidential")
    yield world
    world.close()


def evidence(world, id, who="rita"):
    return review_evidence.gather(As(world, who), id)


def approve(world, id):
    world.ask("rita", world.decision(id=id))


def test_the_first_version_has_nothing_to_be_compared_with(world):
    world.submission()
    found = evidence(world, "s1")
    assert (found.changes, found.said["before"]) == (None, None)
    text = "\n".join(review_text.lines(found))
    assert "no version was approved before this one" in text
    assert world.row()["content_digest"] in text


def test_changes_are_those_since_the_version_that_was_approved_last(world):
    world.submission(code="x = 1", packages=("pandas",), data=("nyc/flights",))
    approve(world, "s1")
    world.submission("s2", code="x = 2")  # in review, then replaced: nobody approved it
    world.submission("s3", code="x = 3", packages=("pandas", "scipy"), texts={"src/helper.py": "y = 1\n"})
    found = evidence(world, "s3")
    assert found.said["before"] == {"id": "s1", "version": 1, "state": "approved"}
    changed = {change.what: change.lines for change in found.changes}
    assert changed["cell 1 (code)"][1:] == ("-x = 1", "+x = 3")
    assert changed["environment"] == ("+scipy 1.0",)
    assert changed["helper.py is new"][1:] == ("+y = 1",)
    assert any("nyc/flights" in line for line in changed["inputs"])


def test_what_was_retired_is_no_longer_what_one_compares_with(world):
    world.submission()
    approve(world, "s1")
    world.ask("rita", SubmissionRetire(id="s1", reason="it was wrong"))
    world.submission("s2")
    assert evidence(world, "s2").said["before"] is None


def test_the_same_content_says_that_nothing_changed(world):
    world.submission(code="x = 1")
    approve(world, "s1")
    world.submission("s2", code="x = 1")
    assert evidence(world, "s2").changes == []
    assert "what runs is the same, byte for byte" in "\n".join(review_text.lines(evidence(world, "s2")))


def test_data_has_its_label_its_masks_and_whose_word_is_wanted(world):
    masked = DeclaredInput(name="nyc/flights", version="1.2.0", masks={"origin": "hash"}, rows="a" * 32)
    world.submission(data=(masked, "nyc/secrets"))
    text = "\n".join(review_text.lines(evidence(world, "s1")))
    assert "nyc/flights (internal): version 1.2.0; masked: origin hash; only some rows" in text
    assert "nyc/secrets (confidential): version 1.2.0; dana must approve it" in text
    assert "missing: dana must approve it, for nyc/secrets" not in text.partition("Decisions")[0]


@pytest.mark.parametrize("who", ["ben", "stella", "carol"])
def test_it_is_for_reviewers_and_the_author(world, who):
    world.submission()
    with pytest.raises(NotFound):
        world.ask(who, SubmissionEvidence(id="s1"))
    assert world.ask("ana", SubmissionEvidence(id="s1"))["before"] is None


def test_a_package_that_is_not_what_is_in_review_is_not_shown(world):
    row = world.submission()
    other = world.submission("s2", person="ben", code="import os")
    with open(other["package_path"], "rb") as source, open(row["package_path"], "wb") as sink:
        sink.write(source.read())
    with pytest.raises(PackageError):
        evidence(world, "s1")


def page_of(world, *outputs, code="x = 1"):
    world.submission(code=code, outputs=outputs)
    return review_page.page(evidence(world, "s1"))


def test_the_page_holds_no_script_and_nothing_from_elsewhere(world):
    html = new_output("display_data", {"text/html": EVIL, "text/plain": "a table"})
    svg = new_output("display_data", {"image/svg+xml": f"<svg>{EVIL}</svg>", "text/plain": "a drawing"})
    stream = new_output("stream", name="stdout", text=EVIL + "\x1b[31m")
    error = new_output("error", ename=EVIL, evalue=EVIL, traceback=[EVIL])
    page = page_of(world, html, svg, stream, error, code=f"print('{EVIL}')")
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page, "what an author wrote is there, as text"
    assert "a table" in page
    assert "text/html is not shown here" in page
    assert not re.search(r"(?:src|href|action)=.?(?:https?:)?//", page)
    assert "default-src 'none'; style-src 'unsafe-inline'; img-src data:" in page


def test_pictures_are_shown_and_what_is_none_is_not(world):
    png = "iVBORw0KGgo="
    good = new_output("display_data", {"image/png": png, "text/plain": "a plot"})
    bad = new_output("display_data", {"image/png": '"><script>alert(1)</script>', "text/plain": "no plot"})
    page = page_of(world, good, bad)
    assert f'src="data:image/png;base64,{png}"' in page
    assert page.count("<img") == 1
    assert "no plot" in page


def test_the_terminal_is_not_steered_by_what_an_author_wrote(world):
    world.submission(code="x = 1")
    approve(world, "s1")
    world.submission("s2", code="x = 2  # \x1b]0;owned\x07")
    assert not [line for line in review_text.lines(evidence(world, "s2")) if "\x1b" in line or "\x07" in line]
