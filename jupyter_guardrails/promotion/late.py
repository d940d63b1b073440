"""Putting off what jsonschema, and so nbformat, imports and nobody here needs: `rfc3987_syntax` (1.1) builds a grammar for 0.7 s when imported."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from functools import cache
from types import ModuleType
from typing import Any

NAME = "rfc3987_syntax"  # jsonschema (4.26) takes `is_valid_syntax` of it for the format `iri`


def put_off() -> None:
    """From now on an import of it is a stand-in, which becomes the module itself at its first use; nothing where it is there or isn't installed."""
    spec = None if NAME in sys.modules else importlib.util.find_spec(NAME)
    if spec is not None:
        sys.modules[NAME] = _StandIn(NAME)
        sys.modules[NAME].__path__ = spec.submodule_search_locations or []


class _StandIn(ModuleType):
    @staticmethod
    def is_valid_syntax(*arguments: Any, **named: Any) -> Any:
        """What jsonschema calls."""
        return _real().is_valid_syntax(*arguments, **named)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # the import system's own questions
            raise AttributeError(name)
        return getattr(_real(), name)


@cache
def _real() -> ModuleType:
    del sys.modules[NAME]
    return importlib.import_module(NAME)
