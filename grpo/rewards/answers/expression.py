"""Formulas read and compared by math-verify, with a second check of what it considers equal."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

EXACT = Fraction(1, 10**300)
ROUNDED = Fraction(1, 10**6)
"""Relative tolerance of values that are exact as written, and of decimals."""
TINY = 1e-4
ANGLE_FUNCTION = re.compile(r"\\(?:sin|cos|tan|cot|sec|csc)(?![a-z])")
BARE_PI = re.compile(r"(?<![\\a-zA-Z])pi(?![a-zA-Z])")
DEGREES = re.compile(r"(\d+(?:\.\d+)?)\s*\^\s*(?:\{\s*\\circ\s*\}|\\circ)")
DIGITS = 30
MAX_DIGITS = 400
"""Digits of the difference of two numbers, at first and at most."""


@dataclass(frozen=True)
class Expression:
    """A sympy object; `is_decimal`: a number in it may be rounded."""

    value: Any
    is_decimal: bool = False

    @classmethod
    def of_number(cls, value: Fraction, *, is_decimal: bool) -> "Expression":
        from sympy import Rational

        return cls(Rational(value.numerator, value.denominator), is_decimal)

    def canonical(self) -> str:
        """Return a text that is the same for equal numbers, and for formulas that sympy orders."""
        from sympy import nsimplify

        number = getattr(self.value, "is_number", False)
        return str(nsimplify(self.value, rational=True) if number else self.value)


def parse_expression(latex: str) -> Expression | None:
    """Return a bare formula; None if it cannot be parsed."""
    latex = latex.strip().rstrip(".").strip()
    if not latex:
        return None
    latex = BARE_PI.sub(r"\\pi ", latex)
    if ANGLE_FUNCTION.search(latex):
        latex = DEGREES.sub(r"(\\frac{\1\\pi}{180})", latex)
    return parse_text(f"${latex}$")


def parse_text(text: str) -> Expression | None:
    """Return the last formula of a text, as math-verify finds it."""
    from math_verify import parse

    untimed: Any = None  # a documented value, but not of the annotated type
    found = parse(text, parsing_timeout=untimed, fallback_mode="no_fallback")
    if not found:
        return None
    value = _with_imaginary_unit(found[0])
    return Expression(value, _has_decimal(value))


def same(gold: Expression, said: Expression) -> bool:
    """Whether two formulas are equal: numbers by relative error, all else by math-verify."""
    from math_verify import verify

    rounded = gold.is_decimal or said.is_decimal
    if _is_number(gold.value) and _is_number(said.value):
        return _near(gold.value, said.value, rounded=rounded)
    untimed: Any = None
    equal = verify(
        [gold.value], [said.value], timeout_seconds=untimed, allow_set_relation_comp=True
    )
    return bool(equal) and not _differ(gold.value, said.value, rounded=rounded)


def _with_imaginary_unit(value: Any) -> Any:  # noqa: ANN401
    """Return an expression whose only symbol is i as a complex number."""
    from sympy import Expr, I

    symbols = value.free_symbols if isinstance(value, Expr) else set()
    return value.subs(dict.fromkeys(symbols, I)) if list(map(str, symbols)) == ["i"] else value


def _has_decimal(value: Any) -> bool:  # noqa: ANN401
    from sympy import Float

    return bool(value.has(Float)) if hasattr(value, "has") else False


def _is_number(value: Any) -> bool:  # noqa: ANN401
    from sympy import Expr

    return isinstance(value, Expr) and bool(value.is_number)


def _near(gold: Any, said: Any, *, rounded: bool) -> bool:  # noqa: ANN401
    """Whether two numbers are equal within a relative tolerance."""
    from sympy import N

    if gold == said:
        return True
    one, other = N(gold, DIGITS), N(said, DIGITS)
    if not (one.is_finite and other.is_finite):
        return bool(one == other)
    size = max(abs(one), abs(other))
    if rounded:
        return bool(abs(one - other) <= ROUNDED * min(1, size))
    # 10^30 and 10^30 + 1 differ beyond the first digits.
    return bool(abs(N(gold - said, DIGITS, maxn=MAX_DIGITS)) <= EXACT * size)


def _differ(gold: Any, said: Any, *, rounded: bool) -> bool:  # noqa: ANN401
    """Whether math-verify accepted a pair that is only close in absolute terms."""
    from sympy import Expr, simplify

    gold, said = _assigned(gold, said)
    if _is_number(gold) and _is_number(said):
        return not _near(gold, said, rounded=rounded)
    if isinstance(gold, Expr) and isinstance(said, Expr) and not rounded:
        rest = simplify(gold - said)
        return bool(rest.is_number) and rest.is_zero is False
    return not _is_alike_in_tiny_numbers(gold, said) or any(
        _differ(one, other, rounded=rounded) for one, other in _members(gold, said)
    )


def _is_alike_in_tiny_numbers(gold: Any, said: Any) -> bool:  # noqa: ANN401
    """Whether each number that math-verify rounds to 0 is also in the other value."""
    one, other = list(_tiny_numbers(gold)), list(_tiny_numbers(said))
    return all(
        any(_near(number, each, rounded=True) for each in others)
        for numbers, others in ((one, other), (other, one))
        for number in numbers
    )


def _tiny_numbers(value: Any) -> Iterator[Any]:  # noqa: ANN401
    from sympy import N

    if not _is_number(value):
        for part in getattr(value, "args", ()):
            yield from _tiny_numbers(part)
    elif 0 < abs(N(value, DIGITS)) < TINY:
        yield value


def _assigned(gold: Any, said: Any) -> tuple[Any, Any]:  # noqa: ANN401
    """Return both without "x =", unless they are equations of different things."""
    from sympy import Eq

    equations = isinstance(gold, Eq), isinstance(said, Eq)
    if equations == (True, True) and gold.lhs != said.lhs:
        return gold, said
    return gold.rhs if equations[0] else gold, said.rhs if equations[1] else said


def _members(gold: Any, said: Any) -> list[tuple[Any, Any]]:  # noqa: ANN401
    """Return the corresponding parts of two matrices, tuples, intervals or sets of numbers."""
    from sympy import FiniteSet, Interval, MatrixBase, Tuple

    for kind, members in (
        (MatrixBase, lambda each: each.flat()),
        (Interval, lambda each: [each.start, each.end]),
        (Tuple, lambda each: each.args),
        (FiniteSet, _in_order),
    ):
        if isinstance(gold, kind) and isinstance(said, kind):
            return list(zip(members(gold), members(said), strict=False))
    return []


def _in_order(numbers: Any) -> list[Any]:  # noqa: ANN401
    """Return a set's numbers in order; empty if any element is not a number."""
    from sympy import im, re

    if not all(map(_is_number, numbers.args)):
        return []
    return sorted(numbers.args, key=lambda number: (float(re(number)), float(im(number))))
