"""A rollout engine without weights, for tests that script its completions."""

from collections.abc import Collection, Mapping

from torch import Tensor

from grpo.rollout.engines.engine import RolloutEngine


class WeightlessEngine(RolloutEngine):
    """Takes any weights; only `stream` is left to write."""

    def load_weights(self, weights: Mapping[str, Tensor]) -> None: ...

    def stale_weights(
        self,
        weights: Mapping[str, Tensor],  # noqa: ARG002
        *,
        names: Collection[str] | None,  # noqa: ARG002
    ) -> list[str]:
        return []

    def sleep(self) -> None: ...

    def wake_weights(self) -> None: ...

    def wake_cache(self) -> None: ...

    def close(self) -> None: ...
