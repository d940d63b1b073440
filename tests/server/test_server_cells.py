"""Cells that run in a governed server are in the audit log, as the server saw them."""

import hashlib
import json
import time

import pytest

from jupyter_guardrails.server.cells import code_in
from jupyter_guardrails.server.notices import header_of


def digest(code):
    return hashlib.sha256(code.encode()).hexdigest()


def cells(server, kernel, count):
    """The records of a kernel's cells, once there are so many; the server tells control beside the cell."""
    for _ in range(100):
        latest = server.rest("GET", "guardrails/audit?last=200&action=kernel.cell").json()["records"]
        found = [row for row in latest if row["kernel"] == kernel.id]
        if len(found) >= count:
            return found
        time.sleep(0.1)
    pytest.fail(f"{count} cells were not recorded: {found}")


def test_each_cell_is_recorded_and_a_kernel_can_not_forge_one(server, kernel):
    kernel.run("print('one')")
    kernel.run("import os; print(os.getpid())")
    first, second = cells(server, kernel, 2)
    assert [row["cell_digest"] for row in (first, second)] == [digest("print('one')"), digest("import os; print(os.getpid())")]
    assert first["allowed"] is True
    assert "code" not in first


def message(**content):
    return json.dumps({"header": {"msg_type": "execute_request"}, "content": content, "channel": "shell"})


def test_what_runs_beside_the_code_is_code_too():
    assert code_in(message(code="1", user_expressions={}), v1=False) == "1"
    assert code_in(message(code="1", user_expressions={"a": "run()"}), v1=False) == '1\n# user_expressions: {"a": "run()"}'


@pytest.mark.parametrize("content", [{}, {"code": None}])
def test_a_request_without_code_is_no_failure(content):
    assert code_in(message(**content), v1=False) in ("(a request without code)", "None")


@pytest.mark.parametrize("raw", ["", "[]", "{", '"execute_request"', json.dumps({"content": []})])
def test_what_is_no_message_is_no_failure(raw):
    assert code_in(raw, v1=False) == "(a request without code)"
    assert header_of(raw, v1=False) == {}


def test_a_request_that_is_spelled_otherwise_is_one():
    """JSON can write each letter as an escape: the kernel reads the same."""
    spelled = message(code="1").replace("execute_request", "\\u0065xecute_request")
    assert header_of(spelled, v1=False)["msg_type"] == "execute_request"
