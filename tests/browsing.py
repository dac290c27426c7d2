"""What tests of pages share."""

from __future__ import annotations

import time
from typing import Any


def wait_until(page: Any, condition: str) -> None:
    """Wait until an expression of JavaScript holds.

    Playwright's own ``wait_for_function`` asks a second time from within the page, whose policy forbids ``eval``: it
    works only where the first answer is yes.
    """
    deadline = time.monotonic() + 120  # seconds: for what would never happen, however busy the machine is
    while not page.evaluate(condition):
        assert time.monotonic() < deadline, condition
        time.sleep(0.02)


def faults(page: Any) -> list[str]:
    """What axe-core finds that is serious or critical, in words."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page).response["violations"]
    return [
        f"{each['impact']}: {each['id']}: {node['html'][:200]}: {node['failureSummary'][:300]}"
        for each in found
        if each["impact"] in ("serious", "critical")
        for node in each["nodes"]
    ]
