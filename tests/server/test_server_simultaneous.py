"""Fifty starts of real kernels at once, over HTTP, against a limit of three: three run, forty-seven are told the rule."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.soak]

ROUNDS = 5 if os.environ.get("GUARDRAILS_SOAK") == "1" else 1
AT_ONCE, MOST = 50, 3
RULE = "guardrails.yaml:8 everyone-starts-small"


@pytest.fixture(scope="module")
def three(make_server):
    """A server whose policy lets three kernels run at the same time."""
    return make_server(maximum=MOST).wait_ready()


def test_fifty_starts_at_once_over_http_start_exactly_three_kernels(three):
    for _ in range(ROUNDS):
        gate = threading.Barrier(AT_ONCE)

        def post(_, gate=gate):
            gate.wait()
            return three.rest("POST", "api/kernels", json={"name": "python3"})

        with ThreadPoolExecutor(AT_ONCE) as pool:
            answers = list(pool.map(post, range(AT_ONCE)))
        started = [answer.json()["id"] for answer in answers if answer.status_code == 201]
        refused = [answer for answer in answers if answer.status_code != 201]
        assert (len(started), len(refused)) == (MOST, AT_ONCE - MOST), three.log()
        assert {answer.status_code for answer in refused} == {429}
        assert all("no more are allowed at once" in answer.text and RULE in answer.text for answer in refused), refused[0].text
        listed = {kernel["id"] for kernel in three.rest("GET", "api/kernels").json()}
        assert listed == set(started), "a refused start leaves no kernel behind"
        kernels = [three.attach(identity) for identity in started]
        assert [kernel.run("print(6 * 7)") for kernel in kernels] == ["42\n"] * MOST
        for kernel in kernels:
            assert kernel.stop().status_code == 204
