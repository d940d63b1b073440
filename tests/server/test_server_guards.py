"""A server that can't be governed does not run; one that lost its control runs and says so."""

import pytest

pytestmark = pytest.mark.slow  # left out of `make test-fast`


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--GatewayClient.url=http://127.0.0.1:9"], "gateway"),
        (["--ServerApp.allow_external_kernels=True"], "allow_external_kernels"),
    ],
)
def test_a_server_whose_kernels_would_run_elsewhere_ends(make_server, arguments, named):
    refused = make_server(arguments=arguments)
    assert refused.wait_ended() != 0
    assert named in refused.log()


def test_a_gateway_that_the_environment_names_ends_it_too(make_server):
    """KRN-09: configuration is not the only way to name one."""
    refused = make_server(environment={"JUPYTER_GATEWAY_URL": "http://127.0.0.1:9"})
    assert refused.wait_ended() != 0
    assert "gateway" in refused.log()


def test_an_extension_that_takes_the_factory_back_ends_the_server(make_server, tmp_path):
    """It loads after ours and puts jupyter_client's own factory in place again."""
    (tmp_path / "zz_takes_back.py").write_text(
        "from jupyter_client.provisioning import KernelProvisionerFactory as Factory\n"
        "def _jupyter_server_extension_points(): return [{'module': 'zz_takes_back'}]\n"
        "def _load_jupyter_server_extension(app):\n"
        "    from jupyter_guardrails.kernels.provisioner import GuardedProvisionerFactory\n"
        "    GuardedProvisionerFactory.clear_instance(); Factory.instance(parent=app)\n"
    )
    tmp_path.chmod(0o755)
    extensions = "'jupyter_guardrails': True, 'zz_takes_back': True"
    refused = make_server(extensions=extensions, environment={"PYTHONPATH": str(tmp_path)})
    assert refused.wait_ended() != 0
    assert "kernel provisioner factory" in refused.log()


def test_without_control_the_server_runs_and_kernels_say_why(make_server):
    alone = make_server(state="/proc/nowhere").wait_ready()
    answer = alone.rest("POST", "api/kernels", json={"name": "python3"})
    assert answer.status_code == 503
    assert "control did not start" in answer.json()["message"]
    assert answer.json()["code"] == "control_away"
    assert alone.rest("GET", "guardrails/me").status_code == 503
    assert alone.rest("GET", "api/contents").status_code == 200
