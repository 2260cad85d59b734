"""Every number a run reports: its unit and what it is.

Names are TRL's where TRL reports the same quantity.  The recorder refuses a name that is not here.
"""

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Metric:
    """`optional`: reported only where the spec, its rewards or its data call for it."""

    unit: str
    description: str
    optional: bool = False


METRICS = {
    # What the policy earns, all estimated from the first group_size completions of each group that
    # was drawn: so are the fractions of groups and the lengths below.
    "reward": Metric("reward", "Mean reward of the step's completions, without a KL penalty."),
    "reward_std": Metric("reward", "Standard deviation (n - 1) of a group's rewards, mean."),
    "rewards/{part}/mean": Metric("reward", "Mean of one part of the reward, before its weight."),
    "rewards/{part}/std": Metric("reward", "Its standard deviation (n - 1) over all completions."),
    "pass_rate": Metric(
        "fraction",
        "Completions that are right: every reward that judges correctness is at its full mark.  "
        "Like all that speaks of right and wrong, reported only where a reward judges it.",
    ),
    # What carries a gradient.
    "frac_reward_zero_std": Metric("fraction", "Groups whose rewards do not differ at all."),
    "groups/tied_fraction": Metric(
        "fraction", "Groups without a gradient: max - min <= tie_margin."
    ),
    "groups/keep_rate": Metric("fraction", "Groups with one: 1 - tied_fraction."),
    "groups/expected_keep_rate": Metric(
        "fraction",
        "1 - p^k - (1 - p)^k at the pass rate p: 2p(1 - p) for pairs.  More than the keep rate "
        "where prompts differ in difficulty.",
    ),
    "groups/num_skipped": Metric("groups", "Left out because a reward failed."),
    "groups/num_discarded": Metric(
        "groups", "Drawn and not learnt from (ties: resample).", optional=True
    ),
    "groups/num_surplus": Metric(
        "groups", "Discarded contrasts, which the full batch had no room for.", optional=True
    ),
    "groups/mean_size": Metric("completions", "Mean size of a group (ties: grow).", optional=True),
    "groups/grown_keep_rate": Metric(
        "fraction", "Groups with a gradient once they have grown (ties: grow).", optional=True
    ),
    "groups/all_right_fraction": Metric("fraction", "Groups in which every completion is right."),
    "groups/all_wrong_fraction": Metric("fraction", "Groups in which no completion is right."),
    # Completions.
    "completions/mean_length": Metric("tokens", "Mean length, the end token included."),
    "completions/min_length": Metric("tokens", "Length of the shortest."),
    "completions/max_length": Metric("tokens", "Length of the longest."),
    "completions/mean_terminated_length": Metric("tokens", "Mean length of those that ended."),
    "completions/clipped_ratio": Metric("fraction", "Completions cut off at max_tokens."),
    # The update.
    "loss": Metric("1", "Mean over the step's updates; about 0 while on-policy, so no measure."),
    "grad_norm": Metric("1", "2-norm of the gradient before clipping, mean over the updates made."),
    "learning_rate": Metric("1", "Of the step's last update."),
    "entropy": Metric(
        "nats",
        "Of the policy's next token, mean over all completion tokens: estimated, without bias, by "
        "the mean of -log p(token) under the sampler.",
    ),
    "learnt/entropy": Metric(
        "nats", "Exactly, mean over the tokens that were learnt from: no ties (but ties: keep)."
    ),
    "clip_ratio/low_mean": Metric(
        "fraction",
        "Tokens clipped below 1 - clip_low, of all tokens but those of masked completions; "
        "completions, of all of them, where a ratio is a completion's.",
    ),
    "clip_ratio/high_mean": Metric("fraction", "The same above 1 + clip_high."),
    "clip_ratio/region_mean": Metric("fraction", "The same on either side."),
    "cispo_clip_ratio": Metric(
        "fraction", "Tokens whose ratio cispo bounds by clip_high, of all tokens.", optional=True
    ),
    "learnt/kl": Metric(
        "nats", "KL(policy, reference), mean over tokens that were learnt from.", optional=True
    ),
    "diagnostics/gradient_variance": Metric(
        "1", "Var(g) of one group's gradient, in the step's first update.", optional=True
    ),
    "diagnostics/batch_gradient_variance": Metric(
        "1", "That of the update's gradient: Var(g) over its groups.", optional=True
    ),
    "diagnostics/dpo_cosine": Metric(
        "1", "Of the angle between its gradient and DPO's on the same pairs.", optional=True
    ),
    # Engine against policy.
    "learnt/sampling_logp_difference/mean": Metric(
        "nats", "|policy - sampler logprob| a token before the first update; large: a warning."
    ),
    "learnt/sampling_logp_difference/max": Metric("nats", "The largest of these."),
    "learnt/importance_sampling_ratio/min": Metric(
        "1", "Smallest ratio policy / sampler, before it is truncated or masked.", optional=True
    ),
    "learnt/importance_sampling_ratio/mean": Metric("1", "Their mean.", optional=True),
    "learnt/importance_sampling_ratio/max": Metric("1", "The largest.", optional=True),
    "learnt/corrected_fraction": Metric(
        "fraction", "Of these ratios, those beyond the bounds.", optional=True
    ),
    # So far.
    "epoch": Metric("epochs", "Passes over the training prompts so far."),
    "num_rollouts": Metric("completions", "Drawn for training so far."),
    "num_tokens": Metric("tokens", "Of prompts and completions drawn for training so far."),
    "num_updates": Metric("updates", "Optimizer steps so far."),
    "num_skipped_updates": Metric("updates", "Skipped so far: every group of them was a tie."),
    # Memory.
    "memory/peak_bytes": Metric(
        "bytes",
        "Most that was taken in the step: of the GPU by the trainer, or without one by "
        "the whole process, the engine included.",
    ),
    # Time.
    "step_time": Metric("seconds", "The whole step, without evaluation and checkpoint."),
    "seconds/rollout": Metric("seconds", "Drawing the completions."),
    "seconds/reward": Metric("seconds", "Decoding and scoring them."),
    "seconds/update": Metric("seconds", "Forward, backward and optimizer."),
    "seconds/sync": Metric("seconds", "Giving the engine the new weights."),
    "seconds/diagnostics": Metric("seconds", "Measuring the gradient.", optional=True),
    "seconds/checkpoint": Metric("seconds", "Saving the checkpoint that came before this step."),
    "seconds/eval": Metric("seconds", "The evaluation."),
    "rollout/tokens_per_second": Metric("tokens/s", "Completion tokens drawn."),
    "train/tokens_per_second": Metric("tokens/s", "Prompt and completion tokens learnt from."),
    # Evaluation.
    "eval/accuracy": Metric(
        "fraction",
        "Held-out completions that are right: mean@samples.  With pass@k and majority@n, reported "
        "only where a reward judges correctness.",
    ),
    "eval/pass@{k}": Metric(
        "fraction",
        "Chance that one of k completions is right (unbiased, arXiv 2107.03374).",
        optional=True,
    ),
    "eval/majority@{n}": Metric(
        "fraction", "Prompts whose most common answer among n completions is right.", optional=True
    ),
    "eval/reward": Metric("reward", "Mean reward on the held-out prompts."),
    "eval/rewards/{part}/mean": Metric(
        "reward", "Mean of one part of it, before its weight, of those that could be scored."
    ),
    "eval/num_failed": Metric(
        "completions", "Held-out ones whose reward failed: they count as wrong, and have no reward."
    ),
    "eval/{source}/accuracy": Metric(
        "fraction", "The same of one source's prompts.", optional=True
    ),
    "eval/{source}/pass@{k}": Metric(
        "fraction", "The same of one source's prompts.", optional=True
    ),
    "eval/{source}/majority@{n}": Metric(
        "fraction", "The same of one source's prompts.", optional=True
    ),
    "eval/{source}/reward": Metric("reward", "The same of one source's prompts.", optional=True),
    "eval/{source}/rewards/{part}/mean": Metric(
        "reward", "The same of one source's prompts.", optional=True
    ),
    "eval/completions/mean_length": Metric("tokens", "Mean length of held-out completions."),
    "eval/completions/clipped_ratio": Metric("fraction", "Held-out completions cut off."),
    "eval/num_prompts": Metric("prompts", "Held-out prompts used."),
    "eval/samples": Metric("completions", "Drawn for each held-out prompt."),
}
# Of `data.test`, at the end of training.
METRICS |= {
    name.replace("eval/", "test/", 1): Metric(
        metric.unit, f"Of data.test, where it is given: as {name}.", optional=True
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
    """The entry of METRICS that a reported name belongs to.

    Raises:
        KeyError: it belongs to none.
    """
    if name in METRICS and name not in PATTERNS:
        return name
    for entry, pattern in PATTERNS.items():
        if pattern.fullmatch(name):
            return entry
    raise KeyError(f"{name!r} is not in the table of metrics")
