"""A terminal of a governed server, for the tests of this folder."""

import json
import re

import websocket

TOKEN = "token-of-the-test-server"


class Terminal:
    """A terminal, spoken to as JupyterLab does."""

    def __init__(self, server, **body):
        answer = server.rest("POST", "api/terminals", json=body)
        assert answer.status_code == 200, answer.text + server.log()
        self.server, self.name = server, answer.json()["name"]
        url = f"ws://127.0.0.1:{server.port}/terminals/websocket/{self.name}"
        self.socket = websocket.create_connection(url, header={"Authorization": f"token {TOKEN}"}, timeout=30)

    def run(self, command, end="done-with-it"):
        """What a command prints; the mark is put together by the shell so that its echo doesn't count."""
        half = len(end) // 2
        self.socket.send(json.dumps(["stdin", f"{command}; printf '%s%s\\n' {end[:half]} {end[half:]}\r"]))
        printed = ""
        while end not in printed:
            kind, *rest = json.loads(self.socket.recv())
            printed += rest[0] if kind == "stdout" else ""
        return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", printed)

    def stop(self):
        self.socket.close()
        assert self.server.rest("DELETE", f"api/terminals/{self.name}").status_code == 204
