"""Stands where a Kubernetes API server would: takes Jobs that the strict schemas take, and runs each container's command here, in its folder.

No cluster of a test's own starts without a container runtime; what is sent to one, and what is made of its answers, is tried by this.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import kubernetes_validate
import yaml

VERSION = "1.31"


class Cluster:
    """Jobs by name, and the processes that stand for their pods."""

    def __init__(self) -> None:
        self.jobs: dict[str, tuple[dict[str, Any], subprocess.Popen[bytes]]] = {}
        self.lock = threading.Lock()

    def create(self, namespace: str, job: dict[str, Any], query: str) -> tuple[int, dict[str, Any]]:
        try:
            assert "fieldValidation=Strict" in query
            kubernetes_validate.validate(job, VERSION, strict=True)
        except Exception as error:  # noqa: BLE001 - whatever the schemas say is the answer, as a cluster gives it
            return 422, {"kind": "Status", "reason": "Invalid", "message": str(error)}
        name, container = job["metadata"]["name"], job["spec"]["template"]["spec"]["containers"][0]
        with self.lock:
            if name in self.jobs:
                return 409, {"kind": "Status", "reason": "AlreadyExists"}
            if "dryRun=All" not in query:
                quiet, environ = subprocess.DEVNULL, {entry["name"]: entry["value"] for entry in container["env"]}
                argv, cwd = container["command"], container["workingDir"]
                self.jobs[name] = (job, subprocess.Popen(argv, cwd=cwd, env=environ, stdin=quiet, stdout=quiet, stderr=quiet))
        return 201, job

    def read(self, name: str) -> tuple[int, dict[str, Any]]:
        if name not in self.jobs:
            return 404, {"kind": "Status", "reason": "NotFound"}
        job, process = self.jobs[name]
        code = process.poll()
        kind = "Complete" if code == 0 else "Failed"
        said = {"type": kind, "status": "True", "reason": "BackoffLimitExceeded", "message": f"the pod ended with {code}"}
        return 200, job | {"status": {"active": 1} if code is None else {"conditions": [said]}}

    def delete(self, name: str) -> tuple[int, dict[str, Any]]:
        status, found = self.read(name)
        if status == 200:
            _, process = self.jobs.pop(name)
            process.terminate()
            process.wait(30)
        return status, found


@contextlib.contextmanager
def running(folder: Path) -> Iterator[Cluster]:
    """The stand-in; KUBECONFIG in `folder` names it."""
    cluster = Cluster()

    class Handler(BaseHTTPRequestHandler):
        def _answer(self, answer: tuple[int, dict[str, Any]]) -> None:
            body = json.dumps(answer[1]).encode()
            self.send_response(answer[0])
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self) -> None:
            path, _, query = self.path.partition("?")
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self._answer(cluster.create(path.split("/")[5], body, query))

        def do_GET(self) -> None:
            self._answer(cluster.read(self.path.partition("?")[0].split("/")[7]))

        def do_DELETE(self) -> None:
            self._answer(cluster.delete(self.path.partition("?")[0].split("/")[7]))

        def log_message(self, *arguments: object) -> None:
            """Nothing is said."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    where = {"name": "here", "cluster": {"server": f"http://127.0.0.1:{server.server_port}"}}
    config = {"apiVersion": "v1", "kind": "Config", "clusters": [where], "users": [{"name": "me", "user": {}}], "current-context": "here"}
    config["contexts"] = [{"name": "here", "context": {"cluster": "here", "user": "me"}}]
    (folder / "kubeconfig").write_text(yaml.safe_dump(config))
    try:
        yield cluster
    finally:
        server.shutdown()
        server.server_close()
        for _, process in cluster.jobs.values():
            process.kill()
            process.wait()
