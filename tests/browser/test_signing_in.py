"""Signing in and out, and the state of open pages afterwards."""

import re

from playwright.sync_api import Browser, Page, expect
from sqlalchemy import func, update

from store.access import keys
from store.database.database import Database
from store.tables import BrowserSession
from tests.browser.conftest import Run, open_page, visit


def sign_in(page: Page, key: str) -> None:
    page.get_by_label("API key").fill(key)
    page.get_by_role("button", name="Sign in").click()


def kept(page: Page) -> str:
    """Return everything that a script of the page can read."""
    return page.evaluate(
        "JSON.stringify([document.cookie, {...localStorage}, {...sessionStorage}, location.href])"
    )


def test_the_key_is_exchanged_for_a_cookie_and_no_script_can_read_either(
    chromium: Browser, address: str, key: str
):
    with visit(chromium, address) as page:
        sign_in(page, f" {key} ")
        expect(page.get_by_text("No jobs yet")).to_be_visible()
        (cookie,) = page.context.cookies()
        assert (cookie.get("httpOnly"), cookie.get("sameSite")) == (True, "Strict")
        assert cookie.get("value") not in (None, key)
        nothing = f'["",{{}},{{}},"{address}/'
        assert kept(page).startswith(nothing)
        page.reload()
        expect(page.get_by_text("No jobs yet")).to_be_visible()
        page.get_by_role("button", name="Sign out").click()
        expect(page.get_by_label("API key")).to_be_visible()
        assert page.context.cookies() == []
        page.reload()
        expect(page.get_by_label("API key")).to_be_visible()

        page.goto(f"{address}/#key={key}")
        expect(page.get_by_text("No jobs yet")).to_be_visible()
        assert page.url == f"{address}/#/"
        assert kept(page).startswith(nothing)
        page.go_back()
        assert key not in page.url


def test_a_key_in_a_link_replaces_no_session_without_confirmation(
    chromium: Browser, address: str, key: str, database: Database
):
    with database.session() as session:
        project = keys.create_project(session, "elsewhere")
        other = keys.create_key(session, project, "planted", ["read", "submit"])[1]
    context = chromium.new_context()
    page = context.new_page()
    account = page.locator(".account")
    page.goto(f"{address}/#key={key}")
    expect(account).to_contain_text("default · admin")
    question = page.get_by_role("dialog")
    for fresh in (False, True):  # the page that is open, and one that is loaded by the link
        if fresh:
            page.goto("about:blank")
        page.goto(f"{address}/#key={other}")
        expect(question).to_contain_text("planted of the project elsewhere")
        assert other not in page.url
        expect(account).to_contain_text("default · admin")
        question.get_by_role("button", name="Stay signed in").click()
        expect(question).to_have_count(0)
    page.goto(f"{address}/#key={other}")
    question.wait_for()
    page.keyboard.press("Escape")
    expect(question).to_have_count(0)
    page.reload()
    expect(account).to_contain_text("default · admin")

    page.goto(f"{address}/#key={key}")  # one's own link: nothing to ask
    expect(page.get_by_text("No jobs yet")).to_be_visible()
    expect(question).to_have_count(0)
    page.goto(f"{address}/#key={other[:-1]}")
    expect(page.get_by_role("alert")).to_contain_text("refused this key")
    expect(account).to_contain_text("default · admin")

    page.goto(f"{address}/#key={other}")
    question.get_by_role("button", name=re.compile("with the link.s key")).click()
    expect(account).to_contain_text("elsewhere · planted")
    context.close()


def test_a_refused_key_is_reported_whatever_its_source(chromium: Browser, address: str, key: str):
    context = chromium.new_context()
    page = context.new_page()
    page.goto(f"{address}/#key={key[:-1]}")
    refusal = page.get_by_role("alert").filter(has_text="refused this key")
    expect(refusal).to_be_visible()
    sign_in(page, key)
    expect(page.get_by_text("No jobs yet")).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    sign_in(page, key[:-1])
    expect(refusal).to_be_visible()
    context.close()


def test_an_ended_session_is_reported_and_its_page_returns_after_sign_in(
    chromium: Browser, address: str, key: str, run: Run
):
    run.claim()
    run.train(1, reward=0.1)
    context = chromium.new_context()
    page = context.new_page()
    page.goto(f"{address}/#key={key}")
    page.get_by_role("link", name="two rollouts").click()
    here = f"{address}/#/jobs/{run.shown_id}"
    expect(page).to_have_url(here)
    page.get_by_role("button", name="Pause").wait_for()
    with run.database.session() as session:
        session.execute(update(BrowserSession).values(expires_at=func.now()))
    run.train(2, reward=0.2)
    expect(page.get_by_role("alert")).to_contain_text("Your session has ended")
    sign_in(page, key)
    expect(page.get_by_role("heading", name="two rollouts")).to_be_visible()
    assert page.url == here
    page.get_by_role("button", name="Pause").click()
    expect(page.locator(".head .status")).to_have_text("pausing")
    context.close()


def test_tabs_sign_in_and_out_together(chromium: Browser, address: str, key: str, run: Run):
    with open_page(chromium, address, key, "#/") as page:
        other = page.context.new_page()
        other.goto(f"{address}/#/jobs/{run.shown_id}")
        expect(other.get_by_role("heading", name="two rollouts")).to_be_visible()
        page.get_by_role("button", name="Sign out").click()
        expect(other.get_by_role("alert")).to_contain_text("signed out in another tab")
        sign_in(page, key)
        expect(other.get_by_role("heading", name="two rollouts")).to_be_visible()
        other.get_by_role("button", name="Cancel…").click()
        other.get_by_role("button", name="Cancel the job").click()
        expect(other.locator(".head .status")).to_have_text("cancelled")
