"""`credentials.yaml`: who may own it, which entry is for which place, and that nothing of it is ever said."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import yaml

from jupyter_guardrails.control.credentials import CredentialsFile, load, problems_of_file
from jupyter_guardrails.control.interface.messages import Me
from jupyter_guardrails.errors import PolicyError, SourceAway

SECRET = "hunter2-AKIAEXAMPLE"
S3 = {"kind": "objects", "url": "s3://lake/nyc/flights", "format": "parquet"}
PG = {"kind": "database", "dialect": "postgresql", "host": "db.example.com", "port": 5432, "database": "warehouse", "schema": "nyc", "table": "t"}
ENTRY = {"for": "s3://lake", "key": "a", "secret": SECRET}


@pytest.fixture
def file(tmp_path):
    return tmp_path.resolve() / "credentials.yaml"


def write(file, *entries, mode=0o600):
    file.write_text(yaml.safe_dump({"sources": list(entries)}))
    file.chmod(mode)
    return CredentialsFile(file)


def test_an_entry_opens_its_place_and_no_other(file):
    held = write(file, ENTRY)
    assert held.for_place(S3) == {"key": "a", "secret": SECRET, "ambient": False, "options": {}}
    assert held.for_place(S3 | {"url": "s3://lake2/nyc"}) is None
    assert held.for_place({"kind": "files", "path": "/data"}) is None
    assert held.problems() == ()


def test_no_file_is_no_credentials(file):
    held = CredentialsFile(file)
    assert held.for_place(S3) is None
    assert (held.problems(), held.files(), problems_of_file(file, os.geteuid())) == ((), (), [])


FITS = [
    ("s3://lake", S3, True),
    ("s3://lake/nyc", S3, True),
    ("s3://lake/nyc/flights", S3, True),
    ("s3://lake/nyc/fl", S3, False),
    ("s3://lak*", S3, True),
    ("s3://lake/*/flights", S3, True),
    ("s3://lake", S3 | {"url": "s3://lake.evil/nyc"}, False),
    ("s3://lake*", S3 | {"url": "s3://lake.evil/nyc"}, False),
    ("gs://lake", S3, False),
    ("gcs://lake", {"kind": "objects", "url": "gs://lake/a"}, True),
    ("abfss://box@account.dfs.example.com", {"kind": "objects", "url": "abfs://box@account.dfs.example.com/a"}, True),
    ("postgresql://db.example.com/warehouse", PG, True),
    ("postgres://DB.example.com:5432/warehouse", PG, True),
    ("postgresql://*.example.com/warehouse", PG, True),
    ("postgresql://db*/warehouse", PG, False),
    ("postgresql://db.example.com", PG, True),
    ("postgresql://db.example.com:6432/warehouse", PG, False),
    ("postgresql://db.example.com/ware", PG, False),
    ("mysql://db.example.com/warehouse", PG, False),
    ("postgresql:///warehouse", PG | {"host": "/run/postgresql"}, True),
    ("postgresql:///warehouse", PG, False),
]


@pytest.mark.parametrize(("pattern", "place", "fits"), FITS)
def test_which_places_a_pattern_is_for(file, pattern, place, fits):
    held = write(file, {"for": pattern})
    assert held.problems() == ()
    assert (held.for_place(place) is not None) == fits


def test_the_most_exact_entry_counts_in_any_order(file):
    entries = [{"for": f"s3://{part}", "key": part, "secret": "s"} for part in ("*", "lake", "la*", "lake/nyc", "lake/*")]
    for order in (entries, entries[::-1]):
        assert write(file, *order).for_place(S3)["key"] == "lake/nyc"


def test_an_entry_with_an_endpoint_is_told_to_no_other_server(file):
    held = write(file, ENTRY | {"endpoint": "https://store.example.com/"})
    assert held.for_place(S3 | {"endpoint": "https://STORE.example.com"})["secret"] == SECRET
    assert held.for_place(S3) is None
    assert held.for_place(S3 | {"endpoint": "https://evil.example.com"}) is None
    held = write(file, ENTRY)
    assert held.for_place(S3 | {"endpoint": "https://evil.example.com"}) is None


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o620, 0o606, 0o700, 0o660])
def test_a_file_that_others_may_read_or_change_gives_out_nothing(file, mode):
    held = write(file, ENTRY, mode=mode)
    with pytest.raises(SourceAway) as refused:
        held.for_place(S3)
    assert SECRET not in str(refused.value)
    assert held.for_place({"kind": "files", "path": "/data"}) is None, "local files need none"
    assert "chmod 600" in str(held.problems()[0])
    file.chmod(0o600)
    assert held.for_place(S3)["secret"] == SECRET


def test_a_file_of_somebody_else_gives_out_nothing(file):
    if os.geteuid() != 0:
        pytest.skip("only root can give a file away")
    held = write(file, ENTRY)
    os.chown(file, 65534, 65534)
    assert "belongs to account 65534" in str(held.problems()[0])
    assert "belongs to account 65534" in str(problems_of_file(file, 0)[0])
    os.chown(file, 0, 0)
    assert held.for_place(S3) is not None


def test_a_link_or_a_pipe_in_its_place_gives_out_nothing(file):
    write(file.with_name("real.yaml"), ENTRY)
    file.symlink_to(file.with_name("real.yaml"))
    with pytest.raises(PolicyError, match="is a link"):
        load(file)
    file.unlink()
    os.mkfifo(file, 0o600)
    with pytest.raises(PolicyError, match="no regular file"):
        load(file)


def test_changes_count_at_once_and_a_mistake_takes_all_away(file, caplog):
    held = write(file, ENTRY)
    assert held.for_place(S3)["key"] == "a"
    write(file, ENTRY | {"key": "b"})
    assert held.for_place(S3)["key"] == "b"
    file.write_text(f"sources: [{{for: s3://lake, key: '{SECRET}'")
    for _ in range(3):
        with pytest.raises(SourceAway, match="doctor"):
            held.for_place(S3)
    assert len(caplog.records) == 1
    assert SECRET not in caplog.text
    write(file, ENTRY)
    assert held.for_place(S3)["key"] == "a"
    file.unlink()
    assert held.for_place(S3) is None


MISTAKES = {
    "broken": (f"sources: [{{password: '{SECRET}'\n", "is not plain YAML"),
    "alias": (f"sources: [{{for: s3://lake, secret: *{SECRET}}}]\n", "is not plain YAML"),
    "tag": (f"sources: [{{for: s3://lake, secret: !{SECRET} x}}]\n", "is not plain YAML"),
    "twice the key": (f"sources: [{{for: s3://lake, {SECRET}: 1, {SECRET}: 2}}]\n", "is not plain YAML"),
    "list": (f"- {SECRET}\n", "must hold one key, `sources`"),
    "other key": (f"sources: []\n{SECRET}: 1\n", "must hold one key, `sources`"),
    "no mapping": (f"sources: [{SECRET}]\n", "valid dictionary"),
    "no place": (f"sources: [{{secret: '{SECRET}', key: a}}]\n", "Field required"),
    "slipped": (f"sources: [{{for: s3://lake, {SECRET}: secret}}]\n", "there is no such key"),
    "number": ("sources: [{for: 'postgresql://db/x', password: 20251126}]\n", "password: Input should be a valid string"),
    "half a key": (f"sources: [{{for: s3://lake, secret: '{SECRET}'}}]\n", "key and secret go together"),
    "password of a bucket": (f"sources: [{{for: s3://lake, password: '{SECRET}'}}]\n", "password means nothing for s3"),
    "key of a database": (f"sources: [{{for: 'postgresql://db/x', key: a, secret: '{SECRET}'}}]\n", "key, secret means nothing for postgresql"),
    "no url": (f"sources: [{{for: '{SECRET}'}}]\n", "must be like s3://"),
    "password in the place": (f"sources: [{{for: 'postgresql://ana:{SECRET}@db/x'}}]\n", "must name no user or password"),
    "address in options": (f"sources: [{{for: s3://lake, options: {{endpoint_url: 'https://{SECRET}'}}}}]\n", "under `endpoint`"),
    "options that nest": (f"sources: [{{for: s3://lake, options: {{a: {{b: '{SECRET}'}}}}}}]\n", "options"),
    "role of all": ("sources: [{for: 'postgresql://db/x', role_per_person: analyst}]\n", "must hold {person}"),
    "role of a bucket": ("sources: [{for: s3://lake, role_per_person: 'p_{person}'}]\n", "role_per_person means nothing for s3"),
    "role of another database": ("sources: [{for: 'mysql://db/x', role_per_person: 'p_{person}'}]\n", "role_per_person is for postgresql alone"),
    "role of two": ("sources: [{for: 'postgresql://db/x', roles: {ana: {user: p}, ben: {user: p}}}]\n", "each person needs one that is theirs alone"),
    "role of control": ("sources: [{for: 'postgresql://db/x', user: p, roles: {ana: {user: p}}}]\n", "or it is control's own"),
    "role of a name": (f"sources: [{{for: 'postgresql://db/x', roles: {{ana: {{user: 'x {SECRET}'}}}}}}]\n", "user must be small letters"),
    "roles of a bucket": ("sources: [{for: 's3://x', roles: {ana: {user: p}}}]\n", "roles means nothing for s3"),
    "roles of another database": ("sources: [{for: 'mysql://db/x', roles: {ana: {user: p}}}]\n", "roles are for postgresql alone"),
    "key of a role": (f"sources: [{{for: 'postgresql://db/x', roles: {{ana: {{user: p, pass: '{SECRET}'}}}}}}]\n", "there is no such key"),
    "same place": (f"sources:\n- {{for: s3://lake}}\n- {{for: s3://lake/, key: a, secret: '{SECRET}'}}\n", "is for the same place as line 2"),
    "bytes": (b"sources: [\xff\xfe]\n", "is not plain YAML"),
}


@pytest.mark.parametrize(("text", "sentence"), MISTAKES.values(), ids=MISTAKES.keys())
def test_mistakes_are_said_with_their_line_and_without_a_value(file, text, sentence):
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    file.chmod(0o600)
    with pytest.raises(PolicyError) as refused:
        load(file)
    assert sentence in str(refused.value)
    assert SECRET not in str(refused.value)
    assert SECRET not in repr(refused.value.problems)
    if not isinstance(text, bytes):
        assert str(refused.value).startswith(f"{file}:")
        assert refused.value.problems[0].line >= 1


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "sources: []\n"])
def test_a_file_with_nothing_in_it_is_right(file, text):
    file.write_text(text)
    file.chmod(0o600)
    assert load(file) == ()


def test_a_repr_shows_no_secret(file):
    held = write(file, ENTRY, {"for": "postgresql://db/x", "user": "u", "password": SECRET, "options": {"sslpassword": SECRET}})
    assert SECRET not in repr(held)
    entries = load(file)
    assert SECRET not in repr(entries) + str(entries)
    assert "s3://lake" in repr(entries)


def test_kernels_of_control_s_own_account_must_not_reach_it(file, monkeypatch):
    held = write(file, ENTRY)
    held.keep_from(["/opt"])
    with pytest.raises(PolicyError, match="kernels run as control's account here"):
        held.keep_from([str(file.parent)])
    CredentialsFile(file, shared_account=False).keep_from([str(file.parent)])
    monkeypatch.setattr("jupyter_guardrails.control.credentials.SYSTEM", (str(file.parent),))
    with pytest.raises(SourceAway):
        CredentialsFile(file).for_place(S3)
    assert CredentialsFile(file, shared_account=False).for_place(S3) is not None


AS_NOBODY = """
import os, sys
from pathlib import Path
from jupyter_guardrails.control.credentials import CredentialsFile
os.setgroups([]); os.setgid(65534); os.setuid(65534)
held = CredentialsFile(Path(sys.argv[1]))
held.keep_from(["/tmp"])
print(*held.problems())
"""


def test_what_an_ordinary_account_cannot_read_keeps_no_kernel_of_it_from_starting():
    if os.geteuid() != 0:
        pytest.skip("only root can make a file of somebody else")
    with tempfile.TemporaryDirectory(prefix="gr-credentials-", dir="/tmp") as folder:
        os.chmod(folder, 0o755)
        write(Path(folder, "credentials.yaml"), ENTRY)
        done = subprocess.run([sys.executable, "-c", AS_NOBODY, f"{folder}/credentials.yaml"], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert "can't be read: Permission denied" in done.stdout
        with pytest.raises(PolicyError):
            CredentialsFile(Path(folder, "credentials.yaml")).keep_from(["/tmp"])


def test_a_control_says_nothing_of_it_and_logs_its_mistakes(world, capfd):
    path = world.settings.credentials_path
    assert path == world.root / "credentials.yaml"
    path.write_text(yaml.safe_dump({"sources": [ENTRY | {"password": SECRET}]}))
    path.chmod(0o600)
    own = world.start()
    said = json.dumps(own.client.call(Me()))
    held = {name: Path(f"/proc/{own.process.pid}/{name}").read_bytes() for name in ("cmdline", "environ") if os.geteuid() == 0}
    assert SECRET.encode() not in b"".join(held.values())
    assert SECRET not in said + (world.settings.state_dir / "audit.jsonl").read_text()
    logged = "".join(capfd.readouterr())
    assert "password means nothing for s3" in logged
    assert SECRET not in logged


def test_what_stays_shut_where_the_policy_observes(file):
    assert write(file, ENTRY).files() == (str(file),)


GUIDE = (Path(__file__).parents[2] / "docs" / "admins.md").read_text()
SHOWN = GUIDE[GUIDE.index("### What opens them") :].partition("```yaml\n")[2].partition("```")[0]


def test_the_file_of_the_admins_guide(file):
    file.write_text(SHOWN)
    file.chmod(0o600)
    assert len(load(file)) == len(yaml.safe_load(SHOWN)["sources"])


DWH = {"kind": "database", "dialect": "postgresql", "host": "db", "port": 5432, "database": "x"}


def test_a_person_s_own_account_by_name_or_by_template(file):
    file.write_text("sources: [{for: 'postgresql://db/x', user: reader, password: s, role_per_person: 'g_{person}', roles: {eve: {user: g_ana}}}]\n")
    file.chmod(0o600)
    held = CredentialsFile(file)
    assert held.for_person(DWH, "eve") == {"user": "g_ana", "password": None, "options": {}}
    assert held.for_person(DWH, "ben") == {"user": "g_ben", "password": None, "options": {}}
    assert held.for_person(DWH, "ana") is None  # by the template it would be eve's
    assert held.for_person(DWH | {"database": "y"}, "ben") is None
    for person in ("", "a b", 'a"; drop', "ana\0", "Ana", "x" * 80, "a=b", "a host=evil"):
        assert held.for_person(DWH, person) is None
    assert set(held.for_place(DWH)) == {"user", "password", "options", "ambient"}
