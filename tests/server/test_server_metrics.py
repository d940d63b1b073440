"""What a real server tells Prometheus: what runs, what was refused, whether control answers; nothing that names a kernel or a notebook."""

import time

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from jupyter_guardrails.control.interface import ControlClient
from jupyter_guardrails.control.interface.messages import Budget
from jupyter_guardrails.errors import ControlAway
from jupyter_guardrails.server.metrics import MOST_PROFILES, OTHERS, MeteredControl, Metrics

PATIENCE_S = 40
BUDGETED = """\
apiVersion: guardrails/v1
profiles:
  small: {memory: 1GiB, cpus: 1}
rules:
  - {name: everyone, for: everyone, kernels: {profiles: [small], default: small, max: 1}, budget: {cpu_hours: 2, per: 7d}}
"""


@pytest.fixture(scope="module")
def metered(make_server):
    return make_server(policy=BUDGETED.replace("apiVersion: guardrails/v1", "apiVersion: guardrails/v1\nmode: enforce")).wait_ready()


def samples(server):
    """(name, labels without the histogram's) -> value, of ours."""
    answer = server.rest("GET", "metrics")
    assert answer.status_code == 200
    found = [sample for family in text_string_to_metric_families(answer.text) for sample in family.samples]
    return {(s.name, *sorted(s.labels.items())): s.value for s in found if s.name.startswith("guardrails_")}


def until(server, condition):
    deadline = time.monotonic() + PATIENCE_S
    while not condition(found := samples(server)):
        assert time.monotonic() < deadline, found
        time.sleep(0.2)
    return found


def test_what_runs_is_told_by_profile_and_state(metered):
    small = ("profile", "small")
    assert samples(metered).get(("guardrails_kernels", small, ("state", "idle"))) is None
    kernel = metered.start_kernel()
    kernel.run("1")
    found = until(metered, lambda found: found.get(("guardrails_kernel_memory_bytes", small), 0) > 1 << 20)
    assert sum(value for key, value in found.items() if key[0] == "guardrails_kernels") == 1
    assert found["guardrails_kernel_memory_limit_bytes", small] == 1 << 30
    assert found["guardrails_kernel_start_seconds_count", small] == 1
    assert 0 < found["guardrails_kernel_start_seconds_sum", small] < PATIENCE_S
    assert found["guardrails_control_up",] == 1
    assert found["guardrails_budget_limit_seconds", ("resource", "cpu")] == 7200
    assert ("guardrails_budget_limit_seconds", ("resource", "memory_gib")) not in found
    assert kernel.id not in metered.rest("GET", "metrics").text
    refused = metered.rest("POST", "api/kernels", json={"name": "python3"})
    assert refused.status_code == 429
    assert samples(metered)["guardrails_refusals_total", ("action", "kernel.admit"), ("code", "limit_reached")] == 1
    kernel.stop()
    until(metered, lambda found: not any(key[0] == "guardrails_kernels" for key in found))


def test_it_stays_behind_jupyters_token(metered):
    assert metered.rest("GET", "metrics", token=None).status_code == 403


def test_profiles_are_bounded():
    metrics = Metrics(CollectorRegistry())
    labels = {metrics.profile(f"p{number}") for number in range(MOST_PROFILES + 20)}
    assert len(labels) == MOST_PROFILES + 1
    assert OTHERS in labels
    assert metrics.profile("p0") == "p0"


def test_control_that_is_away_is_told(tmp_path, metered):
    metrics = Metrics(CollectorRegistry())
    control = MeteredControl(ControlClient(tmp_path / "nobody.sock", "t"), metrics)
    metrics.control_up = True
    with pytest.raises(ControlAway):
        control.call(Budget())
    assert metrics.control_up is False
    assert samples(metered)["guardrails_control_up",] == 1
