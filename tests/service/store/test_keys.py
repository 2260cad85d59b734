"""Projects and API keys."""

import os
import subprocess
import sys
from datetime import datetime

import pytest
from sqlalchemy import func, select, text, update

from store.access import keys
from store.database.database import Database
from store.tables import ApiKey, Project


def test_a_key_opens_its_project_until_it_is_revoked(database: Database):
    with database.session() as session:
        project = keys.create_project(session, "mine")
        key, plaintext = keys.create_key(session, project, "laptop", ["read", "submit"])
        assert plaintext.startswith(key.prefix)
        assert len(plaintext) == len("duet_") + 49
    with database.session() as session:
        found = keys.authenticate(session, plaintext)
        assert found is not None
        assert (found.id, found.name, found.project.name) == (key.id, "laptop", "mine")
        assert found.scopes == ["read", "submit"]
    with database.session() as session:
        session.execute(update(ApiKey).values(revoked_at=func.now()))
    with database.session() as session:
        assert keys.authenticate(session, plaintext) is None


def test_a_well_formed_key_that_was_never_made_opens_nothing(database: Database):
    with database.session() as session:
        assert keys.authenticate(session, keys._new_plaintext()) is None


def test_the_key_itself_is_kept_nowhere(database: Database):
    with database.session() as session:
        project = keys.create_project(session, "mine")
        _, plaintext = keys.create_key(session, project, "laptop", ["read"])
    with database.session() as session:
        row = session.scalar(text("select to_jsonb(api_keys)::text from api_keys"))
    assert plaintext[: keys.SHOWN_LENGTH] in row
    assert plaintext[: keys.SHOWN_LENGTH + 1] not in row


def test_the_last_use_is_stored_by_the_minute_without_waiting_for_locks(database: Database):
    with database.session() as session:
        project = keys.create_project(session, "mine")
        _, plaintext = keys.create_key(session, project, "laptop", ["read"])

    def used() -> datetime | None:
        with database.session() as session:
            keys.authenticate(session, plaintext)
        with database.session() as session:
            return session.scalar(select(ApiKey.last_used_at))

    with database.session() as session:
        session.execute(select(ApiKey).with_for_update())
        assert used() is None
    first = used()
    assert first is not None
    assert used() == first
    with database.session() as session:
        session.execute(text("update api_keys set last_used_at = now() - interval '61 s'"))
    later = used()
    assert later is not None
    assert later > first


@pytest.mark.parametrize(
    ("project", "scopes"),
    [
        ([], ["read", "submit", "admin", "server"]),
        (["--project", "team"], ["read", "submit", "admin"]),
    ],
)
def test_the_operators_first_key_may_all_and_a_projects_own_no_more_than_its_project(
    database: Database, database_url: str, project: list[str], scopes: list[str]
):
    command = [sys.executable, "-m", "store", "create-key", "--name", "first", *project]
    env = {**os.environ, "DATABASE_URL": database_url}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    with database.session() as session:
        key = keys.authenticate(session, done.stdout.strip())
        assert key is not None
        assert key.scopes == scopes


def test_the_command_line_makes_a_key(database: Database, database_url: str):
    command = [sys.executable, "-m", "store", "create-key", "--name", "admin", "--scopes", "read"]
    env = {**os.environ, "DATABASE_URL": database_url}
    for _ in range(2):
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
        with database.session() as session:
            key = keys.authenticate(session, done.stdout.strip())
            assert key is not None
            assert (key.name, key.scopes, key.project.name) == ("admin", ["read"], "default")
    with database.session() as session:
        assert session.scalar(select(func.count()).select_from(Project)) == 1
