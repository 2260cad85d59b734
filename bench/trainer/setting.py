"""Sizes of the measurements, and the environment of the contestants."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.report import num_cores
from bench.turns import Turn, alternate
from grpo.commands.program import ENVIRONMENT


@dataclass(frozen=True)
class Effort:
    """Numbers of rounds; the first `warmups` do not count."""

    rounds: int
    warmups: int
    group_sizes: tuple[int, ...]  # 256 prompts x 2 or 32 x 16: 512 completions, one update a step
    trl_rows_at_once: tuple[int, ...]  # tried: TRL's fastest is the peer
    vocabularies: tuple[int, ...]
    num_tokens: tuple[int, ...]  # of the log-probabilities over them


# The vocabularies are SmolLM2's and Qwen2.5's.
FULL = Effort(5, 1, (2, 16), (64, 128, 512), (49_152, 151_936), (1024, 2048, 4096))
QUICK = Effort(1, 0, (2,), (64,), (49_152,), (2048, 4096))


@dataclass(frozen=True)
class Setting:
    """Settings of one comparison; `folder` is temporary and contains the model."""

    folder: Path
    effort: Effort

    @property
    def model(self) -> Path:
        return self.folder / "model"

    def alternate(self, players: Mapping[str, Callable[[], Turn]]) -> dict[str, list[Turn]]:
        return alternate(players, rounds=self.effort.rounds, warmups=self.effort.warmups)


def environment(folder: Path) -> dict[str, str]:
    """Return the environment of all contestants: one thread per core, sleeping while it waits; vLLM
    in the trainer's process; no network; nothing stored."""
    return {
        "OMP_NUM_THREADS": str(num_cores()),
        **ENVIRONMENT,
        "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",
        "VLLM_CPU_KVCACHE_SPACE": "1",  # GiB
        "VLLM_LOGGING_LEVEL": "WARNING",
        "VLLM_NO_USAGE_STATS": "1",
        "VLLM_CACHE_ROOT": str(folder / "vllm"),
        "TORCHINDUCTOR_CACHE_DIR": str(folder / "inductor"),
        "HF_HUB_OFFLINE": "1",
    }
