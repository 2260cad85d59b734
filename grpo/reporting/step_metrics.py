"""The metrics of one step."""

from collections.abc import Mapping, Sequence
from statistics import fmean, stdev

from grpo.algorithm.gradient_stats import expected_keep_rate
from grpo.algorithm.sampler_correction import SamplerRatios
from grpo.learning.learner import StepUpdates
from grpo.rollout.collector import Batch
from grpo.rollout.groups import Group, Rollout
from grpo.spec.algorithm import Algorithm


def group_metrics(groups: Sequence[Group], *, group_size: int) -> dict[str, float]:
    """Return the metrics of rewards and completions; none if no group could be scored."""
    if not groups:
        return {}
    return {
        **reward_metrics(groups, group_size=group_size),
        **completion_metrics(groups),
        **entropy_metrics(groups),
    }


def reward_metrics(groups: Sequence[Group], *, group_size: int) -> dict[str, float]:
    """Return the metrics of rewards, and of the groups that carry a gradient.

    `groups`: all groups drawn, with `group_size` siblings each (see `as_first_drawn`).  If ties are
    replaced, drawing ends with a full batch, which biases the share of contrasts upward by about 1
    / (4 P), for P prompts per step.
    """
    rollouts = [rollout for group in groups for rollout in group.rollouts]
    stds = [stdev(rollout.score.total for rollout in group.rollouts) for group in groups]
    tied = fmean(group.tied for group in groups)
    return {
        "reward": fmean(rollout.score.total for rollout in rollouts),
        "reward_std": fmean(stds),
        **_part_metrics(rollouts),
        "frac_reward_zero_std": fmean(std < 1e-8 for std in stds),
        "groups/tied_fraction": tied,
        "groups/keep_rate": 1 - tied,
        **_correctness_metrics(groups, group_size=group_size),
    }


def _correctness_metrics(groups: Sequence[Group], *, group_size: int) -> dict[str, float]:
    """Return the metrics of correctness; none if no reward judges it."""
    right = [
        [rollout.right for rollout in group.rollouts if rollout.right is not None]
        for group in groups
    ]
    if not any(right):
        return {}
    pass_rate = fmean(one for of_group in right for one in of_group)
    return {
        "pass_rate": pass_rate,
        "groups/expected_keep_rate": expected_keep_rate(pass_rate, group_size=group_size),
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


def entropy_metrics(groups: Sequence[Group]) -> dict[str, float]:
    """Return the policy's entropy, the mean of -log p(token) over all completion tokens.

    Estimated from the sampler's logprobs, which are the policy's before the step's updates, because
    ties are not run through the policy.  Absent if all completions are empty.
    """
    logprobs = [
        logprob
        for group in groups
        for rollout in group.rollouts
        for logprob in rollout.completion.sampler_logprobs
    ]
    return {"entropy": -fmean(logprobs)} if logprobs else {}


def batch_metrics(batch: Batch, algorithm: Algorithm) -> dict[str, float]:
    """Return the metrics of the batch's groups that were skipped, replaced or grown."""
    metrics: dict[str, float] = {"groups/num_skipped": batch.num_skipped}
    if algorithm.ties.policy == "resample":
        metrics["groups/num_discarded"] = len(batch.discarded)
        metrics["groups/num_surplus"] = sum(not group.tied for group in batch.discarded)
    if algorithm.ties.policy == "grow" and batch.groups:
        metrics["groups/mean_size"] = fmean(len(group.rollouts) for group in batch.groups)
        metrics["groups/grown_keep_rate"] = fmean(not group.tied for group in batch.groups)
    if algorithm.advantage.baseline != "pair" and batch.groups:
        metrics["groups/gradient_fraction"] = fmean(group.has_gradient for group in batch.groups)
    return metrics


def learning_metrics(step_updates: StepUpdates, algorithm: Algorithm) -> dict[str, float]:
    """Return the metrics of the updates.  Without an update, entropy, clip and gap are absent.

    `learnt/...` covers the completions that were run through the policy: with ties left out, a
    biased sample, and not the quantity that TRL reports under the name without `learnt/`.
    """
    if not step_updates.updates:
        return {"loss": 0.0, "grad_norm": 0.0, "learning_rate": step_updates.learning_rate}
    results = [update.result for update in step_updates.updates]
    num_live_tokens = sum(update.num_tokens for update in step_updates.updates)
    gaps = step_updates.logprob_gaps
    metrics = {
        "loss": fmean(of_update.loss for of_update in results),
        "grad_norm": fmean(update.grad_norm for update in step_updates.updates),
        "learning_rate": step_updates.learning_rate,
        "learnt/entropy": step_updates.entropy,
        **_clip_metrics(step_updates, algorithm),
        "learnt/sampling_logp_difference/mean": gaps.mean().item(),
        "learnt/sampling_logp_difference/max": gaps.max().item(),
    }
    if algorithm.kl.beta > 0 and algorithm.kl.where == "loss":
        metrics["learnt/kl"] = sum(of_update.kl_sum for of_update in results) / num_live_tokens
    if algorithm.correction is not None:
        ratios = sum((of_update.sampler_ratios for of_update in results), SamplerRatios())
        metrics |= _correction_metrics(ratios)
    return metrics


def _clip_metrics(step_updates: StepUpdates, algorithm: Algorithm) -> dict[str, float]:
    """Return the clipped share of the step's tokens, masked completions excluded, or of its
    completions if ratios are per completion, as in TRL."""
    num_epochs = len(step_updates.updates) / len(step_updates.live)
    num_ratios = num_epochs * sum(
        minibatch.num_completions
        if algorithm.ratio_level == "sequence"
        else minibatch.num_completion_tokens
        for minibatch in step_updates.minibatches
    )
    clipped = [update.result.clipped for update in step_updates.updates]
    low = sum(of_update.num_low for of_update in clipped) / num_ratios
    high = sum(of_update.num_high for of_update in clipped) / num_ratios
    if algorithm.loss == "cispo":
        return {"cispo_clip_ratio": high}
    return {
        "clip_ratio/low_mean": low,
        "clip_ratio/high_mean": high,
        "clip_ratio/region_mean": low + high,
    }


def _correction_metrics(ratios: SamplerRatios) -> dict[str, float]:
    return {
        "learnt/importance_sampling_ratio/min": ratios.min,
        "learnt/importance_sampling_ratio/mean": ratios.sum / ratios.num,
        "learnt/importance_sampling_ratio/max": ratios.max,
        "learnt/corrected_fraction": (ratios.num_below + ratios.num_above) / ratios.num,
    }


def speed_metrics(
    groups: Sequence[Group], step_updates: StepUpdates, seconds: Mapping[str, float]
) -> dict[str, float]:
    """Return the metrics of time; `seconds` are by phase, `step` the whole step."""
    drawn = sum(len(rollout.completion.token_ids) for group in groups for rollout in group.rollouts)
    num_epochs = len(step_updates.updates) / max(1, len(step_updates.live))
    learnt = sum(row.num_tokens for minibatch in step_updates.live for row in minibatch.rows)
    return {
        "step_time": seconds["step"],
        **{f"seconds/{phase}": spent for phase, spent in seconds.items() if phase != "step"},
        "rollout/tokens_per_second": drawn / seconds["rollout"],
        "train/tokens_per_second": num_epochs * learnt / seconds["update"],
    }
