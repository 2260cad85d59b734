"""Natural language in answers, as opposed to formulas."""

import re

from grpo.rewards.answers.notation import plain_characters, without_markup

UNIT_BEHIND = re.compile(
    r"\\(?:text|textnormal|mathrm|mbox|textrm|rm)\s*\{(?!\s*(?:and|or|if|for|where|when|is)\b)[a-zA-Z.\s]{1,40}\}"
    r"(?:\s*\^\s*\{?\s*-?\d\s*\}?)?\s*\.?\s*$"
)
ONE_TEXT = re.compile(r"\\(?:text|textnormal|textbf|textit|mbox|textrm|mathrm)\s*\{[^{}]*\}\.?")
WORD = re.compile(r"(?<![\\a-zA-Z])[a-zA-Z]{4,}")
CJK = re.compile("[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3]")
COMMAND = re.compile(r"\\[a-zA-Z]+(?:\s*\{[a-zA-Z]+\})?")
SHORT_WORDS = frozenset(
    (
        *("so", "it", "is", "we", "get", "the", "are", "of", "to", "in", "be", "as", "at", "by"),
        *("an", "has", "was", "for", "if", "then", "that", "this", "with", "not"),
    )
)
"""Short words of prose, which would otherwise be parsed as products of variables."""
SHORT = re.compile(r"(?:(?<![^\s(,;:])|(?<=\}\s))[a-zA-Z]{2,4}(?![^\s),;:.?!])")
FUNCTIONS = frozenset(
    (
        *(
            "sqrt",
            "frac",
            "sec",
            "csc",
            "cot",
            "sinh",
            "cosh",
            "tanh",
            "arcsin",
            "arccos",
            "arctan",
        ),
        *("log", "exp", "max", "min", "gcd", "lcm", "infinity"),
    )
)


def is_prose(text: str) -> bool:
    """Whether the text has natural-language words, other than LaTeX commands and functions.

    A unit behind a formula and an exponent such as e^{at} are none.
    """
    text = without_unit(plain_characters(text))
    bare = COMMAND.sub(" ", without_markup(text))
    if CJK.search(bare):
        return True
    long = any(word.lower() not in FUNCTIONS for word in WORD.findall(bare))
    return long or any(word.lower() in SHORT_WORDS for word in SHORT.findall(bare))


def words_of(text: str, bare: str) -> tuple[str, ...]:
    r"""Return words without numbers, or with them where they are marked as \text{}.

    `bare` is the text without markup.
    """
    if any(character.isdigit() for character in text):
        is_one = ONE_TEXT.fullmatch(text) is not None
        return (" ".join(bare.casefold().split()),) if is_one else ()
    words = " ".join(re.findall(r"[^\W\d_]+", bare.casefold()))
    return (words,) if words else ()


def without_unit(text: str) -> str:
    r"""Return a formula without the \text{} behind it."""
    return UNIT_BEHIND.sub("", text) or text
