"""Suggestions of changes that make a job fit on a GPU: each one, applied by a user, is true."""

import re
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.memory.models import MODELS
from grpo.estimate.changes import MOST, changes_that_fit
from grpo.estimate.fit import fit
from grpo.estimate.memory import GIB
from grpo.spec.resolve import merge, resolve
from grpo.validation.card_fit import card_problem

SUGGESTED = re.compile(r"\(\d\) (?:use a GPU of at least (\d+) GiB)?(?: and )?(?:set (.*))?")


def parse(suggestion: str) -> tuple[int | None, dict[str, Any]]:
    """Read a suggestion from its text, as a user does: the GPU's size, and a spec to merge."""
    found = SUGGESTED.fullmatch(suggestion)
    assert found is not None, suggestion
    written: dict[str, Any] = {}
    for setting in re.split(r", (?=\w+\.)", found[2] or ""):
        if setting:
            path, value = setting.split(": ", 1)
            section, name = path.split(".")
            written = merge(written, {section: {name: yaml.safe_load(value)}})
    return (int(found[1]) if found[1] else None), written


@pytest.mark.parametrize("card_gib", [20, 24, 48, 80, 141])
@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize(
    "written",
    [
        {},
        {"rollout": {"max_tokens": 8192}},
        {"model": {"gradient_checkpointing": True}, "algorithm": {"kl": {"beta": 0.1}}},
        {"model": {"lora": {"rank": 8}}},
        {"optimizer": {"name": "adamw_8bit"}, "rollout": {"engine": "transformers"}},
        {"algorithm": {"kl": {"beta": 0.1, "sync_every_steps": 4}}},
    ],
)
def test_each_suggestion_makes_the_job_fit(name: str, card_gib: int, written: dict[str, Any]):
    config, spec = MODELS[name], resolve(written)
    problem = card_problem(spec, config, card_gib * GIB)
    assert (problem is None) == fit(spec, config, card_gib * GIB).fits
    if problem is None:
        return
    suggestions = re.split(r"; (?=\(\d\))|: (?=\(1\))", problem[1])[1:]
    assert 1 <= len(suggestions) <= MOST
    for suggestion in suggestions:
        larger, change = parse(suggestion)
        after = resolve(merge(written, change))
        assert fit(after, config, (larger or card_gib) * GIB).fits, suggestion
        assert larger is None or larger > card_gib


@settings(max_examples=40, deadline=None)
@given(
    name=st.sampled_from([*MODELS]),
    card_gib=st.integers(4, 200),
    max_tokens=st.integers(64, 30_000),
    checkpointing=st.booleans(),
    fraction=st.floats(0.02, 0.98),
)
def test_no_job_that_is_refused_lacks_a_true_suggestion(
    name: str, card_gib: int, max_tokens: int, checkpointing: bool, fraction: float
):
    spec = resolve(
        {
            "model": {"gradient_checkpointing": checkpointing},
            "rollout": {"max_tokens": max_tokens, "gpu_memory_fraction": fraction},
        }
    )
    if not fit(spec, MODELS[name], card_gib * GIB).fits:
        assert changes_that_fit(spec, MODELS[name], card_gib * GIB)


def test_the_engines_share_alone_is_the_first_suggestion_where_it_is_enough():
    spec = resolve({"model": {"lora": {}, "gradient_checkpointing": True}})
    pointer, detail = card_problem(spec, MODELS["Qwen2.5-7B"], 36 * GIB) or ("", "")
    assert pointer == "/rollout/gpu_memory_fraction"
    assert "the rollout engine needs 15.3 GiB" in detail
    assert "(1) set rollout.gpu_memory_fraction: 0.43" in detail


def test_a_family_whose_memory_is_only_assumed_is_not_refused():
    config = {**MODELS["Qwen2.5-32B"], "model_type": "an-unknown-one"}
    assert card_problem(resolve({}), config, 24 * GIB) is None


@pytest.mark.parametrize(
    "config", [{}, {"hidden_size": "x"}, {"text_config": 3}, {"vocab_size": 1}]
)
def test_a_config_of_any_shape_refuses_nothing(config: dict[str, Any]):
    assert card_problem(resolve({}), config, 1) is None


def test_larger_micro_batches_are_halved_until_they_fit():
    spec = resolve({"model": {"gradient_checkpointing": True}})
    config = MODELS["Qwen2.5-1.5B"]
    sizes = [fit(spec, config, gib * GIB).micro_batch_tokens for gib in (27, 28, 29, 32, 48)]
    assert sizes[0] is None
    assert [each for each in sizes if each] == sorted(each for each in sizes if each)
    assert sizes[-1] == 16384
