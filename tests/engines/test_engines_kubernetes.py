"""Kubernetes keeps the contract of engines towards what stands for a cluster; its Jobs are what the strict schemas take."""

import cluster_stand_in
import kubernetes_validate
import pytest
from engine_contract import EngineContract

from jupyter_guardrails.engines import kubernetes, places
from jupyter_guardrails.engines.kubernetes import Kubernetes
from jupyter_guardrails.errors import BadRequest, GuardrailsError

SETTINGS = {"namespace": "jobs", "image": f"images.example.com/python@sha256:{'0' * 64}", "claim": "deployments", "user": 65532, "group": 65532}


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
    with cluster_stand_in.running(tmp_path) as cluster:
        yield cluster


class TestKubernetes(EngineContract):
    settings = SETTINGS

    @pytest.fixture
    def engine(self, cluster):
        return Kubernetes()

    def test_a_job_is_strictly_valid_in_every_version_and_as_narrow_as_it_can_be(self, engine, deploy):
        place = deploy()
        job = kubernetes.manifest(place, 3)
        for version in ("1.29", "1.31"):
            kubernetes_validate.validate(job, version, strict=True)
        pod = job["spec"]["template"]["spec"]
        container = pod["containers"][0]
        assert (pod["automountServiceAccountToken"], pod["securityContext"]["runAsNonRoot"]) == (False, True)
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert container["resources"]["limits"] == {"cpu": "1000m", "memory": str(256 << 20)}
        writable = [mount["mountPath"] for mount in container["volumeMounts"] if not mount.get("readOnly")]
        assert writable == [f"{place.folder}/runs", "/tmp"]
        assert "zebra" not in str(job).lower()
        assert "stripes" not in str(job)

    def test_the_schemas_can_refuse(self, engine, deploy):
        job = kubernetes.manifest(deploy(), 1)
        job["spec"]["template"]["spec"]["runAsRoot"] = True
        with pytest.raises(kubernetes_validate.ValidationError):
            kubernetes_validate.validate(job, "1.31", strict=True)

    def test_a_job_that_the_cluster_ends_is_told_in_its_words(self, engine, deploy, cluster):
        place = deploy(code="-1")
        job = engine.start(place, 1)
        self.waits(place)
        assert engine.waits_for(place, 1, job) == "", "it runs"
        process = cluster.jobs[job][1]
        process.kill()
        process.wait()
        assert not engine.is_running(place, 1, job)
        assert engine.verdict(place, 1, job)["error"].startswith("Kubernetes says BackoffLimitExceeded")
        assert places.ended(place, 1) is None

    def test_a_cluster_that_does_not_answer_loses_no_run(self, engine, deploy, tmp_path):
        place = deploy()
        config = (tmp_path / "kubeconfig").read_text()
        (tmp_path / "kubeconfig").write_text(config.replace("http://127.0.0.1:", "http://127.0.0.1:1#"))
        with pytest.raises(GuardrailsError, match="does not answer"):
            engine.is_running(place, 1, "x")

    def test_without_a_cluster_nothing_is_deployed(self, engine, deploy, monkeypatch, tmp_path):
        place = deploy()
        monkeypatch.setenv("KUBECONFIG", str(tmp_path / "gone"))
        monkeypatch.setenv("HOME", str(tmp_path))
        with pytest.raises(GuardrailsError, match="no cluster is configured"):
            engine.deploy(place, "")


@pytest.mark.parametrize(
    ("change", "reason"),
    [({"claim": ""}, "no claim"), ({"image": "python:3.11"}, "has no digest"), ({"user": 0}, "runs as root nowhere")],
)
def test_settings_that_say_too_little_or_too_much_are_refused(tmp_path, change, reason):
    class Deployed(places.Place):
        def deployed(self):
            return {"settings": SETTINGS | change, "content": "0" * 64}

        def job(self):
            class Job:
                resources = None

            return Job

    with pytest.raises(BadRequest, match=reason):
        kubernetes.manifest(Deployed(tmp_path / ("0" * 32)), 1)
