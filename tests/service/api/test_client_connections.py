"""The Python client with broken connections: nothing is lost, duplicated or fetched twice."""

import hashlib
import random
import threading
from collections.abc import Callable, Iterator
from itertools import chain, pairwise, repeat
from pathlib import Path

import httpx
import pytest

import duet
from store.jobs.outcomes import Stopped
from tests.service.api.hand import Hand
from tests.service.api.test_jobs import submit
from tests.service.both_clients import KINDS, client_of
from tests.service.cutting import Budget, Cutting, at_random, cutting
from tests.waiting import deadline

Claims = Callable[[], Hand]
WEIGHTS = random.Random(0).randbytes(1_000_000)

of_both_kinds = pytest.mark.parametrize("kind", KINDS)


def once(budget: int) -> Iterator[Budget]:
    return chain([budget], repeat(None))


@of_both_kinds
def test_a_stream_has_no_gap_and_no_double(
    kind: str, url: str, key: str, http: httpx.Client, claims: Claims
):
    job = submit(http)["id"]
    hand = claims()
    num_steps = 300

    def work() -> None:
        for step in range(1, num_steps + 1, 10):
            hand.ship(*(hand.entry("metric", {"reward": 0.5}, step + n) for n in range(10)))
        http.post(f"/v1/jobs/{job}/cancel")
        hand.finish(Stopped())

    working = threading.Thread(target=work)
    working.start()
    with (
        cutting(url, at_random(1, 600, 6000, times=25)) as between,
        client_of(kind, between.url, key) as client,
    ):
        records = list(client.jobs.stream(job))
    working.join()
    assert between.num_cut > 10
    assert [record.seq for record in records] == list(range(1, len(records) + 1))
    assert [r.step for r in records if r.kind == "metric"] == list(range(1, num_steps + 1))


@of_both_kinds
def test_a_download_resumes_where_it_broke_off(
    kind: str, url: str, key: str, http: httpx.Client, claims: Claims, tmp_path: Path
):
    job = submit(http)["id"]
    claims().checkpoint(1, {"model.safetensors": WEIGHTS}, tmp_path / "made")
    [checkpoint] = http.get(f"/v1/jobs/{job}/checkpoints").json()["data"]

    def stop(now: int, _total: int) -> None:
        if now > 300_000:
            raise RuntimeError

    # The manifest takes its own connection, which is kept for the first try at the file.
    with (
        cutting(url, at_random(2, 100_000, 300_000, times=4)) as between,
        client_of(kind, between.url, key) as client,
    ):
        with pytest.raises(RuntimeError):
            client.checkpoints.download(checkpoint["id"], tmp_path / "copy", progress=stop)
        assert len(list((tmp_path / "copy").glob("model.safetensors.*.part"))) == 1
        folder = client.checkpoints.download(checkpoint["id"], tmp_path / "copy")
        assert [path.name for path in folder.iterdir()] == ["model.safetensors"]
        assert (folder / "model.safetensors").read_bytes() == WEIGHTS
        fetched = fetches(between)
        client.checkpoints.download(checkpoint["id"], tmp_path / "copy")
        assert fetches(between) == fetched  # what is there is not fetched again
    assert between.num_cut >= 3  # the one that was given up may have been near its end
    assert fetched[0] == 0
    assert len(fetched) >= 4
    assert all(before < after for before, after in pairwise(fetched))


def fetches(between: Cutting) -> list[int]:
    """Return the first byte requested of the file, per request."""
    asked = [seen for seen in between.requests if "/files/" in seen.path]
    for seen in asked[1:]:
        assert seen.headers["if-range"].strip('"') == hashlib.sha256(WEIGHTS).hexdigest()
    return [int(seen.headers.get("range", "bytes=0-")[6:-1]) for seen in asked]


@of_both_kinds
def test_a_job_whose_answer_was_lost_is_made_once(
    kind: str, url: str, key: str, http: httpx.Client
):
    with cutting(url, once(0)) as between, client_of(kind, between.url, key) as client:
        job = client.jobs.create({"name": "once"})
    assert [each["id"] for each in http.get("/v1/jobs").json()["data"]] == [job.id]
    first, second = between.requests
    assert first.headers["idempotency-key"] == second.headers["idempotency-key"]


def test_a_request_that_may_have_been_applied_is_not_repeated(
    url: str, key: str, http: httpx.Client
):
    job = submit(http)["id"]
    with cutting(url, once(0)) as between, duet.Client(between.url, key) as client:
        with pytest.raises(duet.Unreachable, match="is `duet up` running"):
            client.jobs.cancel(job)
        assert client.jobs.get(job).status == "cancelled"
    assert [seen.method for seen in between.requests] == ["POST", "GET"]


@of_both_kinds
def test_a_wait_outlasts_broken_connections(
    kind: str, url: str, key: str, http: httpx.Client, claims: Claims, tmp_path: Path
):
    job = submit(http)["id"]
    hand = claims()
    hand.checkpoint(1, {"model.safetensors": b"7"}, tmp_path / "made")
    with (
        cutting(url, at_random(3, 0, 400, times=3)) as between,
        client_of(kind, between.url, key, max_retries=0) as client,
    ):
        finishing = threading.Timer(0.5, hand.finish)
        finishing.start()
        assert client.jobs.wait(job, timeout_seconds=deadline(20)).status == "succeeded"
        finishing.join()
    assert between.num_cut == 3


@of_both_kinds
def test_a_missing_server_is_reported_at_once(kind: str, key: str):
    with (
        client_of(kind, "http://127.0.0.1:9", key, max_retries=0) as client,
        pytest.raises(duet.Unreachable, match=r"http://127\.0\.0\.1:9.* does not answer"),
    ):
        client.me()
