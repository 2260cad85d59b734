"""Arbitrary text: every Unicode character but NUL and surrogates."""

from collections.abc import Iterator

from hypothesis import strategies as st

EVERY_CHARACTER = "".join(map(chr, [*range(1, 0xD800), *range(0xE000, 0x110000)]))
AWKWARD = "\x01\x1b\x7f\x85\u200f\u202e\u2028\ufeff\ufffe\uffff🧮😀🚀\U0010ffff{}\"\\'<&\r\n\t"
CHARACTERS = st.one_of(
    st.sampled_from(AWKWARD), st.characters(exclude_categories=["Cs"], exclude_characters="\0")
)
TEXTS = st.text(CHARACTERS, max_size=60)


def chunks(text: str, length: int) -> Iterator[str]:
    for start in range(0, len(text), length):
        yield text[start : start + length]
