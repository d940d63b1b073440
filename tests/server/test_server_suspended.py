"""A person who is suspended while they work: real kernels, a notice below the cell, the end with its reason, and nothing new."""

import os
import pwd

import pytest

from jupyter_guardrails.control.interface import Settings
from jupyter_guardrails.control.interface.own import running_control
from jupyter_guardrails.control.interface.stops import Suspend, SuspensionLift

pytestmark = pytest.mark.slow
PERSON = pwd.getpwuid(os.getuid()).pw_name
POLICY = f"""\
apiVersion: guardrails/v1
mode: enforce
require: [files, network]
admins: {{users: [{PERSON}]}}
profiles: {{small: {{memory: 1GiB, cpus: 1}}}}
rules:
  - name: everyone
    for: everyone
    kernels: {{profiles: [small], max: 4}}
    data: {{read: ["nyc/*"]}}
"""


@pytest.fixture(scope="module")
def governed(make_server):
    """A server of this very account, which its policy makes an admin: so that the test may speak to its control."""
    return make_server(policy=POLICY).wait_ready()


@pytest.fixture
def control(governed):
    found = running_control(Settings(governed.policy, governed.root / "catalog", governed.state, governed.state / "control.sock", True))
    assert found is not None
    return found


def test_what_runs_hears_it_then_ends_with_the_reason_and_nothing_new_starts(governed, control):
    kernel = governed.start_kernel()
    assert kernel.run("print(6 * 7)").strip() == "42"
    message = kernel.send("import time\nwhile True: time.sleep(0.1)")
    control.call(Suspend(kind="user", name=PERSON, reason="account taken over, ticket 12", grace_s=3))
    said = kernel.wait(message, until="was suspended by")
    assert "save your work" in said
    assert "the policy changed" not in said
    said = kernel.wait(message, until="ended: the account")
    assert "ticket 12" in said
    refused = governed.rest("POST", "api/kernels", json={"name": "python3"})
    assert refused.status_code == 403, refused.text
    assert "was suspended by" in refused.text
    me = governed.rest("GET", "guardrails/me").json()
    assert "ticket 12" in me["suspended"]["reason"]
    control.call(SuspensionLift(kind="user", name=PERSON, reason="it was nothing"))
    assert governed.start_kernel().run("print('again')").strip() == "again"
    assert governed.rest("GET", "guardrails/me").json()["suspended"] is None


def test_a_suspended_dataset_is_no_longer_opened_by_a_kernel_that_runs(governed, control):
    kernel = governed.start_kernel()
    read = "import guarded; print(guarded.open('nyc/flights').read())"
    assert "carrier" in kernel.run(read)
    control.call(Suspend(kind="dataset", name="nyc/flights", reason="wrong rows, ticket 7"))
    said = kernel.run(read)
    assert "the dataset nyc/flights was suspended by" in said
    assert "ticket 7" in said
    fresh = governed.start_kernel()
    assert "FileNotFoundError" in fresh.run("import os; open(os.environ['GUARDRAILS_DATA'] + '/nyc/flights')")
    control.call(SuspensionLift(kind="dataset", name="nyc/flights", reason="mended"))
    assert "carrier" in kernel.run(read)


def test_a_restart_that_is_refused_leaves_a_kernel_that_is_called_dead_until_a_later_one_works(governed, control):
    kernel = governed.start_kernel()
    assert kernel.run("print(6 * 7)").strip() == "42"
    assert state_of(governed, kernel) != "dead"
    control.call(Suspend(kind="user", name=PERSON, reason="account taken over, ticket 13", grace_s=3600))
    refused = governed.rest("POST", f"api/kernels/{kernel.id}/restart")
    assert refused.status_code == 403, refused.text
    assert "ticket 13" in refused.text
    assert state_of(governed, kernel) == "dead"
    control.call(SuspensionLift(kind="user", name=PERSON, reason="it was nothing"))
    kernel.restart()
    assert state_of(governed, kernel) != "dead"
    assert kernel.run("print('again')").strip() == "again"


def state_of(governed, kernel):
    return governed.rest("GET", f"api/kernels/{kernel.id}").json()["execution_state"]
