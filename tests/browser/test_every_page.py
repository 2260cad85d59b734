"""Every page of the table of routes: read by all, on any width, in light and dark, and still.

A new page joins by its line in web/js/app/routes.js; what its `:names` stand for, by one here.
"""

from pathlib import Path
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from store.jobs.outcomes import Failed
from tests.browser.conftest import WIDTHS, Run, overflow, visit
from tests.browser.test_curves import train
from tests.browser.test_pairs import group

SEVERE = {"serious", "critical"}
MOST_SHIFT = 0.1  # of the layout, cumulative: what web.dev calls good
SHIFTING = """
    window.shift = 0;
    new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shift += entry.value;
    }).observe({ type: "layout-shift", buffered: true });
"""
ROUTES = "async () => (await import('./js/app/routes.js')).ROUTES.map(({ path }) => path)"
FAULT = {"code": "trainer_crashed", "message": "It crashed.", "hint": "It is tried again."}


def lived(run: Run, folder: Path) -> None:
    """A job with everything a page can show: a fault, a resume, checkpoints, pairs."""
    run.claim()
    train(run, 1, 4)
    run.write("eval", 4, {"eval/accuracy": 0.5})
    run.checkpoint(4, {"config.json": b"{}"}, final=False, folder=folder)
    run.finish(Failed(FAULT, retryable=True))
    run.claim()
    run.write("resumed", None, {"from_step": 4})
    train(run, 5, 8)
    run.write("sample", 8, group("mixed", "1 + 1 = ", 0.0, 1.0))
    run.write("sample", 8, group("tied", "2 + 2 = ", 1.0, 1.0))
    run.finish(Failed({**FAULT, "code": "nan_loss"}, retryable=False))


def severe(page: Page) -> list[str]:
    """Accessibility violations that axe finds."""
    found: list[dict[str, Any]] = Axe().run(page).response["violations"]
    return [
        f"{page.url}: {violation['id']}: {violation['help']}: {node['html'][:200]}"
        for violation in found
        if violation["impact"] in SEVERE
        for node in violation["nodes"]
    ]


def settled(page: Page) -> None:
    page.locator("main h1").wait_for()
    page.wait_for_load_state("networkidle")


def test_every_page_is_accessible_fits_any_width_and_keeps_still(
    chromium: Browser, address: str, key: str, run: Run, tmp_path: Path
):
    lived(run, tmp_path / "checkpoint")
    found: list[str] = []
    with visit(chromium, address) as page:
        page.add_init_script(SHIFTING)
        names = {":ids": run.shown_id, ":id": run.shown_id}
        paths = page.evaluate(ROUTES)
        found += severe(page)  # where one signs in
        page.goto(f"{address}/#key={key}")
        page.get_by_role("button", name="Sign out").wait_for()
        for path in [*paths, "/nowhere"]:
            for name, value in names.items():
                path = path.replace(name, value)
            page.set_viewport_size({"width": WIDTHS["desk"], "height": 900})
            page.goto(f"{address}/#{path}")
            page.reload()
            settled(page)
            if (shift := page.evaluate("window.shift")) > MOST_SHIFT:
                found.append(f"{page.url}: its layout jumps, by {shift:.2f}")
            for scheme in ("light", "dark"):
                page.emulate_media(color_scheme=scheme)
                found += [f"{scheme}: {fault}" for fault in severe(page)]
            page.set_viewport_size({"width": WIDTHS["phone"], "height": 900})
            if (pixels := overflow(page)) > 0:
                found.append(f"{page.url}: {pixels} pixels too wide on a phone")
    assert found == []
