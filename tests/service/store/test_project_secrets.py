"""Secrets in the database: encrypted, bound to project and name, with key rotation."""

import subprocess
import sys
from base64 import urlsafe_b64encode
from uuid import UUID

import pytest
from sqlalchemy import text

from store.access import project_secrets
from store.access.keys import create_project
from store.database.database import Database
from store.errors import SecretsKeyUnusable, SecretUnreadable
from store.security.encryption import Cipher
from store.settings import DatabaseSettings

VALUE = "hf_canary-of-ours"


def key(letter: bytes) -> str:
    return urlsafe_b64encode(letter * 32).decode()


def cipher(*letters: bytes) -> Cipher:
    found = Cipher.of(_settings("unused", *letters))
    assert found is not None
    return found


def _settings(url: str, *letters: bytes) -> DatabaseSettings:
    return DatabaseSettings(database_url=url, secrets_key=",".join(map(key, letters)))


@pytest.fixture
def project(database: Database) -> UUID:
    with database.session() as session:
        project = create_project(session, "ours").id
        project_secrets.put(session, cipher(b"a"), project, "HF_TOKEN", VALUE)
        return project


def read(database: Database, project: UUID, *letters: bytes, name: str = "HF_TOKEN") -> str | None:
    with database.session() as session:
        return project_secrets.read(session, cipher(*letters), project, name)


def every_row(database: Database) -> str:
    """All rows of all tables; binary columns as their bytes, too."""
    with database.session() as session:
        names = session.scalars(text("select tablename from pg_tables where schemaname = 'public'"))
        rows = [
            row
            for name in names.all()
            for row in session.scalars(text(f"select row_to_json(t)::text from {name} t"))
        ]
        bare = session.scalars(text("select encode(ciphertext, 'escape') from project_secrets"))
        return "\n".join([*rows, *bare])


def test_the_value_is_in_no_column(database: Database, project: UUID):
    rows = every_row(database)
    assert "HF_TOKEN" in rows
    for spelt in (VALUE, VALUE.encode().hex(), urlsafe_b64encode(VALUE.encode()).decode()[:-2]):
        assert spelt not in rows
    assert read(database, project, b"a") == VALUE


def test_a_ciphertext_in_another_row_is_not_read(database: Database, project: UUID):
    """A writer to the database cannot move a secret to another project."""
    with database.session() as session:
        theirs = create_project(session, "theirs").id
        copied = "insert into project_secrets (project_id, name, ciphertext) "
        for to, name in ((theirs, "HF_TOKEN"), (project, "OTHER")):
            values = f"select '{to}', '{name}', ciphertext from project_secrets limit 1"
            session.execute(text(copied + values))
    with pytest.raises(SecretUnreadable, match="another owner"):
        read(database, theirs, b"a")
    with pytest.raises(SecretUnreadable, match="another owner"):
        read(database, project, b"a", name="OTHER")


def test_another_encryption_key_reads_nothing_and_names_the_setting(
    database: Database, project: UUID
):
    with pytest.raises(SecretUnreadable, match="DUET_SECRETS_KEY is not the key") as error:
        read(database, project, b"b")
    assert "HF_TOKEN" in str(error.value)
    with database.session() as session, pytest.raises(SecretUnreadable, match="is not set"):
        project_secrets.read(session, None, project, "HF_TOKEN")


def test_keys_are_exchanged_without_setting_secrets_again(database: Database, project: UUID):
    assert read(database, project, b"b", b"a") == VALUE
    with database.session() as session:
        assert project_secrets.encrypt_again(session, cipher(b"b", b"a")) == 1
    assert read(database, project, b"b") == VALUE
    with pytest.raises(SecretUnreadable):
        read(database, project, b"a")


@pytest.mark.parametrize("letters", [[], [b"b"]])
def test_a_process_that_could_not_decrypt_does_not_start(
    database: Database, project: UUID, letters: list[bytes]
):
    assert project
    settings = _settings(database.listen_url, *letters)
    with pytest.raises(SystemExit, match="DUET_SECRETS_KEY"):
        project_secrets.end_unless_readable(database, settings)
    project_secrets.end_unless_readable(database, _settings(database.listen_url, b"b", b"a"))


@pytest.mark.parametrize("written", ["hf_short", "é" * 44, key(b"a")[:-4], f"{key(b'a')},x"])
def test_a_malformed_key_is_refused_and_not_repeated(written: str):
    settings = DatabaseSettings(database_url="unused", secrets_key=written)
    with pytest.raises(SecretsKeyUnusable, match="DUET_SECRETS_KEY is not a valid key") as error:
        Cipher.of(settings)
    assert written not in str(error.value)
    assert written not in repr(settings)


def test_the_command_encrypts_again(database: Database, project: UUID):
    keys = f"{key(b'c')},{key(b'a')}"
    environment = {"DATABASE_URL": database.listen_url, "DUET_SECRETS_KEY": keys}
    done = subprocess.run(
        [sys.executable, "-m", "store", "encrypt-secrets"],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "1 secrets\n"
    assert read(database, project, b"c") == VALUE
