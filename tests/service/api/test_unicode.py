"""Text in every field is returned unchanged, or refused at submission."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, assume, given
from hypothesis import settings as quick_settings
from hypothesis import strategies as st

from grpo.spec.resolve import load_spec
from store.database.database import Database
from store.ids import encode
from store.settings import Settings
from tests.service.api.conftest import client, make_key
from tests.service.api.hand import Hand, sample
from tests.unicode import EVERY_CHARACTER, TEXTS, chunks

QUICK = quick_settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
TEXT = TEXTS.filter(bool)
HALVES = st.sampled_from(["\ud83d", "a\ude00b", "\0"])
PER_REQUEST = 100_000  # characters, as many as data.system may have


def checked(answer: httpx.Response) -> dict[str, Any]:
    assert answer.is_success, answer.text
    return answer.json()


def sent(http: httpx.Client, path: str, body: dict[str, Any], *, ascii_only: bool = False):
    return http.post(path, content=json.dumps(body, ensure_ascii=ascii_only).encode())


def written(text: str) -> dict[str, Any]:
    """Return a spec with the text in every text field."""
    plain = text.replace("{", "")  # no template
    return {
        "name": text,
        "labels": {text: text},
        "data": {"prompt": f"{{{{question}}}}{plain}", "system": text, "answer_after": text},
        "rollout": {"stop": [text]},
        "rewards": [
            {"type": "number", "after": text},
            {"type": "python", "source": f"def grade(sample, item):\n    return {text!r}"},
            {"type": "string_check", "input": f"{{{{sample.output_text}}}}{plain}"},
            {"type": "json_schema", "definition": {"title": text}},
        ],
    }


def part(resolved: Any, of: Any) -> Any:
    """Return the fields of a resolved spec that were written."""
    if isinstance(of, dict):
        return {key: part(resolved[key], value) for key, value in of.items()}
    if isinstance(of, list):
        return [part(one, other) for one, other in zip(resolved, of, strict=True)]
    return resolved


@pytest.fixture
def settings(settings: Settings) -> Settings:
    more = {"allow_python_rewards": True, "webhooks_allow_private": True}
    return settings.model_copy(update=more)


@pytest.fixture
def admin(url: str, database: Database) -> Iterator[httpx.Client]:
    with client(url, make_key(database, "ours", "read", "submit", "admin")) as opened:
        yield opened


@QUICK
@given(text=TEXT)
def test_a_specs_text_reaches_the_trainer_and_a_records_text_the_page(
    http: httpx.Client,
    claims: Callable[[], Hand],
    tmp_path_factory: pytest.TempPathFactory,
    text: str,
):
    spec = written(text)
    del spec["data"]["answer_after"]  # which the answers do not hold
    job = checked(sent(http, "/v1/jobs", spec))
    assert part(job["spec"], spec) == spec
    assert (job["name"], job["labels"]) == (text, {text: text})
    hand = claims()
    while (
        encode("job", hand.claim.job_id) != job["id"]
    ):  # an earlier one, which ended without a checkpoint
        hand = claims()
    path = tmp_path_factory.getbasetemp() / "claimed.json"
    path.write_text(json.dumps(hand.claim.spec, indent=1))
    assert json.loads(load_spec(path).model_dump_json()) == job["spec"]
    hand.ship(hand.entry("sample", sample(1, text, prompt=text), 1))
    hand.finish()
    address = f"/v1/jobs/{job['id']}"
    assert checked(http.get(address))["spec"] == job["spec"]
    records = checked(http.get(f"{address}/records"))["data"]
    [shipped] = [record["payload"] for record in records if record["kind"] == "sample"]
    assert (shipped["prompt"], shipped["completions"][0]["text"]) == (text, text)
    label = {"label": f"{text}:{text}"}
    if ":" not in text:
        found = checked(http.get("/v1/jobs", params=label))["data"]
        assert job["id"] in [each["id"] for each in found]


def test_every_character_of_unicode_is_kept_in_a_spec(http: httpx.Client):
    for text in chunks(EVERY_CHARACTER, PER_REQUEST):
        spec = {"data": {"system": text}}
        job = checked(sent(http, "/v1/jobs", spec))
        assert part(checked(http.get(f"/v1/jobs/{job['id']}"))["spec"], spec) == spec


@QUICK
@given(half=HALVES)
def test_text_that_cannot_be_stored_is_refused_with_the_fields_name(http: httpx.Client, half: str):
    answer = sent(http, "/v1/jobs", written(half), ascii_only=True)
    assert answer.status_code == 422
    pointers = {error["pointer"] for error in answer.json()["errors"]}
    assert {"/name", "/labels", "/data/prompt", "/rewards/0/after"} <= pointers


@QUICK
@given(text=TEXT)
def test_other_texts_are_returned_unchanged(admin: httpx.Client, text: str):
    for path, body in (
        ("/v1/webhooks", {"url": "http://127.0.0.1:8080/", "description": text}),
        ("/v1/keys", {"name": text, "scopes": ["read"]}),
    ):
        made = checked(sent(admin, path, body))
        listed = checked(admin.get(path, params={"limit": 100}))["data"]
        [found] = [each for each in listed if each["id"] == made["id"]]
        assert part(found, body) == body
        admin.delete(f"{path}/{made['id']}")


@QUICK
@given(text=TEXT)
def test_a_rows_text_is_previewed_as_written_in_the_file(http: httpx.Client, text: str):
    assume("\0" not in text)
    row = {"question": text, "answer": text, f"{text}.": {text: [text]}}
    files = {"file": ("rows.jsonl", json.dumps(row).encode())}
    file = checked(http.post("/v1/files", files=files))
    assert checked(http.get(f"/v1/files/{file['id']}/preview"))["data"] == [row]


@QUICK
@given(name=TEXT)
def test_a_files_name_is_kept_or_refused(http: httpx.Client, name: str):
    # What a form escapes, a path divides, and controls, which are tried below.
    assume(not set(name) & set('"\\/\x1b') and name.strip(". ") == name and name)
    assume(not any(ord(character) < 32 for character in name))
    answer = http.post("/v1/files", files={"file": (name, b'{"a": 1}')})
    assert answer.status_code in (201, 422), answer.text
    if answer.status_code == 201:
        assert answer.json()["name"] == name
    else:
        assert "name" in answer.json()["detail"]


@pytest.mark.parametrize("name", ["a\x7fb", "a\u2028b", "a\x85b", "a" * 256])
def test_a_files_name_that_no_file_should_have_is_refused(http: httpx.Client, name: str):
    answer = http.post("/v1/files", files={"file": (name, b'{"a": 1}')})
    assert answer.status_code == 422
    assert "the file's name" in answer.json()["detail"]
