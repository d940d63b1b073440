"""Control as a service of its own account, and two others beside each other: whatever crosses from one to the other is refused."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import review_browser
import service_machine
from service_machine import ACCOUNTS, NAMELESS

WHY_NOT = service_machine.why_not()
pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT or "-")]
TWO = {"notebook": "sales.ipynb", "details": {"then": ["next.ipynb"]}}
AWAY = "this machine's control, a service at /run/jupyter-guardrails/control.sock, does not answer"


@pytest.fixture(scope="module")
def machine():
    with service_machine.made() as machine:
        yield machine


@pytest.fixture(scope="module")
def service(machine):
    return machine.start_service()


def test_each_account_is_itself_whatever_it_says(machine, service):
    lies = {"LOGNAME": "ana", "USER": "ana", "HOME": str(machine.home("ana")), "GUARDRAILS_AS": "ana", "GUARDRAILS_POLICY": "/tmp/mine.yaml"}
    lies |= {"GUARDRAILS_STATE_DIR": "/tmp/mine", "GUARDRAILS_CONTROL": "/tmp/mine.sock", "GUARDRAILS_CATALOG": "/tmp/mine"}
    for account, person in (("ana", "ana"), ("ben", "ben"), (NAMELESS, f"uid-{NAMELESS}"), (0, "root")):
        for environment in ({}, lies):
            me = machine.ask(account, "m.Me()", **environment)
            assert (me["person"], me["mode"]) == (person, "service")
            assert me["policy"]["path"] == "/etc/jupyter/guardrails/guardrails.yaml"
            assert me["boundary"].startswith("The policy is this machine's admin's; control runs as an account of its own")


def test_nobody_but_the_service_starts_a_control(machine, service):
    for account in ("ana", 0):
        own = machine.guardrails(account, "control", "--state-dir=/tmp/mine", "--socket=/tmp/mine.sock")
        assert (own.returncode, "this machine's control is a service for all accounts" in own.stderr) == (1, True), own.stderr
    acting = machine.guardrails("jupyter-guardrails", "control", "--service", "--as=ana")
    assert "--as is for demos" in acting.stderr
    assert "runs as an account of its own, not as root" in machine.guardrails(0, "control", "--service").stderr
    assert "belongs to uid" in machine.guardrails("ana", "control", "--service").stderr
    assert machine.ask("ana", "m.Me()")["person"] == "ana"


def test_its_records_keys_and_memory_are_out_of_reach(machine, service):
    program = "import os, sys\nfor path in sys.argv[1:]:\n try: os.listdir(path) if os.path.isdir(path) else open(path).close(); print('open')\n"
    program += " except PermissionError: print('shut')"
    pid = next(line for line in subprocess.check_output(["pgrep", "-u", str(ACCOUNTS["jupyter-guardrails"])], text=True).split())
    places = ["/var/lib/jupyter-guardrails", "/var/lib/jupyter-guardrails/records.sqlite", f"/proc/{pid}/environ", f"/proc/{pid}/fd"]
    assert machine.run("ana", "-c", program, *places).stdout.split() == ["shut"] * 4
    assert machine.run("jupyter-guardrails", "-c", program, *places[:2]).stdout.split() == ["open"] * 2, "the probe works"
    for path, mode in (("run/jupyter-guardrails", 0o755), ("run/jupyter-guardrails/control.sock", 0o666), ("run/jupyter-guardrails/token", 0o644)):
        found = os.stat(machine.root / path)
        assert (found.st_mode & 0o7777, found.st_uid) == (mode, ACCOUNTS["jupyter-guardrails"])


TRY = """
import json, os, socket, struct
found = {}
try:
    found["token"] = open("/run/jupyter-guardrails/token").read()
except OSError as error:
    found["token"] = type(error).__name__
try:
    with socket.socket(socket.AF_UNIX) as control:
        control.connect("/run/jupyter-guardrails/control.sock")
        body = json.dumps({"v": 1, "op": "me", "args": {}, "token": found["token"]}).encode()
        control.sendall(struct.pack(">I", len(body)) + body)
        found["socket"] = json.loads(control.recv(1 << 20)[4:])["ok"]
except OSError as error:
    found["socket"] = type(error).__name__
print("FOUND" + json.dumps(found) + "END")
"""


def found_in(text):
    return json.loads(text.rpartition("FOUND")[2].partition("END")[0])


def test_an_exec_can_not_speak_to_it_and_its_account_can(machine, service):
    outside = found_in(machine.run("ana", "-c", TRY).stdout)
    assert (outside["socket"], len(outside["token"]) > 20) == (True, True)
    done = machine.guardrails("ana", "exec", "--workspace", str(machine.home("ana") / "work"), "--", "python3", "-c", TRY)
    inside = found_in(done.stdout)
    assert inside["token"] in ("FileNotFoundError", "PermissionError"), done.stderr
    assert inside["socket"] in (False, "FileNotFoundError", "PermissionError")
    assert machine.ask("ana", "m.Kernels()")["kernels"] == []


@pytest.fixture(scope="module")
def kernelspec(machine):
    why_not = machine.add_kernelspec()
    if why_not:
        pytest.skip(f"no package index answers here: {why_not}")


@pytest.fixture(scope="module")
def servers(machine, service):
    """A launched server of each account, with traits and variables that would have it otherwise."""
    lies = {"GUARDRAILS_POLICY": "/tmp/mine.yaml", "LOGNAME": "carol", "USER": "carol", "GUARDRAILS_AS": "carol"}
    traits = ("--Guardrails.policy_path=/tmp/mine.yaml", "--Guardrails.control_socket=/tmp/mine.sock", "--Guardrails.state_dir=/tmp/mine")
    started = {account: machine.serve(account, *traits, **lies) for account in ("ana", "ben")}
    yield started
    for server in started.values():
        server.stop()


def test_each_server_is_its_accounts_whatever_it_was_told(servers):
    for account, server in servers.items():
        me = server.rest("GET", "guardrails/me").json()
        assert (me["person"], me["mode"], me["roles"]) == (account, "service", ["reviewer", "scientist"])
        assert me["policy"]["path"] == "/etc/jupyter/guardrails/guardrails.yaml"
        assert {one["name"] for one in me["enforced"] if one["held"]} >= {"files", "network"}


def test_kernels_of_two_accounts_run_beside_each_other_and_speak_to_no_control(servers):
    for account, server in servers.items():
        answer = server.rest("POST", "api/kernels", json={"name": "python3"})
        assert answer.status_code == 201, f"{answer.text}\n{server.log()}"
        found = found_in(server.execute(answer.json()["id"], TRY))
        assert found["token"] in ("FileNotFoundError", "PermissionError")
        assert found["socket"] in (False, "FileNotFoundError", "PermissionError")
        kernels = server.rest("GET", "guardrails/kernels").json()["kernels"]
        assert [kernel["id"] for kernel in kernels] == [answer.json()["id"]], f"{account} sees their own alone"


def test_a_terminal_speaks_to_no_control(servers, machine):
    server = servers["ana"]
    (server.workspace / "try.py").write_text(TRY + 'open("tried.json", "w").write(json.dumps(found))')
    answer = server.rest("POST", "api/terminals", json={})
    assert answer.status_code == 200, answer.text
    server.type(answer.json()["name"], "python3 try.py; mv tried.json done.json\r", until=server.workspace / "done.json")
    found = json.loads((server.workspace / "done.json").read_text())
    assert found["token"] in ("FileNotFoundError", "PermissionError")
    assert found["socket"] in (False, "FileNotFoundError", "PermissionError")
    assert server.rest("DELETE", f"api/terminals/{answer.json()['name']}").status_code == 204


def test_the_second_account_gets_at_nothing_of_the_first(servers, machine):
    """With the names of everything in hand, over control's own socket; the twin is the first account itself."""
    (kernel,) = machine.ask("ana", "m.Kernels()")["kernels"]
    lease = machine.lease_of(kernel["id"])
    crossings = {
        f"m.KernelSettle(lease={lease!r}, reason='mine')": "not_found",
        f"m.KernelStarted(lease={lease!r}, pid=1, report={{}})": "not_found",
        f"m.KernelRoot(lease={lease!r}, launch='x', read=[], write=[], devices=[])": "not_found",
        f"m.KernelWouldRefuse(lease={lease!r}, seen=[])": "not_found",
    }
    for request, code in crossings.items():
        assert machine.ask("ben", request)["code"] == code, request
    beat = f"m.KernelBeat(beats=[m.Beat(lease={lease!r}, cpu_s=1e9, memory_bytes=1, memory_peak_bytes=1)])"
    assert machine.ask("ben", beat)["end"][0]["lease"] == lease
    assert [one["id"] for one in machine.ask("ana", "m.Kernels()")["kernels"]] == [kernel["id"]]
    people = [one["person"] for one in machine.ask("ben", "usage.Usage()")["people"]]
    assert set(people) <= {"ben"}
    assert {"ana", "ben"} <= {one["person"] for one in machine.ask("carol", "usage.Usage()")["people"]}, "an admin sees everybody"
    assert {one["principal"] for one in machine.ask("ben", "m.Audit()")["records"]} == {"ben"}
    assert machine.ask("ana", f"m.KernelLimits(leases=[{lease!r}])")["limits"][0]["lease"] == lease


@pytest.fixture(scope="module")
def in_review(servers, machine, kernelspec):
    """A submission of ana's, made over HTTP from her launched server: the notebooks are 0600 in a 0700 home, where control can't look. What is
    edited after the click is not in it."""
    machine.add_notebook("ana", "x = 1", "y = x + 1", parameters=True)
    machine.add_notebook("ana", "z = 1", name="next.ipynb")
    server = servers["ana"]
    answer = server.rest("POST", "guardrails/submissions", json=TWO, headers={"Idempotency-Key": "one"})
    assert answer.status_code == 202, answer.text
    machine.add_notebook("ana", "1 / 0", name="next.ipynb")
    found = server.until_checked(answer.json()["id"])
    assert found["state"] == "in_review", [check for check in found["checks"] if check["state"] not in ("passed", "not_checked")]
    return found


def test_a_notebook_becomes_a_package_by_its_own_accounts_hands(servers, machine, in_review):
    server = servers["ana"]
    again = server.rest("POST", "guardrails/submissions", json=TWO, headers={"Idempotency-Key": "one"})
    assert again.json()["id"] == in_review["id"]
    package = server.rest("GET", f"guardrails/submissions/{in_review['id']}/package")
    assert package.status_code == 200
    file = server.workspace / "sales.job.zip"
    file.write_bytes(package.content)
    file.chmod(0o644)
    assert "unchanged and signed" in machine.guardrails("ana", "job", "verify", str(file)).stdout
    assert machine.owners_below("var/lib/jupyter-guardrails") == {ACCOUNTS["jupyter-guardrails"]}


def test_a_job_is_reopened_in_the_workspace_of_whoever_may_read_it(servers, machine, in_review):
    """Its files as they were submitted, in a new folder each time; who may not know of it is told that there is none."""
    server = servers["ana"]
    made = [server.rest("POST", f"guardrails/submissions/{in_review['id']}/reopen") for _ in range(2)]
    assert [answer.status_code for answer in made] == [201, 201], made[0].text
    said = made[1].json()
    assert [answer.json()["folder"] for answer in made] == ["sales-1", "sales-1-1"]
    notebook = server.workspace / said["notebook"]
    assert ["".join(cell["source"]) for cell in json.loads(notebook.read_text())["cells"]] == ["x = 1", "y = x + 1"]
    assert json.loads(notebook.read_text())["metadata"]["kernelspec"]["name"] == "tiny"
    pins = json.loads((notebook.parent / "reopened.json").read_text())
    assert (pins["kernelspec"], pins["submission"], pins["content_digest"]) == ("tiny", in_review["id"], in_review["content_digest"])
    assert "[[packages]]" in (notebook.parent / "pylock.kernel.toml").read_text()
    assert f"job reopen {in_review['id']} --to {notebook.parent}" in said["next_step"]
    (server.workspace / "sales-1-2").symlink_to("/tmp")
    refused = server.rest("POST", f"guardrails/submissions/{in_review['id']}/reopen")
    assert (refused.status_code, os.path.exists("/tmp/reopened.json")) == (404, False)
    assert "sales-1-2 leads out of the workspace" in refused.json()["message"]
    (server.workspace / "sales-1-2").unlink()
    assert server.rest("POST", f"guardrails/submissions/{in_review['id']}/reopen").status_code == 201
    assert server.rest("POST", "guardrails/submissions/none/reopen").status_code == 404


def test_a_submission_is_its_authors(machine, in_review):
    """Ben reviews: what is in review is his to see, too."""
    for request in ("m.SubmissionShow(id={!r})", "m.SubmissionPackage(id={!r})"):
        assert machine.ask("carol", request.format(in_review["id"]))["code"] == "not_found"
        assert "code" not in machine.ask("ana", request.format(in_review["id"]))
    assert machine.ask("carol", f"m.SubmissionCancel(id={in_review['id']!r})")["code"] == "not_found"
    assert machine.ask("carol", "m.SubmissionsList()") == {"submissions": [], "total": 0}


def test_two_accounts_are_four_eyes(servers, machine, in_review):
    """Its author may review the jobs of others, and not this one; who is no reviewer hears nothing of it; the second account's word counts."""
    assert "nobody else has approved this yet" in in_review["label"]
    approve = ("job", "approve", in_review["id"], "--digest", in_review["content_digest"], "--reason", "looks right")
    refused = machine.guardrails("ana", *approve, LOGNAME="ben", USER="ben", GUARDRAILS_AS="ben")
    assert (refused.returncode, "submitted" in refused.stderr) == (1, True), refused.stderr
    assert machine.guardrails("carol", *approve).returncode == 1
    assert servers["ana"].rest("GET", f"guardrails/submissions/{in_review['id']}").json()["state"] == "in_review"
    inside = servers["ben"].rest("POST", f"guardrails/submissions/{in_review['id']}/decision", json=decision(in_review))
    assert (inside.status_code, "jupyter guardrails job approve" in inside.json()["next_step"]) == (403, True), inside.text
    done = machine.guardrails("ben", *approve)
    assert done.returncode == 0, done.stderr
    found = servers["ana"].rest("GET", f"guardrails/submissions/{in_review['id']}").json()
    assert found["state"] == "approved"
    said = [record for record in machine.ask("carol", "m.Audit()")["records"] if record["action"].startswith("review.")]
    assert [(record["principal"], record["allowed"]) for record in said][-1] == ("ben", True)
    assert ("ana", False) in [(record["principal"], record["allowed"]) for record in said]


def version_of(machine, server, remark):
    """The next version of the same job, in review: its code ran before, so that run's evidence stands."""
    machine.add_notebook("ana", "x = 1", "y = x + 1", parameters=True, remark=remark)
    machine.add_notebook("ana", "z = 1", name="next.ipynb")
    found = server.until_checked(server.rest("POST", "guardrails/submissions", json=TWO).json()["id"])
    assert found["state"] == "in_review", found
    return found


def test_a_reviewer_decides_in_a_page_deploys_and_goes_back(servers, machine, in_review):
    """Each by its command: a version is rejected, the next one approved in the page and deployed, and what was deployed before comes back."""

    def ben(*words):
        done = machine.guardrails("ben", "job", *words, "--json")
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout)

    ben("deploy", in_review["id"], "--param", "x=5")
    unwanted = version_of(machine, servers["ana"], "a remark")
    ben("reject", unwanted["id"], "--digest", unwanted["content_digest"][:12], "--reason", "this stays with us")
    rejected = servers["ana"].rest("GET", f"guardrails/submissions/{unwanted['id']}").json()
    assert (rejected["state"], "this stays with us" in json.dumps(rejected)) == ("rejected", True)
    wanted = version_of(machine, servers["ana"], "another remark")
    with review_browser.opened(machine, "ben") as page:
        assert f"/{wanted['id']}" in page.get().text
        assert wanted["content_digest"] in page.get(wanted["id"]).text
        assert page.post(wanted["id"], decision="approve", digest=wanted["content_digest"], words="as before").status_code == 200
        what, code = page.code()
        assert what == f"approve sales-3 of ana, content {wanted['content_digest']}"
        assert page.post(wanted["id"], code=code).status_code == 200
        assert page.terminal() == "done: approve sales-3: approved"
    newer = ben("deploy", wanted["id"], "--param", "x=7")
    assert [(row["version"], newer["deployment"]["state"]) for row in newer["replaced"]] == [(1, "live")]
    back = ("job", "rollback", in_review["id"], "--reason", "the new one counts twice")
    assert "is not deployed by this account" in machine.guardrails("ana", *back).stdout, "she reviews, and operates nothing of it"
    (replaced,) = ben(*back[1:])["replaced"]
    assert replaced["id"] == newer["deployment"]["id"]
    live = [row for row in ben("runs")["deployments"] if row["state"] == "live"]
    assert [(row["version"], row["content_digest"], row["parameters"]) for row in live] == [(1, in_review["content_digest"], {"x": "7"})]
    states = [servers["ana"].rest("GET", f"guardrails/submissions/{found['id']}").json()["state"] for found in (in_review, wanted)]
    assert states == ["deployed", "superseded"]


def test_own_files_go_to_a_group_over_another_account_and_no_server_decides(servers, machine):
    """Files that only their account can open: handed over by descriptor, kept where neither account gets at them; ben's own group reads it."""
    file = machine.home("ana") / "own.csv"
    file.write_text("a,b\n1,2\n")
    os.chown(file, ACCOUNTS["ana"], ACCOUNTS["ana"])
    file.chmod(0o600)
    done = machine.guardrails("ana", "data", "import", str(file), "ana/own", "--description", "mine", "--json")
    assert done.returncode == 0, done.stderr
    digest = json.loads(done.stdout)["digest"]
    assert machine.guardrails("ben", "data", "publications", "ana/own").returncode == 1, "it is private"
    assert machine.guardrails("ben", "data", "import", str(file), "ben/own", "--description", "not mine").returncode == 1
    taken = machine.guardrails("ben", "data", "import", "/etc/hostname", "ana/own", "--description", "as ana's")
    assert taken.returncode != 0
    assert machine.guardrails("ana", "data", "propose", "ana/own", "--to", "carol").returncode == 1
    proposed = machine.guardrails("ana", "data", "propose", "ana/own", "--to", "ben", "--json")
    assert proposed.returncode == 0, proposed.stderr
    digest = json.loads(proposed.stdout)["digest"]
    own = machine.guardrails("ana", "data", "approve", "ana/own", "--digest", digest, GUARDRAILS_AS="carol")
    assert (own.returncode, "another person" in own.stderr) == (1, True), own.stderr
    assert machine.guardrails("ben", "data", "approve", "ana/own", "--digest", digest).returncode == 1
    done = machine.guardrails("carol", "data", "approve", "ana/own", "--digest", digest)
    assert done.returncode == 0, done.stderr
    shown = machine.guardrails("ben", "data", "show", "ana/own")
    assert ("1" in shown.stdout, shown.returncode) == (True, 0), shown.stderr
    kept = machine.root / "var" / "lib" / "jupyter-guardrails" / "publications"
    assert [path.stat().st_uid for path in kept.iterdir()] == [ACCOUNTS["jupyter-guardrails"]]
    seen = machine.run("ana", "-c", "import os; print(os.listdir('/var/lib/jupyter-guardrails/publications'))")
    assert "PermissionError" in seen.stderr


def decision(submission):
    return {"decision": "approve"} | {name: submission[name] for name in ("content_digest", "evidence_digest")}


def test_a_server_finds_a_service_that_was_started_again(servers, machine, service, kernelspec):
    """What was under way when it was killed is checked again, by the same account."""
    machine.add_notebook("ben", "import time", "time.sleep(600)", name="slow.ipynb")
    server = servers["ben"]
    submitted = server.rest("POST", "guardrails/submissions", json={"notebook": "slow.ipynb"}).json()["id"]
    server.until(submitted, lambda found: any(check["state"] == "passed" for check in found["checks"]))
    assert times_checked(server) == 1
    service.kill()
    service.wait()
    away = server.rest("GET", "guardrails/me")
    assert (away.status_code, AWAY in away.json()["message"]) == (503, True)
    machine.start_service()
    assert server.rest("GET", "guardrails/me").json()["person"] == "ben"
    server.until(submitted, lambda found: times_checked(server) == 2 and found["state"] == "checking")
    assert server.rest("POST", f"guardrails/submissions/{submitted}/cancel", json={}).json()["state"] == "cancelled"
    assert not any((machine.home("ben") / ".cache" / "jupyter-guardrails" / "work").iterdir())


def test_a_station_that_is_killed_is_followed_by_another_and_leaves_nothing(machine, servers, kernelspec):
    """`submit` starts its own: carol has no server. What the killed one worked on is checked again, to its end."""
    notebook = machine.add_notebook("carol", "x = 1", name="again.ipynb")
    command = machine.command("carol", sys.executable, "-m", "jupyter_guardrails", "submit", str(notebook), "--reason", "a test", "--json")
    done = subprocess.Popen(command, env=machine.environment("carol"), cwd="/", stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert "ok " in next(line for line in done.stderr if line.startswith("ok ")), "a check has ended, so the station works"
    station = min(processes_of("carol", "promotion.station"))  # what it starts is called so, too, for a moment
    assert processes_of("carol", "promotion.worker")
    os.kill(station, signal.SIGKILL)
    said, error = done.communicate(timeout=150)
    found = json.loads(said)
    assert (done.returncode, found["state"]) == (0, "in_review"), error
    until(lambda: not processes_of("carol", "promotion.") and not processes_of("carol", "ipykernel"))
    assert not any((machine.home("carol") / ".cache" / "jupyter-guardrails" / "work").iterdir())
    records = [one["action"] for one in machine.ask("carol", "m.Audit()")["records"] if one["resource"] == f"{found['name']}-{found['version']}"]
    assert records.count("submission.checking") == 2


def processes_of(account, word):
    """Numbers of the account's processes with that word in their command line."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if entry.stat().st_uid == ACCOUNTS[account] and word in (entry / "cmdline").read_bytes().decode(errors="replace"):
                found.append(int(entry.name))
    return found


def until(holds):
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.1)  # processes of others tell nobody of their end


def times_checked(server):
    records = server.rest("GET", "guardrails/audit").json()["records"]
    return sum(1 for record in records if (record["action"], record["resource"]) == ("submission.checking", "slow-1"))


def test_while_it_is_away_nothing_answers_in_its_place(machine, servers):
    """The last test but those that need another service."""
    machine.end_service()
    assert AWAY in machine.ask("ana", "m.Me()")["error"]
    done = machine.guardrails("ana", "exec", "--workspace", str(machine.home("ana") / "work"), "--", "true")
    assert (done.returncode, AWAY in done.stderr) == (1, True), done.stderr
    assert not (machine.home("ana") / ".local" / "state").exists(), "no control of its own was started"
    machine.start_service()
    assert machine.ask("ana", "m.Me()")["person"] == "ana"


def test_where_the_policy_only_observes_kernels_still_speak_to_no_control():
    """Files are open then, but for what stays shut; the launched server itself must find control all the same.

    The folder is not one of those that this test's machine mounts: what is shut at one place is open at another mount of it.
    """
    with service_machine.made() as made:
        folder = made.root / "place"
        folder.mkdir()
        os.chown(folder, ACCOUNTS["jupyter-guardrails"], -1)
        (made.admins / "settings.yaml").write_text(f"control: service\nsocket: {folder}/control.sock\n")
        policy = made.admins / "guardrails.yaml"
        policy.write_text(policy.read_text().replace("mode: enforce", "mode: observe"))
        made.start_service()
        program = TRY.replace("/run/jupyter-guardrails", str(folder))
        assert found_in(made.run("ana", "-c", program).stdout)["socket"] is True
        server = made.serve("ana")
        done = made.guardrails("ana", "exec", "--workspace", str(server.workspace), "--", "python3", "-c", program)
        assert found_in(done.stdout) == {"token": "PermissionError", "socket": False}, done.stderr
        assert server.rest("GET", "guardrails/me").json()["person"] == "ana"
        answer = server.rest("POST", "api/kernels", json={"name": "python3"})
        assert answer.status_code == 201, f"{answer.text}\n{server.log()}"
        assert found_in(server.execute(answer.json()["id"], program)) == {"token": "PermissionError", "socket": False}
