"""Identifiers: UUIDv7 inside, with a prefix that says what they name outside."""

from datetime import UTC, datetime
from typing import Literal, get_args
from uuid import UUID

from uuid_utils import compat

Prefix = Literal["job", "file", "ckpt", "key", "proj", "work", "hook", "msg", "swp", "aud", "ses"]

RANDOM_BITS = (1 << 62) - 1
"""Of a UUIDv7, behind its time, version and variant."""


def new_id() -> UUID:
    """A UUIDv7: ids made later sort later."""
    return compat.uuid7()


def new_id_beside(id: UUID) -> UUID:
    """A UUIDv7 that sorts as one that `new_id` made at the same time as `id`."""
    return UUID(int=id.int & ~RANDOM_BITS | new_id().int & RANDOM_BITS)


def made_at(id: UUID) -> datetime:
    """When `new_id` made it, by that machine's clock, to the millisecond."""
    return datetime.fromtimestamp((id.int >> 80) / 1000, UTC)


def encode(prefix: Prefix, id: UUID) -> str:
    return f"{prefix}_{id.hex}"


def decode(prefix: Prefix, text: str) -> UUID:
    """The id that `encode` wrote.

    Raises:
        ValueError: the text is no id of this kind.
    """
    assert prefix in get_args(Prefix)
    head, _, digits = text.partition("_")
    if head != prefix or len(digits) != 32 or not set(digits) <= set("0123456789abcdef"):
        raise ValueError(f"{text!r} is no id like {prefix}_0198..., with 32 digits of 0-9a-f")
    return UUID(hex=digits)
