r"""The part of a text that states its answer: the last box, or the text after "the answer is"."""

import re

from grpo.rewards.answers.notation import plain_characters

BOX = re.compile(r"\\(?:boxed|fbox|framebox|bbox)(?![a-zA-Z])\s*(?:\[[^\]{}]{0,40}\]\s*)?")
BETWEEN_BOXES = re.compile(
    r"[\s$]*+(?=[,;a\\o和或])(?:[,;][\s$]*+)?(?:\\?(?:text\{\s*+)?(?:and|or|和|或)\s*+\}?[\s$]*+)?"
)
TAG = re.compile(r"</?answer>", re.IGNORECASE)
PHRASE = re.compile(
    r"(?:\b(?:final\s+)?ans(?:wers?)?\b(?:\s+to\s+[^.\n]{1,60}?)?[\s*_]*(?:is|are|=|:)+(?!\s+not\b)[\s*_]*:?"
    r"|^#{1,6}\s*(?:final\s+)?answer\s*$"
    r"|\b(?:correct|right)\s+(?:option|choice)\s+is\b"
    r"|故选\s*:?|答案\s*(?:应该是|应为|等于|是|为|=|:)*\s*:?|答え\s*(?:は|:)|(?:^|[。.\s])答\s*:)",
    re.IGNORECASE | re.MULTILINE,
)
FINAL = re.compile(r"final\s+answer|答", re.IGNORECASE)
CORRECTION = re.compile(r"answer\s+(?:is|should\s+be)\b", re.IGNORECASE)
SENTENCE_END = re.compile(r"(?:[.,;!?](?=\s|$)|\s(?:because|since|as|so|which)\b)")
MATHEMATICS = re.compile(
    r"\$\$(.+?)\$\$|(?<!\\)\$(.+?)(?<!\\)\$|\\\((.+?)\\\)|\\\[(.+?)\\\]", re.DOTALL
)
MAX_PHRASES = 3
MAX_NESTED = 5
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
    return ",".join(dict.fromkeys(_innermost(content) for _, content, _ in boxes[first:]))


def _innermost(content: str) -> str:
    """Return the content of the box that a box holds, if it does."""
    for _ in range(MAX_NESTED):
        boxes = _boxes(content)
        if not boxes:
            break
        content = boxes[-1][1]
    return content.strip()


def stated_answers(text: str) -> list[str]:
    """Return candidates for the text's stated answer, the likeliest first.

    The last <answer> element has precedence over a box, and a box over other phrases, except a
    "final answer" after it.
    """
    text = plain_characters(text)
    if (tagged := _last_element(text)) is not None:
        return stated_answers(tagged) or [tagged.strip()]
    phrases = list(PHRASE.finditer(text))
    boxes = _boxes(text)
    box = boxed(text)
    if box is not None:
        behind = [phrase for phrase in phrases if phrase.start() >= boxes[-1][2]]
        if not behind or not FINAL.match(behind[-1][0]):
            return [box]
    return [
        each for phrase in phrases[: -MAX_PHRASES - 1 : -1] for each in _behind(text, phrase.end())
    ]


def _last_element(text: str) -> str | None:
    """Return the content of the last <answer> element, which may not be closed."""
    tags = list(TAG.finditer(text))
    opened = next((tag for tag in reversed(tags) if tag[0][1] != "/"), None)
    if opened is None:
        return None
    closed = next((tag.start() for tag in tags if tag.start() > opened.start()), len(text))
    return text[opened.end() : closed]


def corrections(text: str) -> list[str]:
    """Return candidates for an answer stated by "the answer is" after the last box."""
    text = plain_characters(text)
    boxes = _boxes(text)
    if not boxes:
        return []
    behind = [
        found.end() for found in PHRASE.finditer(text, boxes[-1][2]) if CORRECTION.match(found[0])
    ]
    return _behind(text, behind[-1]) if behind else []


def unboxed(text: str) -> str:
    """Return the content of a text that is one box, else the text."""
    if not BOX.match(text):
        return text
    start, content, end = _boxes(text)[0] if _boxes(text) else (0, text, len(text))
    return content if (start, end) == (0, len(text)) else text


def _behind(text: str, at: int) -> list[str]:
    """Return the text after a phrase, on its line or the next, and then parts of it."""
    tail = text[at : at + MAX_ANSWER].strip().lstrip("*_ \n")
    line = tail.split("\n", 1)[0]
    found = [line.rstrip("*_ ")]
    if mathematics := MATHEMATICS.match(tail):
        content = next(group for group in mathematics.groups() if group)
        found.insert(0 if mathematics.end() > len(line) else 1, content)
    if end := SENTENCE_END.search(line):
        found.append(line[: end.start()].rstrip("*_ "))
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
