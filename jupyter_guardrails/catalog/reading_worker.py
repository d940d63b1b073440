"""The process that reads contract files for another one: a JSON list of files a line comes in, a contract a line goes out, until the input ends."""

from __future__ import annotations

import gc
import json
import sys
from pathlib import Path

from jupyter_guardrails.catalog.encoding import encoded
from jupyter_guardrails.catalog.odcs import read_contract


def main() -> int:
    """0 when all that was asked for is answered."""
    gc.freeze()  # what was imported stays, and need not be looked through again
    for line in sys.stdin.buffer:
        contracts = [read_contract(Path(file)) for file in json.loads(line)]
        sys.stdout.buffer.write("".join(encoded(contract) + "\n" for contract in contracts).encode())
        sys.stdout.buffer.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
