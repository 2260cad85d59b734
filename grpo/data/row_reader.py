"""Reading of a source's rows: messages and expected answer."""

from dataclasses import dataclass
from typing import Any, Self

from grpo.data.rows import Row, RowError, field_value, is_unicode, render
from grpo.rewards.reward import text_after
from grpo.spec.data import Data, DataSource

ROLES = ("system", "user", "assistant", "developer")
TEXT_PARTS = ("text", "input_text")

Message = dict[str, str]
"""Mapping with `role` and `content`, for chat templates."""


@dataclass(frozen=True)
class Reading:
    """Settings of one source: its own, else those of the section."""

    prompt: str | None  # None: the row has messages
    messages: str | None
    answer: str
    answer_after: str | None
    system: str | None

    @classmethod
    def of(cls, source: DataSource, data: Data) -> Self:
        from_messages = source.prompt is None and data.messages is not None
        return cls(
            prompt=None if from_messages else source.prompt or data.prompt,
            messages=data.messages if from_messages else None,
            answer=source.answer or data.answer,
            answer_after=source.answer_after or data.answer_after,
            system=data.system,
        )

    def conversation(self, row: Row) -> list[Message]:
        """Return a row's messages without `data.system`; the last is the user's.

        Raises:
            RowError: a field is missing or its value is invalid.
        """
        if self.prompt is not None:
            return [{"role": "user", "content": render(self.prompt, row)}]
        assert self.messages is not None
        messages = _messages(row, self.messages)
        if self.system is not None and messages[0]["role"] == "system":
            raise RowError(f"{row.place} has a system message of its own beside data.system")
        return messages

    def plain_answer(self, row: Row) -> str:
        """Return the answer, including the text before the marker `answer_after`.

        Raises:
            RowError: a field is missing or null.
        """
        return render(self.answer, row)

    def expected_answer(self, row: Row) -> str:
        """Return the answer that a row's completions are compared with.

        Raises:
            RowError: a field or the marker `answer_after` is missing.
        """
        answer = self.plain_answer(row)
        if self.answer_after is None:
            return answer
        kept = text_after(answer, self.answer_after)
        if kept is None:
            raise RowError(f"{row.place}: the answer does not contain {self.answer_after!r}")
        return kept


def _messages(row: Row, field: str) -> list[Message]:
    """Return a field's chat messages; only the role and content of a message are read."""
    value = field_value(row, field)
    if not isinstance(value, list) or not value:
        raise RowError(
            f"{row.place}: field {field!r} must be a list of messages such as "
            '{"role": "user", "content": "..."}'
        )
    messages = [
        _message(item, where=f"{row.place}: message {number} of {field!r}", first=number == 1)
        for number, item in enumerate(value, start=1)
    ]
    if messages[-1]["role"] != "user":
        raise RowError(f"{row.place}: the last message of {field!r} must be the user's")
    return messages


def _message(item: Any, *, where: str, first: bool) -> Message:  # noqa: ANN401
    role, content = (item.get("role"), item.get("content")) if isinstance(item, dict) else (0, 0)
    if role not in ROLES:
        raise RowError(f"{where} must have a role: {', '.join(ROLES)}")
    if role in ("system", "developer") and not first:
        raise RowError(f"{where} is a {role} message: only the first can be")
    text = _text_of(content)
    if text is None:
        raise RowError(
            f"{where} must have a content that is a text, or a list of parts such as "
            '{"type": "text", "text": "..."}'
        )
    if not is_unicode(text):
        raise RowError(f"{where} holds an unpaired surrogate")
    # OpenAI's role `developer`, which chat templates call `system`.
    return {"role": "system" if role == "developer" else role, "content": text}


def _text_of(content: object) -> str | None:
    """Return a message's text with its parts joined; None if it has any other content."""
    if not isinstance(content, list):
        return content if isinstance(content, str) else None
    texts = [
        part.get("text") if isinstance(part, dict) and part.get("type") in TEXT_PARTS else None
        for part in content
    ]
    whole = all(isinstance(text, str) for text in texts)
    return "".join(text for text in texts if text is not None) if texts and whole else None
