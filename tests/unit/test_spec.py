"""The spec: input, resolution, and errors with pointers."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from grpo.rewards.catalogue import REWARD_TYPES
from grpo.spec.job import JobSpec
from grpo.spec.resolve import SpecError, load_spec, resolve
from tests.work import lines_run

PRESETS = Path(__file__).parent / "presets"


def problems(**written: Any) -> dict[str, str]:
    with pytest.raises(SpecError) as caught:
        resolve(written)
    return dict(caught.value.problems)


@pytest.mark.parametrize("preset", ["2-grpo", "16-grpo"])
def test_the_papers_presets_resolve_to_the_checked_in_specs(preset: str):
    resolved = json.loads(resolve({"preset": preset}).model_dump_json())
    assert resolved == json.loads((PRESETS / f"{preset}.json").read_text())


def test_the_two_presets_differ_exactly_as_in_the_paper():
    two, sixteen = (json.loads((PRESETS / f"{k}-grpo.json").read_text()) for k in (2, 16))
    assert two["algorithm"] | {"group_size": 16, "prompts_per_step": 32} == sixteen["algorithm"]
    assert two["optimizer"] == sixteen["optimizer"]
    assert (two["algorithm"]["group_size"], two["algorithm"]["prompts_per_step"]) == (2, 256)
    assert (peak("2-grpo"), peak("16-grpo"), peak("2-grpo-rs")) == (8e-6, 1e-6, 8e-6)
    both = {"preset", "algorithm", "optimizer"}
    assert {k: v for k, v in two.items() if k not in both} == {
        k: v for k, v in sixteen.items() if k not in both
    }


def peak(preset: str | None, **written: Any) -> float:
    spec = resolve({"preset": preset, **written})
    lora = spec.model.lora is not None
    return spec.optimizer.peak(spec.algorithm.prompts_per_update, lora=lora)


def test_the_learning_rate_follows_the_prompts_of_an_update_unless_it_is_given():
    for preset in ("2-grpo", "2-grpo-rs", "16-grpo", None):
        assert peak(preset, algorithm={"prompts_per_step": 32}) == 1e-6
        assert peak(preset, algorithm={"prompts_per_step": 256, "minibatches": 8}) == 1e-6
        assert peak(preset, optimizer={"learning_rate": 3e-6}) == 3e-6
    assert peak("demo") == 1e-4
    assert peak("demo", algorithm={"prompts_per_step": 64}) == pytest.approx(2.5e-5)


def test_an_adapter_has_ten_times_the_rate_of_all_weights_unless_it_is_given():
    lora = {"lora": {}}
    assert peak("2-grpo", model=lora) == pytest.approx(8e-5)
    assert peak("demo", model=lora) == pytest.approx(1e-3)
    assert peak("2-grpo", model=lora, optimizer={"learning_rate": 3e-6}) == 3e-6


@pytest.mark.parametrize(
    ("algorithm", "low", "high"),
    [
        ({}, 0.2, 0.28),
        ({"loss": "dapo"}, 0.2, 0.28),
        ({"loss": "cispo"}, 0.2, 5),
        ({"loss": "cispo", "clip_high": 0.28}, 0.2, 0.28),
        ({"loss": "gspo"}, 3e-4, 4e-4),
        ({"loss": "gspo", "clip_low": 0.1}, 0.1, 4e-4),
        ({"ratio": "sequence"}, 3e-4, 4e-4),
    ],
    ids=str,
)
def test_each_loss_has_the_clip_bounds_of_its_paper_and_the_spec_shows_them(
    algorithm: dict[str, Any], low: float, high: float
):
    resolved = json.loads(resolve({"algorithm": algorithm}).model_dump_json())
    assert (resolved["algorithm"]["clip_low"], resolved["algorithm"]["clip_high"]) == (low, high)
    assert json.loads(resolve(resolved).model_dump_json()) == resolved


def test_the_users_settings_win_over_the_preset_and_the_preset_over_the_defaults():
    spec = resolve({"preset": "16-grpo", "algorithm": {"group_size": 4}})
    assert spec.algorithm.group_size == 4
    assert spec.algorithm.prompts_per_step == 32
    assert spec.algorithm.clip_high == 0.28


def test_an_empty_spec_is_the_papers_2_grpo():
    assert resolve({}) == resolve({"preset": "2-grpo"})


def test_a_resolved_spec_resolves_to_itself():
    spec = resolve({"preset": "demo"})
    assert resolve(json.loads(spec.model_dump_json())) == spec


def test_a_group_of_one_is_refused():
    assert "must be at least 2" in problems(algorithm={"group_size": 1})["/algorithm/group_size"]


def test_training_top_p_below_one_is_refused_with_the_reason():
    assert "must be 1 in training" in problems(rollout={"top_p": 0.9})["/rollout/top_p"]


def test_a_start_time_needs_a_zone():
    refused = problems(resources={"not_before": "2026-05-01T12:00:00"})
    assert "time zone" in refused["/resources/not_before"]
    spec = resolve({"resources": {"not_before": "2026-05-01T12:00:00+02:00"}})
    assert spec.resources.not_before == datetime(2026, 5, 1, 10, tzinfo=UTC)
    assert resolve(json.loads(spec.model_dump_json())) == spec


def test_an_unknown_reward_is_refused_by_name():
    message = problems(rewards=[{"type": "oracle"}])["/rewards/0/type"]
    assert message == "unknown reward type 'oracle'; one of " + ", ".join(sorted(REWARD_TYPES))


def test_a_reward_without_a_type_is_refused_with_the_types():
    assert problems(rewards=[{"weight": 1}]) == {
        "/rewards/0/type": "missing reward type: one of " + ", ".join(sorted(REWARD_TYPES))
    }


def test_an_unknown_preset_is_refused_with_the_list():
    assert problems(preset="3-grpo")["/preset"].startswith(
        "unknown preset '3-grpo'; the presets are"
    )


@pytest.mark.parametrize(
    ("written", "pointer", "meant"),
    [
        ({"algorithm": {"group_sise": 2}}, "/algorithm/group_sise", "group_size"),
        ({"optimiser": {}}, "/optimiser", "optimizer"),
        ({"algorithm": {"advantage": {"ep": 1}}}, "/algorithm/advantage/ep", "eps"),
    ],
)
def test_a_misspelt_field_is_named_with_the_one_meant(
    written: dict[str, Any], pointer: str, meant: str
):
    assert problems(**written) == {pointer: f"unknown field; did you mean {meant!r}?"}


def test_every_wrong_field_is_named_at_once():
    wrong = problems(seed=-1, algorithm={"clip_low": 2}, rewards=[{"type": "exact", "wait": 1}])
    assert set(wrong) == {"/seed", "/algorithm/clip_low", "/rewards/0/wait"}


def test_two_rewards_of_one_name_are_refused():
    two = [{"type": "exact"}, {"type": "exact", "after": "#"}]
    assert "give each its own `name`" in problems(rewards=two)[""]
    named = [{"type": "exact"}, {"type": "exact", "after": "#", "name": "marked"}]
    assert [reward.part for reward in resolve({"rewards": named}).rewards] == ["exact", "marked"]


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_a_number_that_is_not_finite_is_refused(number: float):
    assert "/optimizer/learning_rate" in problems(optimizer={"learning_rate": number})


def test_a_spec_file_may_be_yaml_or_json(tmp_path: Path):
    (tmp_path / "a.yaml").write_text("preset: 16-grpo\nseed: 7\n")
    (tmp_path / "a.json").write_text('{"preset": "16-grpo", "seed": 7}')
    assert load_spec(tmp_path / "a.yaml") == load_spec(tmp_path / "a.json")


@pytest.mark.parametrize("text", ["- a\n- b\n", "a: [", "just words"])
def test_a_file_that_holds_no_mapping_is_refused(tmp_path: Path, text: str):
    (tmp_path / "spec.yaml").write_text(text)
    with pytest.raises(SpecError, match=r"spec\.yaml"):
        load_spec(tmp_path / "spec.yaml")


def test_every_field_of_the_schema_has_a_description():
    schema = JobSpec.model_json_schema()
    sections = {"JobSpec": schema, **schema["$defs"]}
    silent = [
        f"{title}.{field}"
        for title, section in sections.items()
        for field, about in section.get("properties", {}).items()
        if not about.get("description")
    ]
    assert silent == []


def wrong_everywhere(count: int) -> dict[str, Any]:
    return {f"field_{number}": number for number in range(count)}


@pytest.mark.parametrize(
    "written",
    [
        wrong_everywhere(8000),
        {"data": wrong_everywhere(8000)},
        {"rewards": [{"type": "exact", **wrong_everywhere(600)} for _ in range(16)]},
        {"rewards": [{"type": "nothing"}] * 5000},
        {"labels": {f"l{number}": number for number in range(8000)}},
        {"data": {"train": [{"source": 1}] * 8000}},
        {"model": {"lora": {"targets": [1] * 8000}}},
        {"rollout": {"stop": [""] * 8000}},
    ],
    ids=lambda written: next(iter(written)),
)
def test_a_spec_full_of_errors_is_cheap_and_reports_the_first_hundred(
    written: dict[str, Any],
):
    def told() -> dict[str, str]:
        return problems(**written)

    assert len(told()) <= 101
    assert lines_run(told) < 250_000  # most for guesses of what was meant


def test_unreported_problems_are_counted():
    assert problems(**wrong_everywhere(150))[""] == "50 more problems are not shown"
    assert len(problems(**wrong_everywhere(100))) == 100


def test_a_long_name_is_not_guessed_at():
    def told() -> dict[str, str]:
        return problems(**{"x" * 50_000: 1}, model={"y" * 50_000: 1})

    assert all(detail == "unknown field" for detail in told().values())
    assert lines_run(told) < 20_000


def test_a_test_set_requires_held_out_prompts_and_is_read_like_them():
    told = problems(data={"test": "arithmetic-heldout"})
    assert "set data.eval too" in str(told)
    spec = resolve({"data": {"eval": "arithmetic", "test": "arithmetic-heldout"}})
    assert [source.source for source in spec.data.test_sources] == ["arithmetic-heldout"]
