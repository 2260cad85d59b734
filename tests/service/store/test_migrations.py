"""Migrations up and down on a database in use, and their agreement with the tables."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text

from duet.local.services.postgres import Postgres
from store.database.database import Database
from store.tables import Base
from tests.databases import copy_of

MIGRATIONS = Path(__file__).parents[3] / "migrations"
# What each version adds to a database with a row in each of its tables.
ROWS = {
    "0001": """
        insert into projects (id, name) values (gen_random_uuid(), 'ours');
        insert into sweeps (id, last_sweep_at, hold_until) values (1, now(), now());
        insert into workers (id, host, boot_id, pid, queues, num_gpus, slots)
            values (gen_random_uuid(), 'host-a', 'boot-1', 1, '{default}', 1, 1);
        insert into api_keys (id, project_id, name, prefix, sha256, scopes)
            select gen_random_uuid(), id, 'mine', 'duet_abc', '\\x00', '{read}' from projects;
        insert into idempotency_keys (project_id, route, key, body_hash, status_code, body)
            select id, 'POST /v1/jobs', 'once', 'hash', 201, '{}' from projects;
        insert into files
            (id, project_id, created_by, name, bytes, sha256, num_rows, fields)
            select gen_random_uuid(), project_id, id, 'rows.jsonl', 9, 'ab', 1, '{}' from api_keys;
        insert into jobs (id, project_id, created_by, name, spec, labels, status, wanted,
            status_reason, queue, gpus, priority, last_seq)
            select gen_random_uuid(), project_id, id, 'job', '{"model": {"source": "m"}}',
            '{"a": "1"}', 'queued', 'run', 'submitted', 'default', 0, 3, 1 from api_keys;
        insert into attempts (job_id, number, worker_id, host, boot_id)
            select jobs.id, 1, workers.id, host, boot_id from jobs, workers;
        insert into checkpoints (id, job_id, attempt, step, key, manifest, bytes, final)
            select gen_random_uuid(), id, 1, 4, 'jobs/4', '{}', 10, false from jobs;
        insert into records (job_id, seq, attempt, kind, payload, at)
            select id, 1, 0, 'status', '{"status": "queued"}', now() from jobs""",
    "0002": """
        insert into jobs (id, project_id, created_by, name, spec, labels, status, wanted,
            status_reason, queue, gpus, priority, not_before, retry_of, start_checkpoint_id)
            select gen_random_uuid(), project_id, created_by, 'later', spec, labels, 'queued',
            'run', 'retry', 'default', 0, 0, now() + interval '1 day', jobs.id, checkpoints.id
            from jobs, checkpoints;
        update checkpoints set metric = 0.5""",
    "0003": """
        insert into webhooks (id, project_id, created_by, url, events, secret)
            select gen_random_uuid(), project_id, id, 'https://a.example', '{job.queued}', 'whsec_a'
            from api_keys;
        insert into deliveries (id, webhook_id, event, payload)
            select gen_random_uuid(), id, 'job.queued', '{}' from webhooks""",
    "0004": """
        update jobs set traceparent = '00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01'""",
    "0005": """
        update api_keys set expires_at = now() + interval '1 day';
        insert into browser_sessions (id, key_id, sha256, expires_at)
            select gen_random_uuid(), id, '\\x01', now() from api_keys;
        insert into audit_records
            (id, project_id, key_id, session_id, action, object, request_id, address)
            select gen_random_uuid(), project_id, id, gen_random_uuid(), 'key.rotate', 'key_0',
            'req_0', '127.0.0.1' from api_keys""",
    "0007": """
        insert into events (id, project_id, event, payload)
            select gen_random_uuid(), id, 'job.running', '{}' from projects""",
    "0008": """
        update files set status = 'failed', problems = '{line 1 is wrong}', num_inspections = 1""",
    "0010": """
        insert into project_turns (project_id, claimed_at) select id, now() from projects""",
    "0011": "update files set expires_at = now() + interval '1 day'",
    "0012": """
        update workers set blocked = 'the disk is full'""",
    "0013": """
        insert into project_secrets (project_id, name, ciphertext)
            select id, 'HF_TOKEN', '\\x00' from projects""",
}


@pytest.fixture
def empty(postgres_server: Postgres) -> Iterator[Database]:
    """A database without tables."""
    with copy_of(postgres_server, "template0") as url:
        database = Database(url)
        yield database
        database.close()


def alembic(database: Database) -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["url"] = database.listen_url
    return config


def run(database: Database, statements: str) -> None:
    with database.session() as session:
        for statement in statements.split(";"):
            session.execute(text(statement.replace(":", r"\:")))


def rows(connection: Connection) -> dict[str, list[dict]]:
    """Every row of every table, by the table's name."""
    names = connection.scalars(
        text("select tablename from pg_tables where schemaname = 'public' order by tablename")
    ).all()
    return {
        name: [
            row["it"]
            for row in connection.execute(
                text(f"select to_jsonb(t) as it from {name} t order by t::text")
            ).mappings()
        ]
        for name in names
        if name != "alembic_version"
    }


def kept(database: Database) -> dict[str, list[dict]]:
    with database.engine.connect() as connection:
        return rows(connection)


def is_kept(before: dict[str, list[dict]], after: dict[str, list[dict]]) -> bool:
    """Whether each row still exists with at least its previous values."""
    return all(
        any(row.items() <= found.items() for found in after[table])
        for table, held in before.items()
        for row in held
    )


def test_rows_of_every_table_survive_each_step_up_and_what_older_tables_hold_the_way_down(
    empty: Database,
):
    config, before = alembic(empty), {}
    versions = list(ROWS)
    for version in versions:
        command.upgrade(config, version)
        after = kept(empty)
        assert is_kept(before, after)
        run(empty, ROWS[version])
        before = kept(empty)
    assert set(before) == set(Base.metadata.tables)
    assert all(before.values()), "a table has no row"
    for version in reversed(versions[:-1]):
        command.downgrade(config, version)
        after = kept(empty)
        for table, held in after.items():
            assert len(held) == len(before[table])
        assert is_kept(after, before)
    command.upgrade(config, "head")
    emptied = {name for name, held in kept(empty).items() if not held}
    lost = {"webhooks", "deliveries", "browser_sessions", "audit_records", "events"}
    lost |= {"project_secrets"}
    assert emptied == lost | {"project_turns"}


def test_the_admins_of_the_first_project_become_the_servers_and_no_others(empty: Database):
    config = alembic(empty)
    command.upgrade(config, "0006")
    run(
        empty,
        """
        insert into projects (id, name) select gen_random_uuid(), unnest('{theirs,first}'::text[]);
        insert into api_keys (id, project_id, name, prefix, sha256, scopes, created_at)
            select gen_random_uuid(), projects.id, key.name, '', key.name::bytea,
                string_to_array(scopes, ' '), now() - age * interval '1 h'
            from (values ('first', 'reader', 'read', 9), ('theirs', 'early', 'submit', 8),
                ('first', 'operator', 'read admin', 7), ('theirs', 'tenant', 'read admin', 6),
                ('first', 'second', 'admin', 1)) key (project, name, scopes, age)
            join projects on projects.name = key.project""",
    )
    command.upgrade(config, "head")
    scopes = {key["name"]: key["scopes"] for key in kept(empty)["api_keys"]}
    assert scopes == {
        "reader": ["read"],
        "early": ["submit"],
        "operator": ["read", "admin", "server"],
        "tenant": ["read", "admin"],
        "second": ["admin", "server"],
    }
    command.downgrade(config, "0006")
    assert {key["name"]: key["scopes"] for key in kept(empty)["api_keys"]}["second"] == ["admin"]


def test_jobs_that_waited_for_their_time_wait_for_it_after_the_upgrade(empty: Database):
    config = alembic(empty)
    command.upgrade(config, "0001")
    run(empty, ROWS["0001"])
    command.upgrade(config, "0002")
    run(empty, ROWS["0002"])
    command.upgrade(config, "head")
    deferred = {job["name"]: job["deferred"] for job in kept(empty)["jobs"]}
    assert deferred == {"job": False, "later": True}


def test_a_database_whose_queue_has_the_index_of_an_earlier_0002_is_brought_to_the_same(
    empty: Database,
):
    """The index had other columns before the first release; the next version rebuilds it."""
    config = alembic(empty)
    command.upgrade(config, "0002")
    run(
        empty,
        "drop index ix_jobs_queue; "
        "create index ix_jobs_queue on jobs (priority, queued_at) where status = 'queued'",
    )
    command.upgrade(config, "head")
    command.check(config)


def test_alembic_finds_no_difference_between_tables_and_migrations(empty: Database):
    config = alembic(empty)
    command.upgrade(config, "head")
    command.check(config)
