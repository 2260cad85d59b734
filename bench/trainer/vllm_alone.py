"""vLLM by itself on the same requests, through `LLM.generate`."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.turns import Turns
from grpo.rollout.engines.engine import Request
from grpo.spec.job import JobSpec

if TYPE_CHECKING:
    from vllm import SamplingParams

BATCH_TOKENS = 8192
SHARE_OF_GPU = 0.3


def play(
    turns: Turns, spec: JobSpec, model: Path, seeded: bool, batches: Sequence[Sequence[Request]]
) -> None:
    """Generate the batches of the requested indices and report their numbers of tokens.

    `seeded`: exactly Duet's requests, on an engine with Duet's settings.  Otherwise requests have
    no seed, and the engine has vLLM's default settings, with compiled graphs.
    """
    import torch
    from vllm import LLM

    from grpo.assembly import precision

    # Beside the engine that it is compared with.
    share = {"gpu_memory_utilization": SHARE_OF_GPU} if torch.cuda.is_available() else {}
    llm = LLM(
        model=str(model),
        dtype=precision(spec),
        max_model_len=spec.data.max_prompt_tokens + spec.rollout.max_tokens,
        max_num_seqs=max(map(len, batches)),
        disable_log_stats=True,
        **share,
        **(_seeded_settings() if seeded else {}),
    )
    prompts = [
        [{"prompt_token_ids": list(request.prompt_ids)} for request in batch] for batch in batches
    ]
    parameters = [
        [_parameters(spec, request, seeded=seeded) for request in batch] for batch in batches
    ]
    said = None
    while True:
        place = turns.next(said)
        outputs = llm.generate(prompts[place], parameters[place], use_tqdm=False)
        said = sum(len(output.outputs[0].token_ids) for output in outputs)


def _seeded_settings() -> dict[str, Any]:
    """Return engine settings: with seeds the CPU engine needs unchunked prefills."""
    return {
        "enforce_eager": True,
        "enable_chunked_prefill": False,
        "max_num_batched_tokens": BATCH_TOKENS,
    }


def _parameters(spec: JobSpec, request: Request, *, seeded: bool) -> "SamplingParams":
    from vllm import SamplingParams

    return SamplingParams(
        seed=request.seed if seeded else None,
        temperature=spec.rollout.temperature,
        max_tokens=spec.rollout.max_tokens,
        detokenize=False,
    )
