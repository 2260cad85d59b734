"""Estimate of a run's memory from its spec and the model's config, without torch.

Everything is counted as the trainer allocates it; only the overhead of the libraries and the C
allocator is measured, by `python -m bench.memory`.  The figures for a GPU follow from the same
counts and are unverified.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from typing import Any, Literal

from grpo.estimate.activations import (
    BFLOAT16,
    FLOAT32,
    Training,
    layer_bytes,
    passing_bytes,
    saved_bytes,
    working_bytes,
)
from grpo.estimate.architecture import Architecture, read_architecture
from grpo.spec.job import JobSpec
from grpo.spec.rollout import EngineName

Device = Literal["cpu", "cuda"]

MIB, GIB = 2**20, 2**30

# The trainer's constants; tests check that they are equal.
LOGITS_AT_ONCE = 2**26
COMPLETIONS_AT_ONCE = 512
VLLM_CPU_CACHE_BYTES = 1 * GIB

# Measured on Linux x86-64 with glibc 2.36, Python 3.11, torch 2.13 and transformers 5.19 without
# CUDA, and vLLM 0.32's build for the CPU: the memory of a run's process beyond all that is counted.
RUNTIME_BYTES: Mapping[EngineName, int] = {"transformers": 450 * MIB, "vllm": 820 * MIB}
# glibc cannot reuse a freed aligned block for one of the same size, so the blocks that a forward
# pass frees stay with the process as holes.  Larger blocks go back to the kernel.
LARGEST_HEAP_BLOCK = 32 * MIB
# Measured share of the holes that remains: after updates of one micro-batch; of several, where
# gradients lie between the holes; and with recomputed layers, which return most of it.
HOLES_OF_ONE, HOLES_OF_SEVERAL, HOLES_OF_CHECKPOINTING = 0.7, 1.0, 0.55
# On a GPU: CUDA's context and its libraries' kernels.  Unverified.
CUDA_CONTEXT_BYTES = 500 * MIB

# NF4 with double quantization: an 8-bit scale for 64 weights, and a 32-bit one for 256 scales.
BITS_A_WEIGHT = 4 + (8 + 32 / 256) / 64

LOGITS_COPIES = 5  # in the backward pass of log-softmax: measured


@dataclass(frozen=True)
class MemoryEstimate:
    """A run's memory by purpose [bytes], each at its own peak.

    Without a GPU it is all in the trainer's process.  With one it is on the card, and the engine,
    which takes `rollout.gpu_memory_fraction` of it, is asleep while the policy is updated.
    """

    weights: int
    gradients: int
    optimizer: int
    activations: int  # kept for the backward pass, with its working memory
    logits: int
    sums: int  # beside all gradients: the first layer, sums of gradients, the optimizer's own
    reference: int
    engine: int  # its weights and the cache, which it never frees
    rollout: int  # of the engine while it samples
    slack: int  # held by the C allocator between blocks in use
    runtime: int  # the libraries
    accumulates: bool  # an update has more than one such micro-batch: gradients lie beside it

    @property
    def kept(self) -> int:
        """Memory that the trainer holds at all times."""
        return self.weights + self.optimizer + self.reference

    @property
    def trainer_peak(self) -> int:
        """Peak memory of the trainer while it updates the policy."""
        backward = self.activations + self.logits + self.gradients * self.accumulates
        return self.kept + max(backward, self.gradients + self.sums) + self.slack

    @property
    def total(self) -> int:
        """Peak memory of the whole run: without a GPU it corresponds to `memory/peak_bytes`.

        Rollout and update take turns, but the heap keeps the holes of the one beside the other.
        """
        return self.runtime + self.engine + self.rollout + self.trainer_peak


def estimate_memory(
    spec: JobSpec,
    config: Mapping[str, Any],
    *,
    device: Device,
    token_budget: int,
    engine: EngineName,
) -> MemoryEstimate:
    """Estimate the most memory of a run, with prompts and completions at their maximum length.

    `config`: the model's config.json; `token_budget`: tokens of a micro-batch; `engine`: the one
    that `rollout.engine` resolves to.

    Raises:
        ValueError: the config lacks a size, or the model is a mixture of experts.
    """
    shape, width = read_architecture(config), compute_width(spec, device)
    training = Training(shape, spec.model.lora, spec.model.gradient_checkpointing, width)
    num_tokens, accumulates = _micro_batch(spec, token_budget)
    trained = training.num_trained_parameters
    logits = _head_bytes(spec, training, num_tokens)
    layer, working = layer_bytes(training, num_tokens), working_bytes(training, num_tokens)
    saved = saved_bytes(training, num_tokens)
    in_layers = layer * training.checkpointing + working
    # The head's gradient waits for a tied embedding's, or is the first that stays.
    waiting = 0 if accumulates and not shape.tied else _embedding_gradient(training)
    on_cpu = device == "cpu"
    return MemoryEstimate(
        weights=_weights_bytes(training),
        gradients=trained * FLOAT32,
        optimizer=spec.optimizer.state_bytes(
            num_weights=trained, num_embeddings=_embedding_gradient(training) // FLOAT32
        ),
        # The heap keeps what it took for the layers while logits, beyond it, come and go.
        activations=saved + (in_layers if on_cpu else max(0, waiting + in_layers - logits)),
        logits=logits,
        sums=max(_sums_bytes(training, device) + _fetched_bytes(spec, training), layer + working),
        reference=_reference_bytes(spec, shape),
        engine=_engine_bytes(shape, width, engine) if on_cpu else 0,
        rollout=_rollout_bytes(spec, shape, width) if on_cpu and engine == "transformers" else 0,
        slack=_slack_bytes(training, num_tokens, accumulates) if on_cpu else 0,
        runtime=RUNTIME_BYTES[engine] if on_cpu else CUDA_CONTEXT_BYTES,
        accumulates=accumulates,
    )


def compute_width(spec: JobSpec, device: Device) -> int:
    half = {"auto": device == "cuda", "bfloat16": True, "float16": True, "float32": False}[
        spec.model.dtype
    ]
    return BFLOAT16 if half else FLOAT32


def _weights_bytes(training: Training) -> int:
    """Return the bytes of the weights: trained ones are float32, frozen ones as computed with."""
    whole = training.architecture.num_parameters
    if training.lora is None:
        return whole * FLOAT32
    adapter = training.num_adapter_parameters * FLOAT32
    if not training.lora.base_4bit:
        return whole * training.bytes_a_number + adapter
    in_4_bits = sum(linear.inputs * linear.outputs for linear in training.architecture.linears)
    in_4_bits *= training.architecture.num_layers
    rest = (whole - in_4_bits) * training.bytes_a_number
    return rest + int(in_4_bits * BITS_A_WEIGHT / 8) + adapter


def _micro_batch(spec: JobSpec, token_budget: int) -> tuple[int, bool]:
    """Return the most tokens of a micro-batch, and whether an update may have a second as large."""
    algorithm = spec.algorithm
    row = spec.data.max_prompt_tokens + spec.rollout.max_tokens
    grows = algorithm.ties.policy == "grow"
    group = algorithm.ties.grow_limit if grows else algorithm.group_size
    update = ceil(algorithm.prompts_per_update) * group * row
    together = min(update, max(row, token_budget))  # a longer row is a micro-batch of its own
    return together, update >= 2 * together


def _head_bytes(spec: JobSpec, training: Training, num_tokens: int) -> int:
    """Return the most bytes at the head: a chunk's logits, the gradient of its weight, which is
    summed over chunks."""
    shape = training.architecture
    prompt, completion = spec.data.max_prompt_tokens, spec.rollout.max_tokens
    num_predicted = ceil(num_tokens * completion / (prompt + completion))
    chunk = min(num_predicted, max(1, LOGITS_AT_ONCE // shape.vocabulary))
    logits = chunk * shape.vocabulary * FLOAT32
    # Chunks share one copy of the weight, in whose precision their gradients are summed.
    width = FLOAT32 if spec.model.float32_head else training.bytes_a_number
    gradient = _embedding_gradient(training) * width // FLOAT32
    before = gradient if num_predicted > chunk else 0  # the sum of the chunks before
    # Without checkpointing the copy is counted with the layers'.
    copy = gradient if training.copies_weights and training.checkpointing else 0
    if training.copies_adapted and spec.model.float32_head:
        copy = shape.num_embedding_parameters * FLOAT32
    return before + max(copy + LOGITS_COPIES * logits, 2 * logits + gradient + before)


def _embedding_gradient(training: Training) -> int:
    """Return the bytes of the embedding's gradient; an adapter leaves the embedding frozen."""
    shape = training.architecture
    return 0 if training.lora else shape.num_embedding_parameters * FLOAT32


def _sums_bytes(training: Training, device: Device) -> int:
    """Return the bytes beside gradients once activations are freed: a tied embedding's gradient is
    the sum of two parts; the optimizer works weight by weight, or on a GPU in one kernel."""
    shape = training.architecture
    embedding = _embedding_gradient(training)
    arriving = (3 if shape.tied else 1) * embedding
    return arriving if device == "cuda" else max(arriving, 2 * embedding)


def _fetched_bytes(spec: JobSpec, training: Training) -> int:
    """Return the bytes of the offloaded moments of the part that is being updated: a layer's, or
    the embedding's."""
    if not spec.optimizer.offload:
        return 0
    num_layers = training.architecture.num_layers
    embedding = _embedding_gradient(training) // FLOAT32
    in_layers = training.num_trained_parameters - embedding
    return 8 * max(embedding, in_layers // num_layers)


def _reference_bytes(spec: JobSpec, shape: Architecture) -> int:
    """Return the reference's bytes; the reference of an adapter is its base and takes none."""
    needed = spec.algorithm.kl.beta > 0 and spec.model.lora is None
    return shape.num_parameters * FLOAT32 if needed else 0


def _engine_bytes(shape: Architecture, width: int, engine: EngineName) -> int:
    weights = shape.num_parameters * width
    return weights + (VLLM_CPU_CACHE_BYTES if engine == "vllm" else 0)


def _rollout_bytes(spec: JobSpec, shape: Architecture, width: int) -> int:
    """Return the transformers engine's bytes: its cache of keys and values, which grows with the
    completions and is copied a layer at a time; a layer's work; the draw from the vocabulary."""
    algorithm = spec.algorithm
    rows = min(algorithm.prompts_per_step * algorithm.group_size, COMPLETIONS_AT_ONCE)
    prompt = spec.data.max_prompt_tokens
    longest = prompt + max(spec.rollout.max_tokens, spec.evaluation.max_tokens or 0)
    a_token = 2 * shape.kv_width * width  # of one layer's cache
    prefill = (
        rows
        * prompt
        * (shape.num_layers * a_token + (3 * shape.hidden + 3 * shape.intermediate) * width)
    )
    again = a_token + 2 * shape.query_width * width  # and repeated for all heads
    decode = rows * longest * (shape.num_layers * a_token + again)
    draw = rows * shape.vocabulary * (2 * FLOAT32 + 2 * 8)  # logits, logprobs, sums in float64
    return max(prefill, decode + draw)


def _slack_bytes(training: Training, num_tokens: int, accumulates: bool) -> int:
    share = HOLES_OF_SEVERAL if accumulates else HOLES_OF_ONE
    if training.checkpointing:
        share = HOLES_OF_CHECKPOINTING
    passing = passing_bytes(training, num_tokens, largest_block=LARGEST_HEAP_BLOCK)
    return int(share * passing)
