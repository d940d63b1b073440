"""Packages of others are read by a process beside the server: what they hold costs it neither memory nor answers to anybody else."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Sequence

from jupyter_guardrails import errors

PROGRAM = (sys.executable, "-I", "-m", "jupyter_guardrails.review.worker")
AT_ONCE = asyncio.Semaphore(2)
PATIENCE_S = 120.0
CHUNK_BYTES = 1 << 16
MOST_SAID = 1 << 16
IN_A_SHELL = "look at it in a shell: `jupyter guardrails job review ID`"
Package = tuple[int, str]  # a descriptor that control opened, and the content digest that it must have


async def read(what: str, packages: Sequence[Package]) -> AsyncGenerator[bytes, None]:
    """What the worker prints, in chunks; PackageError where it can't be read. Two workers at most; closes the descriptors."""
    try:
        async with AT_ONCE, _folder() as folder, _worker(what, packages, folder) as worker, _in_time():
            async for chunk in _printed(worker):
                yield chunk
    finally:
        for fd, _ in packages:
            os.close(fd)


@contextlib.asynccontextmanager
async def _in_time() -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(PATIENCE_S):
            yield
    except TimeoutError:
        raise errors.PackageError(f"the package was not read in {PATIENCE_S:.0f} s", next_step=IN_A_SHELL) from None


@contextlib.asynccontextmanager
async def _folder() -> AsyncIterator[str]:
    """For what the worker unpacks; removed here, since a worker that is killed removes nothing."""
    name = tempfile.mkdtemp(prefix="guardrails-review-")
    try:
        yield name
    finally:
        await asyncio.to_thread(shutil.rmtree, name, ignore_errors=True)


@contextlib.asynccontextmanager
async def _worker(what: str, packages: Sequence[Package], folder: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """It is gone when the block ends, also where nobody listens any more."""
    worker = await _started(what, packages, folder)
    try:
        yield worker
    finally:
        with contextlib.suppress(ProcessLookupError):
            worker.kill()
        await worker.wait()


async def _started(what: str, packages: Sequence[Package], folder: str) -> asyncio.subprocess.Process:
    words = [word for fd, digest in packages for word in (str(fd), digest)]
    return await asyncio.create_subprocess_exec(
        *PROGRAM,
        what,
        *words,
        pass_fds=[fd for fd, _ in packages],
        env={"PATH": os.environ.get("PATH", ""), "LANG": "C.UTF-8", "TMPDIR": folder},
        cwd=folder,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def _printed(worker: asyncio.subprocess.Process) -> AsyncIterator[bytes]:
    assert worker.stdout is not None
    assert worker.stderr is not None
    said = asyncio.create_task(worker.stderr.read(MOST_SAID))
    while chunk := await worker.stdout.read(CHUNK_BYTES):
        yield chunk
    if await worker.wait() != 0:
        raise _error(await said)
    await said


def _error(said: bytes) -> errors.PackageError:
    """In the worker's words; a worker that was killed for what it took has none."""
    try:
        found = json.loads(said)
        return errors.PackageError(found["message"], next_step=found["next_step"])
    except (ValueError, KeyError, TypeError):
        return errors.PackageError("this package took more time or memory to read than it may", next_step=IN_A_SHELL)
