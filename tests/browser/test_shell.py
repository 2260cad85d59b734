"""The shell of every page: navigation by mouse, keyboard and screen reader."""

from playwright.sync_api import Browser, expect

from tests.browser.conftest import Run, open_page, overflow


def test_the_keyboard_reaches_every_page_and_the_heading_gets_the_focus(
    chromium: Browser, address: str, key: str, run: Run
):
    with open_page(chromium, address, key, "#/", width=390) as page:
        navigation = page.get_by_role("navigation", name="Pages")
        expect(page.locator(".account")).to_contain_text("default · admin")
        expect(page).to_have_title("Jobs · Duet")
        here = navigation.locator("[aria-current=page]")
        expect(here).to_have_text("Jobs")
        page.get_by_role("link", name="two rollouts").focus()
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="two rollouts", level=1)).to_be_visible()
        expect(navigation.locator("[aria-current=true]")).to_have_text("Jobs")
        page.reload()
        page.locator("main h1").wait_for()
        page.keyboard.press("Tab")
        expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
        page.keyboard.press("Enter")
        expect(page.locator("main h1")).to_be_focused()
        assert page.url.endswith(f"/#/jobs/{run.shown_id}"), "the skip link leaves the address"
        navigation.get_by_role("link", name="Jobs").press("Enter")
        expect(page.get_by_role("heading", name="Jobs", level=1)).to_be_focused()
        page.goto(f"{address}/#/nowhere")
        expect(page.get_by_role("heading", name="No such page")).to_be_focused()
        assert overflow(page) == 0
