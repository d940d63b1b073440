"""A trust store holds public keys by their own ids, and nothing that calls itself another's."""

import json

import pytest

from jupyter_guardrails.errors import NotFound, PackageError
from jupyter_guardrails.package import manifest, signatures, trust
from jupyter_guardrails.package.verify import verify_folder

BUILT = {"buildDefinition": {"externalParameters": {"version": 1}}}


@pytest.fixture
def theirs(tmp_path):
    """Another control's signer, and the text of its public file."""
    signer = signatures.open_signer(tmp_path / "theirs")
    return signer, next((tmp_path / "theirs").glob("*.public.json")).read_text()


def test_a_package_of_somebody_else_is_trusted_while_their_key_is_in_the_store(tmp_path, folder, theirs):
    signer, text = theirs
    digests, _ = manifest.check(folder)
    (folder / "attestations").mkdir()
    (folder / "attestations" / "provenance.dsse.json").write_text(signatures.sign(signer, digests, signatures.PROVENANCE, BUILT))
    own = tmp_path / "keys"
    signatures.open_signer(own)
    store = tmp_path / "trust"
    assert not verify_folder(folder, trust.keys(own, store)).trusted
    key = trust.add(store, trust.parse_key(text, name="flights team"))
    assert verify_folder(folder, trust.keys(own, store)).trusted
    assert [(one.keyid, one.name) for one in trust.listed(store)] == [(signer.public_key.keyid, "flights team")]
    assert trust.remove(store, key.keyid) == key
    assert not verify_folder(folder, trust.keys(own, store)).trusted
    with pytest.raises(NotFound):
        trust.remove(store, key.keyid)


def test_a_key_that_calls_itself_anothers_is_refused(tmp_path, theirs):
    """Else its signatures would be shown as those of the key whose id it took."""
    signer, text = theirs
    forged = json.loads(text) | {"keyid": signatures.open_signer(tmp_path / "other").public_key.keyid}
    with pytest.raises(PackageError, match="calls itself"):
        trust.parse_key(json.dumps(forged))
    assert trust.parse_key(text).keyid == signer.public_key.keyid


@pytest.mark.parametrize(
    "change",
    [
        {"keytype": "rsa"},
        {"keyval": {"public": "zz"}},
        {"keyval": {"public": "ab"}},
        {"keyval": None},
        {"keyid": "../../x"},
        {"keyval": {"public": 7}},
    ],
)
def test_what_is_no_key_is_refused(theirs, change):
    with pytest.raises(PackageError):
        trust.parse_key(json.dumps(json.loads(theirs[1]) | change))


@pytest.mark.parametrize("text", ["", "[]", "{}", "x" * 20_000, '{"keyid": "a", "keyid": "b"}', "-----BEGIN PRIVATE KEY-----"])
def test_what_is_no_file_of_a_key_is_refused(text):
    with pytest.raises(PackageError, match="public key"):
        trust.parse_key(text)
