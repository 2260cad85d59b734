r"""A single spelling for numbers in LaTeX, Unicode and plain-text notation."""

import re
import unicodedata

FULL_WIDTH = {point: point - 0xFEE0 for point in range(0xFF01, 0xFF5F)}
CHARACTERS = str.maketrans(
    FULL_WIDTH
    | {
        ord(odd): plain
        for odds, plain in {
            "\u2212\ufe63\u2010\u2011\u2012\u2013": "-",  # the typographic minus, hyphens, a dash
            "\u00a0\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u3000": " ",
            "\u200b\u2060\ufeff\u00ad": None,  # zero width
            "\u00d7": r"\times ",
            "÷": r"\div ",
            "·⋅": r"\cdot ",
            "π": r"\pi ",
            "∞": r"\infty ",
            "∅": r"\emptyset ",
            "≤": r"\le ",
            "≥": r"\ge ",
            "…": "...",
            "°º": r"^\circ ",
            "\u2044\u2215": "/",
            "。": ".",
        }.items()
        for odd in odds
    }
)
SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻", "0123456789+-")
SUBSCRIPTS = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")
RAISED = re.compile("[⁺⁻]?[⁰¹²³⁴⁵⁶⁷⁸⁹]+")
LOWERED = re.compile("[₀₁₂₃₄₅₆₇₈₉]+")
VULGAR = re.compile("(\\d?)([\u00bc-\u00be\u2150-\u215e\u2189])")
SPACE = re.compile(r"(?<!\\)\\(?:[,;:!> ]|quad\b|qquad\b|thinspace\b|enspace\b|nobreakspace\b)|~")
DROPPED = re.compile(
    r"\\(?:displaystyle|textstyle|limits|(?:left|right|[bB]igg?[lr]?)(?![a-z]))\s*"
    r"|\\(?:text)?color\s*\{\s*[a-zA-Z]{1,30}\s*\}\s*"
)
POWER_OF_TEN = re.compile(r"(?<![\d.])10\*\*(?=-?\d|\()")
FRACTION = re.compile(r"\\[dtc]frac(?![a-z])")
MARKUP = r"\\(?:text|textnormal|textbf|textit|textrm|mathrm|mathbf|mathit|mbox|rm|bf)\s*"
MARKED = re.compile(MARKUP + r"\{((?:[^{}]|\{[^{}]*\})*)\}")
THOUSANDS = re.compile(r"(?<![\d.,])\d{1,3}(?:(?:\{,\}| )\d{3})+(?![\d,])(?!\.\d*[ ]\d)")
DIGITS_OF_FRACTION = re.compile(
    r"(\d?)\\frac\s*(?:\{\s*(-?[\d.,]+)\s*\}|(\d))\s*(?:\{\s*(-?[\d.,]+)\s*\}|(\d))"
)
ROOT_OR_PARENTHESIS = re.compile(
    "(?:\\\\?(?<![a-zA-Z])sqrt\\s{0,3}(\\[\\d{1,3}\\])?\\s{0,3}|\u221a\\s{0,3})?\\(|\\)"
)
ROOT_OF_ONE = re.compile(r"√\s*(\d+|[a-zA-Z])")
REPEATING = re.compile(
    r"(?<![\d.])(\d*)\.(\d*)(?:\\(?:overline|bar|dot)\s*(?:\{\s*(\d+)\s*\}|(\d))|\((\d+)\))"
)
CONTINUED = re.compile(
    r"(?<![\d.])(\d{0,30})\.(\d{0,30}?)(?:(\d)\3{2,30}|(\d{2,15})\4{1,15})\s?(?:\.{3}|\\[lc]?dots)"
)
"""A decimal whose last digits repeat before an ellipsis: 0.333..., 0.2727..."""
MAX_REPEATED = 100
"""Maximum number of digits of a repeating decimal."""


def without_markup(text: str) -> str:
    r"""Return the text with the content of \text{}, \mathrm{} and the like without command."""
    return MARKED.sub(r" \1 ", text)


def plain_characters(text: str) -> str:
    """Return the text with a single spelling of minus signs, spaces, digits and other signs."""
    if text.isascii():
        return text
    text = text.translate(CHARACTERS)
    text = RAISED.sub(lambda found: f"^{{{found[0].translate(SUPERSCRIPTS)}}}", text)
    text = LOWERED.sub(lambda found: f"_{{{found[0].translate(SUBSCRIPTS)}}}", text)
    return VULGAR.sub(lambda found: f"{found[1]}{' ' if found[1] else ''}{_vulgar(found[2])}", text)


def plain_latex(text: str) -> str:
    r"""Return LaTeX with one spelling for spaces, fractions, roots and repeating decimals.

    A thin space or `{,}` between groups of three digits is dropped, `\sqrt(3)` gets braces, and
    `0.\overline{3}` becomes the fraction that it is.
    """
    text = plain_characters(text)
    text = SPACE.sub(" ", text)
    text = DROPPED.sub("", text)
    text = text.replace(r"\varnothing", r"\emptyset")
    text = POWER_OF_TEN.sub("10^", text)
    text = FRACTION.sub(r"\\frac", text)
    text = CONTINUED.sub(_continued, text)
    text = REPEATING.sub(_repeating, text)
    return ROOT_OF_ONE.sub(r"\\sqrt{\1}", _braced_roots(text))


def joined_thousands(text: str) -> str:
    """Return the text without spaces and `{,}` between groups of three digits."""
    return THOUSANDS.sub(lambda found: re.sub(r"\{,\}| ", "", found[0]), text).replace("{,}", ",")


def slashed_fractions(text: str) -> str:
    r"""Return the text with `\frac{3}{4}` of digits as 3/4, and `7\frac12` as 7 1/2."""

    def slashed(found: re.Match[str]) -> str:
        before, over, under = found[1], found[2] or found[3], found[4] or found[5]
        if under.startswith("-"):
            over, under = over.removeprefix("-") if over.startswith("-") else f"-{over}", under[1:]
        return f"{before}{' ' if before else ''}{over}/{under}"

    return DIGITS_OF_FRACTION.sub(slashed, text)


def _vulgar(character: str) -> str:
    """Return 1/2 for ½."""
    return unicodedata.normalize("NFKC", character).replace("\u2044", "/")


def _continued(found: re.Match[str]) -> str:
    r"""Return 0.\overline{3} for 0.333..."""
    return rf"{found[1]}.{found[2]}\overline{{{found[3] or found[4]}}}"


def _repeating(found: re.Match[str]) -> str:
    r"""Return `\frac{1}{3}` for 0.\overline{3}."""
    whole, fixed, repeated = found[1], found[2], found[3] or found[4] or found[5]
    digits = f"{whole}{fixed}{repeated}"
    if len(digits) > MAX_REPEATED:
        return found[0]
    under = (10 ** len(repeated) - 1) * 10 ** len(fixed)
    over = int(digits) - int(f"0{whole}{fixed}")
    return rf"\frac{{{over}}}{{{under}}}"


def _braced_roots(text: str) -> str:
    r"""Return the text with \sqrt{3} for \sqrt(3), whose parentheses are those of an argument."""
    if "sqrt" not in text and "\u221a" not in text:
        return text
    braced: dict[int, tuple[int, str]] = {}
    open_at: list[re.Match[str]] = []
    for found in ROOT_OR_PARENTHESIS.finditer(text):
        if found[0] != ")":
            open_at.append(found)
        elif open_at and (opened := open_at.pop())[0] != "(":
            index = opened[1] or ""
            braced[opened.start()] = (opened.end(), rf"\sqrt{index}{{")
            braced[found.start()] = (found.end(), "}")
    parts: list[str] = []
    at = 0
    for start, (end, spelling) in sorted(braced.items()):
        parts += [text[at:start], spelling]
        at = end
    return "".join([*parts, text[at:]])
