"""Identifiers: a UUIDv7 inside, with a prefix for the kind of object outside."""

from datetime import UTC, datetime
from typing import Literal, get_args
from uuid import UUID

from uuid_utils import compat

Prefix = Literal["job", "file", "ckpt", "key", "proj", "work", "hook", "msg", "swp", "aud", "ses"]

RANDOM_BITS = (1 << 62) - 1
"""The random bits of a UUIDv7, after its time, version and variant."""


def new_id() -> UUID:
    """Return a UUIDv7: later ids sort later."""
    return compat.uuid7()


def new_id_beside(id: UUID) -> UUID:
    """Return a UUIDv7 with the same time as `id`."""
    return UUID(int=id.int & ~RANDOM_BITS | new_id().int & RANDOM_BITS)


def made_at(id: UUID) -> datetime:
    """Return an id's creation time by its machine's clock, to the millisecond."""
    return datetime.fromtimestamp((id.int >> 80) / 1000, UTC)


def encode(prefix: Prefix, id: UUID) -> str:
    return f"{prefix}_{id.hex}"


def decode(prefix: Prefix, text: str) -> UUID:
    """Parse an id written by `encode`.

    Raises:
        ValueError: the text is not an id of this kind.
    """
    assert prefix in get_args(Prefix)
    head, _, digits = text.partition("_")
    if head != prefix or len(digits) != 32 or not set(digits) <= set("0123456789abcdef"):
        raise ValueError(f"{text!r} is not a valid id: expected {prefix}_ and 32 hex digits")
    return UUID(hex=digits)


def decode_or_none(prefix: Prefix, text: str) -> UUID | None:
    """Parse an id written by `encode`; None: the text is not an id of this kind."""
    try:
        return decode(prefix, text)
    except ValueError:
        return None
