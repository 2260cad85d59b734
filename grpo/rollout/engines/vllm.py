"""The default engine: vLLM in the trainer's process.

The tests run the CPU path.  The GPU path (sleep and wake, compiled graphs, the engine's own
dtype) follows vLLM 0.32's documentation (https://docs.vllm.ai/en/latest/features/sleep_mode/) and
is unverified.
"""

import logging
import os
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from grpo.errors import RunError
from grpo.models.context import context_override, read_config
from grpo.rollout.engines.engine import (
    Completion,
    Request,
    RolloutEngine,
    Sampling,
    Stream,
)
from grpo.rollout.engines.vllm_draws import SLOT, DrawTable, processor_of
from grpo.rollout.engines.vllm_kernels import offer_cpu_kernels
from grpo.rollout.engines.vllm_weights import repack_experts, stale_weights
from grpo.runtime.garbage import collection_paused

if TYPE_CHECKING:
    from vllm import LLM, RequestOutput, SamplingParams
    from vllm.config.model import ModelDType
    from vllm.logprobs import FlatLogprobs
    from vllm.outputs import CompletionOutput

ENVIRONMENT = {
    # In-process: the weights are passed as tensors, and a request's draw is reproducible.
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "VLLM_LOGGING_LEVEL": "WARNING",
    "VLLM_NO_USAGE_STATS": "1",
    # Binding threads to cores would also pin the trainer's, which share the process.
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "VLLM_CPU_KVCACHE_SPACE": "1",  # GiB
}
MIN_BATCHED_TOKENS = 8192
BATCHES_IN_FLIGHT = 2
"""Requests that vLLM holds, running or waiting, in batches: enough to fill one that has room."""
LOADING_LOGGERS = (
    "vllm.model_executor.model_loader.reload.layerwise",
    "vllm.model_executor.models.utils",
)
NO_NEWS = ("RotaryEmbedding: Failed to load", "Attempted to load weight")


def start_vllm(
    *,
    model_folder: Path,
    tokenizer: PreTrainedTokenizerBase,
    end_ids: tuple[int, ...],
    dtype: str,
    max_model_tokens: int,
    max_batch: int,
    gpu_memory_fraction: float,
    context_tokens: int | None,
) -> "VllmEngine":
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    # vLLM reads the environment when it is imported.
    with collection_paused():
        from vllm import LLM
        from vllm.platforms import current_platform

    for logger in LOADING_LOGGERS:
        logging.getLogger(logger).addFilter(_is_news)
    # vLLM runs architectures that it does not implement through transformers' classes, which it
    # decorates in place.  The decorated call reads an attribute of each instance, `do_not_compile`,
    # which the policy, created earlier, lacks: the trainer's forward pass would fail.
    PreTrainedModel.do_not_compile = True  # pyright: ignore[reportAttributeAccessIssue]
    on_cpu = current_platform.is_cpu()
    table = DrawTable() if on_cpu else None  # a GPU's sampler draws by seed at no cost
    set_num_threads = torch.set_num_threads
    llm = LLM(
        model=str(model_folder),
        tokenizer=tokenizer.name_or_path,
        dtype=cast("ModelDType", dtype),
        load_format="safetensors",
        max_model_len=max_model_tokens,
        hf_overrides=overrides_of(model_folder, context_tokens, max_model_tokens),
        max_num_seqs=max_batch,
        max_num_batched_tokens=max(MIN_BATCHED_TOKENS, max_model_tokens),
        # Logprobs under the distribution sampled from, after temperature, as the ratio needs.
        logprobs_mode="processed_logprobs",
        enable_prefix_caching=True,  # a group's prompt is computed once
        disable_log_stats=True,
        use_tqdm_on_load=False,
        logits_processors=[] if table is None else [processor_of(table)],
        **(_cpu_settings(offer_cpu_kernels()) if on_cpu else _gpu_settings(gpu_memory_fraction)),
    )
    # vLLM's CPU worker replaces this function with one that only warns; the trainer needs it.
    torch.set_num_threads = set_num_threads
    return VllmEngine(llm, end_ids=end_ids, can_sleep=not on_cpu, max_batch=max_batch, table=table)


def overrides_of(
    model_folder: Path, context_tokens: int | None, max_model_tokens: int
) -> dict[str, Any]:
    """Return the config's fields to override.  vLLM computes a table of rotations for the whole
    context, so a context beyond the model's own is set to the longest sequence only."""
    if context_tokens is None:
        return {}
    return context_override(read_config(model_folder), min(context_tokens, max_model_tokens))


def _is_news(record: logging.LogRecord) -> bool:
    """Whether a log record is worth showing: each reload warns that rotary embeddings, which have
    no weights, received none, and that float32 weights are cast to the engine's dtype."""
    return not any(text in record.getMessage() for text in NO_NEWS)


def _cpu_settings(op_priority: Mapping[str, list[str]]) -> dict[str, Any]:
    return {
        "enforce_eager": True,
        "ir_op_priority": dict(op_priority),
    }


def _gpu_settings(memory_fraction: float) -> dict[str, Any]:
    return {"gpu_memory_utilization": memory_fraction, "enable_sleep_mode": True}


class VllmEngine(RolloutEngine):
    """An `LLM` that takes the policy's weights after every step."""

    name = "vllm"

    def __init__(
        self,
        llm: "LLM",
        *,
        end_ids: tuple[int, ...],
        can_sleep: bool,
        max_batch: int,
        table: DrawTable | None,
    ) -> None:
        """`table`: draws tokens in place of vLLM's sampler."""
        self._llm = llm
        self._end_ids = list(end_ids)
        self._can_sleep = can_sleep
        self._max_in_flight = BATCHES_IN_FLIGHT * max_batch
        self._table = table

    def stream(self, requests: Sequence[Request], sampling: Sampling) -> Stream:
        engine = self._llm.llm_engine
        waiting = iter(enumerate(requests))
        running: dict[str, int | None] = {}  # slots by the requests' places, which are vLLM's names
        if self._table is not None:
            self._table.begin(sampling, num_slots=min(len(requests), self._max_in_flight))
        try:
            while True:
                for place, request in islice(waiting, self._max_in_flight - len(running)):
                    running[str(place)] = self._add(str(place), request, sampling)
                if not running:
                    return
                for output in engine.step():
                    if output.finished:
                        slot = running.pop(output.request_id)
                        drawn = _finished(cast("RequestOutput", output))
                        yield int(output.request_id), self._completion(drawn, slot, sampling)
        except GeneratorExit:
            engine.abort_request(list(running))
            raise

    def _add(self, name: str, request: Request, sampling: Sampling) -> int | None:
        from vllm.inputs.engine import tokens_input

        slot = None if self._table is None else self._table.add(request)
        self._llm.llm_engine.add_request(
            name, tokens_input(list(request.prompt_ids)), self._parameters(request, slot, sampling)
        )
        return slot

    def _completion(
        self, drawn: "CompletionOutput", slot: int | None, sampling: Sampling
    ) -> Completion:
        logprobs = _logprobs(drawn)
        if self._table is not None and slot is not None:
            logprobs = self._table.remove(slot, num_tokens=len(drawn.token_ids))
        return Completion(
            token_ids=tuple(drawn.token_ids),
            sampler_logprobs=logprobs if sampling.logprobs else (),
            finish_reason="stop" if drawn.finish_reason == "stop" else "length",
        )

    def load_weights(self, weights: Mapping[str, Tensor]) -> None:
        # The CPU engine keeps a packed copy of a tied head, which only `lm_head.weight` renews:
        # a state_dict() has it, a saved folder and named_parameters() do not.
        self._llm.collective_rpc(
            "reload_weights", kwargs={"weights_iterator": iter(weights.items())}
        )
        self._llm.apply_model(repack_experts)
        if not self._llm.reset_prefix_cache():
            raise RunError(
                "rollout_engine_failed",
                "vLLM kept cached prefixes of the old weights",
                hint="Report it with the versions of vLLM and torch.",
            )

    def stale_weights(
        self, weights: Mapping[str, Tensor], *, names: Collection[str] | None
    ) -> list[str]:
        (stale,) = self._llm.apply_model(
            lambda model: stale_weights(model, weights, names=names)  # there is one worker
        )
        return stale

    def sleep(self) -> None:
        if self._can_sleep:
            # Level 2 discards the weights, which are replaced before the engine is used again:
            # level 1 would copy them to host memory and back needlessly.  vLLM keeps the model's
            # buffers and restores them when the weights' memory wakes.
            self._llm.sleep(level=2)

    def wake_weights(self) -> None:
        if self._asleep():
            self._llm.wake_up(tags=["weights"])

    def wake_cache(self) -> None:
        if self._asleep():
            self._llm.wake_up(tags=["kv_cache"])

    def close(self) -> None:
        if self._asleep():
            # On CUDA vLLM frees its memory as if it were mapped.  If there is no room to map it,
            # the process's exit frees it; the error that ended the update is the one to report.
            torch.cuda.empty_cache()
            with suppress(RuntimeError):
                self._llm.wake_up()
        self._llm.llm_engine.engine_core.shutdown()
        del self._llm

    def _asleep(self) -> bool:
        """Whether the engine is asleep, in whole or in part."""
        return self._can_sleep and self._llm.llm_engine.is_sleeping()

    def _parameters(
        self, request: Request, slot: int | None, sampling: Sampling
    ) -> "SamplingParams":
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind

        common: dict[str, Any] = {
            "output_kind": RequestOutputKind.FINAL_ONLY,
            "n": 1,  # n = k with one seed would use seed + i, which overlap between groups
            "max_tokens": sampling.max_tokens,
            "stop_token_ids": self._end_ids,
            "stop": list(sampling.stop),
            "detokenize": bool(sampling.stop),  # the text is only searched for stop strings
        }
        if slot is not None:
            return SamplingParams(**common, temperature=0, extra_args={SLOT: slot})
        return SamplingParams(
            **common,
            seed=request.seed,
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            top_k=sampling.top_k,
            logprobs=0 if sampling.logprobs else None,  # 0: only the drawn token's
            flat_logprobs=True,  # lists of numbers instead of a dictionary for each token
        )


def _finished(output: "RequestOutput") -> "CompletionOutput":
    (drawn,) = output.outputs
    if drawn.finish_reason not in ("stop", "length"):
        raise RunError(
            "rollout_engine_failed",
            f"vLLM ended a completion with finish_reason {drawn.finish_reason!r}",
            hint="vLLM's messages are in log.txt.",
        )
    return drawn


def _logprobs(drawn: "CompletionOutput") -> tuple[float, ...]:
    """Return the logprob of each drawn token; none where the request asked for none."""
    if drawn.logprobs is None:
        return ()
    logprobs = cast("FlatLogprobs", drawn.logprobs).logprobs
    assert len(logprobs) == len(drawn.token_ids)
    return tuple(logprobs)
