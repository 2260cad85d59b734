"""TRL's GRPOTrainer on the same task, with its fastest settings for it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bench.trainer.task import ENDLESS, num_completions
from bench.turns import Turns
from grpo.builtin.arithmetic import training_rows
from grpo.spec.job import JobSpec

if TYPE_CHECKING:
    from transformers import TrainerState
    from trl.generation.vllm_generation import VLLMGeneration
    from trl.trainer.grpo_config import GRPOConfig


@dataclass(frozen=True)
class Peer:
    """Settings of TRL; `rows_at_once`: completions per forward and backward pass."""

    model: Path
    rows_at_once: int
    with_vllm: bool = False


def play(turns: Turns, spec: JobSpec, peer: Peer, folder: Path) -> None:
    """Train with TRL; a turn ends at the start of each step."""
    from datasets import Dataset
    from transformers import AutoTokenizer, TrainerCallback
    from trl.trainer.grpo_trainer import GRPOTrainer

    class BetweenSteps(TrainerCallback):
        def on_step_begin(
            self,
            args: object,  # noqa: ARG002
            state: "TrainerState",
            control: object,  # noqa: ARG002
            **_: object,
        ) -> None:
            if state.global_step > 0:  # the first step includes preparations, as in Duet
                turns.next()

    if peer.with_vllm and not _on_gpu():
        _mend_sync()
    rows = [{"prompt": row["question"], "answer": row["answer"]} for row in training_rows()]
    trainer = GRPOTrainer(
        model=str(peer.model),
        processing_class=AutoTokenizer.from_pretrained(peer.model),
        reward_funcs=_exact,
        train_dataset=Dataset.from_list(rows),
        args=_config(spec, peer, folder),
        callbacks=[BetweenSteps()],
    )
    trainer.train()


def _config(spec: JobSpec, peer: Peer, folder: Path) -> "GRPOConfig":
    """Return TRL's configuration for the spec, without anything that costs extra time."""
    from trl.trainer.grpo_config import GRPOConfig

    from grpo.assembly import precision

    algorithm = spec.algorithm
    return GRPOConfig(
        output_dir=str(folder),
        use_cpu=not _on_gpu(),
        bf16=precision(spec) == "bfloat16",
        model_init_kwargs={"dtype": "float32"},
        per_device_train_batch_size=peer.rows_at_once,
        gradient_accumulation_steps=num_completions(spec) // peer.rows_at_once,
        num_generations=algorithm.group_size,
        max_completion_length=spec.rollout.max_tokens,
        max_steps=ENDLESS,
        learning_rate=spec.optimizer.peak(algorithm.prompts_per_update),
        lr_scheduler_type="constant",
        loss_type="grpo",
        epsilon=algorithm.clip_low,
        epsilon_high=algorithm.clip_high,
        beta=0.0,
        temperature=spec.rollout.temperature,
        use_vllm=peer.with_vllm,
        vllm_mode="colocate",
        vllm_max_model_length=spec.data.max_prompt_tokens + spec.rollout.max_tokens,
        # Duet does not correct here either; TRL would compute all logprobs once more for it.
        vllm_importance_sampling_correction=False,
        gradient_checkpointing=False,
        dataloader_pin_memory=False,
        logging_steps=1,
        report_to="none",
        save_strategy="no",
        disable_tqdm=True,
        seed=spec.seed,
    )


def _on_gpu() -> bool:
    import torch

    return torch.cuda.is_available()


def _exact(completions: Sequence[str], answer: Sequence[str], **_: object) -> list[float | None]:
    """Duet's `exact` reward with `after: "#"`."""
    return [
        float(completion.rpartition("#")[2].strip() == right)
        for completion, right in zip(completions, answer, strict=True)
    ]


def _mend_sync() -> None:
    """Replace TRL 1.16's weight sync through `load_weights`, which fails in vLLM's CPU engine ("no
    attribute 'weight_loader'"), by `reload_weights`, as in Duet's engine.
    """
    from trl.generation.vllm_generation import VLLMGeneration

    def sync_weights(self: "VLLMGeneration") -> None:
        weights = self.model.state_dict()
        self.llm.collective_rpc(
            "reload_weights", kwargs={"weights_iterator": iter(weights.items())}
        )
        self.llm.reset_prefix_cache()

    VLLMGeneration.sync_weights = sync_weights
