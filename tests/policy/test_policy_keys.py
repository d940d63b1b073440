"""Which keys the model knows where, and what is said about a key that isn't one."""

import pytest

from jupyter_guardrails.policy.document import Document
from jupyter_guardrails.policy.keys import key_hint, keys_of, nearest, required_hint, walk
from jupyter_guardrails.policy.rule import Rule
from jupyter_guardrails.policy.table import Table


@pytest.mark.parametrize(
    ("loc", "name", "path"),
    [
        ((), "Document", ()),
        (("rules", 0), "Rule", ("rules", "[]")),
        (("rules", 3, "deny", "data", 1), "DataEntry", ("rules", "[]", "deny", "data", "[]")),
        (("profiles", "small"), "ProfileSpec", ("profiles", "{}")),
        (("profiles", "memory"), "ProfileSpec", ("profiles", "{}")),  # a profile that is called like a key
        (("rules", 0, "for", "not"), "People", ("rules", "[]", "for", "not")),
        (("rules", 0, "data", "auto_grant"), "AutoGrant", ("rules", "[]", "data", "auto_grant")),
    ],
)
def test_the_model_of_a_place_is_found(loc, name, path):
    model, found = walk(Document, loc)
    assert (model.__name__, found) == (name, path)


def test_where_no_model_is_there_are_no_keys():
    model, _ = walk(Document, ("groups", "analysts"))
    assert model is None
    assert keys_of(model) == []
    assert nearest("x", keys_of(model)) == ""


def test_a_name_is_found_whatever_its_case():
    assert nearest("KERNELS", keys_of(Rule)) == "did you mean `kernels`?"
    assert nearest("apiversion", keys_of(Document)) == "did you mean `apiVersion`?"
    assert nearest("zzz", ["one", "two"]) == "known: one, two"


def test_of_many_names_only_some_are_listed():
    known = [f"profile-{number}" for number in range(5000)]
    hint = nearest("zzz", known)
    assert hint.startswith("known: profile-0, profile-1,")
    assert hint.endswith("profile-19 and 4,980 more")
    assert nearest("profil-7", known) == "did you mean `profile-7`?"


def test_a_similar_name_here_goes_before_the_same_name_far_away():
    assert key_hint("size", "scalar", Document, ("profiles", "small")) == "did you mean `file_size`?"
    assert key_hint("size", "scalar", Document, ("rules", 0)) == "`size` belongs under `workspace`"


def test_where_a_key_belongs_depends_on_what_it_holds():
    assert key_hint("profiles", "sequence", Document, ("rules", 0)) == "`profiles` belongs under `kernels`"
    assert key_hint("profiles", "mapping", Document, ("rules", 0)) == "`profiles` belongs at the top of the file, beside `rules`"


def test_other_files_have_their_own_places():
    assert key_hint("who", "scalar", Table, ()) == "`who` belongs under `tests`, as in tests: [{who: …}]"
    assert key_hint("kernels", "mapping", Table, ()).startswith("known: policy, ")


@pytest.mark.parametrize("loc", [(), ("rules", 0), ("rules", 0, "deny"), ("profiles", "a"), ("promotion",), ("rules", 0, "network", "allow", 0)])
def test_a_known_key_of_any_place_gets_a_hint_at_any_other(loc):
    here, _ = walk(Document, loc)
    others = {key for place in ((), ("rules", 0), ("profiles", "a"), ("audit",), ("notify",)) for key in keys_of(walk(Document, place)[0])}
    hints = [(key, key_hint(key, kind, Document, loc)) for key in others - set(keys_of(here)) for kind in ("scalar", "sequence", "mapping")]
    assert hints
    assert all(f"`{key}` belongs" in hint or hint.startswith("did you mean") for key, hint in hints)


def test_a_missing_key_is_explained():
    assert required_hint("apiVersion", Document) == "write `apiVersion: guardrails/v1`"
    assert required_hint("name", Rule).startswith("write `name: …`: The rule's name")
    assert required_hint("no such key", Rule) == ""
