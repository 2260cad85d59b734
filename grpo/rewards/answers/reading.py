"""Parsing and comparison of mathematical answers: gold answers and completions alike."""

import re
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache

from grpo.rewards.answers.expression import Expression, parse_expression, parse_text, same
from grpo.rewards.answers.final_answer import MATHEMATICS, boxed, stated_answers
from grpo.rewards.answers.notation import plain_characters, plain_latex
from grpo.rewards.answers.quantity import MEMBERS, Quantity, equal, read_quantity

CHOICE = re.compile(r"\(?([A-Z])\)?(?:\s*[:.)\u3001\uff1a]\s*(?:\S.*)?)?", re.DOTALL)
WORD = re.compile(r"(?<![\\a-zA-Z])[a-zA-Z]{4,}")
COMMAND = re.compile(r"\\[a-zA-Z]+(?:\s*\{[a-zA-Z]+\})?")
PLACEHOLDERS = frozenset(("", "n/a", "na", "nan", "null", "tbd", "?", "-", "--", "..."))
"""Texts that mean that there is no answer."""
SHORT_WORDS = frozenset(
    (
        *("so", "it", "is", "we", "get", "the", "are", "of", "to", "in", "be", "as", "at", "by"),
        *("an", "has", "was", "for", "if", "then", "that", "this", "with"),
    )
)
"""Short words of prose, which would otherwise be parsed as products of variables."""
SHORT = re.compile(r"(?<![\\a-zA-Z])[a-zA-Z]{2,4}(?![a-zA-Z])")
FUNCTIONS = frozenset(
    [
        "sqrt",
        "sinh",
        "cosh",
        "tanh",
        "arcsin",
        "arccos",
        "arctan",
        "infinity",
        "frac",
        "sec",
        "csc",
        "cot",
        "log",
        "exp",
        "max",
        "min",
        "gcd",
        "lcm",
    ]
)


@dataclass(frozen=True)
class Reading:
    """An answer as far as it could be parsed; all None if it could not.

    `key` is the text without spaces and markup, `words` its letters only, unless it is a formula.
    """

    key: str
    quantity: Quantity | None = None
    choice: str | None = None
    words: str | None = None
    expression: Expression | None = None

    @property
    def is_usable(self) -> bool:
        return not (
            self.quantity is None
            and self.choice is None
            and self.words is None
            and self.expression is None
        )


def key_of(text: str) -> str:
    """Return the text without parts that do not change an answer: spaces, dollars, a full stop."""
    plain = MEMBERS.sub("", plain_latex(text))
    return re.sub(r"[\s{}]|(?<!\\)\$|\\[()\[\]]", "", plain).rstrip(".")


@lru_cache(maxsize=512)
def read_gold(answer: str) -> Reading:
    """Return the parsed gold answer; the whole text must be the answer.

    Raises:
        ValueError: the answer cannot be parsed.
    """
    reading = _read_whole(answer)
    if reading is None or answer.strip().lower() in PLACEHOLDERS:
        raise ValueError(
            f"the answer {answer[:80]!r} has no mathematical content that can be parsed"
        )
    return reading


def read_completion(text: str) -> Reading:
    """Return the parsed stated answer, else the last formula."""
    whole = _read_whole(text)
    if whole is None:
        return Reading(key_of(text), expression=parse_text(plain_latex(text)))
    if whole.words and not boxed(text):
        # "The answer is simple: $x = 5$" states a formula, not words.
        return replace(whole, expression=parse_text(plain_latex(text)))
    return whole


def _read_whole(text: str) -> Reading | None:
    """Return the parsed stated answer, else the whole text; None if neither can be parsed."""
    readings = (_read_alone(candidate) for candidate in (*stated_answers(text), text))
    return next((reading for reading in readings if reading.is_usable), None)


def is_equal(gold: Reading, said: Reading) -> bool:
    """Whether a completion's answer equals the gold answer."""
    if gold.key and gold.key == said.key:
        return True
    if gold.choice is not None and said.choice is not None:
        return gold.choice == said.choice
    if gold.quantity is not None and said.quantity is not None:
        return equal(gold.quantity, said.quantity)
    if gold.words is not None:
        return gold.words == said.words
    if not (gold.quantity or gold.expression) or not (said.quantity or said.expression):
        return False
    return any(same(one, other) for one in _values(gold) for other in _values(said))


def group_key(reading: Reading) -> str | None:
    """Return a text that is the same for equal answers; None without an answer."""
    if reading.quantity is not None:
        return _as_ratio(reading.quantity.value)
    if reading.choice is not None:
        return reading.choice
    return reading.words if reading.expression is None else reading.expression.canonical()


def _as_ratio(value: Fraction) -> str:
    """Return the value as sympy prints it, with any number of digits."""
    over, under = (f"{Decimal(part):f}" for part in (value.numerator, value.denominator))
    return over if under == "1" else f"{over}/{under}"


def _read_alone(text: str) -> Reading:
    """Return the parsed answer of a text that is only an answer."""
    text = (boxed(text) or text).strip()
    key = key_of(text)
    if (quantity := read_quantity(text)) is not None:
        return Reading(key, quantity=quantity)
    bare = MEMBERS.sub("", plain_latex(text)).strip(" ${}*")
    if (choice := CHOICE.fullmatch(bare)) is not None:
        return Reading(key, choice=choice[1], expression=parse_expression(bare))
    if _is_prose(text):
        has_number = any(character.isdigit() for character in text)
        return Reading(key, words=None if has_number else _words(bare))
    mathematics = list(MATHEMATICS.finditer(text))
    if len(mathematics) == 1 and mathematics[0].span() == (0, len(text)):
        text = next(group for group in mathematics[0].groups() if group)
    if not mathematics or "$" not in text:
        return Reading(key, expression=parse_expression(plain_latex(text)))
    return Reading(key, expression=parse_text(plain_latex(text)))


def _is_prose(text: str) -> bool:
    """Whether the text has natural-language words, other than LaTeX commands and functions."""
    bare = COMMAND.sub(" ", MEMBERS.sub(" ", plain_characters(text)))
    long = any(word.lower() not in FUNCTIONS for word in WORD.findall(bare))
    return long or any(word.lower() in SHORT_WORDS for word in SHORT.findall(bare))


def _words(text: str) -> str | None:
    return " ".join(re.findall(r"[^\W\d_]+", text.casefold())) or None


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
