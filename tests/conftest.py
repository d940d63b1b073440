"""The order of all tests: files with slow ones begin first, so that at the end no worker is left alone with a long file."""

import gc
from collections import Counter


def pytest_collection_modifyitems(items):
    """Within a file, and among files with as many slow tests, nothing changes (`make test` keeps xdist from sorting files by their tests)."""
    slow = Counter(item.path for item in items if item.get_closest_marker("slow"))
    items.sort(key=lambda item: -slow[item.path])


def pytest_collection_finish():
    """What was imported and collected stays: to look for garbage among it again and again is a good part of a worker's time."""
    gc.freeze()
