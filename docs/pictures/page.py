"""The pages that are shown, photographed in Chromium at twice a screen's density."""

import io
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from PIL import Image
from playwright.sync_api import Browser, FloatRect, Locator, Page, expect, sync_playwright

from duet import Job
from duet.discovery import Server

WIDTH, DENSITY = 1280, 2
COLOURS = 256  # of a picture: charts and text need no more, and it weighs a third
MARGIN = 16
FLAGS = ["--no-sandbox", "--disable-dev-shm-usage"]
Theme = Literal["light", "dark"]
Parts = tuple[Locator, Locator]


@dataclass(frozen=True)
class Shown:
    """The two jobs that are shown, and compared."""

    two: Job
    sixteen: Job


@dataclass(frozen=True)
class Picture:
    """A page's address, and what is done there.

    `arrange` returns the first and the last part of the page that are in the picture.
    """

    route: str
    arrange: Callable[[Page, Shown], Parts]
    theme: Theme = "light"


def photograph(server: Server, shown: Shown, folder: Path) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        for name, picture in PICTURES.items():
            with _opened(browser, server, picture.theme) as page:
                route = picture.route.format(two=shown.two.id, sixteen=shown.sixteen.id)
                page.goto(f"{server.url}/{route}")
                parts = picture.arrange(page, shown)
                page.evaluate("document.activeElement.blur(); scrollTo(0, 0)")
                page.wait_for_timeout(1_000)  # what moves has come to rest
                _save(page.screenshot(clip=_around(parts), full_page=True), folder / name)
        browser.close()


@contextmanager
def _opened(browser: Browser, server: Server, theme: Theme) -> Iterator[Page]:
    context = browser.new_context(
        viewport={"width": WIDTH, "height": 800},
        device_scale_factor=DENSITY,
        color_scheme=theme,
        timezone_id="UTC",
    )
    page = context.new_page()
    page.goto(server.dashboard)
    page.get_by_role("button", name="Sign out").wait_for()
    yield page
    context.close()


def _around(parts: Parts) -> FloatRect:
    """The whole width, from the first part's top to the last one's end."""
    first, last = (part.bounding_box() for part in parts)
    assert first
    assert last
    top = max(0, first["y"] - MARGIN)
    return {"x": 0, "y": top, "width": WIDTH, "height": last["y"] + last["height"] + MARGIN - top}


def _save(png: bytes, path: Path) -> None:
    colours = Image.open(io.BytesIO(png)).convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
    colours.save(path, optimize=True)


def _job(page: Page, _: Shown) -> Parts:
    charts = page.locator(".chart")
    expect(page.get_by_role("figure", name="Held-out accuracy")).to_contain_text("step 16")
    return page.locator("body"), charts.nth(5)


def _pairs(page: Page, _: Shown) -> Parts:
    page.get_by_label("Step of the samples").fill("4")
    expect(page.locator(".stepper").filter(has_text="Step 4")).to_be_visible()
    groups = page.locator(".group")
    expect(groups.filter(has_text="tied: no gradient")).to_be_visible()
    return page.get_by_role("heading", name="Samples"), groups.last


def _compare(page: Page, shown: Shown) -> Parts:
    baseline = shown.sixteen.name
    page.get_by_label("Against").select_option(label=baseline)
    expect(page.get_by_role("heading", name=f"Against {baseline}")).to_be_visible()
    return page.locator("body"), page.locator(".scroll").last


def _new(page: Page, _: Shown) -> Parts:
    page.get_by_role("radio", name="demo").check()
    expect(page.locator(".estimate").first).to_contain_text("65,536")
    expect(page.get_by_role("heading", name="Rewards, tried")).to_be_visible()
    data = page.get_by_role("heading", name="Data", exact=True)
    return page.locator("body"), page.locator("section").filter(has=data)


def _jobs(page: Page, shown: Shown) -> Parts:
    expect(page.locator("table.jobs polyline")).to_have_count(3)
    for job in (shown.two, shown.sixteen):
        page.get_by_role("checkbox", name=f"Compare {job.name}").check()
    return page.locator("body"), page.locator("table.jobs")


PICTURES = {
    "job.png": Picture("#/jobs/{two}", _job),
    "job-dark.png": Picture("#/jobs/{two}", _job, theme="dark"),
    "pairs.png": Picture("#/jobs/{two}", _pairs),
    "compare.png": Picture("#/compare/{sixteen},{two}", _compare),
    "new-job.png": Picture("#/new", _new),
    "jobs.png": Picture("#/", _jobs),
}
