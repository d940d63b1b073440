"""A person who has a keyboard and nothing else, and what a screen reader would say of where they are."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from playwright.sync_api import Page

STOPS = 120  # more than there are controls in a full panel: then nothing by that name can be reached
OURS = ".jp-Guardrails-panel, .jp-Guardrails-notebookBar, .jp-Guardrails-status"
# whether a focused element of ours is drawn as focused, and whether it can be seen where it is
LOOKS = """ours => {
  const element = document.activeElement;
  if (!element || !element.closest(ours)) { return null; }
  const style = getComputedStyle(element);
  const box = element.getBoundingClientRect();
  const [left, right] = [Math.max(box.left, 0), Math.min(box.right, innerWidth)];
  const [top, bottom] = [Math.max(box.top, 0), Math.min(box.bottom, innerHeight)];
  const shows = [0.1, 0.5, 0.9].some(part => {
    const there = document.elementFromPoint(left + (right - left) / 2, top + (bottom - top) * part);
    return there && (element.contains(there) || there.contains(element) && there !== document.body);
  });
  return { outline: style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 1, shows: shows && right > left && bottom > top };
}"""


@dataclass(frozen=True)
class Stop:
    """An element that has the focus, as assistive technology is told of it."""

    role: str
    name: str

    def __str__(self) -> str:
        return f"{self.role} {self.name!r}"


class Keyboard:
    """Moves by keys alone, and notes at each stop what of ours can't be seen there."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.unseen: list[str] = []
        self._session = page.context.new_cdp_session(page)

    def press(self, *keys: str) -> None:
        """One key after another."""
        for key in keys:
            self.page.keyboard.press(key)

    def type(self, text: str) -> None:
        """As if typed, each key by itself."""
        self.page.keyboard.type(text)

    @property
    def stop(self) -> Stop:
        """Where the focus is: role and name as Chromium computes them."""
        found = self._session.send("Runtime.evaluate", {"expression": "document.activeElement"})["result"]
        node: dict[str, Any] = self._session.send("Accessibility.getPartialAXTree", {"objectId": found["objectId"], "fetchRelatives": False})[
            "nodes"
        ][0]
        return Stop(*(str(node.get(part, {}).get("value", "")) for part in ("role", "name")))

    def tab_to(self, role: str, name: str, *, back: bool = False) -> list[Stop]:
        """Press Tab until something of this role has a name that matches; the stops on the way."""
        passed: list[Stop] = []
        for _ in range(STOPS):
            self.press("Shift+Tab" if back else "Tab")
            passed.append(self.look())
            if self.is_at(role, name):
                return passed
        raise AssertionError(f"no {role} {name!r} on the way: {', '.join(map(str, passed))}")

    def is_at(self, role: str, name: str) -> bool:
        """Whether the focus is on something of this role and a name that matches."""
        stop = self.stop
        return stop.role == role and re.search(name, stop.name) is not None

    def look(self) -> Stop:
        """Note where the focus is if it can't be seen there."""
        stop, looks = self.stop, self.page.evaluate(LOOKS, OURS)
        if looks is not None and not (looks["outline"] and looks["shows"] and stop.name):
            self.unseen.append(f"{stop}: {looks}")
        return stop
