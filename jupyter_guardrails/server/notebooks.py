"""Notebook files that a server should not load, or can't: what to say instead of running out of memory or answering 500."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager

from tornado import web

MAX_BYTES = 50 << 20  # reading a notebook takes four to five times its size of the server's memory (seen: 240 MB for 60)


def refuse_big(file: str, path: str, max_bytes: int) -> None:
    """413 with a way in again when the file, which isn't read for that, is bigger."""
    try:
        with open(file, "rb") as opened:
            size = os.fstat(opened.fileno()).st_size
    except OSError:
        return  # jupyter_server answers for files that are gone or can't be read
    if size > max_bytes:
        raise web.HTTPError(413, f"{path} has {size >> 20} MiB, and notebooks are opened up to {max_bytes >> 20} MiB. {way_in(path)}")


def way_in(path: str) -> str:
    """What makes a notebook with big outputs small again, as a sentence with the command."""
    command = f"jupyter nbconvert --clear-output --inplace {shlex.quote(path)}"
    ask = "Or ask your admin for a higher GuardedContentsManager.max_notebook_bytes."
    return f"Its outputs can be removed in a terminal, the code stays: {command}. {ask}"


@contextmanager
def half_characters_are_the_callers(path: str) -> Iterator[None]:
    """400 where a notebook can't be signed because it holds half of a surrogate pair, which jupyter_server 2.21 answers with 500."""
    try:
        yield
    except UnicodeEncodeError as error:
        raise web.HTTPError(400, _half(path, error)) from error
    except web.HTTPError as error:
        if not isinstance(error.__cause__, UnicodeEncodeError):
            raise
        raise web.HTTPError(400, _half(path, error.__cause__)) from error


def _half(path: str, error: UnicodeEncodeError) -> str:
    half = f"\\u{ord(error.object[error.start]):04x}"
    return f"{path} holds {half}, which is half a character: open it as text (Open With, Editor), look for {half}, remove it and save"
