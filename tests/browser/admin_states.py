"""Every state of the Use and Policy tab, one after another on a really running server: for pictures, and for what axe-core says of each."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from admin_page import PATIENCE_MS, AdminPage
from governed_lab import POLICY, GovernedLab
from lab_page import LabPage
from playwright.sync_api import Page, Route, expect

BROKEN = ("rules:", "ruels:")
AWAY = "tcp://127.0.0.1:9"  # discard: nobody listens, and the witness is told as one that is away
WITNESS = f"\naudit: {{witness: [{{to: '{AWAY}'}}]}}"
ADMINS = POLICY.replace("mode: enforce", f"mode: enforce\nadmins: {{users: [ana]}}{WITNESS}")
PEOPLE = ("ana", "ben", "carol", "dorothea.von-und-zu-hohenstein@research.example.com", "emil", "fatima", "guo", "hana")


def of_admin(lab: LabPage, server: GovernedLab) -> Iterator[str]:
    """What an admin of a server with the policy ADMINS sees; the policy is as before when it ends."""
    lab.open("good.ipynb")
    tab = AdminPage(lab).open()
    yield from of_use(tab)
    yield from of_policy(tab, server)
    yield from of_host(tab)


def of_use(tab: AdminPage) -> Iterator[str]:
    """What was used by person, by day, by profile, by many people, by nobody."""
    for by in ("person", "day", "profile"):
        expect(tab.summed(by).first).to_contain_text("ana")
        yield f"admin-by-{by}"
    page = tab.lab.page
    with answered(page, people_of(PEOPLE)):
        expect(tab.summed("person")).to_have_count(len(PEOPLE))
        yield "admin-many"
    with answered(page, people_of(())):
        tab.root.get_by_label("Since when").select_option("24h")
        expect(tab.root.get_by_text("Nothing was used in this time")).to_be_visible(timeout=PATIENCE_MS)
        yield "admin-nobody"
    tab.root.get_by_label("Since when").select_option("30d")
    expect(tab.rows).to_have_count(1, timeout=PATIENCE_MS)


@contextlib.contextmanager
def answered(page: Page, handler: Callable[[Route], None]) -> Iterator[None]:
    """What is asked about use is answered by the handler for the length of this block."""
    page.route("**/guardrails/usage*", handler)
    yield
    page.unroute("**/guardrails/usage*")


def people_of(names: tuple[str, ...]) -> Callable[[Route], None]:
    """The server's own answer, with rows of people who are not here."""
    rows = [
        {"person": name, "key": "", "kernels": 3 + place, "cpu_hours": 412.5 / 3**place, "memory_gib_hours": 1650 / 3**place, "gpu_hours": 0}
        for place, name in enumerate(names)
    ]

    def answer(route: Route) -> None:
        route.fulfill(json=route.fetch().json() | {"rows": rows})

    return answer


def of_policy(tab: AdminPage, server: GovernedLab) -> Iterator[str]:
    """A mistake in its file, then what changed and when, once it is mended."""
    try:
        server.policy.write_text(ADMINS.replace(*BROKEN))
        tab.wait_for_mistakes(True)
        tab.summed("day")
        expect(tab.policy.get_by_text("The policy file has mistakes")).to_be_visible(timeout=PATIENCE_MS)
        tab.policy.evaluate("part => part.scrollIntoView()")
        yield "admin-mistakes"
    finally:
        server.policy.write_text(ADMINS)
    tab.wait_for_mistakes(False)
    tab.summed("person")
    expect(tab.policy.get_by_text("The policy file has mistakes")).to_be_hidden(timeout=PATIENCE_MS)
    expect(tab.policy.get_by_role("listitem").filter(has_text="ruels").first).to_be_visible(timeout=PATIENCE_MS)
    yield "admin-policy"


def of_host(tab: AdminPage) -> Iterator[str]:
    """What this machine holds, opened, and a witness of the audit log that is away."""
    held = tab.part("What is enforced here")
    for summary in held.locator("summary").all():
        summary.click()
    held.evaluate("part => part.scrollIntoView()")
    yield "admin-host"
    sinks = tab.part("Where audit records go")
    expect(sinks.get_by_role("listitem").filter(has_text="refused")).to_be_visible(timeout=PATIENCE_MS)
    tab.root.get_by_text("All limits and where they come from").click()
    sinks.evaluate("part => part.scrollIntoView()")
    yield "admin-sinks"


def of_no_admin(lab: LabPage) -> Iterator[str]:
    """What somebody sees who is no admin."""
    lab.open("good.ipynb")
    tab = AdminPage(lab).open()
    expect(tab.root.get_by_text("are for admins")).to_be_visible(timeout=PATIENCE_MS)
    yield "admin-is-not"
