"""An evaluation with a real engine, over real prompts of several sources."""

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from threading import Semaphore

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerBase

from grpo.data.prompts import Prompt, load_prompts
from grpo.errors import RunError
from grpo.evaluation.held_out import choose_prompts, evaluate
from grpo.evaluation.pass_at_k import pass_at_k
from grpo.rewards.exact import ExactReward
from grpo.rewards.number import NumberReward
from grpo.rewards.reward import Case, Reward
from grpo.rollout.decoding import decode
from grpo.rollout.engines.engine import Request, RolloutEngine, Sampling, Stream
from grpo.rollout.engines.start import start_engine
from grpo.rollout.scorer import Scorer
from grpo.seeds import derive_seed
from grpo.spec.data import Data, DataSource
from grpo.spec.job import JobSpec
from grpo.spec.rollout import Evaluation, Rollout, Scoring
from tests.training.runs import ENVIRONMENT, make_tiny_model, small_spec, write_sums
from tests.unit.weightless_engine import WeightlessEngine
from tests.waiting import deadline

pytestmark = pytest.mark.filterwarnings("ignore")

SEED = 7
SAMPLED = Evaluation(samples=4, temperature=1.0, top_p=1.0, top_k=0)
SHORT = Rollout(max_tokens=2)
NUMBER = NumberReward(type="number")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    return AutoTokenizer.from_pretrained(folder)


@pytest.fixture(scope="module")
def engine(folder: Path, tokenizer: PreTrainedTokenizerBase) -> Iterator[RolloutEngine]:
    with closing(start(folder, tokenizer)) as started:
        yield started


def start(folder: Path, tokenizer: PreTrainedTokenizerBase) -> RolloutEngine:
    return start_engine(
        "transformers",
        model_folder=folder,
        tokenizer=tokenizer,
        dtype="float32",
        max_model_tokens=16,
        max_batch=64,
        gpu_memory_fraction=0.3,
    )


@pytest.fixture(scope="module")
def prompts(
    tmp_path_factory: pytest.TempPathFactory, tokenizer: PreTrainedTokenizerBase
) -> list[Prompt]:
    """20 sums, then three single digits; the last answer is not a number."""
    digits = tmp_path_factory.mktemp("data") / "digits.jsonl"
    rows = [{"question": f"{digit}=", "answer": digit} for digit in ("1", "2", "none")]
    digits.write_text("".join(json.dumps(row) + "\n" for row in rows))
    sums = write_sums(digits.parent / "sums.jsonl")
    sources = [DataSource(source=str(path)) for path in (sums, digits)]
    return load_prompts(sources, data=Data(), tokenizer=tokenizer, split="test").prompts


def measure(
    engine: RolloutEngine,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[Prompt],
    *,
    reward: Reward = NUMBER,
    evaluation: Evaluation = SAMPLED,
    rollout: Rollout = SHORT,
) -> dict[str, float]:
    scorer = Scorer([reward], Scoring(), allow_python=False)
    results = evaluate(
        engine,
        tokenizer,
        prompts,
        scorer,
        rewards=[reward],
        evaluation=evaluation,
        rollout=rollout,
        seed=SEED,
        stop=lambda: False,
    )
    scorer.close()
    return results


def texts(
    engine: RolloutEngine, tokenizer: PreTrainedTokenizerBase, prompts: Sequence[Prompt]
) -> list[list[str]]:
    """Return completions of an evaluation by prompt, with seeds by prompt and sibling."""
    sampling = Sampling(1.0, 1.0, 0, max_tokens=2)
    requests = [
        Request(prompt.token_ids, derive_seed(SEED, "eval", 0, prompt.index, sibling))
        for prompt in prompts
        for sibling in range(4)
    ]
    drawn = [
        decode(tokenizer, completion.token_ids, stop=())
        for completion in engine.generate(requests, sampling)
    ]
    return [drawn[place : place + 4] for place in range(0, len(drawn), 4)]


def test_accuracy_and_pass_at_k_match_the_seeded_completions(
    engine: RolloutEngine, tokenizer: PreTrainedTokenizerBase, prompts: list[Prompt]
):
    sums = prompts[:20]
    reward = ExactReward(type="exact")
    right = [
        sum(text.strip() == prompt.answer for text in drawn)
        for prompt, drawn in zip(sums, texts(engine, tokenizer, sums), strict=True)
    ]
    assert 0 < sum(right) < 80
    measured = measure(engine, tokenizer, sums, reward=reward)
    assert measured["eval/accuracy"] == sum(right) / 80
    assert measured["eval/pass@4"] == sum(one > 0 for one in right) / 20
    assert measured["eval/pass@2"] == pytest.approx(
        sum(pass_at_k(num_samples=4, num_right=one, k=2) for one in right) / 20
    )
    assert measured["eval/num_prompts"] == 20
    assert "eval/sums/accuracy" not in measured  # it is the only source


def test_sources_are_measured_apart_and_what_could_not_be_scored_is_counted(
    engine: RolloutEngine, tokenizer: PreTrainedTokenizerBase, prompts: list[Prompt]
):
    measured = measure(engine, tokenizer, prompts)
    assert measured["eval/num_failed"] == 4
    apart = [measured[f"eval/{source}/accuracy"] for source in ("sums", "digits")]
    assert measured["eval/accuracy"] == pytest.approx((20 * apart[0] + 3 * apart[1]) / 23)
    scored = [measured[f"eval/{source}/reward"] for source in ("sums", "digits")]
    assert measured["eval/reward"] == pytest.approx((20 * scored[0] + 2 * scored[1]) / 22)
    alone = measure(engine, tokenizer, prompts[:20])
    assert alone["eval/accuracy"] == apart[0]
    assert alone["eval/majority@4"] == measured["eval/sums/majority@4"]


def test_a_limit_takes_prompts_of_each_source_in_turn(prompts: list[Prompt]):
    chosen = choose_prompts(prompts, limit=8)
    assert [prompt.index for prompt in chosen] == [0, 20, 1, 21, 2, 22, 3, 4]
    assert choose_prompts(prompts[:20], limit=3) == prompts[:3]


def test_completions_are_as_long_as_in_training_by_default(
    engine: RolloutEngine, tokenizer: PreTrainedTokenizerBase, prompts: list[Prompt]
):
    training = Rollout(max_tokens=1)
    as_in_training = measure(engine, tokenizer, prompts[:8], rollout=training)
    assert as_in_training["eval/completions/mean_length"] == 1
    longer = SAMPLED.model_copy(update={"max_tokens": 4})
    measured = measure(engine, tokenizer, prompts[:8], evaluation=longer, rollout=training)
    assert 1 < measured["eval/completions/mean_length"] <= 4


def test_texts_end_before_a_stop_string(
    engine: RolloutEngine, tokenizer: PreTrainedTokenizerBase, prompts: list[Prompt]
):
    """Spec in which every character is a stop string: every text is empty, no answer is right."""
    stop = Rollout(max_tokens=2, stop=list("0123+="))
    measured = measure(engine, tokenizer, prompts[:20], rollout=stop)
    assert measured["eval/accuracy"] == 0


def test_an_evaluation_of_which_nothing_could_be_scored_names_the_reason(
    engine: RolloutEngine, tokenizer: PreTrainedTokenizerBase, prompts: list[Prompt]
):
    with pytest.raises(RunError, match="the answer 'none' contains no number") as refused:
        measure(engine, tokenizer, prompts[-1:])
    assert refused.value.code == "reward_failed"


def test_an_evaluation_of_a_model_of_nans_is_refused(
    tokenizer: PreTrainedTokenizerBase, prompts: list[Prompt], tmp_path: Path
):
    folder = make_tiny_model(tmp_path)
    model = AutoModelForCausalLM.from_pretrained(folder)
    model.model.norm.weight.data.fill_(torch.nan)
    model.save_pretrained(folder)
    with closing(start(folder, tokenizer)) as engine, pytest.raises(RunError) as refused:
        measure(engine, tokenizer, prompts[:20])
    assert refused.value.code == "model_unusable"


def test_completions_are_scored_while_others_are_drawn(
    engine: RolloutEngine, tokenizer: PreTrainedTokenizerBase, prompts: list[Prompt]
):
    """Engine that ends a prompt's completions once those of the prompt before are scored."""
    scored = Semaphore(0)

    class PatientEngine(WeightlessEngine):
        name = "patient"

        def stream(self, requests: Sequence[Request], sampling: Sampling) -> Stream:
            for place, completion in engine.stream(requests, sampling):
                yield place, completion
                if not sampling.logprobs and (place + 1) % SAMPLED.samples == 0:
                    assert all(scored.acquire(timeout=deadline(30)) for _ in range(SAMPLED.samples))

    class Noting(NumberReward):
        def score(self, case: Case) -> float:
            scored.release()
            return super().score(case)

    measured = measure(PatientEngine(), tokenizer, prompts[:20], reward=Noting(type="number"))
    assert measured == measure(engine, tokenizer, prompts[:20])


def eval_command(checkpoint: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "grpo", "eval", str(checkpoint), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=ENVIRONMENT)


def test_the_command_measures_the_runs_own_prompts_or_others_and_prints_every_metric(
    folder: Path, tokenizer: PreTrainedTokenizerBase, engine: RolloutEngine, tmp_path: Path
):
    rows = write_sums(tmp_path / "sums.jsonl")
    spec = small_spec(
        folder,
        rows,
        seed=SEED,
        rollout={"max_tokens": 2},
        evaluation=SAMPLED.model_dump(),
    )
    path = tmp_path / "spec.json"
    path.write_text(spec.model_dump_json())
    printed = eval_command(folder, "--spec", str(path), "--json")
    assert printed.returncode == 0, printed.stderr
    sums = load_prompts(spec.data.eval_sources, data=spec.data, tokenizer=tokenizer, split="test")
    assert json.loads(printed.stdout) == measure(engine, tokenizer, sums.prompts)

    shown = eval_command(folder, "--spec", str(path), "--data", str(rows)).stdout.splitlines()
    expected = json.loads(printed.stdout)
    assert [line.split()[0] for line in shown] == list(expected)
    assert [float(line.split()[1]) for line in shown] == pytest.approx(
        list(expected.values()), abs=5e-5
    )


def test_the_command_asks_for_data_where_the_spec_has_none(folder: Path, tmp_path: Path):
    path = tmp_path / "spec.json"
    path.write_text(JobSpec(preset=None).model_dump_json())
    refused = eval_command(folder, "--spec", str(path))
    assert refused.returncode == 2
    assert refused.stderr == "grpo: the spec has no data.eval: give --data\n"
