"""Where control is a service its trust store is its admins'; everybody may see whose word counts."""

import pytest
from decision_world import POLICY, DecisionWorld

from jupyter_guardrails.control import trusting
from jupyter_guardrails.control.interface.trust import TrustAdd, TrustList, TrustRemove
from jupyter_guardrails.errors import NotFound, PackageError, Refused
from jupyter_guardrails.package import signatures


@pytest.fixture
def world(tmp_path):
    world = DecisionWorld(tmp_path, POLICY)
    yield world
    world.close()


def test_only_an_admin_says_whose_signature_counts(world, tmp_path):
    keyid = signatures.open_signer(tmp_path / "theirs").public_key.keyid
    text = (tmp_path / "theirs" / f"{keyid}.public.json").read_text()
    assert world.state("ana").service
    with pytest.raises(Refused, match="ana is not an admin"):
        world.ask("ana", TrustAdd(key=text, name="mine"))
    assert [key.keyid for key in trusting.trusted(world.state("ana"))] == []
    assert world.ask("carol", TrustAdd(key=text, name="flights team"))["keyid"] == keyid
    assert [(key["name"], key["own"]) for key in world.ask("ana", TrustList())["keys"]] == [("this control", True), ("flights team", False)]
    assert keyid in [key.keyid for key in trusting.trusted(world.state("ana"))]
    with pytest.raises(Refused, match="ana is not an admin"):
        world.ask("ana", TrustRemove(keyid=keyid, reason="because"))
    world.ask("carol", TrustRemove(keyid=keyid, reason="they left"))
    assert keyid not in [key.keyid for key in trusting.trusted(world.state("ana"))]
    told = [(record["action"], record["principal"], record["allowed"]) for kind in ("add", "remove") for record in world.audited(f"trust.{kind}")]
    refused, done = [("trust.add", "ana", False), ("trust.remove", "ana", False)], [("trust.add", "carol", True), ("trust.remove", "carol", True)]
    assert sorted(told) == sorted([*refused, *done])


def test_what_is_no_key_or_is_not_there(world):
    with pytest.raises(PackageError, match="no public key"):
        world.ask("carol", TrustAdd(key="{}", name="x"))
    with pytest.raises(NotFound):
        world.ask("carol", TrustRemove(keyid="0" * 64, reason="because"))
