"""Who vouches: only a key of the trust store, only for these bytes."""

import stat

import pytest

from jupyter_guardrails.errors import PackageError
from jupyter_guardrails.package import archive, canonical, manifest, signatures
from jupyter_guardrails.package.verify import verify_archive, verify_folder

BUILT = {"buildDefinition": {"externalParameters": {"version": 3}}}


@pytest.fixture
def signer(tmp_path):
    return signatures.open_signer(tmp_path / "keys")


@pytest.fixture
def signed(folder, signer):
    digests, _ = manifest.check(folder)
    (folder / "attestations").mkdir()
    (folder / "attestations" / "provenance.dsse.json").write_text(signatures.sign(signer, digests, signatures.PROVENANCE, BUILT))
    return folder


def test_the_key_is_private_and_kept(tmp_path, signer):
    assert stat.S_IMODE((tmp_path / "keys" / "signing.pem").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "keys").stat().st_mode) == 0o700
    assert signatures.open_signer(tmp_path / "keys").public_key.keyid == signer.public_key.keyid


def test_a_signed_package_is_trusted_by_the_trust_store(tmp_path, signed, signer):
    archive.pack(signed, tmp_path / "p.zip")
    found = verify_archive(tmp_path / "p.zip", signatures.read_trust(tmp_path / "keys"))
    assert found.trusted
    assert found.to_json()["signed_by"] == [signer.public_key.keyid]
    assert found.version == 3
    assert found.problems == ()


def test_another_key_is_not_trusted(tmp_path, signed):
    signatures.open_signer(tmp_path / "other")
    found = verify_folder(signed, signatures.read_trust(tmp_path / "other"))
    assert not found.trusted
    assert found.to_json()["signed_by"] == []


def test_a_package_that_brings_its_own_key_is_not_trusted(tmp_path, signed, signer):
    (signed / "keys.public.json").write_text("{}")
    assert not verify_folder(signed, []).trusted


@pytest.mark.parametrize("name", ["run.py", "src/sales.ipynb", "evidence/checks.json", "job.json", "lib/guarded/__init__.py"])
def test_any_changed_byte_is_found_even_with_a_new_manifest(tmp_path, signed, signer, name, job):
    text = (signed / name).read_text() + "\n"
    (signed / name).write_text(text)
    assert not verify_folder(signed, [signer.public_key]).trusted
    manifest.write_manifest(signed)
    found = verify_folder(signed, [signer.public_key])
    assert not found.trusted
    assert any("another package" in problem for problem in found.problems)


def test_a_forged_signature_is_found(signed, signer):
    file = signed / "attestations" / "provenance.dsse.json"
    body = canonical.loads(file.read_text())
    body["signatures"][0]["sig"] = "00" * 64
    file.write_text(canonical.dumps(body))
    assert not verify_folder(signed, [signer.public_key]).trusted


def test_checks_alone_are_no_provenance(signed, signer):
    digests, _ = manifest.check(signed)
    (signed / "attestations" / "provenance.dsse.json").unlink()
    (signed / "attestations" / "checks.dsse.json").write_text(signatures.sign(signer, digests, signatures.TEST_RESULT, {"result": "PASSED"}))
    assert not verify_folder(signed, [signer.public_key]).trusted


def test_a_trust_store_that_is_none(tmp_path):
    (tmp_path / "x.public.json").write_text("{}")
    with pytest.raises(PackageError, match="no public key"):
        signatures.read_trust(tmp_path)
