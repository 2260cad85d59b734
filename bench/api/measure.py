"""Measurements: creating and reading a job, a page, a curve, and delivery of events to watchers."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import httpx
import psycopg
from sqlalchemy import text

from bench.api import bare, goals
from bench.api.load import Load, Served, request
from bench.api.servers import Owner, Server, Servers
from bench.api.setting import Effort
from bench.api.watching import Await, Leave, Watch
from bench.report import Row
from bench.turns import Contestant, alternate
from grpo.spec.resolve import resolve
from store.ids import encode, new_id
from store.jobs import jobs
from store.jobs.claim import claim_next
from store.log import log
from store.log.log import Entry

NUM_READ = 50  # jobs, in turn
SETTLE_SECONDS = 1.0
EVENT_SECONDS = 0.5  # between two events
MAX_POINTS = 1000
NUM_METRICS = 40
NAMES = [f"metrics/of_a_usual_length_{n}" for n in range(NUM_METRICS)]

COPIES = """
    with made as (insert into jobs select (jsonb_populate_record(first,
        jsonb_build_object('id', gen_random_uuid(), 'queued_at', now() + n * interval '1 ms'))).*
        from jobs first, generate_series(1, :num) n where first.id = :job returning id)
    insert into records (job_id, seq, attempt, kind, payload, at)
    select id, 1, 0, 'status', '{"status": "queued", "reason": "submitted"}', now() from made"""
STEPS = f"""
    insert into records (job_id, seq, attempt, kind, step, payload, at)
    select :job, 1 + n, 0, 'metric', n,
        jsonb_build_object({", ".join(f"'{name}', random()" for name in NAMES)}), now()
    from generate_series(1, :num) n"""


@dataclass(frozen=True)
class Bench:
    """Shared state of the measurements."""

    servers: Servers
    owner: Owner
    loader: Contestant
    watchers: Contestant
    effort: Effort

    def bring(self, loads: Mapping[str, Load]) -> dict[str, list[Served]]:
        """Run each load in turn."""
        players = {name: self._player(load) for name, load in loads.items()}
        turns = alternate(players, rounds=self.effort.rounds, warmups=1)
        return {name: [turn.said for turn in each] for name, each in turns.items()}

    def _player(self, load: Load) -> Callable[[], Any]:
        return lambda: self.loader.turn(load)

    def load(
        self, server: Server, *requests: bytes, status: int = 200, alone: bool = False
    ) -> Load:
        num_clients = 1 if alone else self.effort.num_clients
        return Load(server.port, requests, status, num_clients, self.effort.seconds)

    def asked(self, path: str, *, owner: Owner | None = None) -> bytes:
        return request("GET", path, key=(owner or self.owner).text)


def one_job(bench: Bench) -> list[Row]:
    """Compare creating a job, and reading a running and a queued job."""
    ours, peer = bench.servers.ours, bench.servers.bare
    spec = resolve({"name": "bench"}).model_dump(mode="json")
    body = json.dumps(spec).encode()
    peers = json.dumps({"name": "bench", "spec": spec}).encode()
    making = request("POST", "/v1/jobs", key=bench.owner.text, body=body)
    readers = bench.servers.make_owner("readers")
    running = [_submit(bench, readers, body) for _ in range(NUM_READ)]
    _run_all(bench)
    waiting = [_submit(bench, readers, body) for _ in range(NUM_READ)]
    theirs = [_made(peer, "/jobs", peers)["id"] for _ in range(NUM_READ)]
    turns = bench.bring(
        {
            "read bare": bench.load(peer, *(request("GET", f"/jobs/{job}") for job in theirs)),
            "read": bench.load(ours, *_paths(bench, running, readers)),
            "read waiting": bench.load(ours, *_paths(bench, waiting, readers)),
            "create bare": bench.load(peer, request("POST", "/jobs", body=peers), status=201),
            "create": bench.load(ours, making, status=201),
        }
    )
    names = {
        "create": "create",
        "read": "read, a running job",
        "read waiting": "read, a waiting job",
    }
    rows = []
    for name, goal in names.items():
        pair = turns[name], turns[f"{name.split()[0]} bare"]
        rows.append(goals.throughput(goal, *pair))
        rows.append(goals.tail(goal, *pair, most=goals.MOST_P99.get(name)))
    return rows


def long_list(bench: Bench) -> list[Row]:
    """Compare a page of 20 of very many queued jobs with a page of 20 of 100."""
    ours, owners = bench.servers.ours, {}
    for num in (100, bench.effort.num_jobs):
        owners[num] = bench.servers.make_owner(f"with-{num}")
        with bench.servers.database.session() as session:
            made = {"job": _first_job(bench, owners[num]), "num": num - 1}
            session.execute(text(COPIES), made)
    _vacuum(bench)
    few, many = owners.values()
    rows = []
    for label, path in (("", ""), (", of a status", "&status=queued"), (", by name", "&sort=name")):
        path = f"/v1/jobs?limit=20{path}"
        turns = bench.bring(
            {
                who: bench.load(ours, bench.asked(path, owner=owner), alone=True)
                for who, owner in (("few", few), ("many", many))
            }
        )
        goal = f"a page of {bench.effort.num_jobs:,} jobs, against one of 100{label}"
        most = goals.MOST_LONGER["list"]
        rows.append(goals.longer(goal, turns["many"], turns["few"], most=most))
    return rows


def long_curves(bench: Bench) -> list[Row]:
    """Compare 1,000 points of a long job's curve with one query for the same buckets."""
    job_id, num_steps = _first_job(bench, bench.owner), bench.effort.num_steps
    with bench.servers.database.session() as session:
        session.execute(text(STEPS), {"job": job_id, "num": num_steps})
    _vacuum(bench)
    path = f"/v1/jobs/{encode('job', job_id)}/metrics?max_points={MAX_POINTS}&names={NAMES[0]}"
    buckets = f"num_steps={num_steps}&num_buckets={MAX_POINTS // 2}&name={NAMES[0]}"
    peers = request("GET", f"/jobs/{job_id}/curve?{buckets}")
    turns = bench.bring(
        {
            "bare": bench.load(bench.servers.bare, peers, alone=True),
            "ours": bench.load(bench.servers.ours, bench.asked(path), alone=True),
        }
    )
    goal = f"a curve of {num_steps:,} steps in {MAX_POINTS:,} points"
    return [goals.longer(goal, turns["ours"], turns["bare"], most=goals.MOST_LONGER["curve"])]


def many_watchers(bench: Bench) -> list[Row]:
    """Measure the delivery time of an event to every watcher, and the memory of a watcher."""
    job_id = _first_job(bench, bench.owner)
    path = f"/v1/jobs/{encode('job', job_id)}/stream"
    stages = {
        "bare": _Stage(bench, bench.servers.bare, request("GET", "/stream"), _Notified(bench)),
        "ours": _Stage(bench, bench.servers.ours, bench.asked(path), _Logged(bench, job_id)),
    }
    for _ in range(bench.effort.rounds):
        for stage in stages.values():
            stage.play()
    num, (peer, ours) = bench.effort.num_watchers, stages.values()
    return [
        goals.delivery(ours.latencies, peer.latencies, num),
        goals.memory(ours.memory_bytes, peer.memory_bytes, num),
    ]


class _Notified:
    """Events of the bare server: notifications of Postgres."""

    def __init__(self, bench: Bench) -> None:
        url = bench.servers.database.listen_url
        self._connection = psycopg.connect(url, autocommit=True)
        self._last_id = 0

    def publish(self) -> tuple[int, float]:
        """Event id and commit time."""
        self._last_id += 1
        data = json.dumps({"seq": self._last_id, "payload": _metrics(self._last_id)})
        event = f"id: {self._last_id}\r\nevent: record\r\ndata: {data}\r\n\r\n"
        sent_at = time.perf_counter()
        self._connection.execute("select pg_notify(%s, %s)", [bare.CHANNEL, event])
        return self._last_id, sent_at


class _Logged:
    """Events of ours: records of a job's log."""

    def __init__(self, bench: Bench, job_id: UUID) -> None:
        self._database = bench.servers.database
        self._job_id = job_id
        self._step = 0

    def publish(self) -> tuple[int, float]:
        self._step += 1
        entry = Entry(self._step, "metric", self._step, datetime.now(UTC), _metrics(self._step))
        with self._database.session() as session:
            [row] = log.append(session, self._job_id, 0, [entry])
            sent_at = time.perf_counter()
        return row["seq"], sent_at


class _Stage:
    """One server, its watchers, and the source of their events."""

    def __init__(
        self, bench: Bench, server: Server, asked: bytes, news: _Notified | _Logged
    ) -> None:
        self._bench = bench
        self._server = server
        self._watch = Watch(server.port, asked, bench.effort.num_watchers)
        self._news = news
        self.latencies: list[list[float]] = []
        self.memory_bytes: list[float] = []

    def play(self) -> None:
        before = self._server.memory_bytes
        self._bench.watchers.turn(self._watch)
        time.sleep(SETTLE_SECONDS)
        self.memory_bytes.append(self._server.memory_bytes - before)
        sent: dict[int, float] = {}
        for _ in range(self._bench.effort.num_events):
            event_id, sent_at = self._news.publish()
            sent[event_id] = sent_at
            time.sleep(EVENT_SECONDS)
        arrivals = self._bench.watchers.turn(Await(max(sent))).said
        self.latencies.append(
            [came_at - sent[number] for number in sent for came_at in arrivals[number]]
        )
        self._bench.watchers.turn(Leave())
        time.sleep(SETTLE_SECONDS)


def _metrics(step: int) -> dict[str, float]:
    return {name: step / (place + 1) for place, name in enumerate(NAMES)}


def _made(server: Server, path: str, body: bytes, owner: Owner | None = None) -> dict[str, Any]:
    headers = {"content-type": "application/json"}
    if owner is not None:
        headers["authorization"] = f"Bearer {owner.text}"
    answer = httpx.post(f"http://127.0.0.1:{server.port}{path}", content=body, headers=headers)
    return answer.raise_for_status().json()


def _submit(bench: Bench, owner: Owner, body: bytes) -> str:
    return _made(bench.servers.ours, "/v1/jobs", body, owner)["id"]


def _paths(bench: Bench, job_ids: Sequence[str], owner: Owner) -> list[bytes]:
    return [bench.asked(f"/v1/jobs/{job_id}", owner=owner) for job_id in job_ids]


def _run_all(bench: Bench) -> None:
    """Claim every job, as a worker does."""
    claimed = True
    while claimed:
        with bench.servers.database.session() as session:
            claimed = claim_next(
                session,
                worker_id=new_id(),
                host="bench",
                queues=["default"],
                num_gpus=0,
                lease_seconds=3600,
                boot_id="bench",
            )


def _first_job(bench: Bench, owner: Owner) -> UUID:
    with bench.servers.database.session() as session:
        return jobs.submit(
            session,
            project_id=owner.project.id,
            key_id=owner.key.id,
            spec=resolve({"name": "bench"}),
            total_steps=None,
        ).id


def _vacuum(bench: Bench) -> None:
    with bench.servers.database.engine.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT").execute(text("vacuum analyze"))
