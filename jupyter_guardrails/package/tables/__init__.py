"""What columns data has: names and types, and how many rows. Never a value.

Standard library only: a copy of this folder goes into each package (`lib/guarded_tables`), and looks at the data of production runs where
nothing else is installed.
"""

from __future__ import annotations

from .bounds import COUNTED_BYTES
from .compare import TEXTUAL, differences, fits
from .drift import drifted
from .files import Found, look, named
from .folders import columns_of

__all__ = ["COUNTED_BYTES", "TEXTUAL", "Found", "columns_of", "differences", "drifted", "fits", "look", "named"]
