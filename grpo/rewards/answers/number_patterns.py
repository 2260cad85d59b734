"""Patterns of numbers with a sign, a currency, a factor, a percent sign and a unit."""

import re

from grpo.rewards.answers.units import UNIT_NAMES

_DIGITS = r"(?:\d{1,3}(?:,\d{3})++(?![\d])|\d++)"
_DECIMAL = rf"(?:{_DIGITS}(?:\.\d++)?|\.\d++)"
_FACTOR_POWER = r"10\s?\^\s?(?:\{\s?(?P<braced>[-+]?\d+)\s?\}|(?P<bare>[-+]?\d+))"
_LONE_POWER = r"10\s?\^\s?(?:\{\s?(?P<lone_braced>[-+]?\d+)\s?\}|(?P<lone>[-+]?\d+))"
_NUMBER = (
    r"(?:(?P<whole>\d++)(?:\s{1,3}|\sand\s)(?P<part_over>\d++)/(?P<part_under>\d++)(?![\d/]|\.\d)"
    rf"|(?<![\d/])(?P<over>{_DECIMAL})\s?/\s?(?P<under>{_DECIMAL})(?!\s?/|\d|\.\d)"
    rf"|(?P<factor>{_DECIMAL})(?:[eE](?P<exponent>[-+]?\d++)(?!\.\d)"
    rf"|\s?(?:\\times|\\cdot|\*|x|X)\s?{_FACTOR_POWER}(?!\d|\.\d))"
    rf"|{_LONE_POWER}(?!\d|\.\d)"
    rf"|(?P<decimal>{_DECIMAL})(?!\d)(?:\.(?!\d))?)"
)
POWERS = ("exponent", "braced", "bare", "lone_braced", "lone")
_CURRENCY = r"(?:US|A|C|HK)?\\?\$|[€£¥₹₩₽฿]|(?:USD|EUR|GBP|Rs\.?|INR)(?![A-Za-z])"
_PERCENT = r"(?:\\?%|percent(?:age)?(?:\spoints?)?\b|per\scent\b|pct\b)"
_WORDS = r"[A-Za-z\u00b5\u03bc\u03a9\u2126][A-Za-z.]*+"
_CJK = "[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3]"
_CJK_UNIT = rf"(?:(?![一二三四五六七八九十百千万亿萬億兆半多几分点]){_CJK}){{1,6}}"
_POWER_OF_UNIT = r"(?:\s?\^\s?(?:\{\s?-?\d\s?\}|-?\d)|(?<=m)[23]|(?<=ft)[23]|(?<=in)[23])?"
_UNIT = (
    rf"(?:\\?\$|[€£¥₹₩₽฿]|\^?\s?\{{?\s?\\circ\s?\}}?\s?[CFK]?|\((?:{_WORDS}\s?){{1,5}}\)"
    rf"|{_WORDS}{_POWER_OF_UNIT}(?:\s?(?:[/*\s]|\\cdot)\s?{_WORDS}{_POWER_OF_UNIT}){{0,5}}|{_CJK_UNIT})"
)
SCALES = {
    "dozen": 12,
    "hundred": 10**2,
    "thousand": 10**3,
    "million": 10**6,
    "billion": 10**9,
    "trillion": 10**12,
    "万": 10**4,
    "萬": 10**4,
    "亿": 10**8,
    "億": 10**8,
}
_SCALE = rf"(?:\s?(?P<scale>{'|'.join(SCALES)})(?![A-Za-z]))?"
_SEPARATE = r"(?<!\d)(?<![\^_])(?<![\^_]\{)(?<![\^_]-)(?<![\^_]\{-)(?<!\d\.)"
_NO_BASE = r"(?!\s?\^\s?\{?\s?[-+]?\d)"
WHOLE = re.compile(
    rf"(?P<sign>[-+]?)\s?(?P<currency>{_CURRENCY})?\s?(?P<sign_behind>[-+]?)\s?{_NUMBER}"
    rf"{_SCALE}(?P<gap>\s?)(?:(?P<percent>{_PERCENT})|(?P<unit>{_UNIT}))?",
    re.ASCII,
)
# A sign belongs to the number only if it is not an operator: "12-9" ends in 9, "x = -9" in -9.
# A comma belongs to it only where it separates thousands: "1,2,3" ends in 3.
# An exponent, an index and the base of a power are no numbers: "12 m^2" ends in 12.
INSIDE = re.compile(
    rf"(?P<sign>(?:(?<![\w)])[-+]|(?:(?<=[=({{$])|(?<=[=({{$]\s))-\s)?)"
    rf"(?P<currency>{_CURRENCY})?(?P<sign_behind>){_SEPARATE}{_NUMBER}{_NO_BASE}{_SCALE}"
    rf"(?:\s?(?P<percent>{_PERCENT})"
    rf"|(?P<gap>\s?)(?P<unit>(?:{UNIT_NAMES})(?:\^(?:\{{[23]\}}|[23])|[23](?!\d))(?![A-Za-z])))?",
    re.ASCII,
)
NO_UNITS = frozenset(
    (
        *("and", "or", "to", "of", "in", "is", "are", "not", "mod", "choose"),
        *("pi", "sqrt", "sin", "cos", "tan", "cot", "sec", "csc", "log", "ln", "exp"),
        *("times", "cdot", "div", "frac", "infty"),
    )
)
"""Words behind a number that are no unit."""
