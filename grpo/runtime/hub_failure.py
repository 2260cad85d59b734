"""Failures of the Hugging Face hub's client, and the environment variable at fault.

A job's error and output are visible to its project, so they hold no address and no path of the
worker: variables are named without their values.
"""

import errno
import os
import re
from collections.abc import Iterable

from grpo.runtime.direct_loopback import LOOPBACK
from grpo.runtime.proxies import proxy_for

PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR")
ACCESS = (
    "private or gated: set the project's secret HF_TOKEN to a token whose owner may read it, or "
    "check the name"
)

UNWRITABLE = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT)
"""Errors if the user has no home directory, or one that cannot be written."""
QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")
ADDRESS = re.compile(r"\S*[/\\@]\S*|\S*\w[.:]\w\S*|\S*::\S*")
"""A word that may be a URL, a path, or a host with its domain or port."""
MAX_CHARACTERS = 1000  # of a reason, which may be text from the hub


class HubClientUnusable(Exception):
    """The environment's proxies or certificates allow no request; the message names them."""


def check_hub_client() -> None:
    """Check that the hub's client works with this environment.

    Raises:
        HubClientUnusable: the proxies or certificates are invalid.
    """
    import httpx2
    from huggingface_hub.utils import get_session

    try:
        get_session()
    except OSError as error:
        raise HubClientUnusable(_unusable(CERTIFICATES, error)) from None
    except (ImportError, ValueError, httpx2.InvalidURL) as error:
        raise HubClientUnusable(_unusable(PROXIES, error)) from None


def hub_reason(error: Exception) -> str:
    """Return one line about a failed request, with the variable of the proxy that was used."""
    from huggingface_hub import constants
    from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError

    if isinstance(error, HubClientUnusable):
        return str(error)
    reason = _without_addresses(error)
    if isinstance(error, OSError) and error.errno in UNWRITABLE and error.filename:
        return (
            f"the cache cannot be written ({error.strerror}): set HF_HOME of the worker to a "
            "folder that its user can write"
        )
    refused = isinstance(error, HfHubHTTPError) and error.response.status_code in (401, 403)
    if refused or isinstance(error, RepositoryNotFoundError):
        return f"{reason.rstrip('.')}; it may be {ACCESS}"
    if "CERTIFICATE_VERIFY_FAILED" in reason and (certificates := _named(CERTIFICATES)):
        reason = f"{reason} ({certificates})"
    proxy = proxy_for(constants.ENDPOINT, os.environ)
    return f"{reason} (through the proxy of {proxy.partition('=')[0]})" if proxy else reason


def _unusable(names: Iterable[str], error: Exception) -> str:
    return f"{_named(names)} cannot be used: {_without_addresses(error)}"


def _without_addresses(error: Exception) -> str:
    first = str(error).partition("\n")[0] or type(error).__name__
    return ADDRESS.sub("…", QUOTED.sub("…", first[:MAX_CHARACTERS]))


def _named(names: Iterable[str]) -> str:
    """Return the names of variables that are set, leaving out repeated values."""
    found: dict[str, str] = {}
    for name in (spelt for each in names for spelt in (each, each.lower())):
        value = os.environ.get(name)
        if value and value not in {*found.values(), ",".join(LOOPBACK)}:
            found[name] = value
    return ", ".join(found)
