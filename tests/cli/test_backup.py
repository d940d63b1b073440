"""`backup` while control works, `restore` into another place or over the old one; whatever is wrong leaves the old state as it was."""

import gzip
import hashlib
import io
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import tarfile
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import MetaData, create_engine, select, text

from jupyter_guardrails.cli.backup import restore
from jupyter_guardrails.control.interface import start_own_control
from jupyter_guardrails.control.interface.backup import RecordsBackup
from jupyter_guardrails.control.interface.messages import Audit, KernelAdmit, KernelStarted
from jupyter_guardrails.errors import BadRequest, Conflict, Refused
from jupyter_guardrails.package.signatures import open_signer
from jupyter_guardrails.records import audit, backup, offline, open_records, retention
from tests.control.conftest import GOOD_REPORT, made_world, resting_pid
from tests.records.attacked_log import START, Log
from tests.records.conftest import fresh_database, postgres  # noqa: F401 - a fixture
from tests.records.releases.make import NOW, fill


@pytest.fixture
def world():
    with made_world() as made:
        made.settings = replace(made.settings, person="carol")
        yield made


def filled(state):
    """A state directory as control leaves it, with rows in every table, packages and keys."""
    state.mkdir(mode=0o700)
    records = open_records(state / "records.sqlite", journal=state / "audit.jsonl")
    records.write_sync(fill)
    place = state / "packages" / "abc" / "s-1" / "delays-1.job.zip"
    place.parent.mkdir(parents=True)
    place.write_bytes(b"PK" * 1000)
    records.write_sync(lambda c: c.execute(text("update submissions set package_path = :path"), {"path": str(place)}))
    records.close()
    open_signer(state / "keys")
    (state / "submissions" / "s-1" / "frozen").mkdir(parents=True)
    (state / "submissions" / "s-1" / "frozen" / "nötebook.ipynb").write_text("{}")
    (state / "environments" / "big").mkdir(parents=True)
    (state / "environments" / "big" / "cache").write_text("made again")
    (state / "submissions" / "link").symlink_to("/etc/passwd")
    return state


def written(state, file, **more):
    records = open_records(state / "records.sqlite")
    with file.open("xb") as sink:
        found = records.read_sync(backup.write, sink, state, now=NOW, with_keys=more.pop("with_keys", False))
    records.close()
    return found


def rows_of(place):
    """Table -> its rows, as the database keeps them."""
    engine = create_engine(f"sqlite:///{place}" if "://" not in str(place) else place.replace("postgresql://", "postgresql+psycopg://"))
    found = MetaData()
    found.reflect(engine)
    with engine.connect() as connection:
        rows = {name: sorted((dict(r) for r in connection.execute(select(table)).mappings()), key=str) for name, table in found.tables.items()}
    engine.dispose()
    return rows


def without_places(rows):
    return rows | {"submissions": [row | {"package_path": ""} for row in rows["submissions"]]}


def test_a_round_trip_brings_everything_back(tmp_path):
    old, new = filled(tmp_path / "old"), tmp_path / "new"
    said = written(old, tmp_path / "b.tar.gz")
    assert said.left_out == ["submissions/link"]
    restored, aside = restore(tmp_path / "b.tar.gz", new)
    assert aside is None
    assert without_places(rows_of(new / "records.sqlite")) == without_places(rows_of(old / "records.sqlite"))
    assert (new / "audit.jsonl").read_bytes() == (old / "audit.jsonl").read_bytes()
    (row,) = rows_of(new / "records.sqlite")["submissions"]
    assert row["package_path"] == str(new / "packages/abc/s-1/delays-1.job.zip")
    assert Path(row["package_path"]).read_bytes() == b"PK" * 1000
    assert (new / "submissions/s-1/frozen/nötebook.ipynb").read_text() == "{}"
    assert not (new / "environments").exists()
    assert stat.S_IMODE(new.stat().st_mode) == 0o700
    assert stat.S_IMODE((new / "audit.jsonl").stat().st_mode) == 0o600
    assert [path.name for path in (new / "keys").iterdir()] == [path.name for path in (old / "keys").glob("*.public.json")]
    assert {p.name for p in tmp_path.iterdir()} == {"old", "new", "b.tar.gz"}, "nothing is left lying about"
    assert restored.rows["audit"] == 6


def test_a_log_whose_beginning_was_removed_by_retention_comes_back_and_goes_on(tmp_path):
    state = tmp_path / "old"
    state.mkdir(mode=0o700)
    log = Log(state / offline.DATABASE, state)
    log.append("young", days=80)
    last = log.write(retention.remove, keep_s=90 * 86400, rule="p.yaml:3 audit.keep", policy_digest="d", now=START + timedelta(days=100))
    log.close()
    assert last == 11
    assert offline.verify_state(state).ok
    written(state, tmp_path / "b.tar.gz")
    restore(tmp_path / "b.tar.gz", tmp_path / "new")
    found = offline.verify_state(tmp_path / "new")
    assert (found.ok, found.first) == (True, 12)
    records = open_records(tmp_path / "new" / offline.DATABASE, journal=tmp_path / "new" / "audit.jsonl")
    records.write_sync(lambda connection: records.sinks.journal.forget(last))
    records.close()
    assert offline.verify_state(tmp_path / "new").ok


def test_the_private_key_comes_only_where_it_was_asked_for(tmp_path):
    old = filled(tmp_path / "old")
    written(old, tmp_path / "b.tar.gz", with_keys=True)
    restore(tmp_path / "b.tar.gz", tmp_path / "new")
    assert (tmp_path / "new/keys/signing.pem").read_bytes() == (old / "keys/signing.pem").read_bytes()
    written(old, tmp_path / "without.tar.gz")
    pem = (old / "keys/signing.pem").read_bytes().splitlines()[1]
    assert pem in gzip.decompress((tmp_path / "b.tar.gz").read_bytes())
    assert pem not in gzip.decompress((tmp_path / "without.tar.gz").read_bytes())


def command(world, *arguments, state=None, check=True):
    places = {"GUARDRAILS_POLICY": world.policy, "GUARDRAILS_CATALOG": world.settings.catalog_path}
    environ = {**os.environ, **{name: str(path) for name, path in places.items()}, "GUARDRAILS_AS": "carol"}
    environ["GUARDRAILS_STATE_DIR"] = str(state or world.settings.state_dir)
    return subprocess.run([sys.executable, "-m", "jupyter_guardrails", *arguments], env=environ, capture_output=True, text=True, check=check)


pytest_local = pytest.mark.skipif(Path("/etc/jupyter/guardrails").is_dir(), reason="this machine has an admin's policy, which wins over the test's")


@pytest_local
def test_control_goes_on_while_it_is_backed_up_and_after_a_restore(world, tmp_path):
    own = world.start(person="carol")
    admission = own.client.admit(KernelAdmit(kernel_id="k", kernelspec="python3", workspace="/w", key="k"))
    own.client.call(KernelStarted(lease=admission.lease, pid=resting_pid(), report=GOOD_REPORT))
    file = tmp_path / "b.tar.gz"
    said = command(world, "backup", str(file)).stdout
    assert "The private keys are not in it" in said
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    secrets = [line for path in world.settings.state_dir.rglob("*.pem") for line in path.read_bytes().splitlines() if b"-----" not in line]
    assert secrets, "the audit log has a key of its own"
    assert not any(secret in gzip.decompress(file.read_bytes()) for secret in secrets)
    command(world, "backup", str(tmp_path / "with.tar.gz"), "--with-keys")
    assert all(secret in gzip.decompress((tmp_path / "with.tar.gz").read_bytes()) for secret in secrets)
    before = own.client.call(Audit())["records"]
    assert [r["action"] for r in before][-1] == "records.backup"
    elsewhere = world.root / "elsewhere"
    assert (
        f"the audit log verifies up to record {before[-1]['seq']}" in command(world, "restore", str(tmp_path / "with.tar.gz"), state=elsewhere).stdout
    )
    again = start_own_control(replace(world.settings, state_dir=elsewhere, control_socket=elsewhere / "control.sock"))
    try:
        assert again.client.call(Audit())["records"][: len(before)] == before
        assert again.client.admit(KernelAdmit(kernel_id="k2", kernelspec="python3", workspace="/w", key="k2")).lease
    finally:
        again.stop()
    records = open_records(elsewhere / "records.sqlite")
    assert records.read_sync(audit.verify_table).ok, "it has gone on under the same key"
    records.close()


@pytest_local
def test_after_a_restore_without_keys_the_log_has_another_key_and_says_so(world, tmp_path):
    world.start(person="carol")
    file, elsewhere = tmp_path / "b.tar.gz", world.root / "elsewhere"
    command(world, "backup", str(file))
    command(world, "restore", str(file), state=elsewhere)
    start_own_control(replace(world.settings, state_dir=elsewhere, control_socket=elsewhere / "control.sock")).stop()
    records = open_records(elsewhere / "records.sqlite")
    fresh = (elsewhere / "audit-key.public").read_text().strip()
    assert "the key was exchanged" in records.read_sync(audit.verify_table).problems[0], "the private key was not in the backup"
    assert records.read_sync(audit.verify_table, accepted=[fresh]).ok
    records.close()


@pytest_local
def test_a_restore_is_refused_while_control_runs_there(world, tmp_path):
    world.start(person="carol")
    command(world, "backup", str(tmp_path / "b.tar.gz"), "--with-keys")
    refused = command(world, "restore", str(tmp_path / "b.tar.gz"), "--replace", check=False)
    assert refused.returncode == 1
    assert "already serves" in refused.stderr
    assert "b.tar.gz: File exists" in command(world, "backup", str(tmp_path / "b.tar.gz"), check=False).stderr


def test_only_admins_make_backups(world):
    client = world.start(person="ana").client
    with open(world.root / "b", "wb") as sink, pytest.raises(Refused, match="everybody's records"):
        client.call(RecordsBackup(), fds=[sink.fileno()])
    assert (world.root / "b").stat().st_size == 0
    with pytest.raises(Refused):
        client.call(RecordsBackup())
    world.started.pop().stop()
    client = world.start(person="carol").client
    with open(world.root / "b", "wb") as sink:
        assert client.call(RecordsBackup(), fds=[sink.fileno()])["seq"] >= 3
    with pytest.raises(BadRequest, match="needs the file"):
        client.call(RecordsBackup())


def test_over_records_only_when_told_and_they_are_kept(tmp_path):
    old, new = filled(tmp_path / "old"), filled(tmp_path / "new")
    (new / "mine").write_text("before")
    written(old, tmp_path / "b.tar.gz")
    with pytest.raises(Conflict, match="holds records already"):
        restore(tmp_path / "b.tar.gz", new)
    assert (new / "mine").read_text() == "before"
    _, aside = restore(tmp_path / "b.tar.gz", new, replace=True)
    assert (aside / "mine").read_text() == "before"
    assert not (new / "mine").exists()


def repacked(file, target, change):
    """The backup with one member changed, and its digest too when `change` wants that."""
    with tarfile.open(file) as source, tarfile.open(target, "w:gz") as sink:
        parts = {part.name: source.extractfile(part).read() for part in source}
        for name, data in change(parts).items():
            part = tarfile.TarInfo(name)
            part.size = len(data)
            sink.addfile(part, io.BytesIO(data))


def digested(parts):
    parts["digests.json"] = json.dumps({n: hashlib.sha256(d).hexdigest() for n, d in parts.items() if n != "digests.json"}).encode()
    return parts


def edit(parts, name, before, after):
    assert before in parts[name]
    return parts | {name: parts[name].replace(before, after)}


WRONG = {
    "a part was changed": (lambda p: edit(p, "records/charges/0.jsonl", b'"ben"', b'"bob"'), "was altered: records/charges/0.jsonl"),
    "a part is gone": (lambda p: {n: d for n, d in p.items() if n != "records/leases/0.jsonl"}, "was altered"),
    "a part came": (lambda p: p | {"files/extra": b"x"}, "was altered"),
    "the end is gone": (lambda p: {n: d for n, d in p.items() if n != "digests.json"}, "its end is missing"),
    "above the folder": (lambda p: digested(p | {"files/../../evil": b"x"}), "which no backup does"),
    "an absolute path": (lambda p: digested(p | {"/tmp/evil": b"x"}), "which no backup does"),
    "its own database": (lambda p: digested(p | {"files/records.sqlite": b"x"}), "which no backup does"),
    "an audit record was edited": (lambda p: digested(edit(p, "records/audit/0.jsonl", b'"nyc/flights"', b'"nyc/fights"')), "does not verify"),
    "the audit log was cut": (
        lambda p: digested(p | {"records/audit/0.jsonl": b"".join(p["records/audit/0.jsonl"].splitlines(True)[:4]), "records/anchors/0.jsonl": b""}),
        "ends at record 4, and 6 was its last",
    ),
    "another table": (lambda p: digested(p | {"records/users/0.jsonl": b"{}\n"}), "tables that its revision lacks"),
    "another format": (lambda p: digested(edit(p, "backup.json", b'"format": 1', b'"format": 9')), "has format 9"),
    "a newer revision": (lambda p: digested(p | {"backup.json": json.dumps(json.loads(p["backup.json"]) | {"revision": "9999"}).encode()}), "9999"),
    "columns that are not there": (lambda p: digested(edit(p, "records/charges/0.jsonl", b'"hour"', b'"horn"')), "don't fit their table"),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_backup_that_is_not_right_changes_nothing(tmp_path, what):
    change, message = WRONG[what]
    old, new = filled(tmp_path / "old"), filled(tmp_path / "new")
    written(old, tmp_path / "good.tar.gz")
    repacked(tmp_path / "good.tar.gz", tmp_path / "bad.tar.gz", change)
    before = rows_of(new / "records.sqlite")
    with pytest.raises((BadRequest, Conflict), match=message):
        restore(tmp_path / "bad.tar.gz", new, replace=True)
    assert rows_of(new / "records.sqlite") == before
    assert {p.name for p in tmp_path.iterdir()} == {"old", "new", "good.tar.gz", "bad.tar.gz"}
    repacked(tmp_path / "good.tar.gz", tmp_path / "same.tar.gz", lambda parts: parts)
    restore(tmp_path / "same.tar.gz", new, replace=True)


@pytest.mark.parametrize("content", [b"", b"not a backup", gzip.compress(b"x" * 2000, mtime=0)], ids=["empty", "text", "gzip"])
def test_what_is_no_backup_is_told(tmp_path, content):
    (tmp_path / "b").write_bytes(content)
    with pytest.raises(BadRequest, match="is no whole backup"):
        restore(tmp_path / "b", tmp_path / "new")


def test_a_backup_that_was_cut_off_is_told(tmp_path):
    old = filled(tmp_path / "old")
    written(old, tmp_path / "b.tar.gz")
    whole = (tmp_path / "b.tar.gz").read_bytes()
    for part in (0.2, 0.6, 0.95):
        (tmp_path / "cut").write_bytes(whole[: int(len(whole) * part)])
        with pytest.raises(BadRequest, match="is no whole backup"):
            restore(tmp_path / "cut", tmp_path / "new")


KILLED = """
import sys, os
from pathlib import Path
from jupyter_guardrails.cli.backup import restore
print("begin", flush=True)
restore(Path(sys.argv[1]), Path(sys.argv[2]), replace=True)
"""


def test_killed_at_any_moment_the_state_is_the_old_or_the_new_one(tmp_path):
    old, new = filled(tmp_path / "old"), filled(tmp_path / "new")
    (new / "mine").write_text("before")
    written(old, tmp_path / "b.tar.gz")
    seen = set()
    for delay_s in (0.0, 0.05, 0.1, 0.2, 0.3, 0.4, None):
        process = subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path / "b.tar.gz"), str(new)], stdout=subprocess.PIPE)
        process.stdout.readline()
        if delay_s is not None:
            time.sleep(delay_s)  # a random moment is what is tried
            process.send_signal(signal.SIGKILL)
        process.wait()
        records = open_records(new / "records.sqlite", journal=new / "audit.jsonl")
        assert records.read_sync(audit.verify_table).count == 6
        records.close()
        seen.add((new / "mine").exists())
    assert False in seen, "the last one came to its end"


@pytest.mark.parametrize("source", ["sqlite", "postgresql"])
def test_from_either_database_into_postgresql(tmp_path, request, source):
    url = request.getfixturevalue("postgres")
    old = filled(tmp_path / "old")
    place = old / "records.sqlite"
    if source == "postgresql":
        place = fresh_database(url)
        records = open_records(place)
        records.write_sync(fill)
        records.close()
    records = open_records(place)
    with (tmp_path / "b.tar.gz").open("xb") as sink:
        records.read_sync(backup.write, sink, old, now=NOW, with_keys=False)
    records.close()
    target = fresh_database(url)
    restore(tmp_path / "b.tar.gz", tmp_path / "new", database=target)
    assert without_places(rows_of(target)) == without_places(rows_of(place))
    with pytest.raises(Conflict, match="holds tables already"):
        restore(tmp_path / "b.tar.gz", tmp_path / "new2", database=target)
    shutil.rmtree(tmp_path / "new")
    restore(tmp_path / "b.tar.gz", tmp_path / "new", database=target, replace=True)
    records = open_records(target)
    assert records.read_sync(audit.verify_table).count == 6
    records.close()
    restore(tmp_path / "b.tar.gz", tmp_path / "lite")
    assert without_places(rows_of(tmp_path / "lite/records.sqlite")) == without_places(rows_of(place))


def test_a_backup_is_of_one_moment_while_others_write(place, tmp_path):
    records = open_records(place)
    records.write_sync(fill)
    said = {"principal": "ana", "action": "a", "resource": "r", "allowed": True, "reason": "", "rule": "", "policy_digest": ""}

    class Meanwhile(io.BytesIO):
        def write(self, data):
            records.write_sync(audit.append, now=NOW, **said)
            return super().write(data)

    sink = Meanwhile()
    (tmp_path / "state").mkdir()
    found = records.read_sync(backup.write, sink, tmp_path / "state", now=NOW, with_keys=False)
    assert records.read_sync(audit.head)[0] > found.seq
    records.close()
    (tmp_path / "b").write_bytes(sink.getvalue())
    assert restore(tmp_path / "b", tmp_path / "new")[0].rows["audit"] == found.seq


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request, tmp_path):
    return str(tmp_path / "r.sqlite") if request.param == "sqlite" else fresh_database(request.getfixturevalue("postgres"))


@pytest_local
@pytest.mark.parametrize(
    "url", ["postgresql://records:hunter2@db.example.com/r", "postgresql://db.example.com/r?pass%77ord=hunter2", "mysql://db.example.com/hunter2"]
)
def test_a_password_in_the_arguments_is_refused(world, tmp_path, url):
    """Nothing is connected."""
    refused = command(world, "restore", "x", "--database", url, check=False)
    assert refused.returncode == 2
    assert "~/.pgpass" in refused.stderr
    assert "hunter2" not in refused.stderr
