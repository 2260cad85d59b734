"""32 clients do everything to the same few jobs at once: none meets a deadlock or a fault."""

import random
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from threading import Barrier
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from store import workers
from store.access.projects import Quota, set_quota
from store.database.database import Database
from store.errors import StoreError
from store.jobs import checkpoint_retention
from store.jobs.claim import Claim
from store.jobs.outcomes import Completed, Failed, Outcome, Stopped
from store.jobs.reaper import reap
from store.settings import Settings
from tests.service.api.conftest import client, make_key, serving
from tests.service.store.desk import LEASE_SECONDS, Desk, make_desk, metric
from tests.service.store.invariants import broken
from tests.waiting import deadline

NUM_USERS, NUM_WORKERS, NUM_REAPERS = 20, 10, 2
CRASH = Failed({"code": "trainer_crashed", "message": "it died", "hint": "look"}, retryable=True)
OUTCOMES: Sequence[Outcome] = (Completed(), Stopped(), CRASH)
PROJECTS = ("ours", "theirs")
SPEC: dict[str, Any] = {"checkpoints": {"keep_last": 1}, "resources": {"max_failures": 3}}

CALLS: Sequence[tuple[str, str, dict[str, Any]]] = (
    ("POST", "/cancel", {}),
    ("POST", "/cancel", {"params": {"kill": True}}),
    ("POST", "/pause", {}),
    ("POST", "/resume", {}),
    ("POST", "/retry", {}),
    ("POST", "/fork", {}),
    ("PATCH", "", {"json": {"priority": 2}}),
    ("PATCH", "", {"json": {"priority": 1}}),
    ("DELETE", "", {}),
    ("GET", "", {}),
    ("GET", "/records", {}),
    ("GET", "/attempts", {}),
)


@dataclass(frozen=True)
class User:
    """Calls about the newest few jobs of a project."""

    http: httpx.Client
    chance: random.Random
    statuses: Counter[int] = field(default_factory=Counter)

    def call(self, method: str, path: str, **options: Any) -> Any:
        """The answer's data, if it has any."""
        answer = self.http.request(method, path, **options)
        self.statuses[answer.status_code] += 1
        return answer.json().get("data", []) if answer.content else []

    def act(self) -> None:
        newest = self.call("GET", "/v1/jobs", params={"limit": 4})
        if len(newest) < 4:
            self.call("POST", "/v1/jobs", json=SPEC)
            return
        job = f"/v1/jobs/{self.chance.choice(newest)['id']}"
        method, path, options = self.chance.choice(CALLS)
        if path == "/fork":
            for checkpoint in self.call("GET", f"{job}/checkpoints")[-1:]:
                self.call(method, f"{job}{path}", json={"checkpoint": checkpoint["id"]})
            return
        self.call(method, f"{job}{path}", **options)


def use_the_api(http: httpx.Client, chance: random.Random, num_calls: int) -> Counter[int]:
    """Return the count of each status."""
    user = User(http, chance)
    for _ in range(num_calls):
        user.act()
    return user.statuses


def work(desk: Desk, chance: random.Random, num_calls: int) -> Counter[str]:
    """A worker's calls; one that has lost its job takes another."""
    done: Counter[str] = Counter()
    for _ in range(num_calls):
        claim = desk.claim()
        if claim is not None:
            done["claimed"] += 1
            with suppress(StoreError):  # the reaper, or a deletion, was before it
                attempt(desk, claim, chance)
                done["finished"] += 1
    return done


def attempt(desk: Desk, claim: Claim, chance: random.Random) -> None:
    first = claim.resume.step if claim.resume else 0
    for n in (1, 2):
        desk.sync(claim, metric(n, first + n))
    desk.save(claim, step=first + 2, n=3, final=chance.random() < 0.3)
    with desk.database.session() as session:
        checkpoint_retention.remove_outdated(session, claim.job_id)
    desk.finish(claim, chance.choice(OUTCOMES))


def clean_up(database: Database, chance: random.Random, num_calls: int) -> Counter[str]:
    """Run the reaper, at times after leases have ended, and changes of a quota."""
    done: Counter[str] = Counter()
    for _ in range(num_calls):
        with database.session() as session:
            session.execute(text("update sweeps set hold_until = now() - interval '1 s'"))
        with database.session() as session:
            session.execute(
                text(
                    "update jobs set lease_expires_at = now() - interval '1 s' where id in (select "
                    "id from jobs where status = 'running' limit 1 for update skip locked)"
                )
            )
        with database.session() as session:
            result = reap(session, outage_seconds=30, lease_seconds=LEASE_SECONDS)
            done["lost"] += result.requeued + result.failed
        with database.session() as session:
            set_quota(session, chance.choice(PROJECTS), Quota(chance.randint(1, 5), 40))
            workers.list_workers(session)
    return done


@pytest.mark.parametrize("num_calls", [10, pytest.param(30, marks=pytest.mark.nightly)])
def test_32_concurrent_clients_cause_no_deadlock_and_no_server_error(
    database: Database, settings: Settings, num_calls: int
):
    desk = make_desk(database, "the workers'")
    gate = Barrier(NUM_USERS + NUM_WORKERS + NUM_REAPERS)

    def at_once(part: Callable[..., Counter], subject: object, seed: int) -> Counter:
        gate.wait(deadline(30))
        return part(subject, random.Random(seed), num_calls)

    with ExitStack() as stack:
        url = stack.enter_context(serving(settings))
        keys = [make_key(database, project, "read", "submit") for project in PROJECTS]
        users = [stack.enter_context(client(url, keys[n % 2])) for n in range(NUM_USERS)]
        pool = stack.enter_context(ThreadPoolExecutor(gate.parties))
        parts: list[tuple[Callable[..., Counter], object]] = [
            *((use_the_api, user) for user in users),
            *((work, desk) for _ in range(NUM_WORKERS)),
            *((clean_up, database) for _ in range(NUM_REAPERS)),
        ]
        futures = [pool.submit(at_once, part, it, seed) for seed, (part, it) in enumerate(parts)]
        # A deadlock in a worker's or the reaper's call is raised here; in a user's it is a 500.
        results = [future.result(deadline(60)) for future in futures]
    answers = sum(results[:NUM_USERS], Counter())
    # 422: a checkpoint that it was to begin from has been removed meanwhile.
    assert set(answers) <= {200, 201, 204, 404, 409, 422, 429}
    assert min(answers[200], answers[201], answers[409]) > 0
    done = sum(results[NUM_USERS:], Counter())
    assert min(done["claimed"], done["finished"]) > 0
    with database.session() as session:
        deadlocks = text(
            "select deadlocks from pg_stat_database where datname = current_database()"
        )
        assert session.scalar(deadlocks) == 0
    assert not broken(database)
