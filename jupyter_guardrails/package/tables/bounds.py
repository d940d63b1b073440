"""How much of a data file is looked at, and what is said where its columns can't be told."""

from __future__ import annotations

MAX_COLUMNS = 2000
MAX_NAME = 200
MAX_FOOTER_BYTES = 4 << 20  # of which the schema is the beginning
MAX_BATCHES = 10_000  # of an Arrow file, whose rows are counted batch by batch
MAX_DEPTH = 20
MAX_VALUES = 400_000  # of a footer: more than a schema of MAX_COLUMNS has
MAX_LINE = 1 << 20
SAMPLE_ROWS = 1000
SAMPLE_BYTES = 4 << 20
COUNTED_BYTES = 16 << 20  # of a text file whose rows are counted: a row may hold line ends, so it has to be parsed

MAX_FOLDER_ENTRIES = 100_000
MAX_FOLDER_FILES = 200  # of a folder: the newest, in which what has changed shows
MAX_FOLDER_BYTES = 64 << 20  # of text that is looked at for them all


class Unread(Exception):
    """The columns can't be told; the text is a sentence without any value of the file."""
