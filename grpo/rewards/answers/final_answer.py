r"""The part of a text that states its answer: the last box, or the text after "the answer is"."""

import re

from grpo.rewards.answers.notation import plain_characters

BOX = re.compile(r"\\(?:boxed|fbox|framebox)(?![a-zA-Z])\s*")
BETWEEN_BOXES = re.compile(r"[\s,;$.]*(?:and|or|和|或)?[\s,;$]*")
PHRASE = re.compile(
    r"(?:\b(?:final\s+)?answer\b(?:\s+to\s+[^.\n]{1,60}?)?\s*(?:is|are|=|:)+\s*:?"
    r"|答案\s*(?:应该是|应为|等于|是|为|=|:)*\s*:?)",
    re.IGNORECASE,
)
FINAL = re.compile(r"final\s+answer|答案", re.IGNORECASE)
SENTENCE_END = re.compile(r"(?:[.,;!?](?=\s|$)|\s(?:because|since|as|so|which)\b)")
MATHEMATICS = re.compile(
    r"\$\$(.+?)\$\$|(?<!\\)\$(.+?)(?<!\\)\$|\\\((.+?)\\\)|\\\[(.+?)\\\]", re.DOTALL
)
MAX_ANSWER = 2_000
"""Characters after a phrase that are searched for its answer."""


def boxed(text: str) -> str | None:
    """Return the content of the last box, or of all boxes joined only by "and" up to it."""
    boxes = _boxes(text)
    if not boxes:
        return None
    first = len(boxes) - 1
    while first > 0 and BETWEEN_BOXES.fullmatch(text, boxes[first - 1][2], boxes[first][0]):
        first -= 1
    contents = [boxed(content) or content.strip() for _, content, _ in boxes[first:]]
    return ",".join(dict.fromkeys(contents))


def stated_answers(text: str) -> list[str]:
    """Return candidates for the text's stated answer, the likeliest first.

    A box has precedence over other phrases, except a "final answer" after it.
    """
    text = plain_characters(text)
    phrases = list(PHRASE.finditer(text))
    boxes = _boxes(text)
    box = boxed(text)
    if box is not None:
        behind = [phrase for phrase in phrases if phrase.start() >= boxes[-1][2]]
        if not behind or not FINAL.match(behind[-1][0]):
            return [box]
    return _behind(text, phrases[-1].end()) if phrases else []


def _behind(text: str, at: int) -> list[str]:
    """Return the text after a phrase, on its line or the next, and then parts of it."""
    tail = text[at : at + MAX_ANSWER].strip().lstrip("*_ ").split("\n", 1)[0]
    found = [tail.rstrip("*_ ")]
    if mathematics := MATHEMATICS.match(tail):
        found.append(next(group for group in mathematics.groups() if group))
    if end := SENTENCE_END.search(tail):
        found.append(tail[: end.start()].rstrip("*_ "))
    return [answer for answer in found if answer]


def _boxes(text: str) -> list[tuple[int, str, int]]:
    """Return each outer box's start, content and end.  An unclosed box ends with the text."""
    found: list[tuple[int, str, int]] = []
    at = 0
    while match := BOX.search(text, at):
        start = match.end()
        if start >= len(text):
            break
        if text[start] == "{":
            end = _closing_brace(text, start + 1)
            found.append((match.start(), text[start + 1 : end], min(end + 1, len(text))))
        else:
            end = start + len(text[start:].split(maxsplit=1)[0]) if text[start:].strip() else start
            found.append((match.start(), text[start:end].rstrip("$"), end))
        at = max(found[-1][2], match.end())
    return found


def _closing_brace(text: str, at: int) -> int:
    """Return the position where the brace open at `at` closes, or the text's end."""
    depth = 1
    escaped = False
    for place in range(at, len(text)):
        character = text[place]
        if not escaped and character in "{}":
            depth += 1 if character == "{" else -1
            if depth == 0:
                return place
        escaped = character == "\\" and not escaped
    return len(text)
