"""The feed that a job's followers share, and the events that each receives."""

import asyncio
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from functools import partial
from uuid import UUID

import httpx

from api.routes.stream import read_log
from api.streaming.feed import Feed, Follower, Look, Read
from store.database.database import Database
from store.ids import decode
from tests.service.api.hand import Hand
from tests.service.api.test_jobs import submit
from tests.waiting import deadline

Claims = Callable[[], Hand]
NUM_FOLLOWERS = 1000
PING_SECONDS = 60.0  # no test of this file waits for one


@asynccontextmanager
async def listening(database: Database, read: Read) -> AsyncIterator[Feed]:
    feed = Feed(database.listen_url, read, ping_seconds=PING_SECONDS)
    running = asyncio.create_task(feed.run())
    yield feed
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running


def run(test: Coroutine[None, None, None]) -> None:
    asyncio.run(asyncio.wait_for(test, deadline(30)))


async def followed_to(follower: Follower, seq: int) -> int:
    """Return the number of records received up to this one."""
    after = num_records = 0
    while after < seq:
        look = await follower.look(after)
        num_records += b"".join(look.chunks).count(b"event: record")
        after = look.last
    return num_records


def test_a_thousand_followers_cost_a_few_reads(
    http: httpx.Client, database: Database, claims: Claims
):
    job_id, looks = decode("job", submit(http)["id"]), Counter[int]()
    hand = claims()

    def read(job_id: UUID, after: int) -> Look:
        looks[after] += 1
        return read_log(database, job_id, after)

    async def follow() -> None:
        async with listening(database, read) as feed, asyncio.TaskGroup() as group:
            following = [feed.following(job_id) for _ in range(NUM_FOLLOWERS)]
            followers = [each.__enter__() for each in following]
            told = [group.create_task(followed_to(follower, 5)) for follower in followers]
            for step in (1, 2, 3):
                await asyncio.sleep(0.1)
                await asyncio.to_thread(hand.step, step)
            assert {await each for each in told} == {5}
            for each in following:
                each.__exit__(None, None, None)
            assert feed.num_followers == 0

    run(follow())
    assert sum(looks.values()) < 30


def test_a_read_begun_before_a_notification_is_not_shared_with_the_notified(
    http: httpx.Client, database: Database, claims: Claims
):
    job_id = decode("job", submit(http)["id"])
    hand = claims()
    seen, gate = threading.Event(), threading.Event()

    def read(job_id: UUID, after: int) -> Look:
        look = read_log(database, job_id, after)
        if not seen.is_set():
            seen.set()
            gate.wait(deadline(10))
        return look

    async def follow() -> None:
        async with listening(database, read) as feed:
            with (
                feed.following(job_id) as early,
                feed.following(job_id) as waiting,
                feed.following(job_id) as late,
            ):
                first = asyncio.create_task(early.look(0))
                await asyncio.to_thread(seen.wait, deadline(10))
                await waiting.look(2)  # the next one waits for a notification
                await asyncio.to_thread(hand.step, 1)
                while (await waiting.look(2)).last != 3:
                    pass
                assert (await late.look(0)).last == 3
                assert not first.done()
                gate.set()
                assert (await first).last == 2
                assert (await early.look(2)).last == 3

    run(follow())


def test_a_client_that_leaves_during_a_read_does_not_cancel_it_for_the_others(
    http: httpx.Client, database: Database
):
    job_id = decode("job", submit(http)["id"])

    async def follow() -> None:
        async with listening(database, partial(read_log, database)) as feed:
            with feed.following(job_id) as one, feed.following(job_id) as other:
                looks = [asyncio.create_task(each.look(0)) for each in (one, other)]
                await asyncio.sleep(0)
                looks[0].cancel()
                assert (await looks[1]).last == 1

    run(follow())
