"""A small broker for the client's tests: a real process behind a real socket, with the frames and answers of the channel.

Its arguments are an address and a JSON file `{datasets: {name: {path, status, real}}}`: the file at `real` is sent where `path` can't be opened.
It prints a line when it listens.
"""

import array
import json
import os
import socket
import struct
import sys
import threading
import time
from pathlib import Path


def main() -> None:
    address, world = sys.argv[1], json.loads(Path(sys.argv[2]).read_text())
    listener = socket.socket(socket.AF_UNIX)
    listener.bind("\0" + address[1:])
    listener.listen(64)
    print("listening", flush=True)
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=converse, args=(connection, world), daemon=True).start()


def converse(connection: socket.socket, world: dict) -> None:
    """Answer one process until it goes; each answer names the connection, so that a test sees who shares one."""
    identity = id(connection)
    while header := connection.recv(4, socket.MSG_WAITALL):
        request = json.loads(connection.recv(struct.unpack(">I", header)[0], socket.MSG_WAITALL))
        try:
            result, fds = answer(request["op"], request["args"], world)
            body = {"id": request["id"], "ok": True, "result": {**result, "connection": identity}}
        except KeyError as error:
            code, message, rule = error.args[0]
            fds, body = (
                [],
                {
                    "id": request["id"],
                    "ok": False,
                    "error": {"code": code, "message": message, "next_step": f"ask about {request['args']}", "rule": rule},
                },
            )
        data = json.dumps(body).encode()
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        connection.sendmsg([struct.pack(">I", len(data)) + data], rights)
        for fd in fds:
            os.close(fd)


def answer(op: str, args: dict, world: dict) -> tuple[dict, list[int]]:
    if op == "datasets.search":
        rows = [{"name": name, **row} for name, row in world["datasets"].items() if args["q"] in name]
        return {"datasets": rows, "total": len(rows)}, []
    if op == "datasets.path":
        row = granted(args["name"], world)
        late = (
            {}
            if "real" not in row
            else {"message": f"{args['name']} was granted after this kernel started", "next_step": "restart the kernel", "rule": ""}
        )
        return {"path": row["path"], "readable": not late, **late}, []
    if op == "datasets.open":
        row = granted(args["name"], world)
        path = os.path.join(row["path"], args["file"]) if args.get("file") else row.get("real", row["path"])
        fd = os.open(path, os.O_RDONLY)
        return {"path": row["path"], "size": os.fstat(fd).st_size}, [fd]
    if op == "requests.create":
        return {"id": "r1", "state": "open", **args}, []
    if op == "explain":
        found = [name for name, row in world["datasets"].items() if args["path"].startswith(row["path"])]
        return {"message": f"{found[0]} is refused by guardrails.yaml:9 shut" if found else ""}, []
    if op == "slow":
        time.sleep(args["seconds"])
        return {"slept": args["seconds"]}, []
    raise KeyError(("bad_request", f"unknown op {op}", ""))


def granted(name: str, world: dict) -> dict:
    row = world["datasets"].get(name)
    if row is None:
        raise KeyError(("not_found", f"no dataset {name}", ""))
    if row["status"] != "granted":
        raise KeyError(("refused", f"{name} is classified restricted", "guardrails.yaml:9 shut"))
    return row


main()
