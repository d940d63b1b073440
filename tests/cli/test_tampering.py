"""What doctor warns of: each thing that matters once, with how it can be changed and what mends it; and one sentence about the boundary."""

import os
import pwd
import shlex
import sys
import tempfile
from pathlib import Path

import pytest

from jupyter_guardrails.cli import tampering
from jupyter_guardrails.control.interface import Settings
from jupyter_guardrails.sandbox.permissions import Account, this_account

NOBODY = pwd.getpwnam("nobody")
ACCOUNT = Account(NOBODY.pw_uid, frozenset({NOBODY.pw_gid}))
ONLY_ROOT = pytest.mark.skipif(os.getuid() != 0, reason="needs root: files of several accounts")
ANYBODY_ELSE = Account(4_000_000_000)  # owns nothing and is in no group


@pytest.fixture
def place():
    """A folder that other accounts can enter, with a policy folder, a catalogue and a state directory, all of whoever runs this."""
    with tempfile.TemporaryDirectory(prefix="gt-", dir="/tmp") as made:
        root = Path(made)
        root.chmod(0o755)
        for folder in ("policy.d", "catalog", "catalog/nyc", "state"):
            (root / folder).mkdir(mode=0o755)
        for name in ("policy.d/10.yaml", "policy.d/20.yaml", "catalog/a.odcs.yaml", "catalog/nyc/b.odcs.yaml", "catalog/nyc/c.odcs.yaml"):
            (root / name).touch(mode=0o644)
        yield root


def settings(place, *, self_chosen=True, policy="policy.d"):
    return Settings(place / policy, place / "catalog", place / "state", place / "state" / "control.sock", self_chosen)


def found(place, *, account=ANYBODY_ELSE, **how):
    """Warnings by what they are about; the machine's own installation and configuration left out."""
    every = tampering.warnings(settings(place, **how), account)
    return {warning.what: warning for warning in every if warning.what not in (tampering.INSTALLATION, tampering.CONFIGURATION)}


def test_nothing_is_warned_of_where_nothing_can_be_changed(place):
    assert found(place) == {}


@pytest.mark.parametrize("name", ["policy.d/20.yaml", "catalog/nyc/c.odcs.yaml"])
def test_one_file_that_can_be_written_is_one_warning(place, name):
    (place / name).chmod(0o666)
    what = "policy" if name.startswith("policy") else "catalogue"
    assert {key: (warning.path, warning.how) for key, warning in found(place).items()} == {what: (str(place / name), "it is writable for everyone")}


def test_many_files_are_one_warning_with_their_number(place):
    for name in ("catalog/a.odcs.yaml", "catalog/nyc/b.odcs.yaml", "catalog/nyc/c.odcs.yaml"):
        (place / name).chmod(0o666)
    assert found(place)["catalogue"].how == "it is writable for everyone (2 more like it)"


def test_a_folder_stands_for_what_is_in_it(place):
    (place / "policy.d").chmod(0o777)
    (place / "policy.d/10.yaml").chmod(0o666)
    warning = found(place)["policy"]
    assert (warning.path, warning.how) == (str(place / "policy.d"), "it is writable for everyone")


def test_a_folder_above_is_named(place):
    place.chmod(0o777)
    assert {warning.how for warning in found(place).values()} == {f"its folder {place} is writable for everyone"}
    assert set(found(place)) == {"policy", "catalogue", "state directory"}


def test_what_does_not_exist_yet_can_be_made(place):
    place.chmod(0o777)
    assert found(place, policy="gone.yaml")["policy"].how == f"it does not exist yet, and its folder {place} is writable for everyone"


def test_a_link_is_followed_to_what_can_be_changed(place):
    elsewhere = place / "elsewhere"
    elsewhere.mkdir()
    elsewhere.chmod(0o777)
    (elsewhere / "p.yaml").touch(mode=0o644)
    (place / "p.yaml").symlink_to(elsewhere / "p.yaml")
    assert found(place, policy="p.yaml")["policy"].how == f"{elsewhere} (where a link leads) is writable for everyone"


@ONLY_ROOT
def test_owners_are_named_to_root_and_you_to_yourself(place):
    os.chown(place / "policy.d/10.yaml", NOBODY.pw_uid, NOBODY.pw_gid)
    assert found(place, account=ACCOUNT)["policy"].how == "you own it"
    assert found(place, account=Account(None))["policy"].how == "nobody owns it"


def test_the_state_directory_is_said_without_a_command(place):
    mine = Account(place.stat().st_uid)
    warning = found(place, account=mine)["state directory"]
    assert warning.how == "you own it"
    assert "are not prevented" in warning.next_step


class TestNextStep:
    """What mends it: a command only where it can't hurt."""

    @pytest.fixture
    def admin_dir(self, place, monkeypatch):
        monkeypatch.setattr(tampering, "ADMIN_DIR", place)
        return place

    def step(self, place, what="policy"):
        return found(place, self_chosen=False)[what].next_step

    def test_a_folder_and_a_file_get_their_own_modes(self, admin_dir):
        (admin_dir / "policy.d/10.yaml").chmod(0o666)
        (admin_dir / "catalog").chmod(0o777)
        file, folder = admin_dir / "policy.d/10.yaml", admin_dir / "catalog"
        assert self.step(admin_dir) == f"chown root:root {file} && chmod 644 {file}"
        assert self.step(admin_dir, "catalogue") == f"chown root:root {folder} && chmod 755 {folder}"

    def test_a_long_list_is_cut(self, admin_dir):
        for number in range(9):
            (admin_dir / f"policy.d/{number}.yaml").touch()
            (admin_dir / f"policy.d/{number}.yaml").chmod(0o666)
        assert self.step(admin_dir).endswith(f"{admin_dir}/policy.d/2.yaml, then run this again")

    def test_a_folder_is_given_back_with_what_is_in_it(self, admin_dir):
        for name in ("policy.d", "policy.d/10.yaml", "policy.d/20.yaml"):
            (admin_dir / name).chmod(0o777)
        folder = admin_dir / "policy.d"
        assert self.step(admin_dir) == f"chown -R root:root {folder} && chmod -R u=rwX,go=rX {folder}"

    def test_a_folder_above_is_given_back_alone(self, admin_dir, monkeypatch):
        monkeypatch.setattr(tampering, "ADMIN_DIR", admin_dir / "policy.d")
        for place in (admin_dir, admin_dir / "policy.d"):
            place.chmod(0o777)
        assert self.step(admin_dir) == f"chown root:root {admin_dir} && chmod 755 {admin_dir}, then run this again"

    def test_a_name_cannot_become_a_command(self, admin_dir):
        bad = admin_dir / "policy.d/a; touch x.yaml"
        bad.touch()
        bad.chmod(0o666)
        assert shlex.split(self.step(admin_dir))[-1] == str(bad)

    def test_a_folder_behind_a_link_is_not_closed(self, admin_dir):
        with tempfile.TemporaryDirectory(dir="/tmp") as elsewhere:
            os.chmod(elsewhere, 0o777)
            (admin_dir / "p.yaml").symlink_to(Path(elsewhere) / "p.yaml")
            Path(elsewhere, "p.yaml").touch(mode=0o644)
            step = found(admin_dir, self_chosen=False, policy="p.yaml")["policy"].next_step
        assert "not behind a link" in step
        assert "chmod" not in step

    def test_a_sticky_folder_is_not_closed(self, admin_dir):
        admin_dir.chmod(0o1777)
        assert "chmod" not in found(admin_dir, self_chosen=False, policy="gone.yaml")["policy"].next_step

    def test_a_policy_of_ones_own_needs_an_admin(self, place):
        (place / "policy.d").chmod(0o777)
        assert found(place)["policy"].next_step == "if it shall bind: an admin puts it into /etc/jupyter/guardrails"


def test_an_installation_of_ones_own_is_one_warning(place):
    mine = Account(Path(sys.prefix).stat().st_uid)
    (warning,) = [warning for warning in tampering.warnings(settings(place), mine) if warning.what == "installation"]
    assert (warning.path, warning.how.startswith("you own it")) == (sys.prefix, True)
    assert warning.next_step.startswith("install it as root")


@pytest.mark.parametrize("name", ["jupyter_server_config.py", "jupyter_server_config.d/jupyter_guardrails.json", "jupyter_server_config.d"])
def test_what_tells_servers_to_load_us_matters(place, monkeypatch, name):
    monkeypatch.setattr(tampering, "SYSTEM_CONFIGURATION", (place, place / "absent"))
    (place / "jupyter_server_config.d").mkdir()
    for file in ("jupyter_server_config.py", "jupyter_server_config.d/jupyter_guardrails.json"):
        (place / file).touch()
    assert tampering.CONFIGURATION not in {warning.what for warning in tampering.warnings(settings(place), ANYBODY_ELSE)}
    (place / name).chmod(0o777)
    (warning,) = [warning for warning in tampering.warnings(settings(place), ANYBODY_ELSE) if warning.what == tampering.CONFIGURATION]
    assert (warning.path, warning.how) == (str(place / name), "it is writable for everyone")
    assert warning.next_step.startswith("chown root:root ")


class TestBoundary:
    """Three cases, each with its sentence."""

    def say(self, place, *warned, self_chosen, account=ANYBODY_ELSE):
        made = [tampering.Warned(what, "/p", "you own it", "") for what in warned]
        return tampering.boundary(settings(place, self_chosen=self_chosen), account, made)

    @pytest.mark.parametrize("warned", [(), ("policy",)])
    def test_self_chosen_is_advice(self, place, warned):
        assert self.say(place, *warned, self_chosen=True).startswith("Self-chosen policy: nobody else approves.")

    def test_what_can_be_changed_is_named(self, place):
        said = self.say(place, "policy", "installation", "state directory", self_chosen=False)
        assert said.startswith("An account that can write the policy and the installation can change what is enforced")

    @pytest.mark.parametrize("warned", [(), ("state directory",)], ids=["nothing", "only the state"])
    def test_what_holds_and_what_does_not(self, place, warned):
        said = self.say(place, *warned, self_chosen=False)
        assert said.startswith("This account can't change the policy")
        assert "started in another way" in said or "starts in another way" in said
        assert self.say(place, *warned, self_chosen=False, account=Account(None)).startswith("No account but root can change the policy")


def test_the_account_is_the_one_that_runs_this():
    groups = frozenset({os.getgid(), *os.getgroups()})
    assert this_account() == (Account(None) if os.getuid() == 0 else Account(os.getuid(), groups, asks=True))
