"""HEAD and OPTIONS of every path."""

import re

import httpx
import pytest

from tests.openapi_document import openapi_document

DOCUMENT = openapi_document()
PATHS = {
    path: {method.upper() for method in methods if method != "parameters"}
    for path, methods in DOCUMENT["paths"].items()
}
FILLED = "job_00000000000000000000000000000000"


def filled(path: str) -> str:
    return re.sub(r"\{\w+\}", FILLED, path)


def test_options_names_what_is_documented_and_head_where_there_is_get(http: httpx.Client):
    for path, methods in PATHS.items():
        answer = http.options(filled(path))
        assert answer.status_code == 204, path
        allowed = set(answer.headers["allow"].split(", "))
        assert allowed >= methods | {"OPTIONS"}, path
        assert ("HEAD" in allowed) == ("GET" in allowed), path


def test_head_is_answered_as_get_without_a_body(http: httpx.Client):
    """Uses one connection: the rest of a response would be read as the next one."""
    paths = [filled(path) for path, methods in PATHS.items() if "GET" in methods]
    for path in [*paths, "/", "/docs", "/openapi.json", "/js/app/main.js", "/js/nothing.js"]:
        asked, headed = http.get(path), http.head(path)
        assert headed.status_code == asked.status_code, path
        assert headed.content == b""
        assert headed.headers.get("content-type") == asked.headers.get("content-type"), path


@pytest.mark.parametrize("part", ["stream", "records"])
def test_head_of_a_jobs_parts_ends_at_once(http: httpx.Client, part: str):
    """HEAD of streams too, which would last as long as the job."""
    job = http.post("/v1/jobs", json={"preset": "demo"}).json()["id"]
    answer = http.head(f"/v1/jobs/{job}/{part}")
    assert (answer.status_code, answer.content) == (200, b"")
    assert http.get("/livez").status_code == 200


def test_an_unknown_path_has_no_options(http: httpx.Client):
    assert http.options("/v1/nothing").status_code == 404
    assert http.head("/v1/nothing").status_code == 404


def test_a_refused_method_is_answered_with_the_allowed_ones(http: httpx.Client):
    answer = http.delete("/v1/jobs")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, HEAD, OPTIONS, POST"
    assert http.head("/v1/jobs/x/cancel").headers["allow"] == "OPTIONS, POST"
