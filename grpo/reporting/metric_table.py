"""Every metric that a run reports: its unit and its meaning.

Names are TRL's where TRL reports the same quantity.  The recorder rejects names that are not listed
here.
"""

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Metric:
    """A metric's unit and description; `optional`: only some specs, rewards or data have it."""

    unit: str
    description: str
    optional: bool = False


METRICS = {
    # Rewards.  These, the fractions of groups and the lengths below are estimated from the first
    # group_size completions of each group drawn.
    "reward": Metric("reward", "Mean reward of the step's completions, without a KL penalty."),
    "reward_std": Metric(
        "reward", "Mean over groups of the standard deviation (n - 1) of rewards."
    ),
    "rewards/{part}/mean": Metric("reward", "Mean of one part of the reward, before its weight."),
    "rewards/{part}/std": Metric("reward", "Standard deviation (n - 1) of that part."),
    "services/{part}/num_asked": Metric(
        "scores",
        "Asked of the reward's service in the step; of a pairwise judge verdicts.",
        optional=True,
    ),
    "services/{part}/num_cached": Metric(
        "scores", "Known from before, and not asked for again.", optional=True
    ),
    "services/{part}/num_requests": Metric(
        "requests", "Sent to the reward's service, repeated ones included.", optional=True
    ),
    "services/{part}/request_seconds": Metric(
        "seconds", "Of these requests, each from its start to its end, in all.", optional=True
    ),
    "services/{part}/num_tokens": Metric(
        "tokens", "Of a judge's requests and answers, as it counts them.", optional=True
    ),
    "pass_rate": Metric(
        "fraction",
        "Right completions: every reward that judges correctness gives its full mark.  "
        "Like all metrics of correctness, reported only if a reward judges it.",
    ),
    # Groups with and without a gradient.
    "frac_reward_zero_std": Metric("fraction", "Groups whose rewards are all equal."),
    "groups/tied_fraction": Metric(
        "fraction",
        "Groups with equal rewards, max - min <= tie_margin: without a gradient, unless "
        "advantage.baseline is shrunk or memory.",
    ),
    "groups/keep_rate": Metric("fraction", "1 - tied_fraction."),
    "groups/expected_keep_rate": Metric(
        "fraction",
        "1 - p^k - (1 - p)^k at the pass rate p: 2p(1 - p) for pairs.  Above the keep rate "
        "where prompts differ in difficulty.",
    ),
    "groups/num_skipped": Metric("groups", "Groups left out because a reward failed."),
    "groups/num_discarded": Metric(
        "groups", "Groups drawn but not trained on (ties: resample).", optional=True
    ),
    "groups/num_surplus": Metric(
        "groups", "Contrasts discarded because the batch was full.", optional=True
    ),
    "groups/mean_size": Metric("completions", "Mean size of a group (ties: grow).", optional=True),
    "groups/grown_keep_rate": Metric(
        "fraction", "Groups with a gradient once they have grown (ties: grow).", optional=True
    ),
    "groups/gradient_fraction": Metric(
        "fraction",
        "Groups that are learnt from, ties included (advantage.baseline: shrunk, memory).",
        optional=True,
    ),
    "groups/all_right_fraction": Metric("fraction", "Groups in which every completion is right."),
    "groups/all_wrong_fraction": Metric("fraction", "Groups in which no completion is right."),
    # Completions.
    "completions/mean_length": Metric("tokens", "Mean length, the end token included."),
    "completions/min_length": Metric("tokens", "Length of the shortest completion."),
    "completions/max_length": Metric("tokens", "Length of the longest completion."),
    "completions/mean_terminated_length": Metric("tokens", "Mean length, those cut off left out."),
    "completions/clipped_ratio": Metric("fraction", "Completions cut off at max_tokens."),
    # The update.
    "loss": Metric("1", "Mean over the step's updates; about 0 on-policy, so no sign of progress."),
    "grad_norm": Metric("1", "2-norm of the gradient before clipping, mean over the updates made."),
    "learning_rate": Metric("1", "Learning rate of the step's last update."),
    "entropy": Metric(
        "nats",
        "Entropy of the policy's next token, mean over all completion tokens: estimated without "
        "bias by the mean of -log p(token) under the sampler.",
    ),
    "learnt/entropy": Metric("nats", "Exact entropy, mean over the tokens that are trained on."),
    "clip_ratio/low_mean": Metric(
        "fraction",
        "Share of tokens clipped below 1 - clip_low, masked completions excluded; share of "
        "completions where ratios are per completion.",
    ),
    "clip_ratio/high_mean": Metric("fraction", "Share clipped above 1 + clip_high."),
    "clip_ratio/region_mean": Metric("fraction", "Share clipped on either side."),
    "cispo_clip_ratio": Metric(
        "fraction", "Share of tokens whose ratio cispo caps at clip_high.", optional=True
    ),
    "learnt/kl": Metric(
        "nats", "KL(policy, reference), mean over the trained tokens.", optional=True
    ),
    "diagnostics/gradient_variance": Metric(
        "1", "Variance of one group's gradient, in the step's first update.", optional=True
    ),
    "diagnostics/batch_gradient_variance": Metric(
        "1", "Variance of the update's gradient: a group's, over their number.", optional=True
    ),
    "diagnostics/dpo_cosine": Metric(
        "1", "Cosine of the update's gradient and DPO's on the same pairs.", optional=True
    ),
    # Engine against policy.
    "learnt/sampling_logp_difference/mean": Metric(
        "nats", "Mean |policy - sampler logprob| per token before the first update; warns if large."
    ),
    "learnt/sampling_logp_difference/max": Metric("nats", "The largest of these gaps."),
    "learnt/importance_sampling_ratio/min": Metric(
        "1", "Smallest ratio policy / sampler, before truncation or masking.", optional=True
    ),
    "learnt/importance_sampling_ratio/mean": Metric("1", "Their mean.", optional=True),
    "learnt/importance_sampling_ratio/max": Metric("1", "The largest.", optional=True),
    "learnt/corrected_fraction": Metric(
        "fraction", "Share of these ratios beyond the bounds.", optional=True
    ),
    # Totals so far.
    "epoch": Metric("epochs", "Passes over the training prompts so far."),
    "num_rollouts": Metric("completions", "Completions drawn for training so far."),
    "num_tokens": Metric("tokens", "Prompt and completion tokens drawn for training so far."),
    "num_updates": Metric("updates", "Optimizer steps so far."),
    "num_skipped_updates": Metric(
        "updates", "Updates skipped so far: they had no completion to learn from."
    ),
    # Memory.
    "memory/peak_bytes": Metric(
        "bytes",
        "Peak memory of the step: the trainer's on the GPU, or without a GPU "
        "the whole process's, engine included.",
    ),
    # Time.
    "step_time": Metric("seconds", "The whole step, evaluation and checkpoint excluded."),
    "seconds/rollout": Metric("seconds", "Drawing the completions, and scoring meanwhile."),
    "seconds/reward": Metric("seconds", "Scoring after the last completion was drawn."),
    "seconds/update": Metric("seconds", "Forward, backward and optimizer."),
    "seconds/sync": Metric("seconds", "Loading the new weights into the engine."),
    "seconds/diagnostics": Metric("seconds", "Gradient diagnostics.", optional=True),
    "seconds/checkpoint": Metric(
        "seconds",
        "Saving the checkpoint before this step, while this step's completions were drawn.",
    ),
    "seconds/eval": Metric("seconds", "The evaluation."),
    "rollout/tokens_per_second": Metric("tokens/s", "Completion tokens drawn."),
    "train/tokens_per_second": Metric("tokens/s", "Prompt and completion tokens trained on."),
    # Evaluation.
    "eval/accuracy": Metric(
        "fraction",
        "Share of held-out completions that are right: mean@samples.  Like pass@k and majority@n, "
        "reported only if a reward judges correctness.",
    ),
    "eval/pass@{k}": Metric(
        "fraction",
        "Probability that one of k completions is right (unbiased, arXiv 2107.03374).",
        optional=True,
    ),
    "eval/majority@{n}": Metric(
        "fraction", "Prompts whose most common answer among n completions is right.", optional=True
    ),
    "eval/reward": Metric("reward", "Mean reward on the held-out prompts."),
    "eval/rewards/{part}/mean": Metric(
        "reward", "Mean of one part of the reward, before its weight, over scored completions."
    ),
    "eval/services/{part}/num_asked": Metric(
        "scores", "Asked of the reward's service in the evaluation.", optional=True
    ),
    "eval/services/{part}/num_cached": Metric(
        "scores", "Known from before, and not asked for again.", optional=True
    ),
    "eval/services/{part}/num_requests": Metric(
        "requests", "Sent to the reward's service, repeated ones included.", optional=True
    ),
    "eval/services/{part}/request_seconds": Metric(
        "seconds", "Of these requests, each from its start to its end, in all.", optional=True
    ),
    "eval/services/{part}/num_tokens": Metric(
        "tokens", "Of a judge's requests and answers, as it counts them.", optional=True
    ),
    "eval/num_failed": Metric(
        "completions",
        "Held-out completions whose reward failed: they count as wrong, without a reward.",
    ),
    "eval/{source}/accuracy": Metric(
        "fraction", "The same for one source's prompts.", optional=True
    ),
    "eval/{source}/pass@{k}": Metric(
        "fraction", "The same for one source's prompts.", optional=True
    ),
    "eval/{source}/majority@{n}": Metric(
        "fraction", "The same for one source's prompts.", optional=True
    ),
    "eval/{source}/reward": Metric("reward", "The same for one source's prompts.", optional=True),
    "eval/{source}/rewards/{part}/mean": Metric(
        "reward", "The same for one source's prompts.", optional=True
    ),
    "eval/completions/mean_length": Metric("tokens", "Mean length of held-out completions."),
    "eval/completions/clipped_ratio": Metric(
        "fraction", "Held-out completions cut off at max_tokens."
    ),
    "eval/num_prompts": Metric("prompts", "Held-out prompts used."),
    "eval/samples": Metric("completions", "Completions drawn per held-out prompt."),
}
# Of `data.test`, at the end of training.
METRICS |= {
    name.replace("eval/", "test/", 1): Metric(
        metric.unit, f"The same as {name}, on data.test if given.", optional=True
    )
    for name, metric in METRICS.items()
    if name.startswith("eval/")
}

PLACEHOLDERS = {
    "part": r"[a-z][a-z0-9_]*",
    "source": r"[a-z0-9][a-z0-9_-]*",
    "k": r"[1-9][0-9]*",
    "n": r"[1-9][0-9]*",
}


def _pattern(entry: str) -> re.Pattern[str]:
    """Return the pattern of the reported names of an entry with placeholders."""
    return re.compile(re.sub(r"\{(\w+)\}", lambda match: PLACEHOLDERS[match[1]], entry))


PATTERNS = {entry: _pattern(entry) for entry in METRICS if "{" in entry}


def table_name(name: str) -> str:
    """Return the entry of METRICS that a reported name belongs to.

    Raises:
        KeyError: no entry matches.
    """
    if name in METRICS and name not in PATTERNS:
        return name
    for entry, pattern in PATTERNS.items():
        if pattern.fullmatch(name):
            return entry
    raise KeyError(f"{name!r} is not in the metric table")
