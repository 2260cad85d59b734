"""The loss of DPO, for comparison."""

from torch import Tensor
from torch.nn.functional import logsigmoid


def dpo_loss(
    chosen_logprobs: Tensor,
    rejected_logprobs: Tensor,
    *,
    reference_chosen_logprobs: Tensor,
    reference_rejected_logprobs: Tensor,
    beta: float,
) -> Tensor:
    """-log sigmoid(beta * (log pi/pi_ref(chosen) - log pi/pi_ref(rejected))), mean over the pairs.

    (arXiv 2305.18290, eq. 7.)  All four: [P], sums over a completion's tokens -> scalar
    """
    chosen = chosen_logprobs - reference_chosen_logprobs  # [P]
    rejected = rejected_logprobs - reference_rejected_logprobs  # [P]
    return -logsigmoid(beta * (chosen - rejected)).mean()
