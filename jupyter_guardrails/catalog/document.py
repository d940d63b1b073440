"""One contract file as plain data, with the place of every value; read by the policy's own bounded YAML reader."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from jupyter_guardrails.errors import CatalogError, Problem
from jupyter_guardrails.policy.yamltree import LARGEST_FILE, Node, read_tree

Trail = tuple[str | int, ...]
FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK  # a FIFO would keep the whole catalogue waiting for a writer


@dataclass
class Document:
    """The data of a file, and the node that gave each value: `nodes[("servers", 0, "path")]`."""

    file: str
    nodes: dict[Trail, Node] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)

    def line(self, trail: Trail) -> int:
        """The line of a value, or of the nearest value around it."""
        return self._nearest(trail).line

    def problem(self, trail: Trail, message: str, hint: str = "") -> Problem:
        """A mistake at a value, or at the nearest value around it. Lines of `servers` are not quoted: people write passwords there."""
        found = self._nearest(trail).problem(message, hint=hint)
        return replace(found, source="") if trail[:1] == ("servers",) else found

    def _nearest(self, trail: Trail) -> Node:
        while trail and trail not in self.nodes:
            trail = trail[:-1]
        return self.nodes[trail]


def read_document(file: Path) -> Document:
    """The file's data with places; CatalogError with all its problems when it is no plain, bounded YAML mapping."""
    try:
        with open(os.open(file, FLAGS), "rb") as stream:
            if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
                raise CatalogError([Problem(str(file), 0, 0, "is no regular file", "a contract is a file of YAML")])
            root, problems = read_tree(stream.read(LARGEST_FILE + 1), str(file))
    except OSError as error:
        raise CatalogError([Problem(str(file), 0, 0, f"cannot be read: {error.strerror}")]) from error
    if root is None or root.kind != "mapping":
        problems = problems or [Problem(str(file), 1, 1, "a contract is a mapping of keys and values")]
    if problems or root is None:
        raise CatalogError(problems)
    document = Document(str(file))
    document.data = _plain(root, (), document.nodes)
    return document


def _plain(node: Node, trail: Trail, nodes: dict[Trail, Node]) -> Any:
    """The node as dicts, lists and scalars, noting each node under its trail."""
    nodes[trail] = node
    if node.kind == "mapping":
        return {key: _plain(value, (*trail, key), nodes) for key, (_, value) in node.entries.items()}
    if node.kind == "sequence":
        return [_plain(item, (*trail, index), nodes) for index, item in enumerate(node.items)]
    return node.scalar
