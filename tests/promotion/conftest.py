"""Fixtures of this room; what they are made of is in promotion_world.py."""

from promotion_world import *  # noqa: F403 - pytest takes fixtures from here
