"""The collector of cyclic garbage, kept away from a catalogue: it would stop every thread for half a second to look through a big one."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def many_objects_to_keep() -> Iterator[None]:
    """Nothing is collected while much is made that stays; afterwards it is not looked through again (it goes all the same when it is let go)."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_enabled:
            gc.enable()
