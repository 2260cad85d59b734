"""Updates of a real, tiny model: left-out groups change nothing."""

import pytest
import torch

from grpo.errors import RunError
from grpo.learning.forward_backward import Baselines, BatchResult, backward, row_logprobs
from grpo.learning.memory import TokenBudget
from grpo.learning.minibatch import Minibatch, Row
from grpo.learning.optimizer import make_optimizer
from grpo.learning.update import update
from grpo.models.policy import Policy
from grpo.models.token_batch import TokenBatch
from grpo.spec.algorithm import Algorithm
from grpo.spec.optimizer import Optimizer
from grpo.spec.resolve import resolve
from tests.unit.tiny_policy import tiny_policy

ALGORITHM = Algorithm()
SPEC = resolve({})


@pytest.fixture
def policy() -> Policy:
    return tiny_policy()


def rows(advantages: list[float]) -> tuple[Row, ...]:
    """Completions of different lengths; sampler_logprobs are not used here."""
    generator = torch.Generator().manual_seed(1)
    made = []
    for place, advantage in enumerate(advantages):
        length = 3 + 2 * place
        ids = torch.randint(50, (4 + length,), generator=generator).tolist()
        made.append(Row(tuple(ids[:4]), tuple(ids[4:]), (0.0,) * length, advantage))
    return tuple(made)


def minibatch(of: tuple[Row, ...], *, denominator: int) -> Minibatch:
    num_tokens = sum(len(row.completion_ids) for row in of)
    return Minibatch(of, (), denominator, len(of), num_tokens)


def policy_logprobs(policy: Policy, of: tuple[Row, ...]) -> list[torch.Tensor]:
    return row_logprobs(
        lambda batch: policy.logprobs(batch, temperature=1.0)[0],
        of,
        device=policy.device,
        budget=TokenBudget(10_000),
    )


def off_policy(policy: Policy, batch: Minibatch, budget: TokenBudget) -> BatchResult:
    """Groups whose old policy had 0.1 nats more for each token."""
    policy.model.zero_grad()
    old = [logprobs + 0.1 for logprobs in policy_logprobs(policy, batch.rows)]
    return backward(
        policy, batch, Baselines(old), algorithm=ALGORITHM, temperature=1.0, budget=budget
    )


def gradient(policy: Policy, batch: Minibatch, *, token_budget: int = 10_000) -> torch.Tensor:
    """Return the whole gradient of the model: [D]"""
    off_policy(policy, batch, TokenBudget(token_budget))
    gradients = [weight.grad for weight in policy.model.parameters()]
    return torch.cat([gradient.flatten() for gradient in gradients if gradient is not None])


def test_leaving_out_ties_keeps_the_whole_gradient_when_they_stay_in_the_denominator(
    policy: Policy,
):
    whole = rows([1, -1, 0, 0, 1, -1, 0, 0])
    live = tuple(row for row in whole if row.advantage)
    with_ties = gradient(policy, minibatch(whole, denominator=8))
    without = gradient(policy, minibatch(live, denominator=8))
    assert with_ties.norm() > 0.01
    torch.testing.assert_close(without, with_ties, rtol=1e-5, atol=1e-7)


def test_a_denominator_of_contrasts_scales_the_gradient_by_their_share(policy: Policy):
    live = rows([1, -1])
    torch.testing.assert_close(
        gradient(policy, minibatch(live, denominator=2)),
        4 * gradient(policy, minibatch(live, denominator=8)),
        rtol=1e-5,
        atol=1e-7,
    )


@pytest.mark.parametrize("token_budget", [1, 30, 60])
def test_the_gradient_does_not_depend_on_the_micro_batches(policy: Policy, token_budget: int):
    batch = minibatch(rows([1, -1, 0.5, -0.5, 2, -2]), denominator=6)
    torch.testing.assert_close(
        gradient(policy, batch, token_budget=token_budget),
        gradient(policy, batch),
        rtol=1e-4,
        atol=1e-7,
    )


def test_an_update_makes_the_better_completion_likelier_and_the_worse_one_less_likely(
    policy: Policy,
):
    batch = minibatch(rows([1, -1]), denominator=2)
    optimizer = make_optimizer(policy.model, Optimizer())
    optimizer.param_groups[0]["lr"] = 1e-3
    before = policy_logprobs(policy, batch.rows)
    made = update(policy, optimizer, batch, Baselines(), spec=SPEC, budget=TokenBudget(10_000))
    result, after = made.result, policy_logprobs(policy, batch.rows)
    assert after[0].mean() > before[0].mean()
    assert after[1].mean() < before[1].mean()
    # On-policy every ratio is 1, so the loss is minus the mean advantage: 0.
    assert result.loss == pytest.approx(0, abs=1e-6)
    assert (result.clipped.num_low, result.clipped.num_high) == (0, 0)
    for row, logprobs in enumerate(before):
        torch.testing.assert_close(result.policy_logprobs[row], logprobs)


def test_a_loss_that_is_not_finite_ends_the_run_before_the_weights_are_touched(policy: Policy):
    weights = {name: weight.clone() for name, weight in policy.model.state_dict().items()}
    optimizer = make_optimizer(policy.model, Optimizer())
    with pytest.raises(RunError) as caught:
        update(
            policy,
            optimizer,
            minibatch(rows([float("nan"), -1]), denominator=2),
            Baselines(),
            spec=SPEC,
            budget=TokenBudget(10_000),
        )
    assert caught.value.code == "nan_loss"
    for name, weight in policy.model.state_dict().items():
        assert torch.equal(weight, weights[name])


class ForgetfulPolicy(Policy):
    """Model that runs out of memory above a number of tokens per batch."""

    largest = 40

    def logprobs(
        self, batch: TokenBatch, *, temperature: float
    ) -> tuple[torch.Tensor, torch.Tensor]:
        # After the forward pass of a first micro-batch has left its gradient behind.
        if batch.input_ids.numel() > self.largest:
            raise torch.OutOfMemoryError
        return super().logprobs(batch, temperature=temperature)


def test_out_of_memory_halves_the_budget_and_the_gradient_is_the_same(policy: Policy):
    batch = minibatch(rows([1, -1, 0.5, -0.5, 3, -2]), denominator=6)
    expected, expected_result = gradient(policy, batch), off_policy(policy, batch, TokenBudget(99))
    small = ForgetfulPolicy(policy.model, precision="float32")
    budget = TokenBudget(150)
    policy.model.zero_grad()
    old = [logprobs + 0.1 for logprobs in policy_logprobs(policy, batch.rows)]
    result = backward(
        small, batch, Baselines(old), algorithm=ALGORITHM, temperature=1.0, budget=budget
    )
    assert budget.tokens == 37  # 150, 75, 37
    found = torch.cat([weight.grad.flatten() for weight in policy.model.parameters()])  # pyright: ignore[reportOptionalMemberAccess]
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-7)
    assert result.loss == pytest.approx(expected_result.loss, rel=1e-5)
    for ours, theirs in zip(result.policy_logprobs, expected_result.policy_logprobs, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_a_row_that_does_not_fit_by_itself_is_an_error(policy: Policy):
    small = ForgetfulPolicy(policy.model, precision="float32")
    small.largest = 10  # the rows have 7 and 17 tokens
    batch = minibatch((rows([1, -1, 1, -1, 1, -1])[-1],), denominator=1)
    with pytest.raises(torch.OutOfMemoryError):
        backward(
            small,
            batch,
            Baselines(),
            algorithm=ALGORITHM,
            temperature=1.0,
            budget=TokenBudget(150),
        )
