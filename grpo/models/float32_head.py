"""The head computed in float32, whatever the layers before it are computed in."""

import torch
from torch import Tensor, nn
from torch.nn import Module
from torch.nn.functional import linear


class Float32Head(Module):
    """A head's logits, computed in float32 from the hidden states as they are."""

    def __init__(self, head: Module) -> None:
        super().__init__()
        assert isinstance(head, nn.Linear)  # as of every model that `check_head` lets pass
        self._head = head

    def forward(self, hidden: Tensor) -> Tensor:
        with torch.autocast(hidden.device.type, enabled=False):
            bias = self._head.bias
            return linear(
                hidden.float(), self._head.weight.float(), None if bias is None else bias.float()
            )
