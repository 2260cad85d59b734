"""Known units: their spellings and canonical names."""

import re

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
}
NAMES = {spelling: name for name, spellings in SPELLINGS.items() for spelling in spellings.split()}
UNIT_NAMES = "|".join(
    sorted((re.escape(name) for name in NAMES if name.isalpha()), key=len, reverse=True)
)
PIECE = re.compile(r"([A-Za-z°$€\u00b5\u03bc\u03a9]+)(?:\s?\^?\s?\{?\s?(-?\d)\s?\}?)?|([/*])")
POWER_WORDS = {"square": "2", "sq": "2", "squared": "2", "cubic": "3", "cu": "3", "cubed": "3"}


def is_known_unit(text: str) -> bool:
    return canonical_unit(text) is not None


def canonical_unit(text: str) -> str | None:
    """Return the unit's name, such as m^2 or km/h; None for an unknown unit."""
    if "circ" in text:
        return "degree"
    parts: list[str] = []
    power_before = ""
    for word, power, sign in PIECE.findall(text.replace("\\", "").strip(" ().")):
        if sign or word in ("per", "a", "an"):
            parts.append("/" if word or sign == "/" else "*")
        elif word.lower() in POWER_WORDS:
            power_of = POWER_WORDS[word.lower()]
            if parts and word.lower().endswith("ed"):
                parts[-1] += f"^{power_of}"
            else:
                power_before = power_of
        elif (name := NAMES.get(word) or NAMES.get(word.lower())) is not None:
            exponent = power or power_before
            parts.append(f"{name}^{exponent}" if exponent and exponent != "1" else name)
            power_before = ""
        else:
            return None
    return "".join(parts) or None
