"""A project's access to the Hugging Face hub, by a token among its secrets."""

from collections.abc import Mapping
from pathlib import Path
from uuid import UUID

from sqlalchemy.orm import Session

from grpo.errors import RunError
from store.access import project_secrets
from store.access.project_secrets import HUB_TOKEN
from store.errors import SecretUnreadable
from store.ids import encode
from store.security.encryption import Cipher
from worker.attempt.trainer_environment import HUB_TOKENS, NO_STORED_TOKEN

CACHES = "hub"
"""Folder in the run directories, with a cache of each project that has a token of its own."""
YES = frozenset({"1", "ON", "YES", "TRUE"})


def hub_token(session: Session, cipher: Cipher | None, project_id: UUID) -> str | None:
    """Return the project's token; None: it has none.

    Raises:
        RunError: `secret_unreadable`.
    """
    try:
        return project_secrets.read(session, cipher, project_id, HUB_TOKEN)
    except SecretUnreadable as error:
        raise RunError(
            "secret_unreadable",
            f"the worker cannot decrypt the project's secret {HUB_TOKEN}: {error}",
            hint="Set the secret again; if this persists, ask the server's operator to give the "
            "API and all workers the same DUET_SECRETS_KEY.",
        ) from error


def with_token(
    environment: Mapping[str, str], token: str, *, project_id: UUID, runs_dir: Path
) -> dict[str, str]:
    """Return a trainer's environment with its project's token, in place of any other.

    Its downloads are kept apart, because other projects may not be allowed to read it; offline
    nothing is downloaded, and the shared cache is used.
    """
    kept = {
        name: value
        for name, value in environment.items()
        if name not in HUB_TOKENS and name not in NO_STORED_TOKEN
    }
    offline = environment.get("HF_HUB_OFFLINE", "").upper() in YES
    cache = runs_dir.resolve() / CACHES / encode("proj", project_id)
    return {**kept, HUB_TOKEN: token, **({} if offline else {"HF_HUB_CACHE": str(cache)})}
