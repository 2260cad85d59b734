"""The paper's runs in examples/paper are valid, with the paper's numbers."""

import json
from pathlib import Path

import pytest

from grpo.spec.job import JobSpec
from grpo.spec.resolve import resolve
from grpo.spec.spec_file import read_spec_file
from grpo.validation.local import LocalSpecs

FOLDER = Path(__file__).parents[2] / "examples/paper"
CONFIGS = Path(__file__).parent / "paper_models"
FILES = sorted(FOLDER.glob("*.yaml"))
SETS = ("train", "math-500", "amc23", "minerva", "aime25", "olympiad")
NUM_TRAINING_PROMPTS = 7500
CARD_BYTES = 140 << 30


@pytest.fixture(scope="module")
def specs(tmp_path_factory: pytest.TempPathFactory) -> LocalSpecs:
    """Checks beside data files of the paper's sizes, whose rows are all alike."""
    folder = tmp_path_factory.mktemp("data")
    row = json.dumps({"problem": "What is 1+1?", "answer": "2"}) + "\n"
    for name in SETS:
        num_rows = NUM_TRAINING_PROMPTS if name == "train" else 30
        (folder / f"{name}.jsonl").write_text(row * num_rows)
    return LocalSpecs(folder)


def spec_of(path: Path) -> JobSpec:
    return resolve(read_spec_file(path))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_run_is_valid_and_fits_one_card(path: Path, specs: LocalSpecs):
    written = read_spec_file(path)
    model = written["model"]["source"].split("/")[1]
    written["model"]["source"] = str(CONFIGS / model)
    [estimate] = specs.estimate(written, []).estimates
    algorithm = spec_of(path).algorithm
    assert estimate.steps == -(-NUM_TRAINING_PROMPTS * 10 // algorithm.prompts_per_step)
    assert estimate.memory is not None
    assert estimate.memory.total < CARD_BYTES


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_run_has_the_papers_settings(path: Path):
    spec, name = spec_of(path), path.stem
    algorithm, evaluation = spec.algorithm, spec.evaluation
    assert algorithm.group_size == (16 if "16-grpo" in name else 2)
    prompts_per_update = 32 if "16-grpo" in name else 256
    assert algorithm.prompts_per_update == prompts_per_update
    assert spec.optimizer.peak(algorithm.prompts_per_update) == pytest.approx(
        1e-6 * prompts_per_update / 32
    )
    assert (spec.optimizer.warmup_steps, spec.optimizer.schedule) == (10, "constant")
    assert (algorithm.clip_low, algorithm.clip_high, algorithm.kl.beta) == (0.2, 0.28, 0)
    assert (spec.rollout.temperature, spec.rollout.top_p) == (1, 1)
    assert spec.rollout.max_tokens == (8192 if "deepseek" in name else 4096)
    assert algorithm.ties.policy == ("resample" if name.endswith("rs") else "drop")
    assert spec.budget.epochs == 10
    sampling = (evaluation.samples, evaluation.temperature, evaluation.top_p, evaluation.top_k)
    assert sampling == (32, 0.7, 0.8, 20)
    assert [source.name for source in spec.data.test_sources] == list(SETS[1:])


def test_verls_variant_differs_only_in_batch_loss_and_deviation():
    paper = spec_of(FOLDER / "qwen2.5-math-1.5b-2-grpo.yaml")
    verl = spec_of(FOLDER / "qwen2.5-math-1.5b-2-grpo-as-verl.yaml")
    advantage = paper.algorithm.advantage.model_copy(update={"std_ddof": 1, "eps": 1e-6})
    algorithm = {"prompts_per_step": 512, "minibatches": 2, "loss": "dapo"}
    expected = paper.model_copy(
        update={
            "name": verl.name,
            "algorithm": paper.algorithm.model_copy(update={**algorithm, "advantage": advantage}),
            "optimizer": paper.optimizer.model_copy(update={"weight_decay": 0.01}),
        }
    )
    assert verl == expected


def test_every_run_and_every_file_that_it_needs_is_listed():
    text = (FOLDER / "README.md").read_text()
    for name in (*(path.name for path in FILES), *(f"{name}.jsonl" for name in SETS)):
        assert f"`{name}`" in text
