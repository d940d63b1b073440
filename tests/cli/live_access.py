"""Access to a dataset from request to revocation while one kernel runs: control is a service, ana works in a launched server, ben owns the data.

`python tests/cli/live_access.py` runs it and writes the transcript in docs/ anew.
"""

import os
import re
import sys
import time
from pathlib import Path

import yaml

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parent))

import service_machine
from service_machine import ACCOUNTS

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "live-access.md"
POLICY = f"""\
{service_machine.RULES}    data: {{request: ["hr/*"]}}
  - name: ana-reads-payroll
    for: {{users: [ana]}}
    data: {{read: ["pay/*"]}}
"""
WITHIN_S = 10.0  # the docs promise 2 s; machines that test are busy
HEAD = """\
# Access while a kernel runs

Made by `tests/cli/live_access.py`, and run again by its test: control is a service with an account of its own, ana works in a server that
`jupyter guardrails server` launched, ben owns `hr/headcount`. **It is one kernel all the time.** The seconds are those of one run on two
processors; commands pay for the start of Python.

"""
READ = 'open(os.environ["GUARDRAILS_DATA"] + "/hr/headcount").readline().strip()'
ID = re.compile(r"\b(g-)?r-[0-9a-f]{12}\b")


def world(machine):
    """Ben's data, whose files ana's account may open, and a folder of payrolls that belongs to control's account alone."""
    (machine.admins / "guardrails.yaml").write_text(POLICY)
    data = machine.root / "data"
    (data / "pay").mkdir(parents=True)
    (data / "headcount.csv").write_text("department,people\nsales,12\n")
    (data / "payroll.csv").write_text("who,amount\nana,1\n")
    for name in ("may", "june"):
        (data / "pay" / f"{name}.csv").write_text(f"who,amount\n{name},2\n")
    for path in (data / "payroll.csv", data / "pay", *(data / "pay").iterdir()):
        os.chown(path, ACCOUNTS["jupyter-guardrails"], ACCOUNTS["jupyter-guardrails"])
        path.chmod(0o700 if path.is_dir() else 0o600)
    for name, place in (("hr/headcount", "headcount.csv"), ("pay/roll", "payroll.csv"), ("pay/months", "pay")):
        add_contract(machine, name, data / place)
    return machine


def add_contract(machine, name, place):
    domain, _, last = name.partition("/")
    contract = {"apiVersion": "v3.1.0", "kind": "DataContract", "id": name, "name": last, "version": "1.0.0", "status": "active", "domain": domain}
    contract |= {"description": {"purpose": "How many work where."}, "team": {"name": "hr", "members": [{"username": "ben", "role": "owner"}]}}
    form = "directory" if place.is_dir() else "csv"
    contract |= {"servers": [{"server": "here", "type": "local", "path": str(place), "format": form}]}
    contract |= {"schema": [{"name": last, "properties": [{"name": "people", "logicalType": "integer"}]}]}
    contract |= {"customProperties": [{"property": "guardrails.classification", "value": "internal"}]}
    (machine.admins / "catalog" / f"{domain}-{last}.yaml").write_text(yaml.safe_dump(contract))


class Story:
    """What was typed, by whom, what it said and how long it took."""

    def __init__(self, machine, server):
        self.machine, self.server, self.steps = machine, server, []
        answer = server.rest("POST", "api/kernels", json={"name": "python3"})
        assert answer.status_code == 201, answer.text
        self.kernel = answer.json()["id"]

    def cell(self, code, *, until=None, title="In ana's kernel", since=None):
        """Run a cell, again and again until it says so; `since`: from when the seconds count."""
        begun = since or time.monotonic()
        while True:
            said = self.server.execute(self.kernel, code)
            if until is None or until(said) or time.monotonic() - begun > WITHIN_S:
                break
        self.steps.append((title, code, once(said.strip()), time.monotonic() - begun))
        return said

    def shell(self, account, *words, title):
        begun = time.monotonic()
        done = self.machine.guardrails(account, *words)
        assert done.returncode == 0, done.stderr
        quoted = " ".join(f'"{word}"' if " " in word else word for word in ("jupyter", "guardrails", *words))
        self.steps.append((title, f"$ {quoted}", done.stdout.strip(), time.monotonic() - begun))
        return done.stdout

    def page(self):
        parts = []
        for title, code, said, seconds in self.steps:
            language = "console" if code.startswith("$ ") else "python"
            parts.append(f"{title} ({seconds:.2f} s):\n\n```{language}\n{code}\n```\n\n```text\n{said or '(nothing)'}\n```\n")
        return HEAD + "\n".join(parts)


def tell(machine, server):
    """From the refusal to the revocation."""
    story = Story(machine, server)
    story.cell('import os, guarded\n\nopen(guarded.path("hr/headcount"))', title="Ana is refused, and told what to type")
    asked = 'print(guarded.request("hr/headcount", purpose="staffing study", days=5)["state"])'
    story.cell(asked, title="She asks")
    listed = story.shell("ben", "data", "requests", title="Ben, in a shell outside of JupyterLab, sees the request")
    request = ID.search(listed)[0]
    story.shell("ben", "data", "grant", request, "--reason", "for the study", title="He grants it")
    granted = time.monotonic()
    title = "The same kernel reads it: seconds since the grant"
    story.cell(
        f'kept = open(os.environ["GUARDRAILS_DATA"] + "/hr/headcount")\nprint({READ})',
        until=lambda said: "people" in said,
        title=title,
        since=granted,
    )
    child = 'print(os.popen("tail -n 1 $GUARDRAILS_DATA/hr/headcount").read())'
    story.cell(child, title="So does each program that it starts, in any language")
    story.shell("ben", "data", "revoke", f"g-{request}", "--reason", "the study is over", title="Ben takes it back")
    revoked = time.monotonic()
    until = lambda said: "No such file" in said  # noqa: E731 - one word of what is waited for
    story.cell(f"print({READ})", until=until, title="New opens in the same kernel are refused: seconds since the revocation", since=revoked)
    story.cell('guarded.path("hr/headcount")', title="And it is told why")
    story.cell("print(kept.read())", title="What was open stays open")
    return story


def once(said):
    """An error's text comes twice: as output, and in the reply."""
    half = len(said) // 2
    return said[:half] if said and said[:half] == said[half:] else said


def without_chance(text):
    """The page without what differs from run to run."""
    text = re.sub(r"\(\d+\.\d\d s\)", "(N s)", ID.sub("ID", text))
    return re.sub(r"/tmp/\S+/data/", "/PLACE/", re.sub(r"\d{4}-\d\d-\d\d( \d\d:\d\d)?", "DATE", text))


def audited(machine, action):
    """(resource, allowed) of an action's records, as an admin reads them."""
    found = machine.ask("carol", f"auditing.AuditFind(actions=[{action!r}])")
    return [(record["resource"], record["allowed"]) for record in found["records"]]


if __name__ == "__main__":
    with service_machine.made() as made:
        world(made).start_service()
        PAGE.write_text(tell(made, made.serve("ana")).page())
