"""Origins: only what a browser can send is allowed in the settings."""

import pytest
from pydantic import ValidationError

from store.origin import is_origin
from store.settings import Settings

GOOD = (
    "https://ml.example.com",
    "http://localhost:3000",
    "http://127.0.0.1:8080",
    "http://[::1]:3000",
    "https://a-b.example:8443",
)
BAD = (
    "*",
    "null",
    "https://*.example.com",
    "https://ml.example.com/",
    "https://ml.example.com/page",
    "https://ML.example.com",
    "https://ml.example.com:443",
    "http://ml.example.com:80",
    "https://user@ml.example.com",
    "https://ml.example.com?x",
    "https://ml.example.com:",
    "https://ml.example.com:99999",
    "https://ml..example.com",
    "https://[zz]",
    "https://",
    "ml.example.com",
    "ftp://ml.example.com",
    "file://",
)


@pytest.mark.parametrize("text", GOOD)
def test_what_a_browser_sends_is_an_origin(text: str):
    assert is_origin(text)


@pytest.mark.parametrize("text", BAD)
def test_what_no_browser_sends_is_refused_by_the_setting_by_name(text: str):
    assert not is_origin(text)
    given = f"https://good.example, {text}"
    with pytest.raises(ValidationError, match="is not an origin") as refused:
        Settings(
            database_url="postgresql://x",
            redis_url="redis://x",
            artifacts_url="file:///x",
            allowed_origins=given,
        )  # pyright: ignore[reportCallIssue]
    assert repr(text) in str(refused.value)
