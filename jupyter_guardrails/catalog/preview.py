"""The first rows of an open file, read by a worker process that is bounded in memory and time."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

TIMEOUT_S = 60.0  # a busy machine is slow to import Arrow
MAX_ANSWER_BYTES = 4 << 20
WORKER = str(Path(__file__).with_name("preview_worker.py"))
FORMATS = ("csv", "json", "parquet", "arrow")

_places = asyncio.Semaphore(2)  # workers at the same time: each may take the memory that it is bounded to

Preview = dict[str, Any]  # {"columns": [str], "rows": [[str | None]]}


async def preview(fd: int, form: str) -> Preview | None:
    """`{columns, rows}` with texts as cells; None when the file cannot be read as its format, or not in time."""
    if form not in FORMATS:
        return None
    async with _places:
        return await _read(fd, form)


async def _read(fd: int, form: str) -> Preview | None:
    # the threads of Arrow's pool would each reserve address space, and the worker's is bounded
    environment = {"LC_ALL": "C.UTF-8", "OMP_NUM_THREADS": "1", "ARROW_IO_THREADS": "1", "ARROW_DEFAULT_MEMORY_POOL": "system"}
    os.lseek(fd, 0, os.SEEK_SET)
    pipe = asyncio.subprocess.PIPE
    options: dict[str, Any] = {"stdin": fd, "stdout": pipe, "stderr": asyncio.subprocess.DEVNULL, "env": environment, "limit": MAX_ANSWER_BYTES}
    process = await asyncio.create_subprocess_exec(sys.executable, "-I", WORKER, form, cwd="/", **options)
    try:
        async with asyncio.timeout(TIMEOUT_S):
            answer, _ = await process.communicate()
    except TimeoutError:
        return None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return json.loads(answer) if process.returncode == 0 and len(answer) <= MAX_ANSWER_BYTES else None
