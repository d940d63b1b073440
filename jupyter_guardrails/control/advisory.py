"""Datasets that a person's own account can open without us: for them a policy is advice, whatever it says, and that is shown.

Owners, modes, access lists and the folders on the way are judged (sandbox/permissions.py); nothing is tried.
"""

from __future__ import annotations

import asyncio
import os
import pwd
import threading
import time
from collections.abc import Callable
from pathlib import Path

from jupyter_guardrails.catalog.model import Contract
from jupyter_guardrails.catalog.products import leaves
from jupyter_guardrails.control.dataset_files import files_of
from jupyter_guardrails.sandbox.permissions import Account, Seen, look, may_read

KEPT_S = 60.0  # what was judged is not looked at again for so long
MOST_KEPT = 20_000
SAMPLE = 20  # files of a folder that are looked at


class Advisory:
    """Judges datasets for accounts, and keeps the judgement for a minute. Safe to use from several threads."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._since = clock()
        self._judged: dict[tuple[int, str], bool] = {}
        self._seen: dict[Path, Seen] = {}
        self._accounts: dict[int, Account] = {}

    async def of(self, contracts: list[Contract], uid: int) -> set[str]:
        """The names of those whose files this uid can open by itself."""
        self._forget()
        parts = {contract.name: [part for part in leaves(contract) if part.path] for contract in contracts}  # a product has its inputs' files
        files = {part.path: part for some in parts.values() for part in some}
        known = {path: self._judged.get((uid, path)) for path in files}
        if unknown := [files[path] for path, judged in known.items() if judged is None]:
            known |= await asyncio.to_thread(self._judge, unknown, uid)
        return {name for name, some in parts.items() if any(known[part.path] for part in some)}

    def _judge(self, contracts: list[Contract], uid: int) -> dict[str, bool]:
        account = self._accounts.get(uid) or self._accounts.setdefault(uid, _account(uid))
        found = {contract.path: _opens(contract, account, self._look) for contract in contracts}
        self._judged.update({(uid, path): judged for path, judged in found.items()})
        return found

    def _look(self, path: Path) -> Seen:
        return self._seen.get(path) or self._seen.setdefault(path, look(path))

    def _forget(self) -> None:
        with self._lock:
            if self._clock() - self._since >= KEPT_S or len(self._judged) + len(self._seen) > MOST_KEPT:
                self._since = self._clock()
                self._judged, self._seen, self._accounts = {}, {}, {}


def opens(contract: Contract, account: Account) -> bool:
    """Whether the account can open the dataset's file, or any of the first ones in its folder."""
    return _opens(contract, account, look)


def _opens(contract: Contract, account: Account, look_at: Callable[[Path], Seen]) -> bool:
    files = [os.path.join(contract.path, name) if name else contract.path for name in files_of(contract)[:SAMPLE]]
    return any(may_read(Path(file), account, look_at) for file in files)


def _account(uid: int) -> Account:
    """With its groups, as the operating system knows them; may block."""
    try:
        known = pwd.getpwuid(uid)
    except KeyError:
        return Account(uid)
    return Account(uid, frozenset(os.getgrouplist(known.pw_name, known.pw_gid)))
