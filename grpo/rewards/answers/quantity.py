r"""Numbers in answers: exact, with a percent sign and possibly a unit.

Supported are integers, decimals, thousands separators, fractions, mixed numbers, repeating
decimals, scientific notation and powers of ten, with a currency before or one unit after them.
"""

import re
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction

from grpo.rewards.answers.final_answer import unboxed
from grpo.rewards.answers.notation import (
    joined_thousands,
    plain_latex,
    slashed_fractions,
    without_markup,
)
from grpo.rewards.answers.number_patterns import INSIDE, NO_UNITS, POWERS, SCALES, WHOLE
from grpo.rewards.answers.units import canonical_unit, is_known_unit

NUMBER_AND_UNIT = re.compile(r"^\$([^$]*[^$\\])\$\s+(?=[A-Za-z])")
MAX_DIGITS = 10_000
MAX_POWER_DIGITS = 5  # of an exponent of ten, including its sign
WINDOW = 2_000
"""Characters at a completion's end that are searched first for its last number."""
TOLERANCE = Fraction(1, 10**6)
"""Tolerance of a decimal against the unrounded value: relative, capped by an absolute one."""


@dataclass(frozen=True)
class Quantity:
    """An exact value; `is_decimal`: written with a decimal point, possibly rounded.

    `scale`: the factor that is written as a word and part of the value, such as million.
    """

    value: Fraction
    is_decimal: bool = False
    is_percent: bool = False
    unit: str | None = None
    scale: int = 1


def read_quantity(text: str) -> Quantity | None:
    """Return the quantity if the whole text is one, else None."""
    if len(text) > MAX_DIGITS:
        return None
    found = WHOLE.fullmatch(_spelt_plainly(text))
    if found is None:
        return None
    quantity = _quantity(found)
    return quantity if quantity is not None and _is_unit(found) else None


def last_quantity(text: str) -> Quantity | None:
    """Return the quantity if the whole text is one, else the last one in it."""
    if (whole := read_quantity(text)) is not None:
        return whole
    # Near the end, except for a match that the cut may have split.
    end = text[-WINDOW:]
    start, last = _last_match(end)
    if len(end) < len(text) and (last is None or start < WINDOW // 2):
        _, last = _last_match(text)
    return last


def _last_match(text: str) -> tuple[int, Quantity | None]:
    """Return the position of the last quantity, and the quantity."""
    matches = list(INSIDE.finditer(slashed_fractions(plain_latex(text))))
    for found in reversed(matches):
        if (quantity := _quantity(found)) is not None:
            return found.start(), quantity
    return 0, None


def equal(gold: Quantity, said: Quantity) -> bool:
    """Whether two quantities are equal: a unit may be missing, but two units must be the same.

    A percent sign may be missing where the number is above 1, and 0.5 equals 50 %.  The gold answer
    1.5 equals 1.5 million, which may be its unit, but not the other way round.
    """
    if gold.unit and said.unit and gold.unit != said.unit:
        return False
    if said.scale != 1 == gold.scale and _near(gold, replace(said, value=said.value / said.scale)):
        return True
    if gold.is_percent == said.is_percent:
        return _near(gold, said)
    percent, bare = (gold, said) if gold.is_percent else (said, gold)
    hundredth = Quantity(percent.value / 100, percent.is_decimal)
    return _near(hundredth, bare) or (abs(percent.value) > 1 and _near(percent, bare))


def plain(value: Fraction) -> str:
    """Return a canonical text: 18.5 for 18.50 and 18.5, 2/3 for two thirds."""
    if value.denominator == 1:
        return f"{Decimal(value.numerator):f}"
    rest = value.denominator
    twos = fives = 0
    while rest % 2 == 0:
        rest, twos = rest // 2, twos + 1
    while rest % 5 == 0:
        rest, fives = rest // 5, fives + 1
    if rest != 1:
        return f"{Decimal(value.numerator):f}/{Decimal(value.denominator):f}"
    places = max(twos, fives)
    digits = f"{Decimal(abs(value.numerator) * 10**places // value.denominator):f}".zfill(
        places + 1
    )
    return f"{'-' if value < 0 else ''}{digits[:-places]}.{digits[-places:]}"


def _near(gold: Quantity, said: Quantity) -> bool:
    """Whether the values are equal, or one is a decimal and the other rounded."""
    if gold.value == said.value:
        return True
    if not (gold.is_decimal or said.is_decimal) or 1 in (
        gold.value.denominator,
        said.value.denominator,
    ):
        return False
    size = max(abs(gold.value), abs(said.value))
    return abs(gold.value - said.value) <= TOLERANCE * min(1, size)


def _spelt_plainly(text: str) -> str:
    r"""Return the text without markup around its number: dollars, \( \), \text{}, a full stop."""
    text = without_markup(plain_latex(text)).strip()
    text = unboxed(text).strip()
    for opens, closes in ((r"\(", r"\)"), (r"\[", r"\]"), ("$$", "$$"), ("$", "$"), ("**", "**")):
        if text.startswith(opens) and text.endswith(closes) and len(text) > len(opens + closes):
            text = text[len(opens) : -len(closes)].strip()
    text = NUMBER_AND_UNIT.sub(r"\1 ", text)
    text = slashed_fractions(joined_thousands(text))
    text = re.sub(r"[{}](?<!\\.)", " ", text) if "^" not in text else _unbraced_words(text)
    return re.sub(r"\s+", " ", text).strip().rstrip(".,;:").strip()


def _unbraced_words(text: str) -> str:
    r"""Return the text without the braces of words, and with those of exponents."""
    return re.sub(r"\{\s*([A-Za-z][A-Za-z. ]*)\s*\}", r" \1 ", text)


def _quantity(found: re.Match[str]) -> Quantity | None:
    """Return the match's value; None if it has none, or has too many digits."""
    value, is_decimal = _value(found)
    if value is None:
        return None
    minus = (found["sign"].strip() == "-") != (found["sign_behind"] == "-")
    scale = SCALES[found["scale"]] if found["scale"] else 1
    value *= scale
    unit = found["unit"] or found["currency"]
    if found["unit"] and found["currency"]:
        unit = None  # for instance dollars per month
    return Quantity(
        -value if minus else value,
        is_decimal,
        is_percent=found["percent"] is not None,
        unit=unit and canonical_unit(unit),
        scale=scale,
    )


def _value(found: re.Match[str]) -> tuple[Fraction | None, bool]:
    """Return the value (None if undefined or too long) and whether it has a decimal point."""
    if len(found[0]) > MAX_DIGITS:
        return None, False
    if found["whole"] is not None:
        part = _ratio(found["part_over"], found["part_under"])
        return (None if part is None else _exact(found["whole"]) + part), False
    if found["over"] is not None:
        return _ratio(found["over"], found["under"]), False
    if found["decimal"] is not None:
        return _exact(found["decimal"]), "." in found["decimal"].rstrip(".")
    power = next(found[name] for name in POWERS if found[name] is not None)
    if len(power) > MAX_POWER_DIGITS:
        return None, False
    factor = found["factor"] or "1"
    return _exact(factor) * Fraction(10) ** int(power), "." in factor


def _ratio(over: str, under: str) -> Fraction | None:
    return _exact(over) / _exact(under) if _exact(under) else None


def _exact(digits: str) -> Fraction:
    # Not from the text: Python limits the digits of int(str).
    return Fraction(Decimal(digits.replace(",", "")))


def _is_unit(found: re.Match[str]) -> bool:
    """Whether the text after the number can be a unit, and not a factor of a product."""
    unit = found["unit"]
    if unit is None or not unit[0].isalpha() or "circ" in unit:
        return True
    words = re.findall("[A-Za-z\u00b5\u03bc\u03a9\u2126]+", unit)
    if not words:
        return True
    if any(word.lower() in NO_UNITS for word in words) and not is_known_unit(unit):
        return False
    if len(words[0]) == 1 or not found["gap"]:
        return is_known_unit(unit)
    return True
