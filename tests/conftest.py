"""The order of all tests: files with slow ones begin first, so that at the end no worker is left alone with a long file."""

from collections import Counter


def pytest_collection_modifyitems(items):
    """Within a file, and among files with as many slow tests, nothing changes (`make test` keeps xdist from sorting files by their tests)."""
    slow = Counter(item.path for item in items if item.get_closest_marker("slow"))
    items.sort(key=lambda item: -slow[item.path])
