"""Real vLLM and the transformers engine, on the built-in policy."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel

from grpo.builtin.catalogue import MODELS
from grpo.errors import RunError
from grpo.rollout.engines.engine import Completion, Request, RolloutEngine, Sampling
from grpo.rollout.engines.start import start_engine
from grpo.rollout.engines.vllm import MIN_BATCHED_TOKENS, VllmEngine, _finished, _logprobs
from grpo.rollout.engines.vllm_kernels import PROVIDER

pytestmark = [
    pytest.mark.timeout(240),  # the first start of vLLM on a machine is slow
    pytest.mark.filterwarnings("ignore"),  # vLLM's own, as it is imported
]

FOLDER = MODELS["tiny-arithmetic"].folder
NARROW = Sampling(temperature=0.7, top_p=0.8, top_k=20, max_tokens=16)
FREE = Sampling(temperature=1.0, top_p=1.0, top_k=0, max_tokens=48)
QUESTIONS = ["7+5+9=", "1+2+3+4+5+6=", "9+9+9=", "Zoë 世界 🙂", "a\x00b\x00", "\x00", "4+1+8+2="]


@pytest.fixture(scope="module", params=["vllm", "transformers"])
def engine(request: pytest.FixtureRequest) -> Iterator[RolloutEngine]:
    started = start(request.param, FOLDER)
    yield started
    started.close()


@pytest.fixture
def policy() -> PreTrainedModel:
    return AutoModelForCausalLM.from_pretrained(FOLDER, dtype=torch.float32).eval()


def start(
    name: str, folder: Path, *, max_batch: int = 64, max_model_tokens: int = 128
) -> RolloutEngine:
    return start_engine(
        name,  # pyright: ignore[reportArgumentType]
        model_folder=folder,
        tokenizer=AutoTokenizer.from_pretrained(FOLDER),
        dtype="float32",
        max_model_tokens=max_model_tokens,
        max_batch=max_batch,
        gpu_memory_fraction=0.3,
    )


def requests(num_siblings: int = 4) -> list[Request]:
    return [
        Request(tuple(question.encode()), seed=1000 * place + sibling)
        for place, question in enumerate(QUESTIONS)
        for sibling in range(num_siblings)
    ]


@torch.inference_mode()
def policy_logprobs(
    policy: PreTrainedModel, request: Request, completion: Completion, *, temperature: float = 1.0
) -> Tensor:
    """Return the policy's logprobs of one completion's tokens: [T]"""
    ids = torch.tensor([[*request.prompt_ids, *completion.token_ids]])
    num_prompt_tokens = len(request.prompt_ids)
    logits = policy(ids).logits[0, num_prompt_tokens - 1 : -1]  # [T, V]
    logprobs = (logits / temperature).log_softmax(dim=-1)
    return logprobs.gather(1, ids[0, num_prompt_tokens:, None])[:, 0]


def largest_gap(
    policy: PreTrainedModel,
    asked: Sequence[Request],
    completions: Sequence[Completion],
    *,
    temperature: float = 1.0,
) -> float:
    return max(
        float(
            (
                policy_logprobs(policy, request, completion, temperature=temperature)
                - torch.tensor(completion.sampler_logprobs)
            )
            .abs()
            .max()
        )
        for request, completion in zip(asked, completions, strict=True)
    )


def perturb(policy: PreTrainedModel) -> None:
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in policy.parameters():
            weight.add_(0.02 * weight.std() * torch.randn(weight.shape, generator=generator))


def test_a_completion_depends_on_its_prompt_and_seed_not_on_the_batch(engine: RolloutEngine):
    asked = requests()
    together = engine.generate(asked, FREE)
    assert engine.generate(asked, FREE) == together
    backwards = engine.generate(asked[::-1], FREE)[::-1]
    some = engine.generate(asked[::3], FREE)
    tokens = [completion.token_ids for completion in together]
    assert [completion.token_ids for completion in backwards] == tokens
    assert [completion.token_ids for completion in some] == tokens[::3]


def test_a_stream_that_is_closed_early_leaves_nothing_to_the_next(engine: RolloutEngine):
    asked = requests()
    whole = [completion.token_ids for completion in engine.generate(asked, FREE)]
    with closing(engine.stream(asked, FREE)) as stream:
        place, completion = next(stream)
    assert completion.token_ids == whole[place]
    assert [each.token_ids for each in engine.generate(asked, FREE)] == whole


def test_siblings_with_their_own_seeds_differ(engine: RolloutEngine):
    texts = {completion.token_ids for completion in engine.generate(requests(8)[8:16], FREE)}
    assert len(texts) > 1


def test_a_completion_ends_with_the_end_token_or_at_its_limit(engine: RolloutEngine):
    for completion in engine.generate(requests(), FREE):
        assert len(completion.token_ids) == len(completion.sampler_logprobs)
        assert 256 not in completion.token_ids[:-1]
        if completion.finish_reason == "stop":
            assert completion.token_ids[-1] == 256
        else:
            assert len(completion.token_ids) == 48
    short = engine.generate(requests()[:4], Sampling(1.0, 1.0, 0, max_tokens=3))
    assert {(len(each.token_ids), each.finish_reason) for each in short} == {(3, "length")}


def test_a_stop_string_ends_a_completion_with_the_token_that_completes_it(engine: RolloutEngine):
    asked = requests()
    free = engine.generate(asked, FREE)
    stop = ("#", "2;")  # the policy says 7+5=12;12+9=21#21; a token is a byte
    stopped = engine.generate(asked, replace(FREE, stop=stop))
    num_stopped = 0
    for whole, cut in zip(free, stopped, strict=True):
        said = bytes(token for token in whole.token_ids if token < 256)
        ends = [said.find(one.encode()) + len(one) for one in stop if one.encode() in said]
        if not ends:
            assert cut.token_ids == whole.token_ids
            continue
        num_stopped += 1
        assert cut.token_ids == whole.token_ids[: min(ends)]
        assert cut.sampler_logprobs == pytest.approx(whole.sampler_logprobs[: min(ends)], abs=1e-5)
        assert cut.finish_reason == "stop"
    assert num_stopped > len(asked) / 2


def test_the_sampler_logprobs_are_the_policys(engine: RolloutEngine, policy: PreTrainedModel):
    asked = requests()
    assert largest_gap(policy, asked, engine.generate(asked, FREE)) < 1e-4


def test_without_logprobs_the_same_tokens_are_drawn(engine: RolloutEngine):
    asked = requests()
    for sampling in (FREE, Sampling(0.7, 0.8, 20, max_tokens=16)):
        told = engine.generate(asked, sampling)
        untold = engine.generate(asked, replace(sampling, logprobs=False))
        assert untold == [replace(each, sampler_logprobs=()) for each in told]


def test_the_sampler_logprobs_are_of_the_distribution_after_temperature(
    engine: RolloutEngine, policy: PreTrainedModel
):
    asked = requests()
    completions = engine.generate(asked, Sampling(0.6, 1.0, 0, max_tokens=48))
    assert largest_gap(policy, asked, completions, temperature=0.6) < 1e-4
    assert largest_gap(policy, asked, completions, temperature=1.0) > 0.1


def test_greedy_decoding_takes_the_likeliest_token(engine: RolloutEngine, policy: PreTrainedModel):
    (asked, *_) = requests()
    (completion,) = engine.generate([asked], Sampling(0.0, 1.0, 0, max_tokens=48))
    ids = torch.tensor([[*asked.prompt_ids, *completion.token_ids]])
    with torch.inference_mode():
        likeliest = policy(ids).logits[0, len(asked.prompt_ids) - 1 : -1].argmax(dim=-1)
    assert completion.token_ids == tuple(likeliest.tolist())


def test_top_k_and_top_p_leave_out_unlikely_tokens(engine: RolloutEngine, policy: PreTrainedModel):
    asked = [Request(tuple(b"7+5+9="), seed=seed) for seed in range(64)]
    first = [
        each.token_ids[0] for each in engine.generate(asked, Sampling(2.0, 1.0, 2, max_tokens=1))
    ]
    with torch.inference_mode():
        likeliest = policy(torch.tensor([list(b"7+5+9=")])).logits[0, -1].topk(2).indices
    assert set(first) == set(likeliest.tolist())
    certain = engine.generate(asked, Sampling(2.0, 1e-6, 0, max_tokens=1))
    assert {each.token_ids[0] for each in certain} == {int(likeliest[0])}


def test_after_a_sync_the_engine_samples_the_new_policy(
    engine: RolloutEngine, policy: PreTrainedModel
):
    asked = requests()
    before = engine.generate(asked, FREE)
    old = policy.state_dict()
    new = AutoModelForCausalLM.from_pretrained(FOLDER, dtype=torch.float32).eval()
    perturb(new)
    engine.load_weights(new.state_dict())
    after = engine.generate(asked, FREE)
    engine.load_weights(old)
    again = engine.generate(asked, FREE)
    assert largest_gap(new, asked, after) < 1e-4
    assert largest_gap(policy, asked, after) > 0.01
    assert again == before


def test_sleep_and_wake_change_nothing(engine: RolloutEngine, policy: PreTrainedModel):
    before = engine.generate(requests(), FREE)
    engine.sleep()
    engine.wake_weights()
    engine.load_weights(policy.state_dict())
    engine.wake_cache()
    assert engine.generate(requests(), FREE) == before


def test_more_requests_than_fit_a_batch_are_drawn_in_order(engine: RolloutEngine):
    asked = requests(num_siblings=12)  # 84 requests, 64 at a time
    drawn = engine.generate(asked, FREE)
    alone = engine.generate(asked[-3:], FREE)
    assert [each.token_ids for each in drawn[-3:]] == [each.token_ids for each in alone]


@pytest.fixture(scope="module")
def long_vllm() -> Iterator[RolloutEngine]:
    """An engine for many requests of up to 320 tokens."""
    with closing(start("vllm", FOLDER, max_batch=256, max_model_tokens=320)) as started:
        yield started


def test_both_engines_draw_the_same_tokens(long_vllm: RolloutEngine):
    asked = requests(num_siblings=8)
    drawn: list[list[tuple[int, ...]]] = []
    with closing(start("transformers", FOLDER)) as plain:
        for engine in (long_vllm, plain):
            completions = [*engine.generate(asked, FREE), *engine.generate(asked, NARROW)]
            drawn.append([each.token_ids for each in completions])
    # A number can fall on a boundary that is rounded differently.
    differing = sum(one != other for one, other in zip(*drawn, strict=True))
    assert differing <= 1


def test_prompts_that_do_not_fit_a_batch_are_computed_in_parts(
    long_vllm: RolloutEngine, policy: PreTrainedModel
):
    prompts = [f"{first}+2+3+4+5+6+7+8=".encode() * 16 for first in range(100, 136)]  # 288 tokens
    assert sum(map(len, prompts)) > MIN_BATCHED_TOKENS
    asked = [Request(tuple(prompt), seed=seed) for seed, prompt in enumerate(prompts)]
    drawn = long_vllm.generate(asked, replace(FREE, max_tokens=8))
    assert largest_gap(policy, asked, drawn) < 1e-3


def test_vllm_computes_a_groups_prompt_once_and_to_the_same_bits(
    long_vllm: RolloutEngine, policy: PreTrainedModel
):
    assert isinstance(long_vllm, VllmEngine)
    prompt = tuple(b"1+2+3+4+5+6+7+8+9=" * 16)  # 288 tokens: two blocks of the cache and a bit
    asked = [Request(prompt, seed=sibling) for sibling in range(8)]
    short = replace(FREE, max_tokens=8)
    alone = long_vllm.generate(asked[:1], short)
    group = long_vllm.generate(asked, short)
    shared = long_vllm._llm.generate({"prompt_token_ids": list(prompt)}, use_tqdm=False)
    assert shared[0].num_cached_tokens == 256
    assert group[:1] == alone
    assert largest_gap(policy, asked, group) < 1e-3


NORMED = {
    "a batch": torch.randn(7, 48),
    "one row": torch.randn(1, 16),
    "heads": torch.randn(3, 4, 32),
    "heads of a joint projection": torch.randn(3, 6, 32)[:, 2:4],
    "no whole vectors": torch.randn(5, 12),
    "bfloat16": torch.randn(7, 64, dtype=torch.bfloat16),
}


@pytest.mark.parametrize("engine", ["vllm"], indirect=True)
@pytest.mark.parametrize("which", NORMED)
@pytest.mark.usefixtures("engine")
def test_vllms_kernels_of_norms_compute_as_its_plain_torch(which: str):
    from vllm.ir import ops

    assert ops.rms_norm.get_priority()[0] == ops.fused_add_rms_norm.get_priority()[0] == PROVIDER
    x, residual = NORMED[which].clone(), NORMED[which].flip(0).contiguous()
    weight = torch.linspace(0.5, 1.5, x.shape[-1]).to(x.dtype)
    plain = {name: op.impls["native"].impl_fn for name, op in ops.rms_norm.registry.items()}
    close = partial(torch.testing.assert_close, rtol=1.6e-2 if x.dtype != torch.float32 else 1e-5)
    close(ops.rms_norm(x, weight, 1e-6), plain["rms_norm"](x, weight, 1e-6), atol=1e-5)
    expected = plain["fused_add_rms_norm"](x, residual, weight, 1e-6)
    normed, total = ops.fused_add_rms_norm.maybe_inplace(x.clone(), residual, weight, 1e-6)
    close(normed, expected[0], atol=1e-2 if x.dtype != torch.float32 else 1e-5)
    close(total, expected[1], atol=1e-5)


@pytest.mark.parametrize(("reason", "tokens"), [("stop", ()), ("length", ()), ("stop", (256,))])
def test_a_completion_of_vllm_has_a_logprob_of_each_token(reason: str, tokens: tuple[int]):
    drawn = _finished(vllm_output(reason, tokens))
    assert tuple(drawn.token_ids) == tokens
    assert _logprobs(drawn) == (-0.5,) * len(tokens)


@pytest.mark.parametrize("reason", ["abort", "error", None])
def test_a_completion_that_vllm_gave_up_ends_the_run(reason: str | None):
    with pytest.raises(RunError, match="vLLM ended a completion with") as caught:
        _finished(vllm_output(reason, ()))
    assert caught.value.retryable


def vllm_output(reason: str | None, tokens: tuple[int, ...]) -> Any:
    from vllm.logprobs import FlatLogprobs, Logprob
    from vllm.outputs import CompletionOutput, RequestOutput

    logprobs = FlatLogprobs()
    logprobs.extend([{token: Logprob(-0.5)} for token in tokens])
    drawn = CompletionOutput(
        index=0,
        text="",
        token_ids=list(tokens),
        cumulative_logprob=None,
        logprobs=logprobs,
        finish_reason=reason,
    )
    return RequestOutput("0", None, [1], None, [drawn], finished=True)


@pytest.mark.parametrize("name", ["vllm", "transformers"])
def test_an_engine_that_cannot_start_reports_what_to_do(name: str, tmp_path: Path):
    (tmp_path / "config.json").write_text((FOLDER / "config.json").read_text())
    with pytest.raises(RunError, match=f"the rollout engine '{name}' did not start") as caught:
        start(name, tmp_path)  # a folder without weights
    assert caught.value.code == "rollout_engine_unavailable"
    assert caught.value.hint
