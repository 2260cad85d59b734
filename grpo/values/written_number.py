"""Numbers that keep the digits written in a file."""

import json
import math
import struct
from typing import Any, Literal

Precision = Literal["e", "f", "d"]
"""Half, single and double, as `struct` names them."""
ENOUGH_DIGITS: dict[Precision, int] = {"e": 5, "f": 9, "d": 17}
PLAIN_EXPONENTS = range(-7, 21)
"""Largest power of ten written without an exponent."""


class WrittenNumber(float):
    """A non-integer number with its text: 0.00001 and 1e16 as in the file."""

    written: str

    def __new__(cls, written: str) -> "WrittenNumber":
        number = super().__new__(cls, written)
        number.written = written
        return number

    def __reduce__(self) -> tuple[type, tuple[str]]:
        return type(self), (self.written,)


def shortest(number: float, precision: Precision = "d") -> str:
    """Return the fewest digits from which a number of this precision is read back."""
    if not math.isfinite(number):
        return str(number)
    if precision == "d":
        digits = repr(float(number))
    else:
        digits = next(
            text
            for places in range(1, ENOUGH_DIGITS[precision] + 1)
            if _same(text := f"{number:.{places}g}", number, precision)
        )
    return _positional(digits)


def as_json(value: Any) -> str:  # noqa: ANN401
    """Return JSON with numbers spelled as they were written."""
    match value:
        case WrittenNumber():
            return value.written
        case None | bool() | str() | int() | float():
            return json.dumps(value, ensure_ascii=False)
        case dict():
            pairs = (f"{as_json(str(key))}: {as_json(item)}" for key, item in value.items())
            return f"{{{', '.join(pairs)}}}"
        case _:
            return f"[{', '.join(map(as_json, value))}]"


def as_text(value: Any) -> str:  # noqa: ANN401
    """Return the text of a value in a template: text unchanged, all else as JSON."""
    if isinstance(value, str):
        return value
    is_bare = isinstance(value, float) and not isinstance(value, WrittenNumber)
    return shortest(value) if is_bare else as_json(value)


def _same(text: str, number: float, precision: Precision) -> bool:
    try:
        return struct.pack(precision, float(text)) == struct.pack(precision, number)
    except OverflowError:  # rounded up beyond the largest
        return False


def _positional(digits: str) -> str:
    """Return the digits without an exponent, unless that takes many zeros; 2.0 becomes 2."""
    mantissa, _, exponent = digits.partition("e")
    sign = "-" if mantissa.startswith("-") else ""
    whole, _, rest = mantissa.lstrip("-").partition(".")
    power = int(exponent or 0)
    figures = (whole + rest).lstrip("0")
    if not figures:
        return f"{sign}0"
    point = len(whole) + power - (len(whole + rest) - len(figures))
    figures = figures.rstrip("0")
    if point - 1 not in PLAIN_EXPONENTS:
        head = figures[0] + (f".{figures[1:]}" if len(figures) > 1 else "")
        return f"{sign}{head}e{point - 1}"
    if point <= 0:
        return f"{sign}0.{'0' * -point}{figures}"
    if point >= len(figures):
        return f"{sign}{figures}{'0' * (point - len(figures))}"
    return f"{sign}{figures[:point]}.{figures[point:]}"
