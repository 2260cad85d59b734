"""From an address to its artifact store."""

from urllib.parse import urlsplit

import structlog

from store.artifacts.artifacts import Artifacts
from store.artifacts.folder import FolderArtifacts
from store.artifacts.s3 import S3Artifacts
from store.errors import ArtifactsAway, ArtifactsRefused

START_SECONDS = 5.0

log = structlog.get_logger()


def artifacts_at(url: str, *, retry_seconds: float) -> Artifacts:
    """The store at `ARTIFACTS_URL`; nothing is looked at there.

    `retry_seconds`: how long a request to a store that does not answer is repeated.

    Raises:
        ArtifactsRefused: it is no address of a kind that is known.
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
    """At a process's start; a store that is only away is told in the log, for it may come back.

    Raises:
        SystemExit: the address cannot work, with why.
    """
    try:
        artifacts_at(url, retry_seconds=START_SECONDS).check()
    except ArtifactsRefused as error:
        raise SystemExit(str(error)) from None
    except ArtifactsAway as error:
        log.warning("artifacts_away", error=str(error))
