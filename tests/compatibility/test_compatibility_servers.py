"""Other applications and server extensions beside ours: Notebook 7, git, language servers, jupyter-scheduler, collaboration, gateways."""

import json
import time

import nbformat
import pytest
import websocket
from live_server import make_environment
from matrix import server_packages

pytestmark = [pytest.mark.slow]
EXTENSIONS = ("jupyterlab", "jupyterlab_git", "jupyter_lsp", "jupyter_scheduler", "jupyter_server_fileid", "jupyter_server_ydoc", "notebook_shim")
KERNELSPEC = {"kernelspec": {"name": "study", "display_name": "Study", "language": "python"}}
HIDDEN = "hidden_module_of_the_admin"


@pytest.fixture(scope="module")
def python(place):
    """The interpreter of an environment with this project and every extension of this file."""
    return str(make_environment(place / "extended", server_packages(), editable=True) / "bin" / "python")


@pytest.fixture(scope="module")
def extended(serve, python):
    """A governed Notebook 7 with all extensions."""
    return serve("e", "jupyter_guardrails", "notebook", python=python).wait_ready()


@pytest.fixture(scope="module")
def extended_plain(serve, python):
    """The same extensions without us."""
    enabled = f"--ServerApp.jpserver_extensions={dict.fromkeys(EXTENSIONS, True)}"
    return serve("ep", "notebook", python=python, arguments=(enabled,)).wait_ready()


@pytest.fixture(params=["extended", "extended_plain"])
def both(request):
    """Both servers in turn."""
    return request.getfixturevalue(request.param)


def post(server, path, body):
    """The answer to a POST with JSON, which must be fine."""
    answer = server.request("POST", path, json=body)
    assert answer.status_code < 300, f"{answer.text}\n{server.tail()}"
    return answer.json() if answer.text else {}


def test_notebook_7_serves_its_pages_and_governed_kernels(extended):
    assert '"notebookPage": "tree"' in extended.request("GET", "tree").text
    assert extended.request("GET", "notebooks/any.ipynb").status_code == 200
    assert extended.request("GET", "guardrails/me").status_code == 200
    kernel = extended.kernel("study", notebook="any.ipynb")
    refused = kernel.run(f"print(open('{extended.root}/elsewhere/secret.txt').read())").text
    assert kernel.run("print(6 * 7)").text == "42\n"
    kernel.close()
    assert "FileNotFoundError" in refused


def test_plain_notebook_has_nothing_of_ours(extended_plain):
    assert extended_plain.request("GET", "tree").status_code == 200
    assert extended_plain.request("GET", "guardrails/me").status_code == 404


def test_jupyterlab_git_commits_in_the_workspace(both):
    repository = both.workspace / "repo"
    repository.mkdir()
    both.own(repository)
    post(both, "git/repo/init", {})
    (repository / "a.txt").write_text("x")
    both.own(repository)
    untracked = post(both, "git/repo/status", {})["files"]
    assert [(one["y"], one["to"]) for one in untracked] == [("?", "a.txt")]
    post(both, "git/repo/add", {"add_all": True})
    post(both, "git/repo/commit", {"commit_msg": "a message", "amend": False, "author": None})
    log = post(both, "git/repo/log", {"history_count": 5})["commits"]
    assert "a message" in [one["commit_msg"] for one in log]


def completions(server, folder):
    """What the Python language server offers after `MODULE.`, when its configuration lets it look for modules in `folder`."""
    address = f"ws://127.0.0.1:{server.port}/lsp/ws/pylsp"
    connection = websocket.create_connection(address, header={"Authorization": f"token {server.token}"}, timeout=60)
    numbers = iter(range(1, 100))

    def tell(method, **params):
        connection.send(json.dumps({"jsonrpc": "2.0", "method": method, "params": params}))

    def ask(method, **params):
        number = next(numbers)
        connection.send(json.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": params}))
        while True:
            message = json.loads(connection.recv())
            if message.get("id") == number and "method" not in message:
                return message["result"]

    ask("initialize", processId=None, rootUri=server.workspace.as_uri(), capabilities={})
    tell("initialized")
    settings = {"pylsp": {"plugins": {"jedi": {"extra_paths": [str(folder)]}}}}
    tell("workspace/didChangeConfiguration", settings=settings)
    text, uri = f"import {HIDDEN}\n{HIDDEN}.", (server.workspace / "edited.py").as_uri()
    tell("textDocument/didOpen", textDocument={"uri": uri, "languageId": "python", "version": 1, "text": text})
    found = ask("textDocument/completion", textDocument={"uri": uri}, position={"line": 1, "character": len(HIDDEN) + 1})
    connection.close()
    return {item["label"] for item in (found["items"] if isinstance(found, dict) else found)}


@pytest.mark.parametrize(("place_of_module", "seen_governed"), [("ws/lib", True), ("elsewhere", False)])
def test_a_language_server_completes_and_sees_no_more_than_the_server(extended, extended_plain, place_of_module, seen_governed):
    seen = []
    for server in (extended, extended_plain):
        folder = server.root / place_of_module
        folder.mkdir(exist_ok=True)
        (folder / f"{HIDDEN}.py").write_text("answer_of_the_module = 42\n")
        server.own(folder)
        seen.append("answer_of_the_module" in completions(server, folder))
    assert seen == [seen_governed, True]


def test_a_job_of_jupyter_scheduler_is_refused_and_nothing_runs(extended):
    cell = nbformat.v4.new_code_cell("open('ran.txt', 'w').write('x')")
    nbformat.write(nbformat.v4.new_notebook(cells=[cell], metadata=KERNELSPEC), extended.own(extended.workspace) / "job.ipynb")
    body = {"name": "j", "input_uri": "job.ipynb", "runtime_environment_name": "python3", "output_formats": ["ipynb"]}
    for path in ("jobs", "batch/jobs", "job_definitions", "job_definitions/a-b/jobs"):
        answer = extended.request("POST", f"scheduler/{path}", json=body)
        assert answer.status_code == 403, answer.text
        assert "jupyter guardrails submit" in answer.json()["next_step"]
    assert extended.request("GET", "scheduler/jobs").status_code == 403
    assert "jupyter_scheduler is left out" in extended.log.read_text()


def test_the_same_job_is_taken_by_a_plain_server(extended_plain):
    nbformat.write(nbformat.v4.new_notebook(metadata=KERNELSPEC), extended_plain.workspace / "job.ipynb")
    extended_plain.own(extended_plain.workspace)
    environment = extended_plain.request("GET", "scheduler/runtime_environments").json()[0]["name"]
    body = {"name": "j", "input_uri": "job.ipynb", "runtime_environment_name": environment, "output_formats": ["ipynb"]}
    assert "job_id" in post(extended_plain, "scheduler/jobs", body)


def test_jupyter_collaboration_opens_a_shared_document_of_the_workspace(both):
    (both.workspace / "shared.txt").write_text("shared text")
    both.own(both.workspace / "shared.txt")
    answer = both.request("PUT", "api/collaboration/session/shared.txt", json={"format": "text", "type": "file"})
    assert answer.status_code in (200, 201), f"{answer.text}\n{both.tail()}"
    room, session = answer.json()["fileId"], answer.json()["sessionId"]
    address = f"ws://127.0.0.1:{both.port}/api/collaboration/room/text:file:{room}?sessionId={session}"
    connection = websocket.create_connection(address, header={"Authorization": f"token {both.token}"}, timeout=30)
    first = connection.recv()
    assert first[0] == 0, first  # a message of the synchronisation
    connection.close()


def test_a_gateway_is_refused_at_the_start(serve):
    refused = serve("gw", "jupyter_guardrails", "server", arguments=("--GatewayClient.url=http://127.0.0.1:9",)).wait_ended()
    assert "a kernel gateway (GatewayClient.url)" in refused
    assert "run past the policy" in refused
    assert "Traceback" not in refused.split("guardrails:")[-1]


def test_git_in_a_terminal_commits_and_reads_nothing_elsewhere(governed):
    name = post(governed, "api/terminals", {})["name"]
    address = f"ws://127.0.0.1:{governed.port}/terminals/websocket/{name}"
    terminal = websocket.create_connection(address, header={"Authorization": f"token {governed.token}"}, timeout=30)
    commands = "mkdir in-terminal && cd in-terminal && git init -q . && echo x > f && git add f"
    commands += " && git -c user.name=a -c user.email=a@example.com commit -qm from-the-terminal && git log --oneline | cat"
    terminal.send(json.dumps(["stdin", f"{commands}; cat {governed.root}/elsewhere/secret.txt; echo the-$((1 + 1))-end\r"]))
    seen, deadline = "", time.monotonic() + 30
    while "the-2-end" not in seen and time.monotonic() < deadline:
        kind, *content = json.loads(terminal.recv())
        seen += content[0] if kind == "stdout" else ""
    terminal.close()
    governed.request("DELETE", f"api/terminals/{name}")
    assert seen.count("from-the-terminal") >= 2, seen
    assert "No such file" in seen
    assert "only-for-the-admin" not in seen
