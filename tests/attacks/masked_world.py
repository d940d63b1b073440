"""A launched server over two families of the same rows: of one the contract classifies and masks columns, of the other nothing."""

import os
import re
import subprocess
import sys

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from tests.records.conftest import fresh_database
from tests.server.server_processes import descendants

LOGIN = "masked_person"
POLICY = """\
apiVersion: guardrails/v1
mode: enforce
require: [files, network]
profiles:
  small: {memory: 2GiB, cpus: 1}
rules:
  - name: everyone
    for: everyone
    kernels: {profiles: [small], default: small, max: 10, terminals: small}
    data: {read: ["nyc/*"]}
    mask: {pii: hash}
"""
MASKED, OPEN = "nyc/people", "nyc/open"
BOTH = {MASKED: True, OPEN: False}  # the same rows; only in the first does the contract classify and mask columns
ROWS = {
    "name": ["Ada", "Bob", "Cyd"],
    "email": ["ada@example.com", "bob@example.com", "cyd@example.com"],
    "salary": [91_250, 48_700, 60_000],
    "note": ["Analytical Engine", "Analytical Engine", "Difference Engine"],
}
SECRETS = ("ada@example.com", "91250", "Analytical Engine")


class World:
    """A launched server with the datasets, one of its kernels, and what both say."""

    def __init__(self, server):
        self.server, self.data, self.person = server, server.root / "data", server.account.pw_name
        for name, masked in BOTH.items():
            self._family(name, masked)
        pq.write_table(pa.table({"name": ROWS["name"], "desk": [1, 2, 3]}), self.data / "desks.parquet")
        self._contract("nyc/desks", file("desks.parquet", self.data), columns(False, name="string", desk="integer"))
        self._belongs_to_its_account()
        self._measure()
        self.kernel = server.start_kernel()
        assert self.kernel.run(f"import guarded; print(guarded.open({MASKED!r}).to_arrow().num_rows)").strip() == "3"
        assert (server.state / "mask.salt").stat().st_size == 32  # the salt that probes look for

    def add_tables(self, postgres):
        """The same rows in a database in which this account has a login of its own; what opens it lies beside the policy."""
        url = fresh_database(postgres)
        rows = ", ".join(map(str, zip(*ROWS.values(), strict=True)))
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(f"create role {LOGIN} login")
            for table in ("people_rows", "open_rows"):
                connection.execute(f"create table {table} (name text, email text, salary bigint, note text); insert into {table} values {rows}")
            connection.execute(f"grant select on open_rows to {LOGIN}")
        name = url.partition("@/")[2].partition("?")[0]
        logins = {self.person: {"user": LOGIN, "password": "unused"}}
        file = self.server.root / "credentials.yaml"
        file.write_text(yaml.safe_dump({"sources": [{"for": f"postgresql:///{name}", "user": "records", "roles": logins}]}))
        file.chmod(0o600)
        database = {"server": "dwh", "type": "postgres", "host": url.partition("host=")[2], "database": name, "schema": "public"}
        for name, masked in BOTH.items():
            self._contract(f"{name}-table", database, people(masked), table=f"{name.partition('/')[2]}_rows", sql="per-person")
        self._belongs_to_its_account()

    def _family(self, name, masked):
        """A table of people, and what is made of the same rows: a torn file, a product, and one with a quality rule."""
        last, schema = name.partition("/")[2], people(masked)
        for path in (self.place(name), self.data / f"{last}-measured.parquet"):
            pq.write_table(pa.table(ROWS).replace_schema_metadata({"first": SECRETS[0]}), path)
        (self.data / f"{last}-torn.csv").write_text(f"name,email,salary,note\nAda,x,1,y\nBob,x,{SECRETS[0]},y\n")
        about = "everybody" if masked else f"everybody, as {SECRETS[0]} and {SECRETS[2]}"  # words of a contract are found, values never are
        self._contract(name, file(f"{last}.parquet", self.data), schema, purpose=about)
        self._contract(f"{name}-torn", file(f"{last}-torn.csv", self.data), schema)
        rule = {"metric": "invalidValues", "mustBe": 2, "arguments": {"validValues": [SECRETS[0]]}}
        measured = [column | ({"quality": [rule]} if column["name"] == "email" else {}) for column in schema]
        self._contract(f"{name}-measured", file(f"{last}-measured.parquet", self.data), measured)
        made = {"from": [name, "nyc/desks"], "how": "join", "on": ["name"]}
        made["columns"] = {"name": "name", "mail": f"{name}:email", "pay": f"{name}:salary", "remark": f"{name}:note"}
        self._contract(f"{name}-product", None, columns(False, name="string", mail="string", pay="integer", remark="string"), product=made)

    def _contract(self, name, server, properties, *, table="table", purpose="rows", **own):
        domain, _, last = name.partition("/")
        said = {"apiVersion": "v3.1.0", "kind": "DataContract", "id": name, "name": last, "version": "1.0.0", "status": "active", "domain": domain}
        said |= {"description": {"purpose": purpose}, "team": {"name": "team", "members": [{"username": "ben", "role": "owner"}]}}
        said |= {"servers": [server] if server else [], "schema": [{"name": last, "physicalName": table, "properties": properties}]}
        said["customProperties"] = [
            {"property": f"guardrails.{key}", "value": value} for key, value in ({"classification": "internal"} | own).items()
        ]
        (self.server.root / "catalog" / f"{last}.odcs.yaml").write_text(yaml.safe_dump(said))

    def _belongs_to_its_account(self):
        subprocess.run(["chown", "-R", f"{self.server.account.pw_uid}:{self.server.account.pw_gid}", self.server.root], check=True)

    def _measure(self):
        """As an admin, which this account is no longer afterwards."""
        self.server.policy.write_text(POLICY.replace("mode:", f"admins: {{users: [{self.person}]}}\nmode:"))
        for name in BOTH:
            assert "1 of 1 checks passed" in self.command("data", "check", f"{name}-measured")
        self.server.policy.write_text(POLICY)

    def place(self, name):
        return self.data / f"{name.partition('/')[2]}.parquet"

    def command(self, *words):
        """What `jupyter guardrails …` says in a shell of the same account."""
        become = ["setpriv", f"--reuid={self.server.account.pw_uid}", f"--regid={self.server.account.pw_gid}", "--clear-groups"]
        names = {
            "GUARDRAILS_POLICY": self.server.policy,
            "GUARDRAILS_CATALOG": self.server.root / "catalog",
            "GUARDRAILS_STATE_DIR": self.server.state,
        }
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.server.root / "home"), **{key: str(value) for key, value in names.items()}}
        prefix = become if self.server.account.pw_uid != os.getuid() else []
        done = subprocess.run([*prefix, sys.executable, "-m", "jupyter_guardrails", *words], env=environment, cwd="/", capture_output=True, text=True)
        return done.stdout + done.stderr

    def run(self, code, name):
        """What the code prints in the kernel, to its last line."""
        pids = [str(self.server.process.pid), *(str(pid) for pid in descendants(self.server.process.pid))]
        given = {
            "NAME": name,
            "PLACE": str(self.place(name)),
            "STATE": str(self.server.state),
            "PIDS": pids,
            "SAID": [SECRETS[0], SECRETS[2]],
            "TABLE": f"{name.partition('/')[2]}_rows",
        }
        said = self.kernel.run("".join(f"{key} = {value!r}\n" for key, value in given.items()) + code + "print('to its end')")
        assert said.endswith("to its end\n"), said
        assert not re.search("NameError|SyntaxError|AttributeError|TypeError", said), said  # a probe that broke proves nothing
        return said.removesuffix("to its end\n")


def file(name, folder):
    return {"server": "here", "type": "local", "path": str(folder / name), "format": name.rpartition(".")[2]}


def people(masked):
    return columns(masked, name="string", email="string", salary="integer", note="string")


def columns(masked, **types):
    """The properties of a contract: `email` is personal, and `salary` and `note` have masks of their own."""
    made = [{"name": name, "logicalType": kind} for name, kind in types.items()]
    own = {"salary": "blank", "note": "constant"}
    for column in made if masked else ():
        column |= {"classification": "pii"} if column["name"] == "email" else {}
        column |= {"customProperties": [{"property": "guardrails.mask", "value": own[column["name"]]}]} if column["name"] in own else {}
    return made
