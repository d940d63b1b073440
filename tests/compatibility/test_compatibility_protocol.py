"""What front ends do with kernels: JupyterLab's debugger and widgets, VS Code's sessions, restart and interrupt; in kernels of two languages."""

import socket
import time

import pytest
from live_kernel import PROTOCOL, LiveKernel

pytestmark = [pytest.mark.slow]
SLIDER = """\
import ipywidgets
slider = ipywidgets.IntSlider()
slider.observe(lambda change: print("now", change["new"]), "value")
slider"""
DEBUGGED = "def double(x):\n    y = 2 * x\n    return y\nprint('doubled', double(21))"
PYTHON = {
    "pid": "import os; print('pid', os.getpid())",
    # Short sleeps: an interrupt that comes just before a call of Python's shows when the call ends.
    "sleep": "print('asleep', flush=True)\nimport time\nfor _ in range(1000): time.sleep(0.1)",
    "write": "open('note.txt', 'w').write('kept'); print(open('note.txt').read())",
    "read": "print(open('{path}').read())",
    "connect": "import socket; socket.create_connection(('127.0.0.1', {port}), 5); print('connec' + 'ted')",
}
BASH = {
    "pid": "echo pid $$",
    # The program that sleeps says so itself: bash loses a Ctrl-C that comes between a command of its own and the start of the next program.
    "sleep": "sh -c 'echo asleep; exec sleep 100'",
    "write": "echo kept > note.txt; cat note.txt",
    "read": "cat '{path}'",
    "connect": "exec 3<>/dev/tcp/127.0.0.1/{port} && echo connec''ted",
}
LANGUAGES = [pytest.param(name, words, id=name) for name, words in (("study", PYTHON), ("bash", BASH))]


class Debugger:
    """The debug adapter protocol over a kernel's control channel, as JupyterLab's debugger speaks it."""

    def __init__(self, kernel):
        self.kernel, self.number = kernel, 0

    def ask(self, command, **arguments):
        self.number += 1
        content = {"type": "request", "seq": self.number, "command": command, "arguments": arguments}
        reply = self.kernel.request("debug_request", content, channel="control")
        assert reply.get("success"), reply
        return reply.get("body", {})


def test_a_breakpoint_is_hit_and_a_variable_seen(kernel):
    debugger = Debugger(kernel)
    debugger.ask("debugInfo")
    debugger.ask("initialize", clientID="t", adapterID="", linesStartAt1=True, columnsStartAt1=True, pathFormat="path")
    debugger.ask("attach")
    source = debugger.ask("dumpCell", code=DEBUGGED)["sourcePath"]
    debugger.ask("setBreakpoints", source={"path": source}, breakpoints=[{"line": 3}])
    debugger.ask("configurationDone")
    cell = kernel.start(DEBUGGED)
    while True:
        message = kernel.receive()
        if message["header"]["msg_type"] == "debug_event" and message["content"]["event"] == "stopped":
            thread = message["content"]["body"]["threadId"]
            break
    frame = debugger.ask("stackTrace", threadId=thread)["stackFrames"][0]
    assert (frame["name"], frame["line"]) == ("double", 3)
    scope = debugger.ask("scopes", frameId=frame["id"])["scopes"][0]
    seen = {one["name"]: one["value"] for one in debugger.ask("variables", variablesReference=scope["variablesReference"])["variables"]}
    assert (seen["x"], seen["y"]) == ("21", "42")
    debugger.kernel.send("debug_request", {"type": "request", "seq": 99, "command": "continue", "arguments": {"threadId": thread}}, channel="control")
    assert "doubled 42" in kernel.finish(cell).text


def test_a_widget_hears_the_front_end(kernel):
    outcome = kernel.run(SLIDER)
    assert outcome.shown("application/vnd.jupyter.widget-view+json"), outcome.text
    opened = [m["content"] for m in outcome.messages if m["header"]["msg_type"] == "comm_open"]
    (model,) = [one for one in opened if one["data"]["state"].get("_model_name") == "IntSliderModel"]
    moved = kernel.send("comm_msg", {"comm_id": model["comm_id"], "data": {"method": "update", "state": {"value": 42}, "buffer_paths": []}})
    kernel.wait_until_printed(moved, "now 42")
    assert kernel.run("print('value', slider.value)").text == "value 42\n"


def test_vs_codes_way_through_the_server(either):
    specs = either.request("GET", "api/kernelspecs").json()["kernelspecs"]
    assert specs["study"]["spec"]["language"] == "python"
    body = {"path": "vs.ipynb-jvsc-1", "name": "vs.ipynb", "type": "notebook", "kernel": {"name": "study", "id": None}}
    session = either.request("POST", "api/sessions", json=body)
    assert session.status_code == 201, session.text
    kernel = LiveKernel(either, session.json()["kernel"]["id"])
    assert kernel.socket.getsubprotocol() == PROTOCOL
    assert kernel.request("kernel_info_request", {})["language_info"]["name"] == "python"
    assert kernel.run("print(6 * 7)").text == "42\n"
    assert any(one["id"] == session.json()["id"] for one in either.request("GET", "api/sessions").json())
    assert kernel.request("complete_request", {"code": "impor", "cursor_pos": 5})["matches"]
    assert either.request("DELETE", f"api/sessions/{session.json()['id']}").status_code == 204


@pytest.mark.parametrize(("name", "words"), LANGUAGES)
def test_interrupt_keeps_the_process_and_restart_gives_a_new_one(either, name, words):
    kernel = either.kernel(name)
    first = kernel.run(words["pid"]).text
    cell = kernel.start(words["sleep"])
    kernel.wait_until_printed(cell, "asleep")
    kernel.stop_cell(cell)
    assert kernel.run(words["pid"]).text == first
    assert first.startswith("pid ")
    kernel.restart()
    assert kernel.run(words["pid"]).text.startswith("pid ")
    kernel.close()


@pytest.mark.parametrize(("name", "words"), LANGUAGES)
def test_files_and_network_are_held_in_every_language(governed, plain, name, words):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        seen = {}
        for server in (governed, plain):
            kernel = server.kernel(name)
            reading = words["read"].format(path=server.root / "elsewhere" / "secret.txt")
            connecting = words["connect"].format(port=listener.getsockname()[1])
            seen[server] = [kernel.run(code).text for code in (words["write"], reading, connecting)]
            kernel.close()
    assert ["kept" in seen[plain][0], "only-for-the-admin" in seen[plain][1], "connected" in seen[plain][2]] == [True, True, True], seen[plain]
    assert ["kept" in seen[governed][0], "only-for-the-admin" in seen[governed][1], "connected" in seen[governed][2]] == [True, False, False]
    assert "No such file" in seen[governed][1]


def test_xeus_python_starts_on_tcp_only(plain, serve):
    """Governed kernels have unix sockets (`ipc`): xeus-python's wheel ends on them, without us too."""
    kernel = plain.kernel("xpython")
    assert kernel.run("print(6 * 7)").text == "42\n"
    kernel.close()
    for server in (
        serve("xg", "jupyter_guardrails", "server").wait_ready(),
        serve("xp", "jupyter_server", arguments=("--KernelManager.transport=ipc",)).wait_ready(),
    ):
        server.request("POST", "api/kernels", json={"name": "xpython"})
        deadline = time.monotonic() + 30
        while "RuntimeError: Invalid argument" not in server.log.read_text() and time.monotonic() < deadline:
            time.sleep(0.2)  # only its log tells
        assert "RuntimeError: Invalid argument" in server.log.read_text(), server.tail()
