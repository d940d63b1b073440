"""The published attacks against a real governed server, as an ordinary account and as root: what escapes on plain Jupyter is blocked here.

Each case's allow twin is the plain run beside the suite: what escaped there is run, so that a snippet that fails everywhere proves nothing. `KEPT`
is or was mended there, too, and is run so that it stays so here. `attack_table.py` beside this prints what all cases of a group came to.
"""

import functools
import importlib.util
import json
import os
import pwd
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import yaml

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PLACES = (ROOT.parent / "shared" / "attacks", ROOT / "attacks")  # beside a checkout; where the unprivileged tests are copied to
SUITE = next((place for place in PLACES if (place / "attacks.py").is_file()), None)
ABSENT = "the published attacks are not beside this checkout"
ACCOUNT = "guardrails-test"
GROUPS = ("FS", "NET", "RES", "SEC", "CFG", "KRN", "PATH", "WEB", "SUP")
OTHERS = ("PARSE-05", "PARSE-08", "PKG-11")
KEPT = ("PATH-02", "PATH-07", "WEB-02", "WEB-03", "WEB-07", "WEB-08", "WEB-10")
LISTED = yaml.safe_load((HERE / "judged_by_us.yaml").read_text())
PROCESSES = ", processes"
# Without a suite there is nothing to collect by; the id says so.
PLAIN = json.loads((SUITE / "plain.json").read_text()) if SUITE else {}
ESCAPED = [name for name, found in PLAIN.items() if found["result"] == "ESCAPED"]
CASES = [name for name in PLAIN if name in KEPT or (name in ESCAPED and (name.split("-")[0] in GROUPS or name in OTHERS))]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def accounts():
    """Root, and an ordinary one where root can become it; or whoever runs this."""
    return ["ordinary", "root"] if os.getuid() == 0 else ["ordinary"]


@functools.cache
def results(who, cases):
    """What each snippet of these cases said, of one run of the suite."""
    with tempfile.TemporaryDirectory(prefix="ga-", dir="/tmp") as made:
        place = Path(made)
        place.chmod(0o755)
        policy = (HERE / "guardrails.yaml").read_text()
        (place / "guardrails.yaml").write_text(policy if who == "ordinary" else policy.replace(PROCESSES, ""))  # Linux counts none of root's
        command = f"{Path(sys.executable).parent / 'jupyter-guardrails'} server --no-browser --port={{port}} --ServerApp.root_dir={{root}}"
        command += f" --Guardrails.policy_path={place / 'guardrails.yaml'}" + (" --allow-root" if who == "root" else "")
        wanted = place / "cases.json"
        wanted.write_text(json.dumps({case: {"result": "ESCAPED"} for case in cases}))  # the suite runs what escaped according to this file
        arguments = ["--serve", command, "--arena", str(place / "a"), "--paired", str(wanted), "--out", str(place / "out.json")]
        become = ["--user", ACCOUNT] if who == "ordinary" and os.getuid() == 0 else []
        done = subprocess.run([sys.executable, "attacks.py", *arguments, *become], cwd=SUITE, capture_output=True, text=True, check=False)
        assert (place / "out.json").exists(), done.stdout[-2000:] + done.stderr[-2000:]
        return json.loads((place / "out.json").read_text())


def ready(who):
    """Skip where the suite, or the account that it would run as, is not there."""
    if SUITE is None:
        pytest.skip(ABSENT)
    if who == "ordinary" and os.getuid() == 0:
        become_possible()


@functools.cache
def can_become():
    """Why the ordinary account can't run this checkout; "" when it can."""
    try:
        pwd.getpwnam(ACCOUNT)
    except KeyError:
        if not shutil.which("useradd") or subprocess.run(["useradd", "--create-home", ACCOUNT], check=False).returncode:
            return f"there is no account {ACCOUNT}"
    tried = ["setpriv", f"--reuid={ACCOUNT}", f"--regid={ACCOUNT}", "--clear-groups", sys.executable, "-c", "import jupyter_guardrails.server.app"]
    readable = subprocess.run(tried, cwd="/", capture_output=True, check=False).returncode == 0
    return "" if readable else "the ordinary account can't read this checkout; .ci/test-unprivileged runs this from a copy"


def become_possible():
    if can_become():
        pytest.skip(can_become())


def listed(case, who):
    """Its entry in judged_by_us.yaml, where that counts for this account."""
    entry = {**LISTED["judged"], **LISTED["open"]}.get(case)
    return entry if entry and who in entry.get("as", [who]) else None


@pytest.mark.parametrize("who", accounts())
@pytest.mark.parametrize("case", CASES or ["none"])
def test_what_escapes_on_plain_jupyter_is_blocked(request, who, case):
    ready(who)
    chosen = (item.callspec.params for item in request.session.items if item.originalname == request.node.originalname)
    found = results(who, tuple(dict.fromkeys(params["case"] for params in chosen if params["who"] == who))).get(case)
    assert found, f"the run has no result for {case}"
    entry = listed(case, who)
    if entry is None:
        assert found["result"] == "BLOCKED", found["detail"]
    elif importlib.util.find_spec(entry.get("needs", "sys")) is None:
        assert found["result"] in ("BLOCKED", "ESCAPED")  # what the snippet itself needs isn't here: that it fails proves nothing
    else:
        assert found["result"] != "BLOCKED", f"{case} is blocked ({found['detail']}): take it out of judged_by_us.yaml"
        assert found["result"] == "ESCAPED", found["detail"]  # a snippet that broke says nothing


def test_the_suite_was_not_empty():
    if SUITE is None:
        pytest.skip(ABSENT)
    assert len(CASES) > 30
    assert {case.split("-")[0] for case in CASES} >= set(GROUPS)


def exists(node):
    """Whether a test of that id is there: `tests/x/test_y.py::test_z`, possibly with a class between."""
    path, *names = node.split("::")
    text = (ROOT / path).read_text() if (ROOT / path).is_file() else ""
    return bool(names) and all(re.search(rf"^\s*(?:async )?(?:def|class) {name}\b", text, re.MULTILINE) for name in names)


COVERED = yaml.safe_load((HERE / "covered.yaml").read_text())
NODES = sorted({node for entry in COVERED.values() for node in entry.get("tests", [])} | {entry["test"] for entry in LISTED["judged"].values()})


@pytest.mark.parametrize("node", NODES)
def test_a_test_that_a_list_names_exists(node):
    if not (ROOT / node.split("::")[0]).parent.is_dir():
        pytest.skip(ABSENT + ": only some of the tests are copied")
    assert exists(node)


def test_one_that_is_made_up_does_not_exist():
    assert not exists("tests/attacks/test_attacks_published.py::test_never_written")
    assert not exists("tests/attacks/test_nowhere.py::test_one_that_is_made_up_does_not_exist")


def cases_of(*groups):
    """The published cases of these groups, by their name."""
    cases = yaml.safe_load((SUITE / "cases.yaml").read_text())["cases"]
    return {case["id"]: case for case in cases if case["id"].split("-")[0] in groups}


def test_every_case_without_a_snippet_is_covered_by_a_test_of_ours_or_said_to_be_open():
    """Of data and paths every case: those with a snippet that asks for SQL, and gets none, are no different."""
    if SUITE is None:
        pytest.skip(ABSENT)
    bare = {name for name, case in cases_of(*GROUPS, "DATA", "FLOW", "XSS").items() if case["snippet"] is None}
    whole = {name for name in cases_of("DATA", "PATH") if name not in CASES and not (name.startswith("DATA-") and name in ESCAPED)}
    assert bare | whole == set(COVERED)
    for case, entry in COVERED.items():
        assert entry.get("tests") or entry.get("open"), f"{case} has neither tests nor a reason"
