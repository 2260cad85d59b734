"""Browser sessions: the cookie, its end, and protection from other sites."""

from collections.abc import Iterator
from http.cookies import Morsel, SimpleCookie
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select, text, update

from store.database.database import Database
from store.settings import Settings
from store.tables import BrowserSession
from tests.service.api.conftest import client, make_key, serving
from tests.waiting import deadline


@pytest.fixture
def admin_key(database: Database) -> str:
    return make_key(database, "ours", "read", "submit", "admin")


@pytest.fixture
def browser(url: str) -> Iterator[httpx.Client]:
    """Client with cookies and an origin, like a browser's page."""
    with httpx.Client(
        base_url=url, timeout=deadline(20), headers={"Sec-Fetch-Site": "same-origin"}
    ) as opened:
        yield opened


def sign_in(browser: httpx.Client, key: str) -> dict[str, Any]:
    answer = browser.post("/v1/session", json={"key": key})
    assert answer.status_code == 201, answer.text
    return answer.json()


def csrf(session: dict[str, Any]) -> dict[str, str]:
    return {"X-CSRF-Token": session["csrf_token"]}


def set_cookie(answer: httpx.Response) -> Morsel[str]:
    (morsel,) = SimpleCookie(answer.headers["set-cookie"]).values()
    return morsel


def test_a_key_is_exchanged_for_a_cookie_with_the_same_access(
    browser: httpx.Client, key: str, database: Database
):
    assert browser.get("/v1/session").status_code == 204
    answer = browser.post("/v1/session", json={"key": key})
    cookie = set_cookie(answer)
    assert cookie["httponly"]
    assert (cookie["samesite"], cookie["path"], cookie["secure"]) == ("strict", "/", "")
    assert int(cookie["max-age"]) == 7 * 86_400
    assert cookie.key == f"duet_session_{browser.base_url.port}"
    assert key not in answer.text
    assert cookie.value not in answer.text

    session = answer.json()
    assert browser.get("/v1/session").json() == session
    me = browser.get("/v1/me").json()
    assert me == {"key": session["key"], "project": session["project"]}
    assert browser.post("/v1/jobs", json={}, headers=csrf(session)).status_code == 201
    assert browser.get("/v1/jobs").json()["data"][0]["owner"] == "read/submit"
    refused = browser.get("/v1/keys")
    assert (refused.status_code, refused.json()["code"]) == (403, "scope_missing")

    with database.session() as rows:
        kept = rows.scalars(text("select to_jsonb(browser_sessions)::text from browser_sessions"))
        assert cookie.value not in str(kept.all())


def test_a_change_by_cookie_comes_from_our_page_with_its_token(
    url: str, browser: httpx.Client, key: str
):
    session = sign_in(browser, key)
    host = browser.base_url.netloc.decode()
    own, neighbour = f"http://{host}", f"http://{browser.base_url.host}:1"

    def refusal(headers: dict[str, str]) -> str | None:
        with httpx.Client(base_url=url, cookies=browser.cookies, timeout=deadline(20)) as bare:
            answer = bare.post("/v1/jobs", json={}, headers=headers)
            out = bare.delete("/v1/session", headers=headers)
        if answer.status_code == 201:
            return None
        assert (answer.status_code, out.status_code) == (403, 403)
        assert answer.json()["code"] == out.json()["code"]
        return answer.json()["code"]

    same = {"Sec-Fetch-Site": "same-origin"}
    assert refusal(same) == "csrf_token_wrong"
    assert refusal({**same, "X-CSRF-Token": "0" * 64}) == "csrf_token_wrong"
    assert refusal({**same, "X-CSRF-Token": "%"}) == "csrf_token_wrong"
    for site in ("cross-site", "same-site", "none"):
        assert refusal({"Sec-Fetch-Site": site, **csrf(session)}) == "other_origin"
    for origin in ("https://evil.example", neighbour, "null"):
        assert refusal({"Origin": origin, **csrf(session)}) == "other_origin"
    assert browser.get("/v1/session").status_code == 200
    assert refusal({"Origin": own, **csrf(session)}) is None


def test_another_sites_page_cannot_sign_in(browser: httpx.Client, key: str):
    headers = {"Sec-Fetch-Site": "cross-site", "Content-Type": "text/plain"}
    refused = browser.post("/v1/session", json={"key": key}, headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (403, "other_origin")
    assert "set-cookie" not in refused.headers


def test_a_key_that_is_sent_counts_before_the_cookie_and_needs_no_token(
    browser: httpx.Client, key: str, database: Database
):
    sign_in(browser, key)
    theirs = {"Authorization": f"Bearer {make_key(database, 'theirs', 'read', 'submit')}"}
    elsewhere = {**theirs, "Sec-Fetch-Site": "cross-site"}
    assert browser.get("/v1/me", headers=theirs).json()["project"]["name"] == "theirs"
    assert browser.post("/v1/jobs", json={}, headers=elsewhere).status_code == 201
    assert browser.get("/v1/jobs").json()["data"] == []
    wrong = browser.get("/v1/me", headers={"Authorization": "Bearer duet_mistyped"})
    assert (wrong.status_code, wrong.json()["code"]) == (401, "key_invalid")


def test_a_session_ends_when_one_signs_out_in_its_time_or_with_its_key(
    url: str, browser: httpx.Client, key: str, admin_key: str, database: Database
):
    def ended() -> bool:
        answer = browser.get("/v1/jobs")
        if answer.status_code == 200:
            return False
        assert (answer.status_code, answer.json()["code"]) == (401, "session_ended")
        again = browser.get("/v1/session")  # which takes the cookie back
        assert (again.status_code, set_cookie(again).value) == (401, "")
        assert browser.get("/v1/session").status_code == 204
        return True

    session = sign_in(browser, key)
    kept = httpx.Cookies(browser.cookies)
    out = browser.delete("/v1/session", headers=csrf(session))
    assert (out.status_code, set_cookie(out).value) == (204, "")
    assert dict(browser.cookies) == {}
    browser.cookies = kept
    assert ended()

    sign_in(browser, key)
    with database.session() as rows:
        rows.execute(update(BrowserSession).values(expires_at=func.now()))
    assert ended()

    session = sign_in(browser, key)
    with client(url, admin_key) as admin:
        assert admin.delete(f"/v1/keys/{session['key']['id']}").status_code == 204
    assert ended()


def test_a_new_sign_in_ends_the_previous_session(
    browser: httpx.Client, key: str, admin_key: str, database: Database
):
    sign_in(browser, key)
    assert sign_in(browser, admin_key)["key"]["name"] == "read/submit/admin"
    with database.session() as rows:
        rows.execute(update(BrowserSession).values(expires_at=func.now()))
    browser.cookies.clear()
    sign_in(browser, key)
    with database.session() as rows:
        assert rows.scalar(select(func.count()).select_from(BrowserSession)) == 1


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"key": "duet_" + "0" * 49}, 401, "key_invalid"),
        ({"key": "k" * 201}, 422, "invalid_request"),
        ({"key": "k", "project": "ours"}, 422, "invalid_request"),
        ({}, 422, "invalid_request"),
        ({"key": "k" * 2000}, 413, "too_large"),
    ],
)
def test_a_sign_in_that_cannot_be_is_refused(
    browser: httpx.Client, body: dict, status: int, code: str
):
    refused = browser.post("/v1/session", json=body)
    assert (refused.status_code, refused.json()["code"]) == (status, code)
    assert "set-cookie" not in refused.headers


def test_over_tls_the_cookie_is_secure_and_no_neighboring_host_can_set_it(
    settings: Settings, key: str
):
    behind = settings.model_copy(update={"trusted_proxies": "127.0.0.1"})
    with serving(behind) as url, httpx.Client(base_url=url) as http:
        headers = {"X-Forwarded-Proto": "https", "Host": "duet.example"}
        answer = http.post("/v1/session", json={"key": key}, headers=headers)
    cookie = set_cookie(answer)
    assert cookie.key == "__Host-duet_session"
    assert cookie["secure"]
    assert (cookie["path"], cookie["domain"]) == ("/", "")
