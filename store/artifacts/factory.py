"""Creation of an artifact store from its URL."""

from urllib.parse import urlsplit

import structlog

from store.artifacts.artifacts import Artifacts
from store.artifacts.folder import FolderArtifacts
from store.artifacts.s3 import S3Artifacts
from store.errors import ArtifactsAway, ArtifactsRefused

START_SECONDS = 5.0

log = structlog.get_logger()


def artifacts_at(url: str, *, retry_seconds: float) -> Artifacts:
    """Return the store at `ARTIFACTS_URL`, without connecting to it.

    `retry_seconds`: how long a request to a store that does not answer is retried.

    Raises:
        ArtifactsRefused: the URL scheme is unknown.
    """
    match urlsplit(url).scheme:
        case "file":
            return FolderArtifacts(url)
        case "s3":
            return S3Artifacts(url, retry_seconds=retry_seconds)
        case _:
            raise ArtifactsRefused(
                "ARTIFACTS_URL must be file:///an/absolute/folder or s3://bucket/prefix, "
                f"not {url!r}"
            )


def end_unless_usable(url: str) -> None:
    """Exit at startup if the store is unusable; only log an outage.

    Raises:
        SystemExit: the store cannot be used; the message says why.
    """
    try:
        artifacts_at(url, retry_seconds=START_SECONDS).check()
    except ArtifactsRefused as error:
        raise SystemExit(str(error)) from None
    except ArtifactsAway as error:
        log.warning("artifacts_away", error=str(error))
