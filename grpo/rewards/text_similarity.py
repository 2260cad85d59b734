"""`text_similarity`: how close the completion's text is to the answer's, from 0 to 1."""

from typing import Literal

from pydantic import Field

from grpo.rewards.reward import Case, Marker, Reward, placed, tail_of
from grpo.rewards.template import CaseTemplate, NoSuchOutput, fill, is_output_alone


class TextSimilarityReward(Reward):
    """How close the completion (or what follows its last `after`) is to the answer, from 0 to 1.

    In a pair any difference, however small, becomes an advantage of ±1 (with
    algorithm.advantage.scale: group): `threshold` makes the score 0 or 1.
    """

    type: Literal["text_similarity"] = Field(description="Which reward this is.")
    measure: Literal["ratio", "bleu", "chrf"] = Field(
        default="ratio",
        description="ratio: the share of characters that no insertion or deletion touches "
        "(rapidfuzz); bleu: of the sentence's n-grams of words; chrf: of its n-grams of "
        "characters (sacrebleu's defaults).",
    )
    threshold: float | None = Field(
        default=None,
        gt=0,
        le=1,
        description="Score 1 from this similarity on, else 0; none: the similarity itself.",
    )
    after: Marker | None = Field(
        default=None,
        description="Compare only what follows the last occurrence of this marker.",
    )
    input: CaseTemplate | None = Field(
        default=None,
        description="Compare this instead of the completion: text with {{sample.output_text}} and "
        "{{item.FIELD}}.",
    )
    reference: CaseTemplate | None = Field(
        default=None,
        description="Compare with this instead of the answer: a template like `input`.",
    )

    @property
    def reads_row(self) -> bool:
        return self.input is not None or self.reference is not None

    @property
    def expects_answer(self) -> bool:
        return True

    @property
    def graded(self) -> bool:
        return self.threshold is None

    def prepare(self) -> None:
        similarity(self.measure, "prepared", "prepared")

    def score(self, case: Case) -> float:
        try:
            text = case.text if self.input is None else fill(self.input, case)
            said, expected = tail_of(text, self.after), self._expected(case)
        except NoSuchOutput:
            return 0.0
        close = 0.0 if said is None else similarity(self.measure, said, expected.strip())
        return close if self.threshold is None else float(close >= self.threshold)

    def completion_for(self, case: Case) -> str | None:
        if self.input is not None and not is_output_alone(self.input):
            return None
        return placed(self._expected(case), self.after)

    def _expected(self, case: Case) -> str:
        return case.answer if self.reference is None else fill(self.reference, case)


def similarity(measure: Literal["ratio", "bleu", "chrf"], said: str, expected: str) -> float:
    """From 0 to 1.  BLEU has an effective order: short sentences lack the longer n-grams."""
    if measure == "ratio":
        from rapidfuzz.fuzz import ratio

        return ratio(said, expected) / 100
    from sacrebleu import sentence_bleu, sentence_chrf

    score = sentence_bleu if measure == "bleu" else sentence_chrf
    return min(1.0, score(said, [expected]).score / 100)  # rounding leaves 100.00000000000004
