"""Checks before training that a model, its tokenizer and the spec's rewards are compatible."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from grpo.data.prompts import Prompt
from grpo.errors import RunError
from grpo.models.end_tokens import end_token_ids
from grpo.rewards.format import FormatReward
from grpo.rewards.multi import MultiReward
from grpo.rewards.reward import Reward
from grpo.spec.job import JobSpec

MOST_SHOWN = 5


def check_compatibility(
    spec: JobSpec,
    *,
    folder: Path,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[Prompt],
) -> list[str]:
    """Return compatibility warnings, each a sentence that names its subject.

    Raises:
        RunError: `model_unusable`, if training could not work.
    """
    num_embeddings = _num_embeddings(model)
    _refuse_prompts_beyond(num_embeddings, tokenizer, prompts)
    _refuse_endless(spec, end_token_ids(folder, tokenizer), num_embeddings)
    _refuse_special_marks(spec, tokenizer)
    return [*_tokens_beyond(num_embeddings, tokenizer), *_opened_tags(spec.rewards, prompts)]


def _num_embeddings(model: PreTrainedModel) -> int:
    weight = model.get_input_embeddings().weight
    assert isinstance(weight, Tensor)  # every language model has it
    return weight.shape[0]


def _refuse_prompts_beyond(
    num_embeddings: int, tokenizer: PreTrainedTokenizerBase, prompts: Sequence[Prompt]
) -> None:
    for prompt in prompts:
        beyond = max(prompt.token_ids)
        if beyond >= num_embeddings:
            token = tokenizer.convert_ids_to_tokens(beyond)
            raise _unfit(
                f"the prompt of row {prompt.row} of {prompt.source} has the token {token!r} with "
                f"id {beyond}, but the model has only {num_embeddings} embeddings"
            )


def _refuse_endless(spec: JobSpec, end_ids: Sequence[int], num_embeddings: int) -> None:
    reachable = [end_id for end_id in end_ids if end_id < num_embeddings]
    if reachable or spec.rollout.stop:
        return
    what = f"end token {end_ids[0]} beyond its embeddings" if end_ids else "no end token"
    raise RunError(
        "model_unusable",
        f"the model has {what}: every completion would be cut off at rollout.max_tokens",
        hint="Set eos_token in the tokenizer's config or eos_token_id in generation_config.json; "
        "or set rollout.stop.",
    )


def _refuse_special_marks(spec: JobSpec, tokenizer: PreTrainedTokenizerBase) -> None:
    """Refuse marks that are special tokens: a completion's text never contains them."""
    special = set(tokenizer.all_special_tokens)
    for where, mark in _marks(spec):
        if mark.strip() in special:
            raise RunError(
                "model_unusable",
                f"{where} looks for {mark!r}, a special token of this tokenizer that is "
                "never part of a completion's text",
                hint="Choose another mark; or make it an ordinary token with special: false in "
                "the tokenizer's added tokens.",
            )


def _tokens_beyond(num_embeddings: int, tokenizer: PreTrainedTokenizerBase) -> Iterator[str]:
    """Warn about tokens beyond the embeddings, except special ones such as an added padding
    token."""
    beyond = sorted(
        (token_id, token)
        for token, token_id in tokenizer.get_vocab().items()
        if token_id >= num_embeddings and token not in tokenizer.all_special_tokens
    )
    if beyond:
        shown = ", ".join(f"{token!r} ({token_id})" for token_id, token in beyond[:MOST_SHOWN])
        yield (
            f"the tokenizer has {len(beyond)} tokens beyond the model's {num_embeddings} "
            f"embeddings, which the model can neither read nor sample: {shown}"
        )


def _opened_tags(rewards: Sequence[Reward], prompts: Sequence[Prompt]) -> Iterator[str]:
    for reward in _single(rewards):
        if isinstance(reward, FormatReward):
            first = f"<{reward.tags[0]}>"
            num_opened = sum(prompt.opening == first for prompt in prompts)
            if num_opened:
                yield (
                    f"{num_opened} of {len(prompts)} prompts end with {first}, which the chat "
                    f"template or the data adds: the reward {reward.part!r} counts it as part of "
                    "the completion"
                )


def _marks(spec: JobSpec) -> Iterator[tuple[str, str]]:
    """Yield each setting that looks for a string in completions, and the string."""
    for mark in spec.rollout.stop:
        yield "rollout.stop", mark
    for reward in _single(spec.rewards):
        name = f"the reward {reward.part!r}"
        if isinstance(reward, FormatReward):
            for tag in reward.tags:
                yield name, f"<{tag}>"
                yield name, f"</{tag}>"
        after = getattr(reward, "after", None)
        if after is not None:
            yield name, after


def _single(rewards: Sequence[Reward]) -> Iterator[Reward]:
    for reward in rewards:
        yield from reward.rewards if isinstance(reward, MultiReward) else (reward,)


def _unfit(message: str) -> RunError:
    return RunError(
        "model_unusable", message, hint="Use the model with the tokenizer that it was trained with."
    )
