"""Parsing and comparison of mathematical answers: gold answers and completions alike."""

import re
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache

from grpo.rewards.answers.expression import Expression, parse_expression, parse_text, same
from grpo.rewards.answers.final_answer import MATHEMATICS, boxed, corrections, stated_answers
from grpo.rewards.answers.last_formula import last_formulas
from grpo.rewards.answers.notation import plain_latex, without_markup
from grpo.rewards.answers.prose import is_prose, without_unit, words_of
from grpo.rewards.answers.quantity import Quantity, equal, last_quantity, read_quantity
from grpo.rewards.answers.spelling import is_formula, is_numeral, is_same_numeral, key_of

CHOICE = re.compile(
    r"(?:(?:[Oo]ption|[Cc]hoice|[Aa]nswer)\s+)?\(?([A-Z])\)?"
    r"(?:\s*[:.)\u3001\uff1a]\s*(?:\S.*)?|(?:\s+-|,)\s+[a-zA-Z]{2,}\s.*)?",
    re.DOTALL,
)
PLACEHOLDERS = frozenset(("", "n/a", "na", "nan", "null", "tbd", "?", "-", "--", "..."))
"""Texts that mean that there is no answer."""


@dataclass(frozen=True)
class Reading:
    """An answer as far as it could be parsed; not usable if it could not.

    `key` is the text without spaces and markup, `words` its letters only, unless it is a formula;
    `is_formula`: a formula that can only be compared by its key.
    """

    key: str
    quantity: Quantity | None = None
    choice: str | None = None
    words: tuple[str, ...] = ()
    expression: Expression | None = None
    is_formula: bool = False

    @property
    def is_usable(self) -> bool:
        return self.is_mathematics or bool(self.words)

    @property
    def is_mathematics(self) -> bool:
        """Whether the answer is more than words."""
        return self.is_formula or not (
            self.quantity is None and self.choice is None and self.expression is None
        )


@lru_cache(maxsize=512)
def read_gold(answer: str) -> Reading:
    """Return the parsed gold answer; the whole text must be the answer.

    Raises:
        ValueError: the answer cannot be parsed.
    """
    reading = _read_stated(answer) or _read_alone(answer)
    if not reading.is_usable or answer.strip().lower() in PLACEHOLDERS:
        raise ValueError(
            f"the answer {answer[:80]!r} has no mathematical content that can be parsed"
        )
    return reading


def read_completion(text: str) -> Reading:
    """Return the parsed stated answer, else the whole text as an answer, else its last formula."""
    stated = _read_stated(text)
    if stated is not None and (stated.is_mathematics or boxed(text)):
        return stated
    whole = _read_alone(text)
    if stated is None and whole.is_mathematics:
        return whole
    # "The answer is simple: $x = 5$" states a formula, not words.
    formula = _read_last_formula(text)
    words = whole.words if stated is None else stated.words
    return replace(formula, words=(*words, *formula.words))


def is_equal(gold: Reading, said: Reading) -> bool:
    """Whether a completion's answer equals the gold answer."""
    if gold.key and gold.key == said.key:
        return True
    if gold.choice is not None and said.choice is not None:
        return gold.choice == said.choice
    if is_numeral(gold.key) or is_numeral(said.key):
        return is_same_numeral(gold.key, said.key)
    if gold.quantity is not None and said.quantity is not None:
        return equal(gold.quantity, said.quantity)
    if gold.words:
        return not set(gold.words).isdisjoint(said.words)
    if not (gold.quantity or gold.expression) or not (said.quantity or said.expression):
        return False
    return any(same(one, other) for one in _values(gold) for other in _values(said))


def group_key(reading: Reading) -> str | None:
    """Return a text that is the same for equal answers; None without an answer."""
    if reading.quantity is not None:
        return _as_ratio(reading.quantity.value)
    if reading.choice is not None:
        return reading.choice
    if reading.expression is not None:
        return reading.expression.canonical()
    return reading.words[-1] if reading.words else (reading.key if reading.is_formula else None)


def _as_ratio(value: Fraction) -> str:
    """Return the value as sympy prints it, with any number of digits."""
    over, under = (f"{Decimal(part):f}" for part in (value.numerator, value.denominator))
    return over if under == "1" else f"{over}/{under}"


def _read_stated(text: str) -> Reading | None:
    """Return the parsed stated answer, mathematics before words; None if there is none."""
    for candidate in corrections(text):
        if (reading := _read_alone(candidate)).is_mathematics:
            return reading
    readings = [_read_alone(candidate) for candidate in stated_answers(text)]
    for reading in readings:
        if reading.is_mathematics:
            return reading
    words = tuple(dict.fromkeys(word for reading in readings for word in reading.words))
    return Reading(readings[0].key, words=words) if words else None


def _read_last_formula(text: str) -> Reading:
    for formula in last_formulas(text):
        reading = _read_alone(formula)
        if reading.is_mathematics or (reading.words and formula.lstrip().startswith("\\")):
            return reading
    expression = parse_text(plain_latex(text)) if "\\begin" in text else None
    quantity = last_quantity(text) if expression is None else None
    return Reading(key_of(text), quantity=quantity, expression=expression)


def _read_alone(text: str) -> Reading:
    """Return the parsed answer of a text that is only an answer."""
    text = (boxed(text) or text).strip()
    key = key_of(text)
    if (quantity := read_quantity(text)) is not None:
        return Reading(key, quantity=quantity)
    bare = without_markup(plain_latex(text)).strip(" ${}*")
    if (choice := CHOICE.fullmatch(bare)) is not None:
        return Reading(key, choice=choice[1], expression=parse_expression(bare))
    if is_prose(text):
        return Reading(key, words=words_of(text, bare))
    mathematics = list(MATHEMATICS.finditer(text))
    if len(mathematics) == 1 and mathematics[0].span() == (0, len(text)):
        text = next(group for group in mathematics[0].groups() if group)
    plain = plain_latex(without_unit(text))
    alone = not mathematics or "$" not in text
    expression = parse_expression(plain) if alone else parse_text(plain)
    return Reading(key, expression=expression, is_formula=is_formula(key))


def _values(reading: Reading) -> list[Expression]:
    """Return the possible values of an answer: for a percentage its number and its value."""
    if reading.quantity is None:
        return [] if reading.expression is None else [reading.expression]
    quantity = reading.quantity
    values = [Expression.of_number(quantity.value, is_decimal=quantity.is_decimal)]
    if quantity.is_percent:
        hundredth = quantity.value / Fraction(100)
        values.append(Expression.of_number(hundredth, is_decimal=quantity.is_decimal))
    return values
