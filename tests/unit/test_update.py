"""Updates of a real, tiny model: what is left out changes nothing."""

import pytest
import torch
from transformers import Qwen2Config, Qwen2ForCausalLM

from grpo.errors import RunError
from grpo.optimizer import make_optimizer
from grpo.policy import Policy
from grpo.spec.algorithm import Algorithm
from grpo.spec.optimizer import Optimizer
from grpo.update import Minibatch, Row, backward, policy_logprobs, update

ALGORITHM = Algorithm()


@pytest.fixture
def policy() -> Policy:
    torch.manual_seed(0)
    config = Qwen2Config(
        vocab_size=50,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        tie_word_embeddings=True,
    )
    return Policy(Qwen2ForCausalLM(config).eval(), precision="float32")


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
    return Minibatch(of, denominator, sum(len(row.completion_ids) for row in of))


def gradient(policy: Policy, batch: Minibatch, *, token_budget: int = 10_000) -> torch.Tensor:
    """All of the model's gradient, off-policy: the old policy was 0.1 nats surer of each token."""
    policy.model.zero_grad()
    old = [logprobs + 0.1 for logprobs in policy_logprobs(policy, batch.rows, temperature=1.0)]
    backward(
        policy,
        batch,
        old_logprobs=old,
        algorithm=ALGORITHM,
        temperature=1.0,
        token_budget=token_budget,
    )
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
    optimizer = make_optimizer(policy.model, Optimizer(learning_rate=1e-3))
    before = policy_logprobs(policy, batch.rows, temperature=1.0)
    seen = update(
        policy,
        optimizer,
        batch,
        old_logprobs=None,
        algorithm=ALGORITHM,
        max_grad_norm=1.0,
        temperature=1.0,
    )
    after = policy_logprobs(policy, batch.rows, temperature=1.0)
    assert after[0].mean() > before[0].mean()
    assert after[1].mean() < before[1].mean()
    # On-policy every ratio is 1, so the loss is minus the mean advantage: 0.
    assert seen.loss == pytest.approx(0, abs=1e-6)
    assert (seen.clipped.num_low, seen.clipped.num_high) == (0, 0)
    for row, logprobs in enumerate(before):
        torch.testing.assert_close(seen.policy_logprobs[row], logprobs)


def test_a_loss_that_is_not_finite_ends_the_run_before_the_weights_are_touched(policy: Policy):
    weights = {name: weight.clone() for name, weight in policy.model.state_dict().items()}
    optimizer = make_optimizer(policy.model, Optimizer())
    with pytest.raises(RunError) as caught:
        update(
            policy,
            optimizer,
            minibatch(rows([float("nan"), -1]), denominator=2),
            old_logprobs=None,
            algorithm=ALGORITHM,
            max_grad_norm=1.0,
            temperature=1.0,
        )
    assert caught.value.code == "nan_loss"
    for name, weight in policy.model.state_dict().items():
        assert torch.equal(weight, weights[name])
