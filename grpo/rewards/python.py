"""`python`: the spec's own function, in a sandbox."""

import ast
from functools import cached_property
from typing import Literal

from pydantic import Field, ValidationInfo, field_validator

from grpo.rewards.deferral import is_deferred
from grpo.rewards.reward import Case, Reward
from grpo.rewards.sandbox.sandbox import Sandbox


class PythonReward(Reward):
    """Finite number returned by the spec's own function `grade(sample, item)`.

    `sample` has the completion's `output_text` and `num_tokens`, `item` the row's fields.  The
    function runs with the standard library, without network, files or environment; a server may
    disable it.
    """

    type: Literal["python"] = Field(description="Type of the reward.")
    source: str = Field(
        min_length=1,
        max_length=100_000,
        description="Python source text that defines grade(sample, item).",
    )

    @field_validator("source")
    @classmethod
    def _defines_grade(cls, source: str, info: ValidationInfo) -> str:
        if is_deferred(info):
            return source
        try:
            tree = ast.parse(source, "source")
        except SyntaxError as error:
            raise ValueError(f"is not valid Python: {error.msg} (line {error.lineno})") from None
        except (ValueError, RecursionError, MemoryError) as error:
            raise ValueError(f"is not valid Python: {error}") from None
        functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
        if not any(function.name == "grade" for function in functions):
            raise ValueError("must define a function grade(sample, item) at its top level")
        return source

    @property
    def costly_to_check(self) -> bool:
        return True

    @property
    def runs_python(self) -> bool:
        return True

    @cached_property
    def _sandbox(self) -> Sandbox:
        return Sandbox(self.source)

    def prepare(self) -> None:
        self._sandbox.start()

    def score(self, case: Case) -> float:
        sample = {"output_text": case.text, "num_tokens": case.num_tokens}
        return self._sandbox.grade(sample, case.fields)
