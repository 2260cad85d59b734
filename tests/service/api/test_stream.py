"""A job's log as server-sent events: every record once, in order, to the end."""

import json
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from random import Random

import httpx
import psycopg

from store.access.keys import authenticate, revoke
from store.database.database import Database
from store.jobs.outcomes import Stopped
from store.settings import Settings
from tests.service.api.conftest import client, make_key, serving
from tests.service.api.hand import Hand
from tests.service.api.test_jobs import submit
from tests.waiting import deadline, wait_until

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


def test_a_stream_sends_every_record_and_ends_with_the_job(http: httpx.Client, claims: Claims):
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


def test_a_stream_cut_at_200_random_bytes_is_taken_up_without_gap_or_double(
    http: httpx.Client, claims: Claims
):
    """While the log grows, connections break within events and between them."""
    job, random = submit(http)["id"], Random(200)
    hand = claims()
    hand.ship(*(hand.entry("message", {"text": "x" * random.randrange(500)}) for _ in range(150)))
    found: list[Event] = []
    for cut in range(200):
        hand.step(cut)
        found += until_cut(http, job, found, num_bytes=random.randrange(600))
    hand.finish(Stopped())
    http.post(f"/v1/jobs/{job}/cancel")
    with streaming(http, job, **{"Last-Event-ID": found[-1].id}) as stream:
        found += [event for event in stream if event.name != "ping"]
    last_seq = http.get(f"/v1/jobs/{job}").json()["last_seq"]
    assert seqs(found) == list(range(1, last_seq + 1))
    assert last_seq > 350
    assert found[-1].name == "end"


def until_cut(
    http: httpx.Client, job: str, found: Sequence[Event], num_bytes: int
) -> Iterator[Event]:
    """Return a client's events; its connection breaks after a number of bytes or at a ping."""
    headers = {"Last-Event-ID": found[-1].id} if found else {}
    came = b""
    with http.stream("GET", f"/v1/jobs/{job}/stream", headers=headers) as answer:
        for part in answer.iter_bytes():
            came += part
            if len(came) >= num_bytes or b": ping" in came:
                break
    *whole, _ = came[:num_bytes].split(b"\r\n\r\n")
    for text in whole:
        fields = dict(line.split(": ", 1) for line in text.decode().splitlines())
        if "id" in fields:
            yield Event(fields["event"], fields["id"], fields["data"])


def test_a_reader_that_stops_reading_is_dropped_and_nothing_is_kept_for_it(
    settings: Settings, database: Database, key: str, claims: Claims
):
    """The client gets only the data in the sockets' buffers, of a log of 30 MB."""
    with serving(settings, send_seconds=0.5) as url, client(url, key) as http:
        job = submit(http)["id"]
        hand = claims()
        for _ in range(30):
            hand.ship(*(hand.entry("message", {"text": "x" * 100_000}) for _ in range(10)))
        with socket.socket() as reader:
            reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            address = httpx.URL(url)
            reader.connect((address.host, address.port))
            head = f"GET /v1/jobs/{job}/stream HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}"
            reader.sendall(f"{head}\r\n\r\n".encode())
            wait_until(lambda: open_streams(http) == 1)
            wait_until(lambda: open_streams(http) == 0)
            reader.settimeout(deadline(5))
            assert sum(map(len, iter(lambda: reader.recv(2**20), b""))) < 10_000_000
        with streaming(http, job) as stream:  # one that reads gets it all
            records = (int(event.id) for event in stream if event.name == "record")
            assert list(islice(records, 300)) == list(range(1, 301))


def open_streams(http: httpx.Client) -> float:
    [line] = [
        line
        for line in http.get("/metrics").text.splitlines()
        if line.startswith("duet_http_open_streams")
    ]
    return float(line.split()[1])


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


def test_a_stream_ends_with_its_key_and_those_of_other_keys_continue(
    url: str, http: httpx.Client, database: Database
):
    job = submit(http)["id"]
    text = make_key(database, "ours", "read")
    with client(url, text) as reader:
        with streaming(http, job) as going_on, streaming(reader, job) as ending:
            assert (next(going_on).id, next(ending).id) == ("1", "1")
            assert next(ending).name == "ping"
            with database.session() as session:
                key = authenticate(session, text)
                assert key is not None
                revoke(session, key.project_id, key.id, by=set(key.scopes))
            assert {event.name for event in ending} <= {"ping"}
            assert next(going_on).name == "ping"
            http.post(f"/v1/jobs/{job}/cancel")
            assert "end" in {event.name for event in going_on}
        assert reader.get(f"/v1/jobs/{job}/stream").status_code == 401


def test_after_in_the_address_serves_as_the_last_event_id(http: httpx.Client):
    job = submit(http)["id"]
    http.post(f"/v1/jobs/{job}/cancel")
    with http.stream("GET", f"/v1/jobs/{job}/stream?after=1") as answer:
        assert [event.id for event in events(answer)] == ["2", ""]


def test_a_stream_survives_its_listening_connection(
    http: httpx.Client, claims: Claims, database: Database
):
    job = submit(http)["id"]
    hand = claims()
    with streaming(http, job, **{"Last-Event-ID": "2"}) as stream:
        assert next(stream).name == "ping"
        with psycopg.connect(database.listen_url, autocommit=True) as connection:

            def ended() -> set[tuple]:
                """Return results for this server's connection and others on this database."""
                query = (
                    "select pg_terminate_backend(pid) from pg_stat_activity "
                    "where datname = current_database() "
                    "and (query like 'LISTEN%' or query like '%pg_is_in_recovery()')"
                )
                return set(connection.execute(query).fetchall())

            wait_until(lambda: ended() == {(True,)})
        hand.step(1)
        assert next(event for event in stream if event.name != "ping").id == "3"


def test_an_invalid_last_event_id_is_refused(http: httpx.Client):
    job = submit(http)["id"]
    answer = http.get(f"/v1/jobs/{job}/stream", headers={"Last-Event-ID": "x"})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["parameter"] == "last-event-id"
