"""The training part of a run in a separate process: `python -m bench.memory.training CASE`.

CASE is JSON: `spec` as written by a user, `config` of a random Qwen2, Qwen3 or Llama model.
Prompts and completions have their maximum length, and every row is trained on.  Prints the peak
during the updates minus the memory held before the model was loaded [bytes].
"""

import gc
import json
import re
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM

from grpo.budget import TOKEN_BUDGET
from grpo.learning.forward_backward import Baselines
from grpo.learning.memory import PeakMemory, TokenBudget
from grpo.learning.minibatch import Minibatch, Row
from grpo.learning.optimizer import make_optimizer
from grpo.learning.update import update
from grpo.models.locate import open_folder
from grpo.models.policy import load_policy
from grpo.spec.job import JobSpec
from grpo.spec.resolve import resolve

NUM_UPDATES = 3  # the first has no optimizer state yet
WARM_UP = {
    "model_type": "qwen2",
    "vocab_size": 258,
    "hidden_size": 64,
    "intermediate_size": 64,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
}


def main(case: Mapping[str, Any]) -> None:
    spec = resolve({"preset": None, **case["spec"]})
    with tempfile.TemporaryDirectory() as made:
        small, measured = Path(made) / "warm-up", Path(made) / "measured"
        save_random(WARM_UP, small)
        save_random(case["config"], measured)
        _peak(spec, small, vocabulary=WARM_UP["vocab_size"], num_rows=2)
        gc.collect()
        before = _held()
        peak = _peak(spec, measured, vocabulary=case["config"]["vocab_size"], num_rows=None)
    print(peak - before)


def save_random(config: Mapping[str, Any], folder: Path) -> None:
    """Save random weights, made in bfloat16 to stay below the measured memory."""
    settings = AutoConfig.for_model(**config)
    AutoModelForCausalLM.from_config(settings, dtype=torch.bfloat16).save_pretrained(folder)


def _peak(spec: JobSpec, folder: Path, *, vocabulary: int, num_rows: int | None) -> int:
    """Return the peak memory of this process during a few updates."""
    policy = load_policy(
        open_folder(folder),
        spec.model,
        checkpoint=None,
        seed=spec.seed,
        device=torch.device("cpu"),
        precision="bfloat16" if spec.model.dtype == "bfloat16" else "float32",
    )
    optimizer = make_optimizer(policy.model, spec.optimizer)
    minibatch = _minibatch(spec, vocabulary, num_rows)
    memory = PeakMemory(torch.device("cpu"))
    for _ in range(NUM_UPDATES):
        budget = TokenBudget(TOKEN_BUDGET["cpu"])
        update(policy, optimizer, minibatch, Baselines(), spec=spec, budget=budget)
    return memory.take()


def _minibatch(spec: JobSpec, vocabulary: int, num_rows: int | None) -> Minibatch:
    algorithm, prompt, completion = (
        spec.algorithm,
        spec.data.max_prompt_tokens,
        spec.rollout.max_tokens,
    )
    num = num_rows or int(algorithm.prompts_per_update) * algorithm.group_size
    ids = torch.randint(vocabulary, (num, prompt + completion)).tolist()
    rows = tuple(
        Row(tuple(row[:prompt]), tuple(row[prompt:]), (0.0,) * completion, 1.0) for row in ids
    )
    return Minibatch(rows, (), float(num), num, num * completion)


def _held() -> int:
    found = re.search(r"VmRSS:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None  # every process has one
    return int(found[1]) * 1024


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
