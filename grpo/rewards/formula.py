"""Formulas over named numbers: parsed and interpreted, without eval."""

import ast
import math
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

FUNCTIONS: dict[str, Callable[..., Any]] = {
    "min": min,
    "max": max,
    "abs": abs,
    "floor": math.floor,
    "ceil": math.ceil,
    "exp": math.exp,
    "sqrt": math.sqrt,
    "log": math.log,
}
OPERATORS: dict[type[ast.AST], Callable[..., Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: math.pow,  # on floats: 9^9^9 overflows immediately instead of being computed
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
}


class Formula:
    """Numbers and names with + - * / ^, parentheses and FUNCTIONS; ^ binds as in mathematics."""

    def __init__(self, text: str, *, names: Sequence[str]) -> None:
        """Parse a formula over `names`.

        Raises:
            ValueError: the text is not such a formula, or uses a name not in `names`.
        """
        self._text = text.strip().replace("^", "**")
        self._tree = _parse(self._text)
        _check(self._tree, names)

    def value(self, parts: Mapping[str, float]) -> float:
        """Return the formula's value.

        Raises:
            ArithmeticError, ValueError: the value is undefined: 1/0, sqrt(-1), exp(1000).
        """
        from simpleeval import SimpleEval

        interpreter = SimpleEval(operators=OPERATORS, functions=FUNCTIONS, names=dict(parts))
        return interpreter.eval(self._text, previously_parsed=self._tree)


def _parse(text: str) -> ast.expr:
    try:
        return ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ValueError(f"calculate_output is not a valid formula: {error}") from None


def _check(tree: ast.expr, names: Sequence[str]) -> None:
    functions = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            known = FUNCTIONS if id(node) in functions else names
            if node.id not in known:
                kind = "function" if id(node) in functions else "reward"
                raise ValueError(
                    f"unknown {kind} {node.id!r} in calculate_output; available are "
                    + ", ".join(known)
                )
        elif not _arithmetic(node):
            raise ValueError(
                "calculate_output may contain only numbers, names, + - * / ^ and "
                + ", ".join(FUNCTIONS)
            )


def _arithmetic(node: ast.AST) -> bool:
    if isinstance(node, ast.Constant):
        return type(node.value) in (int, float)
    if isinstance(node, ast.Call):
        return not node.keywords and isinstance(node.func, ast.Name)
    structure = (ast.BinOp, ast.UnaryOp, ast.expr_context)
    return isinstance(node, structure) or type(node) in OPERATORS
