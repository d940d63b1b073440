"""Whose packages count: `job trust` over a real control, and `job verify` after it. A package of a forged key is refused."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from promotion_world import World

from jupyter_guardrails.control.interface import start_own_control
from jupyter_guardrails.control.interface.messages import Audit
from jupyter_guardrails.package import archive, canonical, manifest, signatures
from jupyter_guardrails.package.job import Job
from jupyter_guardrails.promotion import builder

JOB = {
    "name": "sales",
    "entry": "sales.ipynb",
    "owner": "zoe",
    "python": {"version": "3.11", "implementation": "cpython", "system": "linux", "machine": "x86_64"},
    "parameters": {"json_schema": {"type": "object", "properties": {}}},
    "resources": {"memory_bytes": 1 << 30, "cpus": 1.0, "tasks": 64, "wall_s": 60},
    "policy_digest": "0" * 64,
}
LOCKS = {"env/pylock.kernel.toml": "packages = []\n", "env/pylock.runner.toml": "packages = []\n"}


@pytest.fixture(scope="module")
def shell(tmp_path_factory):
    """`jupyter guardrails …` beside a control of one's own."""
    root = tmp_path_factory.mktemp("t")
    world = World(root)
    own = start_own_control(world.settings)
    world.client = own.client
    environ = {"PATH": "/usr/bin:/bin", "HOME": str(root), "GUARDRAILS_CONTROL": str(world.settings.control_socket)}
    environ |= {"GUARDRAILS_POLICY": str(world.settings.policy_path), "GUARDRAILS_CATALOG": str(world.settings.catalog_path)}
    environ |= {"GUARDRAILS_STATE_DIR": str(world.settings.state_dir)}

    def go(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, "-m", "jupyter_guardrails", *words], capture_output=True, text=True, env=environ, cwd=root)

    yield world, go
    own.stop()


def signed_by(keys: Path, target: Path) -> Path:
    """A package that the control with these keys might have made."""
    folder = target.with_suffix(".d")
    files = LOCKS | {"src/sales.ipynb": "{}", "evidence/checks.json": "{}", "job.json": Job.model_validate(JOB).to_text()}
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    builder.copy_program(folder)
    digests = manifest.write_manifest(folder)
    (folder / "attestations").mkdir()
    said = {"buildDefinition": {"externalParameters": {"version": 1}}}
    text = signatures.sign(signatures.open_signer(keys), digests, signatures.PROVENANCE, said)
    (folder / "attestations" / "provenance.dsse.json").write_text(text)
    archive.pack(folder, target)
    return target


def test_somebody_elses_package_is_trusted_from_add_to_remove(shell, tmp_path):
    world, go = shell
    package = signed_by(tmp_path / "theirs", tmp_path / "sales-1.job.zip")
    file = str(next((tmp_path / "theirs").glob("*.public.json")))
    before = go("job", "verify", str(package))
    assert (before.returncode, "NOT trusted" in before.stdout) == (1, True)
    added = go("job", "trust", "add", file, "--name", "flights team")
    assert added.returncode == 0, added.stderr
    keyid = json.loads(Path(file).read_text())["keyid"]
    assert f"trusted from now on: {keyid} (flights team)" in added.stdout
    listed = go("job", "trust", "list").stdout
    assert (keyid in listed, "flights team" in listed, "this control" in listed) == (True, True, True)
    found = go("job", "verify", str(package), "--json")
    assert (found.returncode, json.loads(found.stdout)["signed_by"]) == (0, [keyid])
    assert go("job", "trust", "remove", keyid[:12], "--reason", "they left").returncode == 0
    assert go("job", "verify", str(package)).returncode == 1
    told = world.client.call(Audit())["records"]
    records = [(one["action"], one["resource"], one["reason"]) for one in told if one["action"].startswith("trust.")]
    assert sorted(records) == [("trust.add", keyid, "flights team"), ("trust.remove", keyid, "they left")]


def test_a_forged_key_is_refused(shell, tmp_path):
    """The id of a trusted key over another key; and a package that brings its own key along."""
    _, go = shell
    mine = json.loads(go("job", "trust", "export").stdout)
    signed_by(tmp_path / "forger", tmp_path / "p.job.zip")
    forged = json.loads(next((tmp_path / "forger").glob("*.public.json")).read_text()) | {"keyid": mine["keyid"]}
    (tmp_path / "forged.public.json").write_text(json.dumps(forged))
    refused = go("job", "trust", "add", str(tmp_path / "forged.public.json"), "--name", "x")
    assert (refused.returncode, "calls itself" in refused.stderr) == (1, True)
    envelope = tmp_path / "p.job.d" / "attestations" / "provenance.dsse.json"
    body = canonical.loads(envelope.read_text())
    body["signatures"][0]["keyid"] = mine["keyid"]
    envelope.write_text(canonical.dumps(body))
    (tmp_path / "p.job.d" / "keys").mkdir()
    (tmp_path / "p.job.d" / "keys" / f"{forged['keyid']}.public.json").write_text(json.dumps(forged))
    manifest.write_manifest(tmp_path / "p.job.d")
    archive.pack(tmp_path / "p.job.d", tmp_path / "q.job.zip")
    assert go("job", "verify", str(tmp_path / "q.job.zip")).returncode == 1


def test_ones_own_export_is_what_another_trusts(shell, tmp_path):
    world, go = shell
    package = signed_by(world.state_dir / "keys", tmp_path / "own-1.job.zip")
    assert go("job", "trust", "export", "--to", str(tmp_path / "control.public.json")).returncode == 0
    assert go("job", "verify", str(package), "--trust", str(tmp_path / "control.public.json")).returncode == 0
    signatures.open_signer(tmp_path / "other")
    assert go("job", "verify", str(package), "--trust", str(tmp_path / "other")).returncode == 1


def test_controls_own_key_is_not_removed_and_a_private_key_is_not_added(shell):
    world, go = shell
    keyid = json.loads(go("job", "trust", "export").stdout)["keyid"]
    kept = go("job", "trust", "remove", keyid, "--reason", "because")
    assert (kept.returncode, "control's own key" in kept.stderr) == (1, True)
    private = go("job", "trust", "add", str(world.state_dir / "keys" / "signing.pem"), "--name", "x")
    assert (private.returncode, "not signing.pem" in private.stderr) == (1, True)
    assert os.path.exists(world.state_dir / "keys" / f"{keyid}.public.json")
