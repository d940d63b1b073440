"""A policy that is replaced while a real server runs: shown over HTTP, followed by the next kernel, back to green without a restart."""

import os

import pytest

pytestmark = pytest.mark.slow  # left out of `make test-fast`


@pytest.fixture(scope="module")
def own_server(make_server, server):
    """A server whose policy nobody else uses, of the account that the shared one has."""
    return make_server(account=server.account.pw_name).wait_ready()


def put(server, text):
    """The new policy beside the old one, then `mv`; as another program would write it."""
    fresh = server.policy.with_suffix(".new")
    fresh.write_text(text)
    os.chown(fresh, server.account.pw_uid, server.account.pw_gid)
    fresh.replace(server.policy)


def me(server):
    answer = server.rest("GET", "guardrails/me")
    assert answer.status_code == 200, answer.text
    return answer.json()


def limit(answer, key):
    return next(item["value"] for item in answer["limits"] if item["key"] == key)


def test_a_broken_policy_is_shown_and_changes_nothing_until_it_is_mended(own_server):
    kernel = own_server.start_kernel()
    before, text = me(own_server)["policy"], own_server.policy.read_text()
    assert before["errors"] == []
    put(own_server, text.replace("max: 10", "max: 1").replace("small:", "smal:"))
    broken = me(own_server)
    assert broken["policy"]["digest"] == before["digest"]
    assert "the profile `small` is not defined" in broken["policy"]["errors"][0]
    assert "did you mean `smal`?" in broken["policy"]["errors"][0]
    assert (limit(broken, "kernels.max"), limit(broken, "profile.small").partition(",")[0]) == ("10", "1 GiB memory")
    second = own_server.start_kernel()
    assert second.run("print(6 * 7)") == "42\n"
    second.stop()
    put(own_server, text.replace("max: 10", "max: 1"))
    green = me(own_server)
    assert (green["policy"]["errors"], limit(green, "kernels.max")) == ([], "1")
    refused = own_server.rest("POST", "api/kernels", json={"name": "python3"})
    assert refused.status_code == 429, refused.text
    assert "everyone-starts-small" in refused.text
    assert kernel.run("print('still here')") == "still here\n"
    kernel.stop()
