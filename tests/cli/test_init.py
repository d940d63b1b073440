"""`init` as a person types it: a policy that loads, examples that work, nothing overwritten, nothing half written."""

import json
import os
import pwd
import re
import stat
import subprocess
import sys
import tempfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import jsonschema
import pytest

from jupyter_guardrails.cli import init
from jupyter_guardrails.cli.presets import PURPOSES, Preset
from jupyter_guardrails.errors import BadRequest, Conflict, PolicyError
from jupyter_guardrails.policy import Resource, decide, effective, load
from jupyter_guardrails.policy.hosts import NetworkEntry
from jupyter_guardrails.policy.load import read_model
from jupyter_guardrails.policy.reference import json_schema, keys
from jupyter_guardrails.policy.table import Table
from jupyter_guardrails.policy.yamltree import read_tree
from jupyter_guardrails.sandbox.probe import probe_host
from jupyter_guardrails.sandbox.spec import GUARANTEES, Guarantee

EXAMPLE = re.compile(r"^( *)#(?=[^ \n]|  )", re.MULTILINE)  # "# text" explains, "#key" and "#  key" are examples
NOW = datetime(2026, 1, 1, tzinfo=UTC)
ROOT = os.geteuid() == 0
MACHINE = init.Machine(16 << 30, 8, tuple(Guarantee(name, name in ("files", "network"), "") for name in GUARANTEES), "carol")
PRESETS = [Preset(name, (), (), active=False) for name in PURPOSES]


def command(home, *arguments, account=None, **environment):
    """`jupyter guardrails …` with settings of nobody else around; `account`: who types it, when root runs the tests."""
    quiet = {"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "HOME": str(home), "PIP_CONFIG_FILE": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    become = ["setpriv", f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--clear-groups"] if account else []
    typed = [*become, sys.executable, "-m", "jupyter_guardrails", *map(str, arguments)]
    return subprocess.run(typed, env=quiet | environment, cwd=home, capture_output=True, text=True, timeout=120)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def written(home):
    """A folder that `init` made, with what it said."""
    done = command(home, "init", home / "policy")
    assert done.returncode == 0, done.stderr
    return home / "policy", done.stdout


@pytest.fixture
def text(written):
    return (written[0] / "guardrails.yaml").read_text()


@pytest.fixture
def loaded(tmp_path):
    """`loaded(text)` is the policy with that text."""

    def load_text(text):
        file = tmp_path / "guardrails.yaml"
        file.write_text(text)
        return load(file)

    return load_text


def uncommented(text):
    return EXAMPLE.sub(r"\1", text)


def blocks(text):
    """The text once for each example: with that one uncommented."""
    lines = text.splitlines(keepends=True)
    marked = [EXAMPLE.match(line) is not None for line in lines]
    starts = [n for n, mark in enumerate(marked) if mark and not (n and marked[n - 1])]
    for start in starts:
        end = next((n for n in range(start, len(lines)) if not marked[n]), len(lines))
        yield "".join(lines[start:end]), "".join([*lines[:start], uncommented("".join(lines[start:end])), *lines[end:]])


def test_what_is_written_loads_and_observes(written):
    policy = load(written[0] / "guardrails.yaml")
    zoe = effective(policy, "zoe")
    assert policy.mode == "observe"
    assert (list(zoe.profiles), zoe.default_profile.value, zoe.terminal_profile.value) == (["small", "large"], "small", "terminal")
    elsewhere = decide(zoe, "network.connect", Resource("elsewhere.example.com:443"), NOW)
    assert (elsewhere.allowed, elsewhere.blocks) == (False, False)
    unknown = decide(zoe, "data.read", Resource("hr/pay", "internal"), NOW)
    assert (unknown.allowed, unknown.blocks) == (False, False)


def test_restricted_data_is_shut_from_the_first_day_and_no_host_so_that_the_network_is_observed(written):
    zoe = effective(load(written[0] / "guardrails.yaml"), "zoe")
    assert decide(zoe, "data.read", Resource("hr/pay", "restricted"), NOW).blocks
    assert zoe.network_deny == ()  # only the proxy could hold it: kernels would keep an empty network


def test_the_example_shuts_cloud_credentials_while_observing(written, tmp_path):
    (example,) = [whole for block, whole in blocks((written[0] / "guardrails.yaml").read_text()) if "cloud-credentials" in block]
    (tmp_path / "guardrails.yaml").write_text(example)
    zoe = effective(load(tmp_path / "guardrails.yaml"), "zoe")
    for port in (80, 443):
        assert decide(zoe, "network.connect", Resource(f"169.254.169.254:{port}"), NOW).blocks


def test_what_was_probed_is_required(written):
    held = tuple(guarantee.name for guarantee in probe_host() if guarantee.held)
    assert load(written[0] / "guardrails.yaml").document.require == held
    assert f"holds here: {', '.join(held)}" in written[1]


def test_profiles_are_round_shares_of_the_machine(written):
    profiles = load(written[0] / "guardrails.yaml").document.profiles
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert profiles["terminal"].memory <= profiles["small"].memory < profiles["large"].memory < total
    assert all(1 <= profile.cpus <= len(os.sched_getaffinity(0)) for profile in profiles.values())


def test_the_files_beside_it(written):
    folder, said = written
    assert sorted(entry.name for entry in folder.iterdir()) == ["catalog", "guardrails.yaml", "policy-tests.yaml", "policy-v1.json"]
    assert json.loads((folder / "policy-v1.json").read_text()) == json_schema()
    assert (folder / "guardrails.yaml").read_text().startswith("# yaml-language-server: $schema=./policy-v1.json\n")
    assert list((folder / "catalog").iterdir()) == []
    assert all(str(entry) in said for entry in folder.iterdir())


def test_the_table_of_tests_is_green_and_can_fail(home, written):
    table = written[0] / "policy-tests.yaml"
    done = command(home, "policy", "test", table)
    assert (done.returncode, done.stdout) == (0, "8 of 8 rows as expected\n")
    other = home / "other"
    other.mkdir()
    for file in written[0].glob("*.yaml"):
        (other / file.name).write_text(file.read_text().replace("max: 6", "max: 7"))
    assert command(home, "policy", "test", other / "policy-tests.yaml").returncode == 1


def test_the_examples_in_the_table_work(written, tmp_path):
    text = (written[0] / "policy-tests.yaml").read_text()
    (tmp_path / "tests.yaml").write_text(uncommented(text))
    table, _ = read_model(tmp_path / "tests.yaml", Table)
    assert table.catalog == "catalog"


def test_each_example_works_alone(text, loaded):
    found = list(blocks(text))
    assert len(found) >= 15
    for block, whole in found:
        try:
            loaded(whole)
        except PolicyError as error:
            pytest.fail(f"this example has a mistake:\n{block}\n{error}")


def test_all_examples_work_together_and_hold_every_key(text, loaded):
    whole = uncommented(text)
    assert loaded(whole).document.rules
    root, _ = read_tree(whole.encode(), "guardrails.yaml")
    plain = json.loads(json.dumps(root.plain()))
    assert list(jsonschema.Draft202012Validator(json_schema()).iter_errors(plain)) == []
    paths = [key.path.replace("[]", "").removesuffix(".<name>") for key in keys()]
    assert set(plain) == {path for path in paths if "." not in path}
    assert {key for rule in plain["rules"] for key in rule} == {path.partition(".")[2] for path in paths if re.fullmatch(r"rules\.[a-z_]+", path)}


def test_a_broken_example_would_be_found(text, loaded):
    for wrong in ("#nonsense: 1\n", "#audit: {cells: all}\n"):
        with pytest.raises(PolicyError):
            loaded(list(blocks(text + wrong))[-1][1])


def test_it_reads_well(text):
    lines = text.splitlines()
    assert len(lines) <= 160
    assert [line for line in lines if len(line) > 120] == []
    assert "@{" not in text
    comments = [line.strip() for line in lines if line.strip().startswith("#") and not EXAMPLE.match(line)]
    assert [line for line in comments if not re.match(r"# \S|#$", line)] == []


@pytest.mark.parametrize(("memory_gib", "cpus"), [(1, 1), (7.7, 2), (15.5, 3), (2048, 256)])
def test_machines_of_any_size(loaded, memory_gib, cpus):
    machine = replace(MACHINE, memory_bytes=int(memory_gib * 2**30), cpus=cpus)
    profiles = loaded(init.starter(machine, {"users": ["carol"]}, PRESETS)["guardrails.yaml"]).document.profiles
    assert max(profile.memory for profile in profiles.values()) <= machine.memory_bytes
    assert {profile.cpus for profile in profiles.values()} <= set(range(1, cpus + 1))


def test_a_machine_that_holds_nothing(loaded):
    machine = replace(MACHINE, guarantees=tuple(replace(guarantee, held=False) for guarantee in MACHINE.guarantees))
    assert loaded(init.starter(machine, {"users": ["carol"]}, PRESETS)["guardrails.yaml"]).document.require == ()


@pytest.mark.parametrize(
    ("size_gib", "nice"), [(0.1, "512MiB"), (0.7, "768MiB"), (1, "1GiB"), (3.9, "4GiB"), (5.8, "6GiB"), (15.6, "16GiB"), (503, "512GiB")]
)
def test_sizes_are_round(size_gib, nice):
    assert init.format_bytes(init.nice_bytes(size_gib * 2**30)) == nice


@pytest.mark.parametrize("name", ["ana", "null", "off", "Jörg Größe", "ana@example.com", "007", "a, b", "yes: no", "o'neil", 'the "boss"'])
def test_any_name_may_be_an_admin(loaded, name):
    admins = init.parse_admins([name, f"group:{name}"])
    document = loaded(init.starter(MACHINE, admins, PRESETS)["guardrails.yaml"]).document
    assert (document.admins.users, document.admins.groups) == ((name,), (name,))


@pytest.mark.parametrize("name", ["", "a/b", "*", "group:", "group:a*", " ana"])
def test_what_can_be_nobodys_name_is_refused(name):
    with pytest.raises(BadRequest, match="can't name an admin"):
        init.parse_admins([name])


def test_the_admin_is_whoever_asks(written):
    me = pwd.getpwuid(os.geteuid()).pw_name
    assert load(written[0] / "guardrails.yaml").document.admins.users == (me,)
    assert f"Admin: {me}" in written[1]
    assert init.whoever_asks({"SUDO_USER": "ana"}) == ("ana" if ROOT else me)  # nobody but root becomes somebody by a variable


def test_the_admin_is_whoever_is_named(tmp_path):
    done = command(tmp_path, "init", tmp_path / "p", "--json", "--admin", "ben", "--admin", "group:platform", SUDO_USER="ana")
    admins = load(tmp_path / "p" / "guardrails.yaml").document.admins
    assert (admins.users, admins.groups) == (("ben",), ("platform",))
    said = json.loads(done.stdout)
    assert said["written"][0] == str(tmp_path / "p" / "guardrails.yaml")
    assert {preset["name"]: preset["active"] for preset in said["presets"]} == dict.fromkeys(PURPOSES, False)
    assert len(said["next"]) == 3


def test_nothing_is_overwritten(home, written):
    before = {file.name: file.read_bytes() for file in written[0].glob("*.*")}
    done = command(home, "init", written[0])
    assert done.returncode == 1
    assert f"{written[0]}/guardrails.yaml" in done.stderr
    assert "next: move it away, or choose another folder" in done.stderr
    assert {file.name: file.read_bytes() for file in written[0].glob("*.*")} == before


@pytest.mark.parametrize("name", ["guardrails.yaml", "policy-tests.yaml", "policy-v1.json"])
@pytest.mark.parametrize("kind", ["file", "dangling link"])
def test_one_file_that_is_there_stops_it_all(tmp_path, name, kind):
    place = tmp_path / name
    place.write_text("mine") if kind == "file" else place.symlink_to("nowhere")
    with pytest.raises(Conflict, match="overwrites nothing"):
        init.refuse_to_overwrite(tmp_path)
    texts = {"other": "text", name: "text"}
    with pytest.raises(Conflict, match=name):  # as if it had come between the look and the writing
        init.write(tmp_path, texts, public=False)
    assert [entry.name for entry in tmp_path.iterdir()] == [name]
    init.write(tmp_path / "new", texts, public=False)
    assert (tmp_path / "new" / name).read_text() == "text"


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(BadRequest, match="not a folder"):
        init.refuse_to_overwrite(tmp_path / "file")


@pytest.mark.parametrize(("public", "folder_mode", "file_mode"), [(True, 0o755, 0o644), (False, 0o700, 0o600)])
def test_modes_whatever_the_umask(tmp_path, public, folder_mode, file_mode):
    before = os.umask(0o027)
    try:
        init.write(tmp_path / "a" / "b", {"guardrails.yaml": "text"}, public=public)
    finally:
        os.umask(before)
    modes = [stat.S_IMODE((tmp_path / "a" / name).stat().st_mode) for name in (".", "b", "b/catalog", "b/guardrails.yaml")]
    assert modes == [folder_mode] * 3 + [file_mode]


def test_where_it_goes_by_itself(tmp_path):
    assert init.default_folder({"HOME": str(tmp_path)}, root=True) == Path("/etc/jupyter/guardrails")
    own = init.default_folder({"HOME": str(tmp_path)}, root=False)
    assert own == tmp_path / ".config" / "jupyter-guardrails"
    assert init.default_folder({"HOME": "/x", "GUARDRAILS_POLICY": str(tmp_path / "p.yaml")}, root=False) == tmp_path


def test_active_presets_have_rows_that_hold(tmp_path):
    entries = (NetworkEntry("packages.example.com", 443), NetworkEntry("*.example.org", 443), NetworkEntry("fd00::1", 8443, ("fd00::1/128",)))
    presets = [Preset("python", entries, ("--preset",), active=True), *PRESETS[1:]]
    init.write(tmp_path / "p", init.starter(MACHINE, {"users": ["carol"]}, presets), public=False)
    done = command(tmp_path, "policy", "test", tmp_path / "p" / "policy-tests.yaml")
    assert (done.returncode, done.stdout) == (0, "10 of 10 rows as expected\n")
    zoe = effective(load(tmp_path / "p" / "guardrails.yaml"), "zoe")
    assert [value.value for value in zoe.network_allow] == list(entries)


@pytest.fixture
def person():
    """An ordinary account with a home of its own: nobody where root runs the tests, else whoever runs them."""
    with tempfile.TemporaryDirectory(prefix="home-") as folder:  # pytest's own folders are closed to others
        account = pwd.getpwnam("nobody") if ROOT else None
        if account:
            os.chown(folder, account.pw_uid, account.pw_gid)
        yield Path(folder), account


@pytest.mark.slow
def test_an_ordinary_account_starts_in_its_own_place(person):
    home, account = person
    done = command(home, "init", account=account)
    folder = home / ".config" / "jupyter-guardrails"
    assert done.returncode == 0, done.stderr
    assert "next:\n  jupyter guardrails policy check\n  jupyter guardrails policy explain --user" in done.stdout
    assert stat.S_IMODE((folder / "guardrails.yaml").stat().st_mode) == 0o600
    checked = command(home, "policy", "check", account=account)
    assert (checked.returncode, "no mistakes" in checked.stdout) == (0, True), checked.stderr
    tested = command(home, "policy", "test", folder / "policy-tests.yaml", account=account)
    assert (tested.returncode, tested.stdout) == (0, "8 of 8 rows as expected\n")
    doctor = command(home, "doctor", account=account)
    assert (doctor.returncode, "NOT HELD files" in doctor.stdout) == (0, False), doctor.stdout
    assert str(folder / "guardrails.yaml") in doctor.stdout


@pytest.mark.parametrize("mode", [0o555, 0o000])
def test_where_it_may_not_write_it_says_so(person, mode):
    home, account = person
    closed = home / "closed"
    closed.mkdir()  # root's own, where root runs the tests
    closed.chmod(mode)
    done = command(home, "init", closed / "policy", account=account)
    assert done.returncode == 1
    assert "can't be written: Permission denied" in done.stderr
    assert "next: write it as root, or choose another folder" in done.stderr
    closed.chmod(0o755)
    assert list(closed.iterdir()) == []
