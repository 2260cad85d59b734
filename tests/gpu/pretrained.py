"""SmolLM2-135M-Instruct on GSM8K with its chat template: `make build/smollm2-135m`, DUET_GSM8K."""

from statistics import median

from grpo.spec.resolve import resolve
from tests.gpu.part import Figures, NotMeasured, Setting
from tests.gpu.task import gsm8k
from tests.training.runs import finish_run, records


def measure(setting: Setting) -> Figures:
    if setting.model is None:
        raise NotMeasured("no model: give its folder as --model (`make build/smollm2-135m`)")
    rows = gsm8k()
    if rows is None:
        raise NotMeasured("no data: DUET_GSM8K names no folder with GSM8K's train.jsonl")
    spec = resolve(
        {
            "preset": "2-grpo",
            "model": {"source": str(setting.model)},
            "data": {"train": str(rows), "answer_after": "####", "max_prompt_tokens": 320},
            "rewards": [
                {"type": "number"},
                # Few have the right number; how much of it they have differs in nearly every group.
                {"type": "text_similarity", "measure": "ratio", "weight": 0.2},
            ],
            "algorithm": {"prompts_per_step": setting.size(64, 6)},
            "rollout": {"max_tokens": setting.size(256, 24)},
            "checkpoints": {"every_steps": 1000, "dtype": "source"},
            "budget": {"max_steps": setting.size(20, 1)},
        }
    )
    run = finish_run(spec, setting.folder / "run")
    metrics = [each["payload"] for each in records(run, "metric")]
    assert metrics[-1]["num_updates"] >= 1, "every group of every step was a tie"
    gaps = [each.get("learnt/sampling_logp_difference/mean", 0.0) for each in metrics]
    return {
        "steps": len(metrics),
        "step [s]": median(each["step_time"] for each in metrics),
        "rollout [tokens/s]": round(median(each["rollout/tokens_per_second"] for each in metrics)),
        "update [tokens/s]": round(
            median(each.get("train/tokens_per_second", 0.0) for each in metrics)
        ),
        "largest gap [nats/token]": max(gaps),
        "peak [MiB]": round(max(each["memory/peak_bytes"] for each in metrics) / 2**20),
        "reward, first and last": f"{metrics[0]['reward']:.3f} {metrics[-1]['reward']:.3f}",
    }
