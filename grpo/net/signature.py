"""Signatures of messages by Standard Webhooks."""

from base64 import b64decode
from collections.abc import Mapping, Sequence
from datetime import datetime

from standardwebhooks import Webhook as Signer
from standardwebhooks import WebhookVerificationError

ID, TIMESTAMP, SIGNATURE = "webhook-id", "webhook-timestamp", "webhook-signature"


SHORTEST_KEY, LONGEST_KEY = 24, 64
"""Bytes of a key, as the standard says."""


class NotSigned(Exception):
    """The message is not signed by the secret, or is another message's."""


def signed_headers(
    secrets: Sequence[str],
    *,
    id: str,
    at: datetime,
    body: str,
) -> dict[str, str]:
    """Return the three headers of a message."""
    signatures = [Signer(secret).sign(msg_id=id, timestamp=at, data=body) for secret in secrets]
    return {
        ID: id,
        TIMESTAMP: str(int(at.timestamp())),
        SIGNATURE: " ".join(signatures),
    }


def is_signing_secret(secret: str) -> bool:
    """Whether a secret has the standard's form."""
    prefix, _, written = secret.partition("_")
    try:
        key = b64decode(written, validate=True)
    except ValueError:
        return False
    return prefix == "whsec" and SHORTEST_KEY <= len(key) <= LONGEST_KEY


def check_signature(
    secret: str,
    headers: Mapping[str, str],
    body: bytes,
    *,
    id: str,
) -> None:
    """Check that the secret signed a message with this id within the last minutes.

    Raises:
        NotSigned: it did not.
    """
    if headers.get(ID) != id:
        raise NotSigned(f"its header {ID} is not {id}")
    try:
        Signer(secret).verify(body, dict(headers), json_parse=False)
    except (WebhookVerificationError, ValueError) as error:
        raise NotSigned(str(error)) from None
