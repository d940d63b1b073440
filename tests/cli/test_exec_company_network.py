"""What network.yaml names, from inside a real sandbox: the company's certificates can be read, its proxy's credentials can't."""

import os
import subprocess
import sys

import pytest

POLICY = "apiVersion: guardrails/v1\nmode: {mode}\nrules: [{{name: all, for: everyone}}]\n"
LOOK = "cat $SSL_CERT_FILE $PIP_CERT; cat $0"


@pytest.fixture
def place(tmp_path):
    """A policy and its network.yaml, with certificates and credentials outside the workspace."""
    for folder in ("policy", "workspace", "catalog", "home"):
        (tmp_path / folder).mkdir()
    (tmp_path / "home" / "company.pem").write_text("the certificates\n")
    credentials = tmp_path / "home" / "company-proxy"
    credentials.write_text("svc:s3cret\n")
    credentials.chmod(0o600)
    return tmp_path


def inside(place, mode, credentials, workspace="workspace"):
    """Look at both as a kernel would."""
    (place / "policy" / "guardrails.yaml").write_text(POLICY.format(mode=mode))
    said = f"upstream_proxy: http://127.0.0.1:9\nupstream_credentials: {credentials}\nca_bundle: {place}/home/company.pem\n"
    (place / "policy" / "network.yaml").write_text(said)
    environ = {"PATH": os.environ["PATH"], "HOME": str(place / "home"), "GUARDRAILS_STATE_DIR": str(place / "state")}
    environ |= {"GUARDRAILS_POLICY": str(place / "policy" / "guardrails.yaml"), "GUARDRAILS_CATALOG": str(place / "catalog")}
    command = [
        sys.executable,
        "-m",
        "jupyter_guardrails",
        "exec",
        "--workspace",
        str(place / workspace),
        "--",
        "/bin/sh",
        "-c",
        LOOK,
        str(credentials),
    ]
    return subprocess.run(command, env=environ, cwd=place, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("mode", ["enforce", "observe"])
def test_the_certificates_can_be_read_and_the_credentials_not(place, mode):
    done = inside(place, mode, place / "home" / "company-proxy")
    assert done.stdout == "the certificates\n" * 2, done.stderr
    assert done.returncode == 1
    assert "company-proxy" in done.stderr
    assert "s3cret" not in done.stderr


def test_nothing_starts_with_credentials_in_the_workspace(place):
    done = inside(place, "enforce", place / "home" / "company-proxy", workspace="home")
    assert (done.returncode, done.stdout) == (2, "")
    assert "network.yaml:2:" in done.stderr
    assert "kernels run as this account and may read" in done.stderr
