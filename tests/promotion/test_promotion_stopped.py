"""What an admin suspended is not built, not trusted and not approved; and a decision on a real package, by the real command."""

import json
import os
import subprocess
import sys

import pytest
from promotion_world import World, check_of

from jupyter_guardrails.control.interface.messages import PackageVerify
from jupyter_guardrails.control.interface.stops import Suspend, SuspensionLift

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def submitted(world: World) -> dict:
    """A real package, of somebody whom the policy makes admin and reviewer of what they submit: for a self-test."""
    policy = world.root / "guardrails.yaml"
    policy.write_text(policy.read_text() + '  reviewers: {users: ["**"]}\nadmins: {users: ["**"]}\n')
    world.notebook("print(6 * 7)", outputs={0: "42\n"})
    found = world.submit()
    assert found["state"] == "in_review", found
    return found


def verified(world, package):
    with package.open("rb") as file:
        return world.client.call(PackageVerify(), fds=[file.fileno()])


def stop(world, kind, name):
    world.client.call(Suspend(kind=kind, name=name, reason="an incident, ticket 12"))


def lift(world, kind, name):
    world.client.call(SuspensionLift(kind=kind, name=name, reason="it was nothing"))


@pytest.mark.parametrize(("kind", "name"), [("package", "IPyKernel"), ("job", "sales"), ("job", "sales-1")])
def test_a_suspended_package_is_not_trusted_to_run(world, submitted, tmp_path, kind, name):
    package = world.package(submitted["id"], tmp_path / "p.zip")
    assert verified(world, package)["trusted"]
    stop(world, kind, name)
    found = verified(world, package)
    assert not found["trusted"]
    assert any("was suspended by" in problem and "ticket 12" in problem for problem in found["problems"])
    lift(world, kind, name)
    assert verified(world, package)["trusted"]


def test_a_suspended_python_package_fails_the_checks_also_where_that_check_is_off(world, submitted):
    policy = world.root / "guardrails.yaml"
    before = policy.read_text()
    policy.write_text(before.replace("checks: {", "checks: {packages: off, "))
    stop(world, "package", "ipykernel")
    world.notebook("print(6 * 7)", outputs={0: "42\n"}, name="again.ipynb")
    found = world.submit("again.ipynb")
    assert found["state"] == "checks_failed"
    assert any("ipykernel was suspended" in finding["message"] for finding in check_of(found, "packages")["findings"])
    lift(world, "package", "ipykernel")
    policy.write_text(before)


def test_a_reviewer_names_the_digest_of_a_real_package(world, submitted):
    def command(*words):
        environ = os.environ | {"GUARDRAILS_POLICY": str(world.root / "guardrails.yaml"), "GUARDRAILS_CATALOG": str(world.catalog)}
        environ |= {"GUARDRAILS_STATE_DIR": str(world.state_dir)}
        arguments = [sys.executable, "-m", "jupyter_guardrails", *words]
        return subprocess.run(arguments, env=environ, capture_output=True, text=True, timeout=60, check=False)

    if not (world.state_dir / "control.sock").exists():  # control of this world listens elsewhere; commands look here
        os.symlink(world.settings.control_socket, world.state_dir / "control.sock")
    wrong = command("job", "approve", submitted["id"], "--digest", "0" * 64)
    assert (wrong.returncode, "in review is" in wrong.stderr) == (1, True), wrong
    short = command("job", "approve", submitted["id"], "--digest", submitted["content_digest"][:8])
    assert short.returncode == 2
    done = command("job", "approve", submitted["id"], "--digest", submitted["content_digest"][:12], "--reason", "it is 42", "--json")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["label"].startswith("self-test, not approved")
    assert (answer["submission"]["state"], answer["approvals"], answer["decisions"][0]["self_test"]) == ("in_review", 0, True)
    shown = command("job", "show", submitted["id"])
    assert "approve (self-test, not approved): it is 42" in shown.stdout
    assert "has decided this already" in command("job", "reject", submitted["id"], "--digest", submitted["content_digest"], "--reason", "no").stderr
