"""A file that somebody publishes, taken over by a worker process that is bounded in memory, processor, size and time."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

from jupyter_guardrails.errors import BadRequest

TIMEOUT_S = 300.0
MAX_ANSWER_BYTES = 4 << 20
WORKER = str(Path(__file__).with_name("intake_worker.py"))
FORMATS = ("parquet", "csv", "json", "arrow")
ENVIRONMENT = {
    "LC_ALL": "C.UTF-8",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "ARROW_IO_THREADS": "1",
    "ARROW_DEFAULT_MEMORY_POOL": "system",
}

_places = asyncio.Semaphore(2)  # workers at the same time: each may take the memory that it is bounded to

Content = dict[str, Any]  # {digest, size_bytes, rows, columns: [{name, type}], scan: {by, rows, findings}}


async def take_in(source: int, target: Path, form: str, *, most_bytes: int) -> Content:
    """Copy what a descriptor holds into a new file of ours, and say what is in the copy; BadRequest, and no file, when it is not taken.

    Nothing here looks at the descriptor itself: somebody's own file system may let whoever asks wait for as long as it likes.
    """
    fd = os.open(target, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        async with _places:
            content = await _work(source, fd, form, most_bytes)
        os.fchmod(fd, 0o400)
    except BaseException:
        target.unlink()
        raise
    finally:
        os.close(fd)
    return content


async def _work(source: int, target: int, form: str, most_bytes: int) -> Content:
    pipe = asyncio.subprocess.PIPE
    nothing = asyncio.subprocess.DEVNULL
    options: dict[str, Any] = {"stdin": nothing, "stdout": pipe, "stderr": nothing, "env": ENVIRONMENT, "pass_fds": (source, target)}
    command = [sys.executable, "-I", WORKER, form, str(most_bytes), str(source), str(target)]
    process = await asyncio.create_subprocess_exec(*command, cwd="/", limit=MAX_ANSWER_BYTES, **options)
    try:
        async with asyncio.timeout(TIMEOUT_S):
            answer, _ = await process.communicate()
    except TimeoutError as error:
        raise BadRequest(f"the file was not read within {TIMEOUT_S:g} s", next_step="copy it to the workspace first, or publish less") from error
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0 or len(answer) > MAX_ANSWER_BYTES:
        raise BadRequest(f"reading it as {form} takes more memory or time than there is for that", next_step="publish less, or in smaller row groups")
    content: Content = json.loads(answer)
    if "error" in content:
        raise BadRequest(content["error"], next_step=f"publish one {form} file, as your library writes it")
    return content
