"""Metrics of an API process about its own responses."""

import socket
from collections.abc import Iterator

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from store.settings import Settings
from tests.service.api.conftest import serving
from tests.service.api.test_jobs import submit
from tests.service.api.test_stream import streaming
from tests.waiting import wait_until

JOB = "/v1/jobs/{job}"
Labels = tuple[str, ...]


@pytest.fixture
def url(settings: Settings) -> Iterator[str]:
    """A server not shared with other tests."""
    with serving(settings) as address:
        yield address


def scraped(http: httpx.Client) -> dict[tuple[str, Labels], float]:
    """Return values by name and label values, in the order of the labels' names."""
    return {
        (sample.name, tuple(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(http.get("/metrics").text)
        for sample in family.samples
        if sample.name.startswith("duet_http")
    }


def test_answers_are_counted_and_timed_by_route_method_and_class_of_status(http: httpx.Client):
    job = submit(http)["id"]
    for path in (f"/v1/jobs/{job}", f"/v1/jobs/{job}", "/v1/jobs/job_1", "/v1/nothing", "/js/a.js"):
        http.get(path)
    http.request("PROPFIND", "/v1/jobs")
    http.put("/v1/jobs")
    now = scraped(http)
    counted = {labels: n for (name, labels), n in now.items() if name == "duet_http_requests_total"}
    assert counted == {
        ("POST", "/v1/jobs", "2xx"): 1,
        ("GET", JOB, "2xx"): 2,
        ("GET", JOB, "4xx"): 1,
        ("GET", "other", "4xx"): 2,
        ("other", "/v1/jobs", "4xx"): 1,
        ("PUT", "/v1/jobs", "4xx"): 1,
    }
    assert now["duet_http_request_seconds_count", ("GET", JOB)] == 3
    assert 0 < now["duet_http_request_seconds_sum", ("GET", JOB)] < 30
    assert now["duet_http_request_seconds_bucket", ("+Inf", "GET", JOB)] == 3
    assert now["duet_http_requests_in_flight", ()] == 1  # the scrape


def test_an_open_stream_is_counted_while_open_and_is_not_a_slow_request(http: httpx.Client):
    job = submit(http)["id"]
    with streaming(http, job) as stream:
        next(stream)
        now = scraped(http)
        assert (now["duet_http_open_streams", ()], now["duet_http_requests_in_flight", ()]) == (
            1,
            2,
        )
    wait_until(lambda: scraped(http)["duet_http_open_streams", ()] == 0)  # it was left
    now = scraped(http)
    assert ("duet_http_request_seconds_count", ("GET", f"{JOB}/stream")) not in now


def test_a_client_that_disconnects_is_not_counted_as_a_server_error(http: httpx.Client):
    url = http.base_url
    head = (
        f"POST /v1/estimates HTTP/1.1\r\nhost: {url.host}\r\n"
        f"authorization: {http.headers['authorization']}\r\ncontent-length: 100\r\n\r\n{{"
    )
    with socket.create_connection((url.host, url.port or 80)) as asking:
        asking.sendall(head.encode())
        _until_in_flight(http, 2)
    now = _until_in_flight(http, 1)
    assert [labels for _, labels in now if "/v1/estimates" in labels] == []


def _until_in_flight(http: httpx.Client, count: int) -> dict[tuple[str, Labels], float]:
    def found() -> dict[tuple[str, Labels], float] | None:
        now = scraped(http)
        return now if now["duet_http_requests_in_flight", ()] == count else None

    return wait_until(found)
