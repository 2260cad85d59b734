"""`text_similarity`: similarity of the completion and the answer, from 0 to 1."""

from typing import Literal

from pydantic import Field

from grpo.rewards.reward import Case, Marker, Reward, placed, tail_of
from grpo.rewards.template import CaseTemplate, NoSuchOutput, fill, is_output_alone


class TextSimilarityReward(Reward):
    """Similarity of the completion (or the text after the last `after`) and the answer, 0 to 1.

    In a pair any difference, however small, becomes an advantage of ±1 (with
    algorithm.advantage.scale: group): `threshold` makes the score 0 or 1.
    """

    type: Literal["text_similarity"] = Field(description="Type of the reward.")
    measure: Literal["ratio", "bleu", "chrf"] = Field(
        default="ratio",
        description="ratio: share of characters not inserted or deleted (rapidfuzz); bleu: overlap "
        "of word n-grams; chrf: overlap of character n-grams (sacrebleu's defaults).",
    )
    threshold: float | None = Field(
        default=None,
        gt=0,
        le=1,
        description="Score 1 from this similarity on, else 0; null: the similarity itself.",
    )
    after: Marker | None = Field(
        default=None,
        description="Compare only the text after the last occurrence of this marker.",
    )
    input: CaseTemplate | None = Field(
        default=None,
        description="Text to compare in place of the completion: a template with "
        "{{sample.output_text}} and {{item.FIELD}}.",
    )
    reference: CaseTemplate | None = Field(
        default=None,
        description="Text to compare with in place of the answer: a template like `input`.",
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
    """Return a score from 0 to 1; BLEU with effective order, as short texts lack long n-grams."""
    if measure == "ratio":
        from rapidfuzz.fuzz import ratio

        return ratio(said, expected) / 100
    from sacrebleu import sentence_bleu, sentence_chrf

    score = sentence_bleu if measure == "bleu" else sentence_chrf
    return min(1.0, score(said, [expected]).score / 100)  # rounding can give 100.00000000000004
