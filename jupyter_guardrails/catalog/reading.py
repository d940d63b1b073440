"""Contract files -> contracts. Many are read by a few processes at once, so that whoever asks for them can go on with everything else."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

from jupyter_guardrails.catalog.encoding import Decoder
from jupyter_guardrails.catalog.model import Contract
from jupyter_guardrails.catalog.odcs import read_contract

log = logging.getLogger("jupyter_guardrails.catalog")
FEW = 2000  # are read here, in a second: processes take nearly as long to start
PART = 100  # files that a process is given at once
MOST_PROCESSES = 4
WORKER = "jupyter_guardrails.catalog.reading_worker"


def read_all(files: Sequence[str]) -> dict[str, Contract]:
    """File -> contract, in the order given; blocks until all are read. Never raises for what a file says."""
    if len(files) <= FEW:
        return {file: read_contract(Path(file)) for file in files}
    found = _Crew(files).read()
    return {file: found.get(file) or read_contract(Path(file)) for file in files}


class _Crew:
    """Processes that read parts of the files, and a thread for each that hands them out. What one of them does not answer is left out."""

    def __init__(self, files: Sequence[str]) -> None:
        self._parts = iter([files[first : first + PART] for first in range(0, len(files), PART)])
        self._lock = threading.Lock()
        self._decoder = Decoder()
        self._found: dict[str, Contract] = {}

    def read(self) -> dict[str, Contract]:
        """What they answered."""
        count = min(MOST_PROCESSES, len(os.sched_getaffinity(0)))
        # daemons: a program that ends waits for none of them, and their processes end with their pipes
        threads = [threading.Thread(target=self._work, name="catalogue reader", daemon=True) for _ in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return self._found

    def _work(self) -> None:
        try:
            self._order()
        except (OSError, ValueError) as error:
            log.warning("a process that reads contracts has ended, and its part is read without it: %s", error)

    def _order(self) -> None:
        pipe, command = subprocess.PIPE, [sys.executable, "-I", "-m", WORKER]
        with subprocess.Popen(command, stdin=pipe, stdout=pipe, cwd="/", env={"LC_ALL": "C.UTF-8"}) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            try:
                for part in self._handed_out():
                    process.stdin.write(json.dumps(part).encode() + b"\n")
                    process.stdin.flush()
                    self._take(part, process.stdout)
            finally:
                process.stdin.close()  # that is its end
                process.stdout.close()

    def _take(self, part: Sequence[str], answers: IO[bytes]) -> None:
        """A line for each file of a part; ValueError for one that is not about it."""
        for file in part:
            contract = self._decoder.decoded(answers.readline())
            if contract.file != file:
                raise ValueError(f"it answered with {contract.file} for {file}")
            self._found[file] = contract

    def _handed_out(self) -> Iterator[Sequence[str]]:
        while True:
            with self._lock:
                part = next(self._parts, None)
            if part is None:
                return
            yield part
