"""Known units: their spellings and canonical names."""

import re
from collections import Counter

SPELLINGS: dict[str, str] = {
    "m": "m meter meters metre metres",
    "cm": "cm centimeter centimeters centimetre centimetres",
    "mm": "mm millimeter millimeters millimetre millimetres",
    "km": "km kilometer kilometers kilometre kilometres",
    "in": "in inch inches",
    "ft": "ft foot feet",
    "yd": "yd yard yards",
    "mi": "mi mile miles",
    "g": "g gram grams",
    "kg": "kg kilogram kilograms",
    "mg": "mg milligram milligrams",
    "lb": "lb lbs pound pounds",
    "oz": "oz ounce ounces",
    "s": "s sec secs second seconds",
    "min": "min mins minute minutes",
    "h": "h hr hrs hour hours",
    "day": "day days",
    "week": "week weeks",
    "month": "month months",
    "year": "year years yr yrs",
    "L": "L l liter liters litre litres",
    "mL": "mL ml milliliter milliliters millilitre millilitres",
    "gal": "gal gallon gallons",
    "N": "N newton newtons",
    "J": "J joule joules",
    "W": "W watt watts",
    "V": "V volt volts",
    "A": "A amp amps ampere amperes",
    "Hz": "Hz hertz",
    "K": "K kelvin",
    "Pa": "Pa pascal pascals",
    "mol": "mol mole moles",
    "degree": "° degree degrees deg circ",
    "$": "$ USD dollar dollars buck bucks US$",
    "cent": "cent cents",
    "€": "€ EUR euro euros",
    "mph": "mph",
    "am": "am AM",
    "pm": "pm PM",
}
NAMES = {spelling: name for name, spellings in SPELLINGS.items() for spelling in spellings.split()}
UNIT_NAMES = "|".join(
    sorted((re.escape(name) for name in NAMES if name.isalpha()), key=len, reverse=True)
)
PIECE = re.compile(r"([A-Za-z°$€\u00b5\u03bc\u03a9]+)(?:\s?\^?\s?\{?\s?(-?\d)\s?\}?)?|([/*])")
NOON = re.compile(r"\b([apAP])\.\s?[mM]\b\.?")
POWER_WORDS = {"square": 2, "sq": 2, "squared": 2, "cubic": 3, "cu": 3, "cubed": 3}


def is_known_unit(text: str) -> bool:
    return canonical_unit(text) is not None


def canonical_unit(text: str) -> str | None:
    """Return the unit's name, such as m^2 or h^-1 km; None for an unknown unit."""
    if "circ" in text:
        return "degree"
    powers: Counter[str] = Counter()
    last, factor, sign = "", 1, 1
    text = NOON.sub(r"\1m", text)
    text = text.replace("\\cdot", "*").replace("\\", "").strip(" ().")
    for word, power, operator in PIECE.findall(text):
        if operator or word in ("per", "a", "an"):
            sign = -1 if word or operator == "/" else sign
        elif (power_of := POWER_WORDS.get(word.lower())) is not None:
            if last and word.lower().endswith("ed"):
                powers[last] += (power_of - 1) * (1 if powers[last] > 0 else -1)
            else:
                factor = power_of
        elif (name := NAMES.get(word) or NAMES.get(word.lower())) is not None:
            powers[name] += sign * int(power or factor)
            last, factor, sign = name, 1, 1
        else:
            return None
    return " ".join(_raised(name, power) for name, power in sorted(powers.items())) or None


def _raised(name: str, power: int) -> str:
    return name if power == 1 else f"{name}^{power}"
