"""Single rewards: every type but `multi`, which combines them."""

from typing import Annotated

from pydantic import Field

from grpo.rewards.exact import ExactReward
from grpo.rewards.format import FormatReward
from grpo.rewards.http import HttpReward
from grpo.rewards.json_schema import JsonSchemaReward
from grpo.rewards.judge import JudgeReward
from grpo.rewards.length import LengthReward
from grpo.rewards.math import MathReward
from grpo.rewards.number import NumberReward
from grpo.rewards.python import PythonReward
from grpo.rewards.reasoning_gym import ReasoningGymReward
from grpo.rewards.regex import RegexReward
from grpo.rewards.string_check import StringCheckReward
from grpo.rewards.text_similarity import TextSimilarityReward

SingleReward = Annotated[
    ExactReward
    | NumberReward
    | MathReward
    | RegexReward
    | StringCheckReward
    | FormatReward
    | LengthReward
    | JsonSchemaReward
    | TextSimilarityReward
    | ReasoningGymReward
    | PythonReward
    | HttpReward
    | JudgeReward,
    Field(discriminator="type"),
]

SINGLE_TYPES = {
    "exact": ExactReward,
    "number": NumberReward,
    "math": MathReward,
    "regex": RegexReward,
    "string_check": StringCheckReward,
    "format": FormatReward,
    "length": LengthReward,
    "json_schema": JsonSchemaReward,
    "text_similarity": TextSimilarityReward,
    "reasoning_gym": ReasoningGymReward,
    "python": PythonReward,
    "http": HttpReward,
    "judge": JudgeReward,
}
