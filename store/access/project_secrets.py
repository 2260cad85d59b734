"""Secrets of a project, such as its Hugging Face hub token: stored encrypted, used by name.

A value is never shown again: only a worker decrypts it, for a job of the same project.
"""

from collections.abc import Iterable, Sequence
from typing import Literal
from uuid import UUID

from sqlalchemy import delete as delete_rows
from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import OperationalError, ProgrammingError
from sqlalchemy.orm import Session

from grpo.rewards.service.access import NamedSecret
from store.database.database import Database
from store.errors import (
    Conflict,
    NotFound,
    SecretNotForHost,
    SecretsKeyUnusable,
    SecretUnreadable,
)
from store.ids import encode
from store.security.encryption import VARIABLE, Cipher
from store.settings import DatabaseSettings
from store.tables import Project, ProjectSecret

HUB_TOKEN: Literal["HF_TOKEN"] = "HF_TOKEN"
"""Secret with which a job's trainer signs in to the Hugging Face hub."""
MOST = 50  # per project


def put(
    session: Session,
    cipher: Cipher | None,
    project_id: UUID,
    name: str,
    value: str,
    *,
    host: str | None = None,
) -> ProjectSecret:
    """Create a secret, or replace its value and its host: where it may be sent as a key.

    Raises:
        Conflict: the server has no key to encrypt with, or the project has too many secrets.
    """
    if cipher is None:
        raise Conflict(
            f"this server cannot store secrets: its operator must set {VARIABLE} first "
            "(docs/operations.md)"
        )
    _hold_place(session, project_id, name)
    ciphertext = cipher.encrypt(value, owner=_owner(project_id, name, host))
    written = insert(ProjectSecret).values(
        project_id=project_id, name=name, ciphertext=ciphertext, host=host
    )
    replaced = written.on_conflict_do_update(
        index_elements=[ProjectSecret.project_id, ProjectSecret.name],
        set_={"ciphertext": ciphertext, "host": host, "updated_at": func.now()},
    )
    session.execute(replaced)
    return session.get_one(ProjectSecret, (project_id, name), populate_existing=True)


def list_secrets(session: Session, project_id: UUID) -> Sequence[ProjectSecret]:
    """Return a project's secrets by name."""
    own = select(ProjectSecret).where(ProjectSecret.project_id == project_id)
    return session.scalars(own.order_by(ProjectSecret.name)).all()


def delete(session: Session, project_id: UUID, name: str) -> None:
    """
    Raises:
        NotFound: the project has no secret of this name.
    """
    own = ProjectSecret.project_id == project_id, ProjectSecret.name == name
    removed = delete_rows(ProjectSecret).where(*own).returning(ProjectSecret.name)
    if session.scalar(removed.execution_options(synchronize_session=False)) is None:
        raise NotFound("secret", name)


def read(session: Session, cipher: Cipher | None, project_id: UUID, name: str) -> str | None:
    """Decrypt a secret for a job of its project; None: no such secret.

    Raises:
        SecretUnreadable: this process lacks the key that it was encrypted with.
    """
    secret = session.get(ProjectSecret, (project_id, name))
    if secret is None:
        return None
    return _decrypted(secret, cipher)


def read_named(
    session: Session, cipher: Cipher | None, project_id: UUID, named: Iterable[NamedSecret]
) -> dict[str, str]:
    """Decrypt the secrets that a project's rewards name, without those that are not there.

    A spec's author decides where a reward sends its requests, the project's admins where a secret
    may be sent.

    Raises:
        SecretUnreadable: this process lacks the key that one was encrypted with.
        SecretNotForHost: one would be sent to a host that it was not set for.
    """
    found: dict[str, str] = {}
    for each in named:
        secret = session.get(ProjectSecret, (project_id, each.name))
        if secret is None:
            continue
        if each.host is not None and secret.host != each.host:
            raise SecretNotForHost(each.pointer, each.name, each.host)
        found[each.name] = _decrypted(secret, cipher)
    return found


def encrypt_again(session: Session, cipher: Cipher) -> int:
    """Encrypt every project's secrets with the first key; return their number.

    Raises:
        SecretUnreadable: one was encrypted with a key that is missing; nothing is changed.
    """
    secrets = session.scalars(select(ProjectSecret).with_for_update()).all()
    for secret in secrets:
        own = ProjectSecret.project_id == secret.project_id, ProjectSecret.name == secret.name
        renewed = update(ProjectSecret).where(*own)
        renewed = renewed.values(ciphertext=cipher.renewed(secret.ciphertext))
        session.execute(renewed.execution_options(synchronize_session=False))
    return len(secrets)


def end_unless_readable(database: Database, settings: DatabaseSettings) -> None:
    """Exit at startup if this process cannot decrypt the newest secret; tolerate outages.

    Raises:
        SystemExit: DUET_SECRETS_KEY is malformed, missing or not the right key.
    """
    newest = select(ProjectSecret).order_by(ProjectSecret.updated_at.desc()).limit(1)
    try:
        cipher = Cipher.of(settings)
        with database.session() as session:
            secret = session.scalar(newest)
            if secret is not None:
                _decrypted(secret, cipher)
    except (SecretsKeyUnusable, SecretUnreadable) as error:
        raise SystemExit(str(error)) from None
    except (OperationalError, ProgrammingError):
        return  # Postgres is unavailable or not migrated yet: readiness reports both


def _decrypted(secret: ProjectSecret, cipher: Cipher | None) -> str:
    owner = _owner(secret.project_id, secret.name, secret.host)
    if cipher is None:
        raise SecretUnreadable(f"{VARIABLE} is not set, so {owner} cannot be decrypted")
    return cipher.decrypt(secret.ciphertext, owner=owner)


def _hold_place(session: Session, project_id: UUID, name: str) -> None:
    """Reserve room for one secret: no other is added until the transaction ends.

    Raises:
        Conflict: the project is at its limit of secrets.
    """
    own = select(Project.id).where(Project.id == project_id)
    session.execute(own.with_for_update(key_share=True))
    others = select(func.count()).select_from(ProjectSecret)
    others = others.where(ProjectSecret.project_id == project_id, ProjectSecret.name != name)
    if session.scalars(others).one() >= MOST:
        raise Conflict(f"this project has {MOST} secrets, its limit: delete one")


def _owner(project_id: UUID, name: str, host: str | None) -> str:
    owner = f"the secret {name} of {encode('proj', project_id)}"
    return owner if host is None else f"{owner} for {host}"
