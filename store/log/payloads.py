"""Payloads that Postgres can store: jsonb rejects NUL, unpaired surrogates, NaN and infinity."""

import json
import math
import re
from collections.abc import Mapping
from typing import Any

NUL_SHOWN = "\N{SYMBOL FOR NULL}"
SURROGATE = re.compile("[\ud800-\udfff]")


class UnstorableError(ValueError):
    """A payload that jsonb cannot hold in any form."""


def sanitize(payload: Mapping[str, Any]) -> dict[str, Any]:
    r"""Return the payload in a form that jsonb can store, with every change visible.

    NUL becomes U+2400, its symbol; an unpaired surrogate becomes its six-character escape,
    `\ud83d`; a number that is not finite becomes null, and its path ("reward",
    "completions.0.reward") is added to the list `nonfinite`.

    Raises:
        UnstorableError: the payload is nested too deep, or a number has too many digits.
    """
    nonfinite: list[str] = []
    try:
        clean: dict[str, Any] = {
            clean_text(key): _sanitized(value, clean_text(key), nonfinite)
            for key, value in payload.items()
        }
        if nonfinite:
            clean["nonfinite"] = [*clean.get("nonfinite", []), *nonfinite]
        json.dumps(clean)
    except (RecursionError, ValueError, TypeError) as error:
        raise UnstorableError(str(error)) from None
    return clean


def clean_text(text: str) -> str:
    """Replace NULs and unpaired surrogates with visible text."""
    return SURROGATE.sub(_escaped, text.replace("\0", NUL_SHOWN))


def _sanitized(value: object, path: str, nonfinite: list[str]) -> object:
    match value:
        case str():
            return clean_text(value)
        case float() if not math.isfinite(value):
            nonfinite.append(path)
            return None
        case Mapping():
            return {
                clean_text(key): _sanitized(item, f"{path}.{clean_text(key)}", nonfinite)
                for key, item in value.items()
            }
        case list() | tuple():
            return [_sanitized(item, f"{path}.{n}", nonfinite) for n, item in enumerate(value)]
        case _:
            return value


def _escaped(half: re.Match[str]) -> str:
    return f"\\u{ord(half.group()):04x}"
