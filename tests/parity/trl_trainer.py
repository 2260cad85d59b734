"""TRL's own GRPOTrainer with given completions and logprobs in place of a model's."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from torch import Tensor, nn

from grpo.spec.algorithm import Algorithm
from tests.training.runs import CHARACTERS, END, make_tiny_model

MAX_TOKENS = 6
END_ID = len([*CHARACTERS, END]) - 1


@dataclass(frozen=True)
class Batch:
    """Groups of k completions, and what each party holds of their T tokens, laid end to end."""

    group_size: int
    lengths: Tensor  # int [N]
    truncated: Tensor  # bool [N]
    rewards: Tensor  # float64 [N]
    sampler_logprobs: Tensor  # [T], as all below
    old_logprobs: Tensor
    reference_logprobs: Tensor
    policy_logprobs: Tensor

    def rows(self, of_tokens: Tensor) -> list[Tensor]:
        return list(of_tokens.split(self.lengths.tolist()))


def random_batch(seed: int, *, group_size: int, num_groups: int = 4) -> Batch:
    """Ragged completions, some cut off; ratios on both sides of every bound; a tied group."""
    generator = torch.Generator().manual_seed(seed)
    num = group_size * num_groups
    lengths = torch.randint(1, MAX_TOKENS + 1, (num,), generator=generator)
    rewards = torch.randint(0, 5, (num,), generator=generator).double() / 4  # exact in float32
    rewards[:group_size] = 0.25
    sampler = -3 * torch.rand(int(lengths.sum()), generator=generator) - 0.01

    def moved(logprobs: Tensor, by: float) -> Tensor:
        noise = torch.randn(len(logprobs), generator=generator, dtype=torch.float64)
        return logprobs + by * noise

    old = moved(sampler.double(), 0.6)
    return Batch(
        group_size=group_size,
        lengths=lengths,
        truncated=torch.rand(num, generator=generator) < 0.3,
        rewards=rewards,
        sampler_logprobs=sampler.double(),
        old_logprobs=old,
        reference_logprobs=moved(old, 0.5),
        policy_logprobs=moved(old, 0.4),
    )


@dataclass(frozen=True)
class TrlUpdate:
    """TRL's results for one minibatch of a batch."""

    loss: float
    gradient: Tensor  # with respect to the policy's logprobs: [T] of the minibatch's tokens
    advantages: Tensor  # [R]
    metrics: dict[str, float]


class Trl:
    """A trainer as built by TRL.  Only the model's and the engine's parts are supplied."""

    def __init__(self, folder: Path) -> None:
        from trl.trainer.grpo_config import GRPOConfig
        from trl.trainer.grpo_trainer import GRPOTrainer  # warns while it is imported

        self.trainer: Any = GRPOTrainer(
            model=str(make_tiny_model(folder / "model")),
            reward_funcs=lambda reward, **_: reward,
            args=GRPOConfig(
                output_dir=str(folder / "out"),
                per_device_train_batch_size=8,
                num_generations=2,
                max_completion_length=MAX_TOKENS,
                use_cpu=True,
                bf16=False,
                report_to=[],
            ),
            train_dataset=Dataset.from_list([{"prompt": "1+1=", "reward": 0.0}] * 8),
        )
        self.trainer.model.train()
        self.trainer.ref_model = nn.Identity()
        self.policy = nn.Identity()

    def updates(self, batch: Batch, algorithm: Algorithm) -> Iterator[TrlUpdate]:
        """Score a batch of completions with TRL and compute the loss of each minibatch."""
        from trl.trainer.utils import split_tensor_dict

        self._configure(algorithm, group_size=batch.group_size)
        held = {
            self.trainer.model: batch.old_logprobs,
            self.trainer.ref_model: batch.reference_logprobs,
        }
        self._supply(batch, held)
        inputs = [{"prompt": "1+1=", "reward": reward} for reward in batch.rewards.tolist()]
        scored = self.trainer._generate_and_score_completions(inputs)
        rows = batch.rows(batch.policy_logprobs)
        per_minibatch = len(rows) // algorithm.minibatches
        for place, part in enumerate(split_tensor_dict(scored, algorithm.minibatches)):
            mine = rows[place * per_minibatch : (place + 1) * per_minibatch]
            leaf = torch.cat(mine).requires_grad_()
            padded = _pad(list(leaf.split([len(row) for row in mine])), scored)
            yield self._update(part, padded, leaf)

    def _update(self, part: dict[str, Any], padded: Tensor, leaf: Tensor) -> TrlUpdate:
        self.trainer._get_per_token_logps_and_entropies = lambda *_, **__: (
            padded,
            torch.zeros_like(padded),
            None,
        )
        self.trainer._metrics["train"].clear()
        loss = self.trainer._compute_loss(self.policy, part)
        loss.backward()
        assert leaf.grad is not None
        return TrlUpdate(
            loss=loss.item(),
            gradient=leaf.grad,
            advantages=part["advantages"],
            metrics={name: values[-1] for name, values in self.trainer._metrics["train"].items()},
        )

    def _configure(self, algorithm: Algorithm, *, group_size: int) -> None:
        """Configure TRL for the same algorithm."""
        trainer, correction = self.trainer, algorithm.correction
        trainer.num_generations = group_size
        trainer.loss_type = "grpo" if algorithm.loss == "gspo" else algorithm.loss
        trainer.importance_sampling_level = algorithm.ratio_level
        trainer.epsilon_low, trainer.epsilon_high = algorithm.clip_low, algorithm.clip_high
        trainer.args.delta = algorithm.delta
        trainer.beta = algorithm.kl.beta
        trainer.args.use_bias_correction_kl = False  # TRL's default weighs the KL by the ratio
        trainer.scale_rewards = algorithm.advantage.scale
        trainer.mask_truncated_completions = algorithm.truncated == "mask"
        trainer.num_iterations = algorithm.epochs_per_batch
        trainer.args.gradient_accumulation_steps = 1
        trainer.current_gradient_accumulation_steps = 1
        trainer.args.steps_per_generation = algorithm.minibatches
        trainer.use_vllm = correction is not None
        trainer.vllm_importance_sampling_correction = correction is not None
        if correction is not None:
            trainer.vllm_importance_sampling_mode = f"{correction.level}_{correction.mode}"
            trainer.vllm_importance_sampling_clip_min = correction.clip_min
            trainer.vllm_importance_sampling_clip_max = correction.clip_max

    def _supply(self, batch: Batch, held: dict[nn.Module, Tensor]) -> None:
        """Completions of the engine, with the models' logprobs."""
        ids = [
            [0] * (length - 1) + [0 if cut else END_ID]
            for length, cut in zip(batch.lengths.tolist(), batch.truncated.tolist(), strict=True)
        ]
        drawn = [row.tolist() for row in batch.rows(batch.sampler_logprobs)]
        texts = ["0"] * len(ids)
        self.trainer._generate = lambda prompts: (
            [[1]] * len(prompts), ids, None, texts, drawn, {}, None, None
        )  # fmt: skip
        self.trainer._get_per_token_logps_and_entropies = lambda model, *_, **__: (
            nn.utils.rnn.pad_sequence(batch.rows(held[model]), batch_first=True),
            None,
            None,
        )


def _pad(rows: list[Tensor], scored: dict[str, Any]) -> Tensor:
    """Pad to the width of the whole batch: [R, L]"""
    padded = nn.utils.rnn.pad_sequence(rows, batch_first=True)
    return nn.functional.pad(padded, (0, scored["completion_ids"].shape[1] - padded.shape[1]))
