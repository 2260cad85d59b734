"""S3 settings in the environment that obstore does not read."""

from collections.abc import Mapping
from pathlib import Path

import certifi

from store.errors import ArtifactsRefused

BUNDLE = "AWS_CA_BUNDLE"
ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")
CREDENTIALS = (
    "AWS_ACCESS_KEY_ID",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
)
PROFILES = ("AWS_PROFILE", "AWS_DEFAULT_PROFILE")


def trusted_certificates(environment: Mapping[str, str]) -> bytes | None:
    """Return the certificates of AWS_CA_BUNDLE, trusted in addition to the system's; None: not set.

    With a plain http endpoint the system's may be missing, so certifi's are used instead.

    Raises:
        ArtifactsRefused: the file cannot be read.
    """
    path = environment.get(BUNDLE)
    plain = any(environment.get(name, "").startswith("http://") for name in ENDPOINTS)
    if not path:
        return certifi.contents().encode() if plain else None
    try:
        return Path(path).read_bytes()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ArtifactsRefused(f"{BUNDLE}={path} cannot be read: {reason}") from None


def certificates_named(environment: Mapping[str, str]) -> str:
    """Return the variables that set the trusted certificates, in parentheses; empty if none is
    set."""
    names = (BUNDLE, "SSL_CERT_FILE", "SSL_CERT_DIR")
    found = [f"{name}={environment[name]}" for name in names if environment.get(name)]
    return f" ({', '.join(found)})" if found else ""


def check_profile(environment: Mapping[str, str]) -> None:
    """Check that credentials are not expected from a profile.

    Raises:
        ArtifactsRefused: a profile is named, and no other credentials are set.
    """
    named = [name for name in PROFILES if environment.get(name)]
    if named and not any(environment.get(name) for name in CREDENTIALS):
        raise ArtifactsRefused(
            f"{named[0]} is not supported, since the files below ~/.aws are not read: set "
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and AWS_SESSION_TOKEN if there is one "
            f"(`aws configure export-credentials --format env`), or unset {named[0]} to use the "
            "machine's role"
        )
