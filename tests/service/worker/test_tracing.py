"""One trace from the client's request through the API and the worker to the trainer."""

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs

from store.database.database import Database
from store.settings import Settings
from store.telemetry.tracing import open_tracing
from tests.service.api.conftest import client, make_key, serving
from tests.service.receiver import Receiver, receiving
from tests.service.worker.conftest import Desk
from tests.waiting import deadline

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SPEC = {"labels": {"script": "environment step complete"}}


@pytest.fixture
def http(settings: Settings, database: Database) -> Iterator[httpx.Client]:
    with serving(settings) as url, client(url, make_key(database, "ours", "read", "submit")) as it:
        yield it


def environment(http: httpx.Client, job: str) -> dict[str, str]:
    """Arguments of the trainer, from its log."""
    [told] = http.get(f"/v1/jobs/{job}/records", params={"kind": "message"}).json()["data"]
    return json.loads(told["payload"]["text"])


def test_a_job_has_its_requests_trace_id_in_every_log(http: httpx.Client, desk: Desk):
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
    assert environment(http, job["id"])["TRACEPARENT"] == f"00-{TRACE}-{SPAN}-00"


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


def told(collector: Receiver) -> dict[str, list[tuple[str, Span]]]:
    """Spans sent to the collector, by name, with the service that sent each."""
    spans: dict[str, list[tuple[str, Span]]] = {}
    for received in collector.arrived:
        assert received.path == "/v1/traces"
        for group in ExportTraceServiceRequest.FromString(received.body).resource_spans:
            service = attributes(group.resource)["service.name"]
            for span in (span for scope in group.scope_spans for span in scope.spans):
                spans.setdefault(span.name, []).append((service, span))
    return spans


def attributes(of: Any) -> dict[str, Any]:
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in of.attributes}


def exporting(settings: Settings, endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Set the variable for API and worker."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
    return settings.model_copy(update={"otlp_endpoint": endpoint})


def test_a_collector_receives_the_requests_and_the_workers_spans(
    settings: Settings, database: Database, desk: Desk, monkeypatch: pytest.MonkeyPatch
):
    with receiving() as collector:
        on = exporting(settings, f"http://127.0.0.1:{collector.port}", monkeypatch)
        worker = Desk(replace(desk.context, tracing=open_tracing(on, service="duet-worker")))
        key = make_key(database, "ours", "read", "submit")
        with serving(on) as url, client(url, key) as http:
            headers = {"traceparent": f"00-{TRACE}-{SPAN}-01"}
            ids = [
                http.post("/v1/jobs?validate_only=false", json=spec, headers=headers).json()["id"]
                for spec in (SPEC, {"labels": {"script": "fail"}})
            ]
            for _ in ids:
                worker.start()[1].join()
            http.get("/livez", headers=headers)
            given = environment(http, ids[0])["TRACEPARENT"]
        worker.context.tracing.close()
        spans = told(collector)
    mine = {
        name: [span for _, span in found if span.trace_id.hex() == TRACE]
        for name, found in spans.items()
    }
    (asked, _), (attempt, failed) = mine["POST /v1/jobs"], mine["job.attempt"]
    assert (asked.parent_span_id.hex(), asked.kind) == (SPAN, Span.SPAN_KIND_SERVER)
    assert attributes(asked) == {
        "http.request.method": "POST",
        "http.route": "/v1/jobs",
        "http.response.status_code": 201,
        "url.path": "/v1/jobs",
        "url.scheme": "http",
    }
    assert (attempt.parent_span_id, attempt.kind) == (asked.span_id, Span.SPAN_KIND_CONSUMER)
    assert (
        attributes(attempt).items()
        >= {
            "duet.job.id": ids[0],
            "duet.job.attempt": 1,
            "duet.outcome": "Completed",
            "duet.job.status": "succeeded",
        }.items()
    )
    parts = [mine[f"job.{part}"][0] for part in ("claim", "prepare", "train", "finish")]
    assert {part.parent_span_id for part in parts} == {attempt.span_id}
    begun = [part.start_time_unix_nano for part in (attempt, *parts)]
    assert begun[1:] == sorted(begun[1:])
    assert parts[-1].end_time_unix_nano <= attempt.end_time_unix_nano
    assert given == f"00-{TRACE}-{parts[2].span_id.hex()}-01"
    assert failed.status.code == Status.STATUS_CODE_ERROR
    assert attributes(failed)["error.type"] == "bad_data"
    assert {name: service for name, [(service, _), *_] in spans.items()} == {
        "POST /v1/jobs": "duet-api",
        "GET /v1/jobs/{job}/records": "duet-api",
        **{f"job.{part}": "duet-worker" for part in ("attempt", "claim", "prepare", "train")},
        "job.finish": "duet-worker",
    }


def test_a_collector_that_never_answers_holds_up_neither_an_answer_nor_the_end(
    settings: Settings, database: Database, monkeypatch: pytest.MonkeyPatch
):
    key = make_key(database, "ours", "read", "submit")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with serving(exporting(settings, endpoint, monkeypatch)) as url, client(url, key) as http:
            began = time.monotonic()
            assert http.get("/v1/me").status_code == 200
            assert time.monotonic() - began < deadline(2)
            began = time.monotonic()
        assert time.monotonic() - began < deadline(8)


def test_without_a_collector_the_sdk_is_not_loaded():
    code = (
        "import sys; from store.settings import Settings; from store.telemetry import tracing; "
        "settings = Settings.model_construct(otlp_endpoint=''); "
        "tracing.open_tracing(settings, service='duet-api'); "
        "print([name for name in sys.modules if name.startswith('opentelemetry.sdk')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
