"""Requests of web pages of other origins: CORS headers only for the origins that are allowed."""

import httpx
import pytest

from store.settings import Settings
from tests.service.api.conftest import Servers, client

OWN = "https://ml.example.com"
LOCAL = "http://localhost:3000"
PREFLIGHT = {
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "authorization,content-type,idempotency-key",
}
LOOK_ALIKES = (
    "null",
    "*",
    "https://ml.example.com.evil.example",
    "https://evilml.example.com",
    "http://ml.example.com",
    "https://ml.example.com:8443",
    "https://ML.example.com",
    "http://localhost",
    "http://localhost:30000",
)


@pytest.fixture
def allowing(settings: Settings, servers: Servers, key: str):
    changed = settings.model_copy(update={"allowed_origins": f"{OWN}, {LOCAL}"})
    with client(servers.at(changed), key) as http:
        yield http


def shared(answer: httpx.Response) -> dict[str, str]:
    return {k: v for k, v in answer.headers.items() if k.startswith("access-control-")}


@pytest.mark.parametrize("origin", [OWN, LOCAL])
def test_a_page_of_an_allowed_origin_sends_a_key_and_reads_answers_and_errors(
    allowing: httpx.Client, origin: str
):
    asked = allowing.options("/v1/jobs", headers={"Origin": origin, **PREFLIGHT})
    assert asked.status_code == 200
    assert asked.headers["access-control-allow-origin"] == origin
    for path, status in (("/v1/jobs", 200), ("/v1/jobs/job_nothing", 404), ("/v1/nothing", 404)):
        answer = allowing.get(path, headers={"Origin": origin})
        assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (
            status,
            origin,
        )
        assert "etag" in answer.headers["access-control-expose-headers"].lower()
        assert "origin" in answer.headers["vary"].lower()
    refused = allowing.get("/v1/jobs", headers={"Origin": origin, "Authorization": "Bearer no"})
    assert (refused.status_code, refused.headers["access-control-allow-origin"]) == (401, origin)


@pytest.mark.parametrize("origin", LOOK_ALIKES)
def test_other_origins_are_told_nothing(allowing: httpx.Client, origin: str):
    asked = allowing.options("/v1/jobs", headers={"Origin": origin, **PREFLIGHT})
    assert "access-control-allow-origin" not in asked.headers
    answer = allowing.get("/v1/jobs", headers={"Origin": origin})
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("origin", [OWN, LOCAL, *LOOK_ALIKES])
def test_no_answer_allows_the_session_cookie(allowing: httpx.Client, origin: str):
    asked = allowing.options("/v1/jobs", headers={"Origin": origin, **PREFLIGHT})
    answer = allowing.get("/v1/jobs", headers={"Origin": origin, "Cookie": "duet_session=x"})
    for each in (asked, answer):
        assert "access-control-allow-credentials" not in each.headers
        assert each.headers.get("access-control-allow-origin") != "*"


def test_without_the_setting_no_answer_has_cors_headers(http: httpx.Client):
    for origin in (OWN, *LOOK_ALIKES):
        assert shared(http.get("/v1/jobs", headers={"Origin": origin})) == {}
        assert shared(http.options("/v1/jobs", headers={"Origin": origin, **PREFLIGHT})) == {}


def test_a_polled_list_is_sent_again_only_when_it_changed(http: httpx.Client):
    http.post("/v1/jobs", json={"name": "one"})
    first = http.get("/v1/jobs?limit=1")
    known = {"If-None-Match": first.headers["etag"]}
    again = http.get("/v1/jobs?limit=1", headers=known)
    assert (again.status_code, again.content) == (304, b"")
    http.post("/v1/jobs", json={"name": "two"})
    changed = http.get("/v1/jobs?limit=1", headers=known)
    assert changed.status_code == 200
    assert changed.headers["link"].endswith('rel="next"')
    assert changed.json()["data"][0]["name"] == "two"


def test_a_polled_job_says_when_to_poll_again_until_it_has_ended(http: httpx.Client):
    path = http.post("/v1/jobs", json={}).headers["location"]
    queued = http.get(path)
    assert int(queued.headers["retry-after"]) > 0
    unchanged = http.get(path, headers={"If-None-Match": queued.headers["etag"]})
    assert int(unchanged.headers["retry-after"]) > 0
    http.post(f"{path}/cancel").raise_for_status()
    assert "retry-after" not in http.get(path).headers
