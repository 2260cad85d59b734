"""One trace from the client's request through the API and the worker to the trainer."""

import json
from collections.abc import Iterator

import httpx
import pytest
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs

from store.database import Database
from store.settings import Settings
from store.trace import Trace
from tests.service.api.conftest import client, make_key, serving
from tests.service.worker.conftest import Desk

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SPEC = {"labels": {"script": "environment step complete"}}


@pytest.fixture
def http(settings: Settings, database: Database) -> Iterator[httpx.Client]:
    with serving(settings) as url, client(url, make_key(database, "ours", "read", "submit")) as it:
        yield it


def environment(http: httpx.Client, job: str) -> dict[str, str]:
    """What the trainer was given, as it told its log."""
    [told] = http.get(f"/v1/jobs/{job}/records", params={"kind": "message"}).json()["data"]
    return json.loads(told["payload"]["text"])


def test_a_jobs_trace_is_its_requests_and_stands_in_every_log_on_the_way(
    http: httpx.Client, desk: Desk
):
    headers = {"traceparent": f"00-{TRACE}-{SPAN}-00", "x-request-id": "proxy-7.a_B"}
    with capture_logs(processors=[merge_contextvars]) as logs:
        answer = http.post("/v1/jobs", json=SPEC, headers=headers)
        desk.start()[1].join()
    assert answer.headers["x-request-id"] == "proxy-7.a_B"
    job = answer.json()
    assert job["trace_id"] == TRACE
    [asked] = [event for event in logs if event["event"] == "request"]
    assert (asked["request_id"], asked["trace_id"]) == ("proxy-7.a_B", TRACE)
    attempt = {event["event"]: event for event in logs if event.get("job") == job["id"]}
    assert attempt["attempt_started"]["trace_id"] == TRACE
    assert attempt["attempt_ended"]["trace_id"] == TRACE
    given = Trace.parse(environment(http, job["id"])["TRACEPARENT"])
    assert given is not None
    assert (given.trace_id, given.sampled) == (TRACE, False)


@pytest.mark.parametrize("given", [{}, {"traceparent": "nonsense", "x-request-id": "a b\u00e9"}])
def test_a_request_without_a_valid_trace_or_id_begins_its_own(
    http: httpx.Client, given: dict[str, str]
):
    headers = [(name.encode(), value.encode()) for name, value in given.items()]
    answers = [http.post("/v1/jobs", json=SPEC, headers=headers) for _ in range(2)]
    assert all(answer.headers["x-request-id"].startswith("req_") for answer in answers)
    traces = {answer.json()["trace_id"] for answer in answers}
    assert len(traces) == 2
    assert all(len(trace) == 32 for trace in traces)


def test_each_call_that_makes_a_job_gives_it_the_calls_trace(http: httpx.Client):
    def headers(number: int) -> dict[str, str]:
        return {"traceparent": f"00-{number:032x}-{SPAN}-01"}

    job = http.post("/v1/jobs", json=SPEC, headers=headers(1)).json()
    http.post(f"/v1/jobs/{job['id']}/cancel", headers=headers(2))
    assert http.get(f"/v1/jobs/{job['id']}", headers=headers(3)).json()["trace_id"] == f"{1:032x}"
    again = http.post(f"/v1/jobs/{job['id']}/retry", headers=headers(4)).json()
    assert (again["retry_of"], again["trace_id"]) == (job["id"], f"{4:032x}")
    body = {"base": SPEC, "variants": [{"seed": 1}, {"seed": 2}]}
    http.post("/v1/sweeps", json=body, headers=headers(5)).raise_for_status()
    traces = [one["trace_id"] for one in http.get("/v1/jobs").json()["data"]]
    assert traces == [f"{number:032x}" for number in (5, 5, 4, 1)]
