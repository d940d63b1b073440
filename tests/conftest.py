"""For all tests."""

import gc


def pytest_collection_finish():
    """What was imported and collected stays: to look for garbage among it again and again is a good part of a worker's time."""
    gc.freeze()
