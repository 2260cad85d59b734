"""multi and its formula; parsing of python rewards."""

import subprocess
import sys
from typing import Any

import pytest

from grpo.rewards.catalogue import REWARD_TYPES, python_pointers
from grpo.rewards.formula import Formula
from grpo.rewards.reward import Case
from grpo.spec.resolve import SpecError, resolve

PARTS = {"math": 1.0, "format": 0.5}
EXACT, FORMAT = {"type": "exact"}, {"type": "format"}
PYTHON = {"type": "python", "source": "def grade(sample, item):\n    return 1\n"}


def problems(*rewards: dict[str, Any]) -> dict[str, str]:
    with pytest.raises(SpecError) as caught:
        resolve({"rewards": list(rewards)})
    return dict(caught.value.problems)


def multi(formula: str, *rewards: dict[str, Any]) -> dict[str, Any]:
    return {"type": "multi", "rewards": list(rewards), "calculate_output": formula}


@pytest.mark.parametrize(
    ("formula", "value"),
    [
        ("0.8*math + 0.2*format", 0.9),
        ("math - format / 2", 0.75),
        ("2*format^2", 0.5),  # ^ binds as in mathematics
        ("2^3^2", 512),
        ("-format^2", -0.25),
        ("min(math, format, 3) + max(math, format)", 1.5),
        ("abs(-format) + floor(1.7) + ceil(1.2)", 3.5),
        ("exp(0) + sqrt(4) + log(exp(1))", 4.0),
        (" (math) ", 1.0),
    ],
)
def test_formulas_are_mathematics_over_the_parts(formula: str, value: float):
    assert Formula(formula, names=list(PARTS)).value(PARTS) == pytest.approx(value)


@pytest.mark.parametrize("formula", ["1/(math-1)", "sqrt(-math)", "9^9^9^9", "log(0*math)"])
def test_an_undefined_formula_fails_at_once(formula: str):
    with pytest.raises((ArithmeticError, ValueError)):
        Formula(formula, names=list(PARTS)).value(PARTS)


@pytest.mark.parametrize(
    "formula",
    [
        "__import__('os')",
        "math.real",
        "[1][0]",
        "'a'",
        "1 if math else 2",
        "math == 1",
        "math % 2",
        "(lambda: 1)()",
        "min(*math)",
        "min(math, key=format)",
        "True",
        "1j",
        "math; format",
        "math +",
        "",
        "(" * 300,
    ],
)
def test_only_arithmetic_is_a_valid_formula(formula: str):
    with pytest.raises(ValueError, match="calculate_output"):
        Formula(formula, names=list(PARTS))


def test_unknown_names_are_refused_with_the_available_ones():
    assert (
        "unknown reward 'maths' in calculate_output; available are exact, format"
        in (problems(multi("maths + format", EXACT, FORMAT))["/rewards/0"])
    )
    assert (
        "unknown function 'round' in calculate_output; available are min, max, abs"
        in (problems(multi("round(exact)", EXACT))["/rewards/0"])
    )


def test_multi_scores_the_value_of_its_formula():
    reward = resolve(
        {"rewards": [multi("0.75*right + 0.25*format", {**EXACT, "name": "right"}, FORMAT)]}
    ).rewards[0]
    well_formed = "<think>1</think><answer>2</answer>"
    assert reward.score(Case(well_formed, 1, "2")) == 0.25
    assert reward.score(Case(well_formed, 1, well_formed)) == 1.0
    assert reward.score(Case("2", 1, "2")) == 0.75


def test_errors_inside_multi_have_their_own_pointer():
    wrong = problems(EXACT, multi("exact", EXACT, {"type": "oracle"}))
    assert wrong.keys() == {"/rewards/1/rewards/1/type"}
    assert (
        "unknown reward type 'oracle'; one of exact, format" in wrong["/rewards/1/rewards/1/type"]
    )
    assert problems(multi("exact", {"after": "#"})).keys() == {"/rewards/0/rewards/0/type"}
    assert problems(multi("exact", {"type": "exact", "aftr": "#"})).keys() == {
        "/rewards/0/rewards/0/aftr"
    }
    assert (
        "`weight` cannot be set here"
        in (problems(multi("exact", {**EXACT, "weight": 2}))["/rewards/0/rewards"])
    )
    assert (
        "two rewards are named 'exact'"
        in (problems(multi("exact", EXACT, EXACT))["/rewards/0/rewards"])
    )


def test_multi_cannot_be_nested_and_the_error_lists_allowed_rewards():
    refused = problems(multi("multi", multi("exact", EXACT)))["/rewards/0/rewards/0/type"]
    assert "unknown reward type 'multi'" in refused
    assert refused.count("multi") == 1


@pytest.mark.parametrize("missing", ["oracle", "code"])
def test_an_unknown_reward_is_refused_with_all_there_are(missing: str):
    refused = problems({"type": missing})["/rewards/0/type"]
    assert refused == f"unknown reward type {missing!r}; one of " + ", ".join(sorted(REWARD_TYPES))


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ("def grade(sample, item)\n    return 1", "is not valid Python: expected ':' (line 1)"),
        ("grade = 1", "must define a function grade(sample, item)"),
        ("if True:\n    def grade(sample, item): ...", "must define a function grade"),
        ("(" * 10_000, "is not valid Python"),
        ("a\0", "is not valid Python"),
    ],
)
def test_a_source_without_grade_is_refused(source: str, complaint: str):
    assert complaint in problems({"type": "python", "source": source})["/rewards/0/source"]


def test_code_in_a_spec_is_found_in_every_place():
    rewards = resolve(
        {"rewards": [EXACT, PYTHON, {**multi("python", FORMAT, PYTHON), "name": "both"}]}
    ).rewards
    assert python_pointers(rewards) == ["/rewards/1", "/rewards/2/rewards/1"]
    assert [reward.runs_python for reward in rewards] == [False, True, True]


def test_multi_needs_no_process_where_none_of_its_parts_does():
    cheap, dear = (multi("exact", EXACT, FORMAT), multi("exact", EXACT, PYTHON))
    cheap_one, dear_one = resolve({"rewards": [cheap, {**dear, "name": "dear"}]}).rewards
    assert (cheap_one.cheap, dear_one.cheap) == (True, False)


def test_rewards_are_read_without_the_libraries_that_score_them():
    heavy = {"torch", "numpy", "transformers", "math_verify", "sympy", "rapidfuzz", "sacrebleu"}
    code = f"import sys, grpo.spec.resolve; print({heavy | {'pebble'}!r} & sys.modules.keys())"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "set()"


def test_every_field_of_a_reward_is_described():
    for name, reward in REWARD_TYPES.items():
        for field, info in reward.model_fields.items():
            assert info.description, (name, field)
