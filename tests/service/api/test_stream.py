"""A job's log as server-sent events: every record once, in order, to the end."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx
import psycopg

from store.database import Database
from store.leases import Stopped
from tests.service.api.hand import Hand
from tests.service.api.test_jobs import submit

Claims = Callable[[], Hand]


@dataclass(frozen=True)
class Event:
    name: str
    id: str
    data: str


@contextmanager
def streaming(http: httpx.Client, job: str, **headers: str) -> Iterator[Iterator[Event]]:
    with http.stream("GET", f"/v1/jobs/{job}/stream", headers=headers) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield events(answer)


def events(answer: httpx.Response) -> Iterator[Event]:
    fields: dict[str, str] = {}
    for line in answer.iter_lines():
        if line.startswith(":"):
            yield Event("ping", "", line)
        elif line:
            name, _, value = line.partition(": ")
            fields[name] = value
        elif fields:
            yield Event(fields["event"], fields.get("id", ""), fields["data"])
            fields = {}


def seqs(found: list[Event]) -> list[int]:
    return [int(event.id) for event in found if event.name == "record"]


def test_a_stream_tells_everything_from_the_beginning_and_ends_with_the_job(
    http: httpx.Client, claims: Claims
):
    job = submit(http)["id"]
    hand = claims()
    hand.ship(hand.entry("message", {"level": "info", "text": "a\nb\r\n\u2028\x85 🍎"}))
    http.post(f"/v1/jobs/{job}/cancel")
    hand.finish(Stopped())
    with streaming(http, job) as stream:
        found = [event for event in stream if event.name != "ping"]
    assert seqs(found) == list(range(1, len(found)))
    records = http.get(f"/v1/jobs/{job}/records").json()["data"]
    assert [json.loads(event.data) for event in found[:-1]] == records
    assert found[-1].name == "end"
    assert json.loads(found[-1].data) == {"status": "cancelled"}


def test_a_reader_that_keeps_leaving_and_returning_misses_and_doubles_nothing(
    http: httpx.Client, claims: Claims
):
    job = submit(http)["id"]
    hand = claims()
    num_steps = 120

    def work() -> None:
        for step in range(1, num_steps + 1):
            hand.step(step)
        http.post(f"/v1/jobs/{job}/cancel")
        hand.finish(Stopped())

    working = threading.Thread(target=work)
    working.start()
    found: list[Event] = []
    last = "0"
    while not found or found[-1].name != "end":
        with streaming(http, job, **{"Last-Event-ID": last}) as stream:
            for taken, event in enumerate(event for event in stream if event.name != "ping"):
                found.append(event)
                last = event.id or last
                if taken == 16:
                    break  # the line breaks
    working.join()
    everything = http.get(f"/v1/jobs/{job}").json()
    assert everything["status"] == "cancelled"
    assert seqs(found) == list(range(1, len(found)))
    kinds = [json.loads(event.data)["kind"] for event in found[:-1]]
    assert kinds.count("metric") == num_steps


def test_a_new_record_reaches_every_reader_at_once(http: httpx.Client, claims: Claims):
    job = submit(http)["id"]
    hand = claims()
    with streaming(http, job) as one, streaming(http, job, **{"Last-Event-ID": "2"}) as other:
        assert [event.id for event in (next(one), next(one))] == ["1", "2"]
        hand.step(1)
        for stream in (one, other):
            event = next(event for event in stream if event.name != "ping")
            assert event.id == "3"
            assert json.loads(event.data)["step"] == 1


def test_a_silent_stream_pings(http: httpx.Client):
    job = submit(http)["id"]
    with streaming(http, job) as stream:
        assert next(stream).id == "1"
        assert next(stream).name == "ping"
        assert next(stream).name == "ping"


def test_after_in_the_address_serves_as_the_last_event_id(http: httpx.Client):
    job = submit(http)["id"]
    http.post(f"/v1/jobs/{job}/cancel")
    with http.stream("GET", f"/v1/jobs/{job}/stream?after=1") as answer:
        assert [event.id for event in events(answer)] == ["2", ""]


def test_a_stream_outlives_its_listening_connection(
    http: httpx.Client, claims: Claims, database: Database
):
    job = submit(http)["id"]
    hand = claims()
    with streaming(http, job, **{"Last-Event-ID": "2"}) as stream:
        assert next(stream).name == "ping"
        with psycopg.connect(database.listen_url, autocommit=True) as connection:
            ended = connection.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity "
                "where datname = current_database() and query like 'LISTEN%'"
            ).fetchall()
        assert ended == [(True,)]
        hand.step(1)
        assert next(event for event in stream if event.name != "ping").id == "3"


def test_a_last_event_id_that_is_no_number_is_refused(http: httpx.Client):
    job = submit(http)["id"]
    answer = http.get(f"/v1/jobs/{job}/stream", headers={"Last-Event-ID": "x"})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["parameter"] == "last-event-id"
