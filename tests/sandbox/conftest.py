"""Fixtures of this room; what they are made of is in sandbox_bench.py."""

from sandbox_bench import *  # noqa: F403 - pytest takes fixtures from here
