"""Repeated parts of a request are checked once, and no transaction is open during the checks."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine, event, select

from api.app import _open_services
from api.submission.check import SpecChecker
from grpo.spec.resolve import merge
from store.database.database import Database
from store.ids import encode
from store.jobs.outcomes import Failed
from store.settings import Settings
from store.tables import Project
from tests.service.api.conftest import client, serving
from tests.service.api.hand import Hand
from tests.service.api.test_costly_checks import SLOW_PATTERN
from tests.service.api.test_files import lines, upload
from tests.service.api.test_rewards import idle_transactions
from tests.work import lines_run

ROWS = [{"question": f"{n}+1=", "answer": str(n + 1)} for n in range(20)]
NUM_SOURCES = 32
NUM_JOBS = 64
SIZES = list(range(2, 18))
ENDED = Failed({"code": "nan_loss", "message": "", "hint": ""}, retryable=False)


@contextmanager
def statements() -> Iterator[list[str]]:
    """The statements that this process sends meanwhile."""
    sent: list[str] = []

    def note(_: object, __: object, statement: str, *___: object) -> None:
        sent.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(Engine, "before_cursor_execute", note)


def of_sources(http: httpx.Client, count: int = NUM_SOURCES, **data: Any) -> dict[str, Any]:
    """A spec with many sources, each named in all three sets."""
    files = [upload(http, lines({"n": n}, *ROWS)).json()["id"] for n in range(count)]
    sources = [{"source": file} for file in files]
    sets = dict.fromkeys(("train", "eval", "test"), sources)
    rewards = [
        {"type": "number"},
        {"type": "string_check", "input": "{{item.question}}", "reference": "{{item.answer}}"},
    ]
    return {"data": {**sets, "unusable": "skip", **data}, "rewards": rewards}


def test_the_largest_estimate_and_sweep_ask_for_each_file_once(http: httpx.Client):
    spec = of_sources(http)
    sweep = {"base": spec, "grid": {"seed": list(range(NUM_JOBS))}}
    of_files = 2 * NUM_SOURCES + 20
    for route, body, most in (
        ("/v1/estimates", {"spec": spec, "group_sizes": SIZES}, of_files),
        ("/v1/jobs?validate_only=true", spec, of_files),
        ("/v1/sweeps?validate_only=true", sweep, of_files),
        ("/v1/sweeps", sweep, of_files + 8 * NUM_JOBS),
    ):
        with statements() as sent:
            answer = http.post(route, json=body)
        assert answer.is_success, answer.text
        assert len(sent) <= most, route


@pytest.fixture
def checker(settings: Settings, http: httpx.Client) -> Iterator[Callable[[], SpecChecker]]:
    """Makes the checker of one more request of the client's project."""
    del http  # its project is there
    services = _open_services(settings, ping_seconds=1, send_seconds=1)
    with services.database.session() as session:
        project_id = session.scalars(select(Project.id)).one()
    yield lambda: SpecChecker(services, project_id)
    services.reward_checks.close()
    services.wake_ups.close()
    services.rate_limits.close()
    services.database.close()


TEMPLATES = " ".join(f"{{{{item.question.{n}}}}}" for n in range(100))
LONG_PROMPT = "{{question}}" * 2_000
LARGE = {
    "data": {"prompt": LONG_PROMPT},
    "rewards": [
        {"type": "string_check", "name": f"r{n}", "input": TEMPLATES, "reference": TEMPLATES}
        for n in range(4)
    ],
}


def test_group_sizes_and_jobs_share_the_checks_of_fields(checker: Callable[[], SpecChecker]):
    sizes = [merge(LARGE, {"algorithm": {"group_size": size}}) for size in SIZES]
    seeds = [merge(LARGE, {"seed": seed}) for seed in range(NUM_JOBS)]
    systems = [merge(LARGE, {"data": {"system": str(n)}}) for n in range(NUM_JOBS)]

    def work(specs: list[dict[str, Any]]) -> int:
        one = checker()
        return lines_run(lambda: [one.check(spec) for spec in specs])

    work(sizes[:1])  # fills caches
    first = work(sizes[:1])
    assert work(sizes) < 1.5 * first
    assert work(seeds) < 4 * first
    assert work(systems) < 4 * first


def test_long_templates_over_many_files_are_not_filled_in_the_apis_threads(
    http: httpx.Client, checker: Callable[[], SpecChecker]
):
    spec = of_sources(http, 8, prompt="{{question}}" * 4_000)
    work = lines_run(lambda: checker().check(spec))
    assert work < 8 * 20 * 4_000 / 4, "fewer lines than there are fields in the rows' prompts"


def slow_rewards(name: str) -> list[dict[str, Any]]:
    """Two checks of half a second of CPU time each."""
    pattern = f"{SLOW_PATTERN}{name}"
    return [{"type": "regex", "name": part, "pattern": pattern} for part in ("a", "b")]


def slow_request(http: httpx.Client, name: str, job: str, checkpoint: str) -> tuple[str, Any]:
    """A path and a body whose rewards take seconds to check."""
    slow = {"rewards": slow_rewards(name)}
    match name:
        case "job":
            return "/v1/jobs", slow
        case "sweep":
            return "/v1/sweeps", {"variants": [slow, {**slow, "seed": 1}]}
        case "estimate":
            return "/v1/estimates", {"spec": slow}
        case "fork":
            return f"/v1/jobs/{job}/fork", {"checkpoint": checkpoint, "overrides": slow}
        case "retry":
            return f"/v1/jobs/{job}/retry", {}
    grader = {"type": "string_check", "name": "g", "input": "a", "reference": "a"}
    reinforcement = {"grader": {**grader, "operation": "eq"}}
    return "/openai/v1/fine_tuning/jobs", {
        "model": "tiny-arithmetic",
        "training_file": upload(http, lines(*ROWS)).json()["id"],
        "method": {"type": "reinforcement", "reinforcement": reinforcement},
        "duet": slow,
    }


@pytest.mark.parametrize(
    "name",
    ["fork", *(pytest.param(name, marks=pytest.mark.nightly) for name in (
        "job", "sweep", "estimate", "retry", "openai"
    ))],
)  # fmt: skip
def test_no_transaction_is_open_while_rewards_are_checked(
    settings: Settings,
    key: str,
    database: Database,
    claims: Callable[[], Hand],
    tmp_path: Path,
    name: str,
):
    spec = {"rewards": slow_rewards(name)} if name == "retry" else {}
    with serving(settings) as url, client(url, key) as first_http:
        assert first_http.post("/v1/jobs", json=spec).status_code == 201
    hand = claims()
    saved = hand.checkpoint(1, {"model.safetensors": b"w", "config.json": b"{}"}, tmp_path / "c")
    hand.finish(ENDED)
    job = encode("job", hand.claim.job_id)
    # A server that has not checked these rewards yet, and whose processes end with it.
    with serving(settings) as url, client(url, key) as http:
        path, body = slow_request(http, name, job, encode("ckpt", saved))
        began = time.monotonic()
        with watched(lambda: idle_transactions(database)) as idle:
            answer = http.post(path, json=body, headers={"Idempotency-Key": "k"})
        spent = time.monotonic() - began
    assert answer.status_code in (200, 201), answer.text
    assert spent > 0.8, "the rewards were not checked"
    assert len(idle) > 2
    assert max(idle) == 0


@contextmanager
def watched(look: Callable[[], int]) -> Iterator[list[int]]:
    """Collect the results of `look`, called many times a second in the block."""
    over = threading.Event()
    seen: list[int] = []

    def watch() -> None:
        while not over.wait(0.05):
            seen.append(look())

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        yield seen
    finally:
        over.set()
        watching.join()


def test_a_repeated_request_is_answered_though_its_spec_could_not_be_checked_any_more(
    http: httpx.Client, claims: Callable[[], Hand]
):
    file = upload(http, lines(*ROWS)).json()["id"]
    body, keyed = {"data": {"train": file}}, {"Idempotency-Key": "k"}
    first = http.post("/v1/jobs", json=body, headers=keyed)
    claims().finish(ENDED)
    assert http.delete(f"/v1/files/{file}").status_code == 204
    again = http.post("/v1/jobs", json=body, headers=keyed)
    assert (again.status_code, again.json()) == (201, first.json())
    assert http.post("/v1/jobs", json=body).status_code == 422
