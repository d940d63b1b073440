"""What the states of a check are called in a terminal and on a page."""

SIGNS = {"passed": "ok", "failed": "FAILED", "warned": "warning", "not_checked": "not checked", "running": "…", "waiting": "waiting"}
