"""The metrics of one step."""

from collections.abc import Mapping, Sequence
from statistics import fmean, stdev

from grpo.groups import Group, Rollout
from grpo.learning import Learning


def reward_metrics(groups: Sequence[Group]) -> dict[str, float]:
    """What the step's completions earned, and how many groups carry a gradient."""
    rollouts = [rollout for group in groups for rollout in group.rollouts]
    stds = [stdev(rollout.score.total for rollout in group.rollouts) for group in groups]
    right = [[rollout.right for rollout in group.rollouts] for group in groups]
    return {
        "reward": fmean(rollout.score.total for rollout in rollouts),
        "reward_std": fmean(stds),
        **_part_metrics(rollouts),
        "pass_rate": fmean(rollout.right for rollout in rollouts),
        "frac_reward_zero_std": fmean(std < 1e-8 for std in stds),
        "groups/tied_fraction": fmean(group.tied for group in groups),
        "groups/all_right_fraction": fmean(map(all, right)),
        "groups/all_wrong_fraction": fmean(not any(of_group) for of_group in right),
    }


def _part_metrics(rollouts: Sequence[Rollout]) -> dict[str, float]:
    metrics: dict[str, float] = {}
    for part in rollouts[0].score.parts:
        values = [rollout.score.parts[part] for rollout in rollouts]
        metrics[f"rewards/{part}/mean"] = fmean(values)
        metrics[f"rewards/{part}/std"] = stdev(values)
    return metrics


def completion_metrics(groups: Sequence[Group]) -> dict[str, float]:
    completions = [rollout.completion for group in groups for rollout in group.rollouts]
    lengths = [len(completion.token_ids) for completion in completions]
    terminated = [
        len(completion.token_ids)
        for completion in completions
        if completion.finish_reason == "stop"
    ]
    return {
        "completions/mean_length": fmean(lengths),
        "completions/min_length": min(lengths),
        "completions/max_length": max(lengths),
        "completions/mean_terminated_length": fmean(terminated) if terminated else 0.0,
        "completions/clipped_ratio": 1 - len(terminated) / len(completions),
    }


def learning_metrics(learning: Learning) -> dict[str, float]:
    """What the updates did.  Without one, there is no entropy, clip or logprob gap to report."""
    if not learning.updates:
        return {"loss": 0.0, "grad_norm": 0.0, "learning_rate": learning.learning_rate}
    updates, minibatches = learning.updates, learning.minibatches
    num_tokens = sum(minibatch.num_completion_tokens for minibatch in minibatches)
    low = sum(update.clipped.num_low for update in updates) / num_tokens
    high = sum(update.clipped.num_high for update in updates) / num_tokens
    num_live_tokens = sum(update.num_live_tokens for update in updates)
    return {
        "loss": fmean(update.loss for update in updates),
        "grad_norm": fmean(update.grad_norm for update in updates),
        "learning_rate": learning.learning_rate,
        "entropy": sum(update.entropy_sum for update in updates) / num_live_tokens,
        "clip_ratio/low_mean": low,
        "clip_ratio/high_mean": high,
        "clip_ratio/region_mean": low + high,
        "sampling/sampling_logp_difference/mean": learning.logprob_gaps.mean().item(),
        "sampling/sampling_logp_difference/max": learning.logprob_gaps.max().item(),
    }


def speed_metrics(
    groups: Sequence[Group], learning: Learning, seconds: Mapping[str, float]
) -> dict[str, float]:
    """`seconds` are by phase; `step` is the whole step."""
    drawn = sum(len(rollout.completion.token_ids) for group in groups for rollout in group.rollouts)
    learnt = sum(row.num_tokens for minibatch in learning.minibatches for row in minibatch.rows)
    return {
        "step_time": seconds["step"],
        **{f"seconds/{phase}": spent for phase, spent in seconds.items() if phase != "step"},
        "rollout/tokens_per_second": drawn / seconds["rollout"],
        "train/tokens_per_second": learnt / seconds["update"],
    }
