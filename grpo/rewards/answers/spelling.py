"""Answers compared as written: their spelling, and numbers in a base."""

import re

from grpo.rewards.answers.notation import plain_latex, without_markup

NUMERAL = re.compile(r"(\d[0-9A-F]*|[A-F][0-9A-F]*\d[0-9A-F]*)_(\d|\{\d\d\})")
"""A number with its base, as key_of spells it."""
SINGLE_BRACES = re.compile(r"\{\s*([0-9A-Za-z])\s*\}")
OPERATORS = frozenset("=<>^_+*/\\")


def key_of(text: str) -> str:
    """Return the text without parts that do not change an answer: spaces, dollars, a full stop.

    Braces and spaces that separate digits or letters remain: 3 1/2 is not 31/2.
    """
    plain = SINGLE_BRACES.sub(r"\1", without_markup(plain_latex(text)))
    plain = re.sub(r"(?<!\\)\$|\\[()\[\]]", " ", plain)
    return re.sub(r"(?<![0-9A-Za-z]) | (?![0-9A-Za-z])", "", " ".join(plain.split())).rstrip(".")


def is_formula(key: str) -> bool:
    """Whether a text without prose is a formula, though none that can be parsed."""
    return any(map(str.isalnum, key)) and not OPERATORS.isdisjoint(key)


def is_same_numeral(gold: str, said: str) -> bool:
    """Whether two numbers in a base have the same digits: the base of one may be missing."""
    (one, base), (other, other_base) = (
        found.groups() if (found := NUMERAL.fullmatch(key)) else (key, None) for key in (gold, said)
    )
    return one == other and (base == other_base or None in (base, other_base))


def is_numeral(key: str) -> bool:
    return NUMERAL.fullmatch(key) is not None
