"""Linear layers through oneDNN give torch's results."""

import pytest
import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

from grpo.models.onednn import OneDnnLinear, use_onednn


def gradients(layer: nn.Linear, input: Tensor) -> list[Tensor]:
    """Return the output, and the gradients of input, weight and bias."""
    layer.zero_grad()
    leaf = input.clone().requires_grad_()
    output = layer(leaf)
    output.square().sum().backward()
    found = [output, leaf.grad, *(weight.grad for weight in layer.parameters())]
    return [tensor.detach().clone() for tensor in found if tensor is not None]


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(5,), (1, 5), (3, 4, 5), (7, 5), (2, 0, 5)])
def test_values_and_gradients_equal_torchs(bias: bool, shape: tuple[int, ...]):
    torch.manual_seed(0)
    layer, input = nn.Linear(5, 6, bias=bias), torch.randn(shape)
    expected = gradients(layer, input)
    use_onednn(layer)
    assert type(layer) is OneDnnLinear
    torch.testing.assert_close(gradients(layer, input), expected, rtol=1e-5, atol=1e-5)


def test_gradients_of_what_is_not_contiguous_are_right_too():
    torch.manual_seed(0)
    layer, input = nn.Linear(5, 6), torch.randn(5, 3, 4).permute(1, 2, 0)
    expected = gradients(layer, input)
    use_onednn(layer)
    torch.testing.assert_close(gradients(layer, input), expected, rtol=1e-5, atol=1e-5)


def test_a_frozen_layer_gets_no_gradient_and_passes_one_on():
    layer = nn.Linear(5, 6).requires_grad_(False)
    use_onednn(layer)
    input = torch.randn(3, 5, requires_grad=True)
    layer(input).sum().backward()
    assert layer.weight.grad is None
    assert input.grad is not None
    torch.testing.assert_close(input.grad, layer.weight.sum(dim=0).expand(3, 5))


def test_the_same_input_gives_the_same_bits():
    torch.manual_seed(0)
    layer, input = nn.Linear(64, 48), torch.randn(100, 64)
    use_onednn(layer)
    once, again = gradients(layer, input), gradients(layer, input)
    assert all(torch.equal(one, other) for one, other in zip(once, again, strict=True))


def test_other_kinds_of_layers_and_the_weights_names_stay():
    class Other(nn.Linear): ...

    model = nn.Sequential(nn.Linear(2, 2), Other(2, 2), nn.Embedding(2, 2))
    names = list(model.state_dict())
    use_onednn(model)
    assert [type(layer) for layer in model] == [OneDnnLinear, Other, nn.Embedding]
    assert list(model.state_dict()) == names


def test_a_frozen_layer_keeps_its_weight_alone_for_the_backward_pass():
    layer = nn.Linear(3, 5).requires_grad_(False)
    use_onednn(layer)
    kept: list[tuple[int, ...]] = []
    with saved_tensors_hooks(lambda saved: kept.append(tuple(saved.shape)) or saved, lambda it: it):
        output = layer(torch.randn(4, 3, requires_grad=True))
    output.sum().backward()
    assert kept == [(5, 3)]
