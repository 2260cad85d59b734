"""Which prompts come next: a seeded shuffle of all of them, epoch after epoch."""

from random import Random


class PromptSampler:
    """Draws without replacement until every prompt has come once, then shuffles anew.

    A batch may cross the border of two epochs.  The whole state is two numbers, from which any
    process goes on with exactly the same draws.
    """

    def __init__(self, num_prompts: int, seed: int) -> None:
        assert num_prompts > 0
        self._num_prompts = num_prompts
        self._seed = seed
        self._epoch = 0
        self._position = 0  # in this epoch's order
        self._order = self._shuffled()

    def take(self, n: int) -> list[int]:
        """The next `n` prompts' indices."""
        taken: list[int] = []
        while len(taken) < n:
            if self._position == self._num_prompts:
                self._enter(self._epoch + 1, 0)
            until = min(self._position + n - len(taken), self._num_prompts)
            taken += self._order[self._position : until]
            self._position = until
        return taken

    @property
    def epochs(self) -> float:
        """How many times the prompts have been gone through."""
        return self._epoch + self._position / self._num_prompts

    def state(self) -> dict[str, int]:
        return {"epoch": self._epoch, "position": self._position}

    def restore(self, state: dict[str, int]) -> None:
        self._enter(state["epoch"], state["position"])

    def _enter(self, epoch: int, position: int) -> None:
        self._epoch, self._position = epoch, position
        self._order = self._shuffled()

    def _shuffled(self) -> list[int]:
        order = list(range(self._num_prompts))
        Random(f"prompts {self._seed} {self._epoch}").shuffle(order)  # text is hashed with SHA-512
        return order
