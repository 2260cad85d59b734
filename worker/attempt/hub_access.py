"""A project's access to the Hugging Face hub, by a token among its secrets."""

import os
from collections.abc import Mapping
from contextlib import suppress
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

CACHES = "projects"
YES = frozenset({"1", "ON", "YES", "TRUE"})
"""Values that the hub's client treats as true, ignoring case."""


def hub_token(session: Session, cipher: Cipher | None, project_id: UUID) -> str | None:
    """Return the project's token, if it has one.

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


def project_caches(environment: Mapping[str, str]) -> Path:
    """Return the folder of the caches of projects with their own token, next to the shared cache of
    trainers with this environment."""
    user = environment.get("XDG_CACHE_HOME") or "~/.cache"
    shared = environment.get("HF_HOME") or environment.get("HF_HUB_CACHE") or f"{user}/huggingface"
    return Path(os.path.expandvars(os.path.expanduser(shared))).resolve() / CACHES


def is_offline(environment: Mapping[str, str]) -> bool:
    """Whether the hub's client, with this environment, sends no requests."""
    named = environment.get("HF_HUB_OFFLINE") or environment.get("TRANSFORMERS_OFFLINE") or ""
    return named.upper() in YES


def with_token(environment: Mapping[str, str], token: str, *, project_id: UUID) -> dict[str, str]:
    """Return a trainer's environment with its project's token instead of any other.

    Its downloads are kept separate, because other projects may not be allowed to read them;
    offline, nothing is downloaded and the shared cache is used.
    """
    kept = {
        name: value
        for name, value in environment.items()
        if name not in HUB_TOKENS and name not in NO_STORED_TOKEN
    }
    if is_offline(environment):
        return {**kept, HUB_TOKEN: token}
    cache = project_caches(environment) / encode("proj", project_id)
    _mark_used(cache)
    apart = {"HF_HUB_CACHE": str(cache / "hub"), "HF_XET_CACHE": str(cache / "xet")}
    return {**kept, HUB_TOKEN: token, **apart}


def _mark_used(cache: Path) -> None:
    """Protect the cache of a trainer that is about to start from the cleanup; if it cannot be
    written, the trainer reports that when it downloads something."""
    with suppress(OSError):
        cache.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.utime(cache)
