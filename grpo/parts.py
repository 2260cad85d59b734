"""The parts of a run: made once by `grpo.assembly`, used by the trainer and its checkpoints."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from transformers import PreTrainedTokenizerBase

from grpo.data.prompts import Prompt, PromptSet
from grpo.models.policy import Policy
from grpo.models.reference import Reference
from grpo.rollout.baseline_memory import BaselineMemory
from grpo.rollout.engines.engine import RolloutEngine
from grpo.rollout.scorer import Scorer


@dataclass(frozen=True)
class Parts:
    """Model, optimizer, engine, rewards and data of a run."""

    policy: Policy
    optimizer: torch.optim.Optimizer
    reference: Reference | None  # where kl.beta > 0
    engine: RolloutEngine
    tokenizer: PreTrainedTokenizerBase
    scorer: Scorer
    training: PromptSet
    held_out: Sequence[Prompt]  # empty: no evaluation
    memory: BaselineMemory | None = None  # where advantage.baseline is memory
    tested: Sequence[Prompt] = ()  # evaluated only at the end, and only reported
