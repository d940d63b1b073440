"""A service whose records are in PostgreSQL: by a password file over TCP, then over a socket as the account that it is; its log proves itself."""

import json
import os
import pwd
import secrets
import shutil
import subprocess

import pytest
import service_machine
from ports import free_port
from service_machine import ACCOUNTS

WHY_NOT = service_machine.why_not()
if not (shutil.which("initdb") and shutil.which("pg_ctl")):
    WHY_NOT = "initdb and pg_ctl are not on this machine's PATH: PostgreSQL is not tested here"
pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT or "-")]

SERVICE = "jupyter-guardrails"
HBA = "local all all peer\nhost all all 127.0.0.1/32 scram-sha-256\n"
SQL = "import psycopg, sys\nwith psycopg.connect(sys.argv[1], autocommit=True) as c:\n for s in sys.argv[2:]: c.execute(s)\n"


class Database:
    """PostgreSQL on the machine, which knows its accounts: one of them by itself on the socket, by its password over TCP."""

    def __init__(self, machine):
        self.machine, self.password, self.account = machine, secrets.token_urlsafe(12), pwd.getpwnam("nobody")
        self.home = machine.root / "postgresql"
        self.home.mkdir(mode=0o755)
        os.chown(self.home, self.account.pw_uid, self.account.pw_gid)
        self.port = free_port()
        self.over_socket = f"postgresql://{SERVICE}@/guardrails?host={self.home}&port={self.port}"
        self.over_tcp = f"postgresql://{SERVICE}@127.0.0.1:{self.port}/guardrails"
        self._as_owner("initdb", "-D", self.home / "data", "-U", "nobody", "-A", "peer", "--no-sync")
        (self.home / "data" / "pg_hba.conf").write_text(HBA)
        options = f"-c port={self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={self.home} -c fsync=off"
        self._as_owner("pg_ctl", "-D", self.home / "data", "-w", "-o", options, "-l", self.home / "log", "start")
        role = f"create role \"{SERVICE}\" login password '{self.password}'"
        postgres = self.over_socket.replace(f"{SERVICE}@/guardrails", "nobody@/postgres")
        self.sql(self.account.pw_uid, postgres, role, f'create database guardrails owner "{SERVICE}"')

    def _as_owner(self, *command):
        subprocess.run(self.machine.command(self.account.pw_uid, *command), check=True, cwd=self.home, stdout=subprocess.DEVNULL)

    def sql(self, account, url, *statements):
        done = self.machine.run(account, "-c", SQL, url, *statements)
        assert done.returncode == 0, done.stderr

    def stop(self):
        self._as_owner("pg_ctl", "-D", self.home / "data", "-w", "-m", "immediate", "stop")


@pytest.fixture
def machine():
    with service_machine.made() as machine:
        yield machine


@pytest.fixture
def database(machine):
    made = Database(machine)
    yield made
    made.stop()


def settle(machine, records, *more):
    (machine.admins / "settings.yaml").write_text("\n".join(["control: service", f"records: {records}", *more, ""]))


def verified(machine, account=SERVICE):
    done = machine.guardrails(account, "audit", "verify", "--json")
    assert done.returncode in (0, 1), done.stderr
    return json.loads(done.stdout)


def test_kernels_go_on_and_the_log_proves_itself(machine, database):
    passfile = machine.root / "var/lib/jupyter-guardrails/pgpass"
    passfile.write_text(f"127.0.0.1:{database.port}:guardrails:{SERVICE}:{database.password}\n")
    passfile.chmod(0o600)
    os.chown(passfile, ACCOUNTS[SERVICE], ACCOUNTS[SERVICE])
    settle(machine, database.over_tcp, "records_passfile: /var/lib/jupyter-guardrails/pgpass")
    machine.start_service()
    server = machine.serve("ana")
    answer = server.rest("POST", "api/kernels", json={"name": "python3"})
    assert answer.status_code == 201, f"{answer.text}\n{server.log()}\n{machine.log()}"
    kernel = answer.json()["id"]
    assert server.execute(kernel, "kept = 7; print(kept)") == "7\n"
    before = verified(machine)
    assert (before["problems"], before["notes"], before["anchored_to"] > 0) == ([], [], True)
    assert verified(machine, 0)["head"] == before["head"], "root can read the password file, too"

    machine.end_service()
    settle(machine, database.over_socket)  # the same database, and no password any more
    machine.start_service()
    assert [one["id"] for one in machine.ask("ana", "m.Kernels()")["kernels"]] == [kernel]
    assert "7" in server.execute(kernel, "print(kept)").splitlines()  # beside it, perhaps, that its channel is gone: nobody kept the descriptors here
    after = verified(machine)
    assert (after["problems"], after["notes"], after["count"] > before["count"]) == ([], [], True)
    for account in ("ana", 0):
        refused = machine.guardrails(account, "audit", "verify")
        assert (refused.returncode, "run this as the account that control runs as" in refused.stderr) == (2, True), refused.stderr

    state = machine.root / "var/lib/jupyter-guardrails"
    assert not (state / "records.sqlite").exists()
    assert database.password not in machine.log() + server.log() + (state / "audit.jsonl").read_text()
    machine.end_service()
    assert verified(machine)["problems"] == []
    database.sql(SERVICE, database.over_socket, "update audit set principal = 'ben' where seq = 3")
    assert verified(machine)["problems"] == ["record 3 was altered"]
