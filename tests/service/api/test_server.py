"""The catalogue, the health checks, the page, and headers of every response."""

import pickle
import re
from pathlib import Path

import httpx
import pytest
from sqlalchemy import text

from duet import Client, NotReady
from grpo.rewards.catalogue import REWARD_TYPES
from store.database.database import Database
from store.settings import Settings
from tests.service.api.conftest import serving

WEB = Path(__file__).parents[3] / "web"


def test_the_catalogue_names_what_a_spec_can_name(http: httpx.Client):
    presets = {preset["name"]: preset for preset in http.get("/v1/presets").json()["data"]}
    assert {"2-grpo", "16-grpo", "demo"} <= presets.keys()
    assert presets["16-grpo"]["settings"]["algorithm"]["group_size"] == 16
    [model] = http.get("/v1/models").json()["data"]
    assert (model["name"], model["context_tokens"]) == ("tiny-arithmetic", 2048)
    datasets = [dataset["name"] for dataset in http.get("/v1/datasets").json()["data"]]
    assert datasets == ["arithmetic", "arithmetic-heldout"]
    rewards = {reward["type"]: reward for reward in http.get("/v1/rewards").json()["data"]}
    assert rewards.keys() == REWARD_TYPES.keys()
    assert "weight" in rewards["number"]["settings"]["properties"]


def test_the_server_reports_that_it_is_ready(url: str):
    assert httpx.get(f"{url}/livez").json() == {"status": "alive"}
    ready = httpx.get(f"{url}/readyz")
    assert ready.json() == {
        "status": "ready",
        "checks": {
            "database": "ok",
            "migrations": "ok",
            "writes": "ok",
            "redis": "ok",
            "workers": "ok",
        },
        "problem": None,
    }


def test_a_newer_schema_is_named_by_readiness_and_by_the_client(
    url: str, key: str, database: Database
):
    with database.session() as session:
        ours = session.scalar(text("select version_num from alembic_version"))
        session.execute(text("update alembic_version set version_num = '9998'"))
    try:
        answer = httpx.get(f"{url}/readyz")
        with Client(url, key, max_retries=0) as client, pytest.raises(NotReady) as error:
            client.ready()
    finally:
        with database.session() as session:
            session.execute(text("update alembic_version set version_num = :it"), {"it": ours})
    problem = f"the database's schema is 9998, newer than this version of Duet ({ours})"
    assert (answer.status_code, answer.json()["problem"]) == (503, problem)
    assert str(error.value) == f"{url} is not ready: migrations failed ({problem})"
    again = pickle.loads(pickle.dumps(error.value))
    assert str(again) == str(error.value)


def test_an_unmigrated_database_is_not_ready(settings: Settings):
    bare = settings.database_url.rpartition("/")[0] + "/postgres"
    with serving(settings.model_copy(update={"database_url": bare})) as url:
        answer = httpx.get(f"{url}/readyz")
    assert answer.status_code == 503
    assert answer.json()["problem"] == "the database has no tables yet"
    checks = answer.json()["checks"]
    assert checks == {
        "database": "ok",
        "migrations": "failed",
        "writes": "ok",
        "redis": "ok",
        "workers": "ok",
    }


def test_the_page_is_served_and_runs_only_scripts_of_its_own(url: str):
    page = httpx.get(url)
    assert page.headers["content-type"].startswith("text/html")
    assert page.text == (WEB / "index.html").read_text()
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "unsafe" not in policy
    for address in re.findall(r'(?:src|href)="([^"]+)"', page.text):
        answer = httpx.get(f"{url}/{address}")
        assert answer.status_code == 200, address
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_the_reference_names_every_call_and_needs_no_script(url: str):
    page = httpx.get(f"{url}/docs")
    assert page.status_code == 200
    for path in httpx.get(f"{url}/openapi.json").json()["paths"]:
        assert path in page.text
    assert "<script" not in page.text
    assert "http://" not in page.text
    assert "https://" not in page.text


@pytest.mark.parametrize("path", ["/js/../../pyproject.toml", "/js/%2e%2e/%2e%2e/pyproject.toml"])
def test_only_files_of_the_page_are_served(url: str, path: str):
    assert httpx.get(url + path).status_code == 404


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/v1/nothing", 404), ("GET", "/nothing", 404), ("PUT", "/v1/jobs", 405)],
)
def test_a_missing_path_is_answered_with_a_problem(
    http: httpx.Client, method: str, path: str, status: int
):
    answer = http.request(method, path)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == status
    assert answer.headers["x-request-id"].startswith("req_")
    if status == 405:
        assert "POST" in answer.headers["allow"]


def test_answers_of_the_api_stay_out_of_shared_caches(http: httpx.Client):
    assert http.get("/v1/jobs").headers["cache-control"] == "private, no-cache"
