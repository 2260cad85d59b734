"""The reference engine: plain transformers, slow, and exact enough to test the others against."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, PreTrainedTokenizerBase
from transformers.generation.logits_process import LogitsProcessorList

from grpo.models.context import config_with_context
from grpo.rollout.engines.drawn_tokens import uniform_numbers, warpers_of
from grpo.rollout.engines.engine import (
    Completion,
    Request,
    RolloutEngine,
    Sampling,
    Stream,
)


def start_transformers(
    *,
    model_folder: Path,
    tokenizer: PreTrainedTokenizerBase,
    end_ids: tuple[int, ...],
    dtype: str,
    max_model_tokens: int,  # noqa: ARG001 - the cache grows on demand
    max_batch: int,
    gpu_memory_fraction: float,  # noqa: ARG001
    context_tokens: int | None,
) -> "TransformersEngine":
    override = context_tokens is not None
    model = AutoModelForCausalLM.from_pretrained(
        model_folder,
        config=config_with_context(model_folder, context_tokens) if override else None,
        dtype=getattr(torch, dtype),
        local_files_only=True,
        use_safetensors=True,
    )
    return TransformersEngine(model, tokenizer, end_ids=end_ids, max_batch=max_batch)


class TransformersEngine(RolloutEngine):
    """Draws a batch of completions token by token, with its own copy of the weights."""

    name = "transformers"

    def __init__(
        self,
        model: nn.Module,
        tokenizer: PreTrainedTokenizerBase,
        *,
        end_ids: tuple[int, ...],
        max_batch: int,
    ) -> None:
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._model = model.to(self._device).eval()
        self._tokenizer = tokenizer
        self._end_ids = torch.tensor(end_ids, device=self._device)
        self._max_batch = max_batch

    def stream(self, requests: Sequence[Request], sampling: Sampling) -> Stream:
        for start in range(0, len(requests), self._max_batch):
            batch = requests[start : start + self._max_batch]
            yield from enumerate(self._generate_batch(batch, sampling), start)

    def load_weights(self, weights: Mapping[str, Tensor]) -> None:
        self._model.load_state_dict(weights)

    def stale_weights(
        self, weights: Mapping[str, Tensor], *, names: Collection[str] | None
    ) -> list[str]:
        own = self._model.state_dict()
        return [
            name
            for name in (own if names is None else names)
            if name not in weights or not torch.equal(weights[name].to(own[name].dtype), own[name])
        ]

    def sleep(self) -> None:
        self._model.to("cpu")
        torch.cuda.empty_cache()  # does nothing without a GPU

    def wake_weights(self) -> None:
        self._model.to(self._device)

    def wake_cache(self) -> None:
        """Do nothing: the cache does not outlive a call."""

    def close(self) -> None:
        del self._model

    @torch.inference_mode()
    def _generate_batch(self, requests: Sequence[Request], sampling: Sampling) -> list[Completion]:
        ids, mask = _pad_left([request.prompt_ids for request in requests])  # [B, prompt]
        ids, mask = ids.to(self._device), mask.to(self._device)
        draws = _uniform_draws(requests, sampling.max_tokens).to(self._device)  # [B, max_tokens]
        warpers = warpers_of(sampling)
        lengths = torch.zeros(len(requests), dtype=torch.long)  # [B]; 0: unfinished
        tokens, logprobs, cache = [], [], None
        for draw in draws.unbind(dim=1):
            output = self._model(
                input_ids=ids,
                attention_mask=mask,
                position_ids=(mask.cumsum(dim=1) - 1).clamp(min=0)[:, -ids.shape[1] :],
                past_key_values=cache,
                use_cache=True,
                logits_to_keep=1,
            )
            cache = output.past_key_values
            drawn, drawn_logprobs = _draw(output.logits[:, -1], draw, warpers)  # [B], [B]
            tokens.append(drawn)
            logprobs.append(drawn_logprobs)
            ended = torch.isin(drawn, self._end_ids).cpu() | self._stopped(
                sampling.stop, tokens, lengths
            )
            lengths[ended & (lengths == 0)] = len(tokens)
            if lengths.all():
                break
            ids = drawn[:, None]  # [B, 1]
            mask = torch.cat([mask, torch.ones_like(ids)], dim=1)
        return [
            Completion(
                token_ids=tuple(row_tokens[: length or None]),
                sampler_logprobs=tuple(row_logprobs[: length or None]) if sampling.logprobs else (),
                finish_reason="stop" if length else "length",
            )
            for row_tokens, row_logprobs, length in zip(
                torch.stack(tokens, dim=1).tolist(),
                torch.stack(logprobs, dim=1).tolist(),
                lengths.tolist(),
                strict=True,
            )
        ]

    def _stopped(self, stop: Sequence[str], tokens: Sequence[Tensor], lengths: Tensor) -> Tensor:
        """Whether the text of each unfinished row contains a stop string.

        tokens: [B] at each position, lengths: [B] -> bool [B].  Each text is decoded whole after
        every token: slow, but correct for every tokenizer.
        """
        stopped = torch.zeros(len(lengths), dtype=torch.bool)  # [B]
        if not stop:
            return stopped
        so_far = torch.stack(list(tokens), dim=1).tolist()  # [B, positions]
        for row in (lengths == 0).nonzero()[:, 0].tolist():
            text = str(self._tokenizer.decode(so_far[row], skip_special_tokens=True))
            stopped[row] = any(one in text for one in stop)
        return stopped


def _pad_left(rows: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    """Return token ids and their mask, both [rows, longest]; masked ids are arbitrary."""
    longest = max(map(len, rows))
    ids = torch.zeros((len(rows), longest), dtype=torch.long)
    mask = torch.zeros_like(ids)
    for row, row_ids in enumerate(rows):
        ids[row, longest - len(row_ids) :] = torch.tensor(row_ids)
        mask[row, longest - len(row_ids) :] = 1
    return ids, mask


def _uniform_draws(requests: Sequence[Request], max_tokens: int) -> Tensor:
    """Return [B, max_tokens] in [0, 1), each row from its request's seed alone."""
    return torch.stack([uniform_numbers(request.seed, max_tokens) for request in requests])


def _draw(logits: Tensor, draw: Tensor, warpers: LogitsProcessorList) -> tuple[Tensor, Tensor]:
    """Return the token at which the cumulative probability passes the draw, and its logprob.

    Logits that are not finite give a token all the same, with a logprob that is not finite.

    logits: [B, V], draw: [B] in [0, 1) -> tokens [B], logprobs [B]
    """
    warped = warpers(None, logits.float())  # pyright: ignore[reportArgumentType] - no warper reads ids
    logprobs = warped.log_softmax(dim=-1)  # [B, V]
    cumulative = logprobs.double().exp().cumsum(dim=-1)  # [B, V], ends near 1
    target = draw[:, None] * cumulative[:, -1:]  # [B, 1]
    tokens = torch.searchsorted(cumulative, target, right=True)  # [B, 1]
    tokens = tokens.clamp(max=logits.shape[-1] - 1)
    return tokens[:, 0], logprobs.gather(1, tokens)[:, 0]
