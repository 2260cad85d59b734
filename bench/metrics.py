"""Reading the curves of a long job: `python -m bench.metrics`.

100,000 steps of 40 metrics, with an evaluation every tenth step, in a Postgres of its own.
Compares `store.log.curves`, its statements sent directly by psycopg, and the alternative: reading
every payload into Python and downsampling there.
"""

import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any
from uuid import UUID

import psycopg
from sqlalchemy import event, select, text

from duet.local.services.postgres import Postgres
from grpo.spec.resolve import resolve
from store.access import keys
from store.database.database import Database
from store.database.schema import migrate
from store.jobs import jobs
from store.log import log
from store.log.curves import read_metrics
from store.tables import Record

NUM_STEPS, NUM_METRICS, ROUNDS, MAX_POINTS = 100_000, 40, 4, 1000
NAMES = [f"metrics/of_a_usual_length_{n}" for n in range(NUM_METRICS)]

FILLING = f"""
    insert into records (job_id, seq, attempt, kind, step, payload, at)
    select :job, 1 + n, 1, 'metric', n,
        jsonb_build_object({", ".join(f"'{name}', random()" for name in NAMES)}), now()
    from generate_series(1, {NUM_STEPS}) n
    union all
    select :job, 1 + {NUM_STEPS} + n, 1, 'eval', 10 * n,
        jsonb_build_object('eval/accuracy', random()), now()
    from generate_series(1, {NUM_STEPS} / 10) n
"""


def main() -> None:
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        server = Postgres(Path(folder))
        server.start()
        try:
            _measure(server)
        finally:
            server.stop()


def _measure(server: Postgres) -> None:
    migrate(server.url)
    database = Database(server.url)
    job_id = _long_job(database)
    with psycopg.connect(database.listen_url, autocommit=True) as bare:
        for names in (None, NAMES[:8], NAMES[:1]):
            statements = _sent(database, job_id, names)
            ways: dict[str, Callable[[], object]] = {
                "store.log.curves": lambda names=names: _read(database, job_id, names),
                "bare SQL": lambda sent=statements: [bare.execute(*one).fetchall() for one in sent],
                "in Python": lambda names=names: _in_python(database, job_id, names),
            }
            rounds = [{way: _seconds(work) for way, work in ways.items()} for _ in range(ROUNDS)]
            taken = {way: [each[way] for each in rounds] for way in ways}
            _report(len(names or NAMES) + (names is None), taken)
    database.close()


def _report(num_curves: int, taken: dict[str, list[float]]) -> None:
    seconds = {way: median(times[1:]) for way, times in taken.items()}
    ours = seconds["store.log.curves"]
    told = ", ".join(f"{way} {each:.2f} s" for way, each in seconds.items())
    print(
        f"{num_curves} curves: {told}: {seconds['in Python'] / ours:.1f} times as fast as in "
        f"Python, {ours / seconds['bare SQL']:.2f} times as long as bare SQL"
    )


def _long_job(database: Database) -> UUID:
    with database.session() as session:
        project = keys.create_project(session, "bench")
        key, _ = keys.create_key(session, project, "bench", ["submit"])
        job = jobs.submit(
            session, project_id=project.id, key_id=key.id, spec=resolve({}), total_steps=NUM_STEPS
        )
        session.execute(text(FILLING), {"job": job.id})
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("vacuum analyze records"))
    return job.id


def _read(database: Database, job_id: UUID, names: list[str] | None) -> object:
    with database.session() as session:
        return read_metrics(session, job_id, names=names, max_points=MAX_POINTS)


def _sent(database: Database, job_id: UUID, names: list[str] | None) -> list[tuple[Any, Any]]:
    """Return the statements of one reading, with their values."""
    sent: list[tuple[Any, Any]] = []

    def note(_: object, __: object, statement: str, values: object, *___: object) -> None:
        sent.append((statement, values))

    event.listen(database.engine, "before_cursor_execute", note)
    _read(database, job_id, names)
    event.remove(database.engine, "before_cursor_execute", note)
    return sent


def _in_python(database: Database, job_id: UUID, names: list[str] | None) -> object:
    query = (
        select(Record.step, Record.payload)
        .where(Record.job_id == job_id, Record.kind.in_(("metric", "eval")), log.live())
        .order_by(Record.step, Record.seq)
    )
    curves: dict[str, dict[int, float]] = {}
    with database.session() as session:
        for step, payload in session.execute(query):
            assert step is not None
            for name, value in payload.items():
                if names is None or name in names:
                    curves.setdefault(name, {})[step] = value
    return {name: _thinned(list(curve.items())) for name, curve in curves.items()}


def _thinned(curve: list[tuple[int, float]]) -> list[tuple[int, float]]:
    inner, number = curve[1:-1], (MAX_POINTS - 2) // 2
    edges = [len(inner) * n // number for n in range(number + 1)]
    between = [
        point
        for low, high in pairwise(edges)
        for point in sorted(
            {extreme(inner[low:high], key=lambda point: point[1]) for extreme in (min, max)}
        )
    ]
    return [curve[0], *between, curve[-1]]


def _seconds(work: Callable[[], object]) -> float:
    began_at = time.perf_counter()
    work()
    return time.perf_counter() - began_at


if __name__ == "__main__":
    main()
