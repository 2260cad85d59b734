"""`http` rewards against a real HTTP server: the protocol, its limits, and services at fault."""

import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook

from grpo.data.prompts import Prompt
from grpo.errors import RunError
from grpo.rewards.service.access import (
    ANY_ADDRESS,
    ServiceAccess,
    private_addresses,
    take_secrets,
)
from grpo.rewards.service.kept_scores import KeptScores
from grpo.rollout.scorer import Candidate, Score, ScoreFailure, Scorer
from grpo.spec.resolve import SpecError, resolve
from grpo.spec.rollout import Scoring
from grpo.values.written_number import WrittenNumber
from tests.reward_service import (
    SECRET,
    Asked,
    Reply,
    RewardService,
    reward_service,
    scored,
    signed,
)
from tests.waiting import deadline, wait_until

ACCESS = ServiceAccess(ANY_ADDRESS, {"GRADER": SECRET}, job="job_1")
MESSAGES = ({"role": "system", "content": "Be brief."}, {"role": "user", "content": "9*2="})


def candidate(text: str = "18", *, step: int | None = 7, **fields: Any) -> Candidate:
    prompt = Prompt(
        index=0,
        row=17,
        text="9*2=",
        token_ids=(57,),
        answer="18",
        source="sums",
        fields=fields,
        messages=MESSAGES,
    )
    return Candidate(text, len(text), prompt, step)


def score_all(
    service: RewardService | str,
    *candidates: Candidate,
    access: ServiceAccess = ACCESS,
    kept: KeptScores | None = None,
    **settings: Any,
) -> list[Score | ScoreFailure]:
    url = service if isinstance(service, str) else service.url
    rewards = resolve({"rewards": [{"type": "http", "url": url, **settings}]}).rewards
    scorer = Scorer(rewards, Scoring(), access=access, kept=kept)
    try:
        return scorer.score(candidates)
    finally:
        scorer.close()


def causes(outcomes: list[Score | ScoreFailure]) -> list[str]:
    return [one.cause for one in outcomes if isinstance(one, ScoreFailure)]


def totals(outcomes: list[Score | ScoreFailure]) -> list[float | None]:
    return [one.total if isinstance(one, Score) else None for one in outcomes]


def test_a_request_holds_the_prompt_the_completions_and_their_rows():
    with reward_service(
        lambda asked: scored(asked, lambda item: len(item["completion"]))
    ) as service:
        one, two = candidate("18", city="Roma", price=WrittenNumber("0.10")), candidate("ééé")
        assert totals(score_all(service, one, two, weight=0.5)) == [1.0, 1.5]
    (asked,) = service.asked
    data = asked.json["data"]
    assert asked.json["type"] == "reward.score"
    assert (data["reward"], data["job"], data["step"]) == ("http", "job_1", 7)
    first, second = data["items"]
    assert first["messages"] == list(MESSAGES)
    assert (first["completion"], first["num_tokens"], first["answer"]) == ("18", 2, "18")
    assert first["row"] == {"city": "Roma", "price": 0.1}
    assert b'"price": 0.10' in asked.body  # as it was written
    assert (second["completion"], second["row"]) == ("ééé", {})
    assert first["key"] != second["key"]


def test_completions_are_sent_in_batches_at_most_so_many_at_a_time():
    together = threading.Barrier(3, timeout=deadline(5))

    def answering(asked: Asked) -> Reply:
        together.wait()
        return scored(asked, lambda item: float(item["completion"]))

    with reward_service(answering) as service:
        many = [candidate(str(n)) for n in range(12)]
        outcomes = score_all(service, *many, batch_size=2, concurrency=3)
    assert totals(outcomes) == list(range(12))
    assert [len(asked.items) for asked in service.asked] == [2] * 6
    assert service.most_at_once == 3


def test_equal_completions_of_a_row_are_asked_for_once():
    with reward_service(lambda asked: scored(asked, lambda _: 1)) as service:
        others = [candidate("18", city="Rom"), candidate("19")]
        outcomes = score_all(service, candidate(), candidate(step=8), *others)
    assert totals(outcomes) == [1, 1, 1, 1]
    assert len(service.asked[0].items) == 3


def test_requests_are_signed_and_over_http_answers_must_be():
    def answering(asked: Asked) -> Reply:
        assert Webhook(SECRET).verify(asked.body, dict(asked.headers)) == asked.json
        reply = scored(asked, lambda _: 1)
        return signed(asked, reply)

    with reward_service(answering) as service:
        assert totals(score_all(service, candidate(), secret="GRADER")) == [1]
        assert SECRET.encode() not in service.asked[0].body
        assert SECRET not in str(service.asked[0].headers)


@pytest.mark.parametrize("forged", ["unsigned", "other secret", "other answer", "other request"])
def test_an_answer_that_the_secrets_holder_did_not_sign_is_no_score(forged: str):
    other = "whsec_" + "C2FVsBQIhrscChlQIMV+b5sSYspob7oD"

    def answering(asked: Asked) -> Reply:
        reply = scored(asked, lambda _: 1)
        if forged == "unsigned":
            return reply
        if forged == "other secret":
            return signed(asked, reply, other)
        if forged == "other request":
            return signed(replace(asked, headers={"webhook-id": "req_other"}), reply)
        return replace(signed(asked, scored(asked, lambda _: 0)), body=reply.content)

    with reward_service(answering) as service:
        (cause,) = causes(score_all(service, candidate(), secret="GRADER"))
    assert "is not signed by the secret GRADER" in cause
    assert SECRET not in cause


@pytest.mark.parametrize(
    ("secrets", "why"),
    [
        ({}, "there is no secret GRADER"),
        ({"GRADER": "a-password"}, "cannot sign requests: set it to whsec_"),
        ({"GRADER": "whsec_c2hvcnQ="}, "cannot sign requests: set it to whsec_"),
    ],
)
def test_a_secret_that_cannot_be_used_ends_the_run_before_it_begins(
    secrets: Mapping[str, str], why: str
):
    access = ServiceAccess(ANY_ADDRESS, secrets)
    with pytest.raises(RunError, match=why) as error:
        score_all("http://127.0.0.1:1999/", access=access, secret="GRADER")
    assert error.value.code == "secret_missing"
    assert "a-password" not in str(error.value)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "not JSON"),
        (b"prose", "not JSON"),
        (b"\xff", "not JSON"),
        (b"[" * 100_000, "nested too deeply|not JSON"),
        (b"[]", 'no list "scores"'),
        (b'{"scores": {}}', 'no list "scores"'),
        (b'{"scores": []}', "no score for this completion"),
        (b'{"scores": [1]}', "was not asked for"),
        (b'{"scores": [{"score": 1}]}', "was not asked for"),
        (b'{"scores": [{"key": "another", "score": 1}]}', "was not asked for"),
    ],
)
def test_an_answer_that_cannot_be_read_is_a_failed_score_and_never_0(body: bytes, why: str):
    with reward_service(lambda _: Reply(body)) as service:
        outcomes = score_all(service, candidate(), tries=3)
    assert len(service.asked) == 1  # it would answer the same again
    assert not any(isinstance(one, Score) for one in outcomes)
    assert [one.outage for one in outcomes if isinstance(one, ScoreFailure)] == [False]
    (cause,) = causes(outcomes)
    assert re.search(why, cause)


@pytest.mark.parametrize(
    "score", ["NaN", "Infinity", "-Infinity", "1e999", "true", '"1"', "null", "[1]", "1" * 400]
)
def test_a_score_that_is_no_finite_number_fails(score: str):
    def answering(asked: Asked) -> Reply:
        key = asked.items[0]["key"]
        return Reply(f'{{"scores": [{{"key": "{key}", "score": {score}}}]}}'.encode())

    with reward_service(answering) as service:
        outcomes = score_all(service, candidate())
    assert len(causes(outcomes)) == 1


def test_a_missing_score_a_doubled_one_and_an_error_concern_what_they_name():
    def answering(asked: Asked) -> Reply:
        one, _, three = asked.items
        scores = [{"key": one["key"], "score": 0.5}, {"key": three["key"], "error": "no opinion"}]
        return Reply({"scores": scores})

    with reward_service(answering) as service:
        outcomes = score_all(service, candidate("1"), candidate("2"), candidate("3"))
    assert totals(outcomes) == [0.5, None, None]
    assert causes(outcomes) == ["its answer has no score for this completion", "no opinion"]

    def doubled(asked: Asked) -> Reply:
        reply = scored(asked, lambda _: 1).body["scores"]
        return Reply({"scores": [*reply, reply[0]]})

    with reward_service(doubled) as service:
        outcomes = score_all(service, candidate("1"), candidate("2"))
    assert all("3 scores for 2 completions" in cause for cause in causes(outcomes))
    assert len(causes(outcomes)) == 2


def test_a_score_nested_at_any_depth_fails():
    depths = iter([10, 500, 900, 960, 990, 2000, 50_000])

    def answering(asked: Asked) -> Reply:
        depth = next(depths)
        nested = "[" * depth + "]" * depth
        key = asked.items[0]["key"]
        return Reply(f'{{"scores": [{{"key": "{key}", "score": {nested}}}]}}'.encode())

    with reward_service(answering) as service:
        outcomes = score_all(service, *[candidate(str(n)) for n in range(7)], batch_size=1)
    assert len(causes(outcomes)) == 7


def test_other_batches_go_on_when_one_fails():
    def answering(asked: Asked) -> Reply:
        return (
            Reply(b"broken")
            if asked.items[0]["completion"] == "bad"
            else scored(asked, lambda _: 1)
        )

    with reward_service(answering) as service:
        outcomes = score_all(
            service, candidate("a"), candidate("bad"), candidate("b"), batch_size=1
        )
    assert totals(outcomes) == [1, None, 1]


def test_an_answer_of_100_mb_is_not_read():
    chunk = b"9" * (1 << 20)
    began = time.monotonic()
    with reward_service(lambda _: Reply(chunks=[chunk] * 100)) as service:
        (cause,) = causes(score_all(service, candidate(), tries=1))
    assert cause == "its answer is longer than 4 MiB"
    assert time.monotonic() - began < 10


@pytest.mark.parametrize(
    "reply",
    [
        Reply(chunks=[b" "] * 100, seconds_between=0.05),  # trickles: each byte restarts a timeout
        Reply(b'{"sco', length=1000, chunks=[b""] * 10, seconds_between=0.1),
    ],
)
def test_an_answer_that_hangs_or_trickles_is_given_up_in_time(reply: Reply):
    with reward_service(lambda _: reply) as service:
        began = time.monotonic()
        (failed,) = score_all(service, candidate(), seconds=0.3, tries=1)
        took = time.monotonic() - began
    assert isinstance(failed, ScoreFailure)
    assert failed.cause == "no complete answer within 0.3 s (1 tries)"
    assert (failed.outage, failed.timed_out) == (True, False)
    assert took < 3


def test_half_an_answer_is_tried_again():
    answers = iter([Reply(b"{", length=100), None])

    def answering(asked: Asked) -> Reply:
        return next(answers) or scored(asked, lambda _: 1)

    with reward_service(answering) as service:
        assert totals(score_all(service, candidate())) == [1]
    assert len(service.asked) == 2


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504, 529])
def test_a_service_that_is_busy_is_asked_again_when_it_says(status: int):
    headers = {"Retry-After": "1"} if status in (429, 503) else {}
    answers = iter([Reply(b"busy", status, headers), None])

    def answering(asked: Asked) -> Reply:
        return next(answers) or scored(asked, lambda _: 1)

    with reward_service(answering) as service:
        assert totals(score_all(service, candidate(), secret=None)) == [1]
    first, second = service.started_at
    assert second - first >= (1 if headers else 0.5)


def test_a_retry_repeats_the_requests_id():
    answers = iter([Reply(b"", 500), None])

    def answering(asked: Asked) -> Reply:
        return next(answers) or signed(asked, scored(asked, lambda _: 1))

    with reward_service(answering) as service:
        score_all(service, candidate(), secret="GRADER")
    one, two = service.asked
    assert one.headers["webhook-id"] == two.headers["webhook-id"]
    assert one.body == two.body


@pytest.mark.parametrize("wait", ["86400", "999999999999999", "Fri, 31 Dec 2100 23:59:59 GMT"])
def test_a_wait_of_hours_is_not_waited_for(wait: str):
    with reward_service(lambda _: Reply(b"", 429, {"Retry-After": wait})) as service:
        (failed,) = score_all(service, candidate())
    assert isinstance(failed, ScoreFailure)
    assert "asks to wait" in failed.cause
    assert failed.outage
    assert len(service.asked) == 1


@pytest.mark.parametrize("wait", ["", "soon", "-5", "NaN", "1e9", "Fri, 01 Jan 1999 00:00:00 GMT"])
def test_a_wait_that_is_none_is_not_kept(wait: str):
    answers = iter([Reply(b"", 503, {"Retry-After": wait}), None])

    def answering(asked: Asked) -> Reply:
        return next(answers) or scored(asked, lambda _: 1)

    with reward_service(answering) as service:
        assert totals(score_all(service, candidate())) == [1]


@pytest.mark.parametrize("status", [301, 302, 307, 400, 401, 403, 404, 410, 422])
def test_a_refusal_or_a_redirect_is_not_repeated_or_followed(status: int):
    headers = {"Location": "http://169.254.169.254/"}
    with reward_service(lambda _: Reply(b"why \n not", status, headers)) as service:
        (failed,) = score_all(service, candidate())
    assert isinstance(failed, ScoreFailure)
    assert (failed.cause, failed.outage) == (f"it answered {status}: why not", False)
    assert len(service.asked) == 1


def test_no_message_repeats_the_secret():
    with reward_service(lambda _: Reply(f"bad key {SECRET}".encode(), 401)) as service:
        (cause,) = causes(score_all(service, candidate(), secret="GRADER"))
    assert cause == "it answered 401: bad key ***"


def test_a_compressed_answer_is_refused_unread():
    with reward_service(
        lambda _: Reply(b"\x1f\x8b", headers={"Content-Encoding": "gzip"})
    ) as service:
        (cause,) = causes(score_all(service, candidate()))
    assert "compressed" in cause


def test_a_service_that_is_not_there_is_an_outage():
    with reward_service(lambda _: Reply()) as service:
        pass
    (failed,) = score_all(service, candidate(), tries=1)
    assert isinstance(failed, ScoreFailure)
    assert failed.outage
    assert "ConnectError" in failed.cause


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:1999/",
        "http://localhost:1999/",
        "http://[::1]:1999/",
        "http://169.254.169.254/latest/meta-data/",
        "http://2130706433:1999/",
        "http://[::ffff:127.0.0.1]:1999/",
    ],
)
def test_an_internal_address_is_not_called(url: str):
    access = ServiceAccess(private_addresses(["grader.internal", "10.0.0.0/8"]))
    (failed,) = score_all(url, candidate(), access=access)
    assert isinstance(failed, ScoreFailure)
    assert "DUET_REWARD_HOSTS" in failed.cause
    assert not failed.outage


def test_an_allowed_internal_address_is_called():
    with reward_service(lambda asked: scored(asked, lambda _: 1)) as service:
        access = ServiceAccess(private_addresses([f"127.0.0.1:{service.port}"]))
        assert totals(score_all(service, candidate(), access=access)) == [1]
        other = ServiceAccess(private_addresses(["127.0.0.1:1"]))
        assert len(causes(score_all(service, candidate(), access=other))) == 1


def test_calls_are_spaced_by_their_number_and_their_tokens():
    with reward_service(lambda asked: scored(asked, lambda _: 1)) as service:
        few = [candidate(str(n)) for n in range(3)]
        score_all(service, *few, batch_size=1, requests_per_minute=300)
        first, second, third = service.started_at
        assert second - first >= 0.15
        assert third - second >= 0.15
        service.started_at.clear()
        long = [candidate(f"{n}" * 400) for n in range(2)]
        score_all(service, *long, batch_size=1, tokens_per_minute=30_000)
        first, second = service.started_at
        assert second - first >= 0.15  # 104 of 500 tokens a second


def test_waiting_for_its_turn_is_not_scoring_time():
    with reward_service(lambda asked: scored(asked, lambda _: 1)) as service:
        few = [candidate(str(n)) for n in range(3)]
        outcomes = score_all(service, *few, batch_size=1, requests_per_minute=120, seconds=0.4)
    assert totals(outcomes) == [1, 1, 1]


def test_closing_ends_all_waiting():
    with reward_service(lambda _: Reply(b"", 503, {"Retry-After": "100"})) as service:
        rewards = resolve({"rewards": [{"type": "http", "url": service.url}]}).rewards
        scorer = Scorer(rewards, Scoring(), access=ACCESS)
        found: list[Score | ScoreFailure] = []
        thread = threading.Thread(target=lambda: found.extend(scorer.score([candidate()])))
        thread.start()
        while not service.asked:
            time.sleep(0.01)
        scorer.close()
        thread.join(timeout=deadline(10))
    assert causes(found) == ["the run ended before it was asked"]


def test_azures_endpoint_graders_are_understood():
    def answering(asked: Asked) -> Reply:
        sample, item = asked.json["sample"], asked.json["item"]
        return Reply({"score": float(sample["output_text"] == item["target"])})

    with reward_service(answering) as service:
        some = [candidate("18", target="18"), candidate('{"a": 1}', target="18")]
        assert totals(score_all(service, *some, format="openai")) == [1, 0]
    one, two = sorted(service.asked, key=lambda asked: len(asked.body))
    assert one.json["sample"]["choices"][0]["message"] == {"role": "assistant", "content": "18"}
    assert (one.json["sample"]["output_json"], two.json["sample"]["output_json"]) == (
        None,
        {"a": 1},
    )
    assert one.json["trace_id"].startswith("trace_")


@pytest.mark.parametrize("wrapped", [False, True])
def test_sagemakers_reward_functions_are_understood(wrapped: bool):
    def answering(asked: Asked) -> Reply:
        results = [
            {
                "id": sample["id"],
                "aggregate_reward_score": float(
                    sample["messages"][-1]["content"] == sample["reference_answer"]["sum"]
                ),
                "metrics_list": [{"name": "right", "value": 1, "type": "Reward"}],
            }
            for sample in asked.json
        ]
        return Reply({"statusCode": 200, "body": json.dumps(results)} if wrapped else results)

    with reward_service(answering) as service:
        reference = {"sum": "18"}
        some = [candidate(text, reference_answer=reference, id="row-1") for text in ("18", "19")]
        assert totals(score_all(service, *some, format="sagemaker")) == [1, 0]
    first = service.asked[0].json[0]
    said = {"role": "assistant", "content": "18"}
    assert first["messages"] == [*MESSAGES, said]
    assert first["id"] != "row-1"


@pytest.mark.parametrize(
    ("settings", "pointer"),
    [
        ({"url": "ftp://a.example"}, "/rewards/0/http/url"),
        ({"url": "https://user:password@a.example/"}, "/rewards/0/http/url"),
        ({"url": "https://a.example:22/"}, "/rewards/0/http/url"),
        ({"url": "no address"}, "/rewards/0/http/url"),
        ({}, "/rewards/0/http/url"),
        ({"secret": "whsec_abc"}, "/rewards/0/http/secret"),
        ({"secret": "lower"}, "/rewards/0/http/secret"),
        ({"format": "xml"}, "/rewards/0/http/format"),
        ({"batch_size": 0}, "/rewards/0/http/batch_size"),
        ({"concurrency": 1000}, "/rewards/0/http/concurrency"),
        ({"seconds": 1e9}, "/rewards/0/http/seconds"),
        ({"requests_per_minute": 0}, "/rewards/0/http/requests_per_minute"),
        ({"api_key": "x"}, "/rewards/0/http/api_key"),
    ],
)
def test_a_bad_setting_is_pointed_at(settings: dict[str, Any], pointer: str):
    written = {"type": "http", "url": "https://a.example", **settings}
    if not settings:
        del written["url"]
    with pytest.raises(SpecError) as error:
        resolve({"rewards": [written]})
    assert [found.replace("/http/", "/") for found, _ in error.value.problems] == [
        pointer.replace("/http/", "/")
    ]


def test_a_multi_combines_a_service_with_other_rewards():
    parts = [{"type": "http", "name": "judged"}, {"type": "exact"}]

    def answering(asked: Asked) -> Reply:
        return scored(asked, lambda item: None if item["completion"] == "?" else 0.5)

    with reward_service(answering) as service:
        parts[0]["url"] = service.url
        multi = {"type": "multi", "rewards": parts, "calculate_output": "judged + exact"}
        scorer = Scorer(resolve({"rewards": [multi, {"type": "exact"}]}).rewards, Scoring())
        outcomes = scorer.score([candidate("18"), candidate("19"), candidate("?")])
        scorer.close()
    assert totals(outcomes) == [2.5, 0.5, None]
    assert "judged: its score is not a number: null" in causes(outcomes)[0]


def test_secrets_are_taken_out_of_the_environment():
    environment = {"DUET_SECRET_GRADER": SECRET, "DUET_SECRETS_KEY": "k", "PATH": "/bin"}
    assert take_secrets(environment) == {"GRADER": SECRET}
    assert environment == {"DUET_SECRETS_KEY": "k", "PATH": "/bin"}
    assert SECRET not in repr(ServiceAccess(ANY_ADDRESS, {"GRADER": SECRET}))


def test_the_documented_schema_is_the_protocols():
    from grpo.rewards.service.protocol import ScoringAnswer, ScoringRequest, schemas

    documented = Path(__file__).parents[2] / "docs/reward-protocol.json"
    assert json.loads(documented.read_text()) == schemas()

    def answering(asked: Asked) -> Reply:
        ScoringRequest.model_validate_json(asked.body)
        reply = scored(asked, lambda _: 1.0)
        ScoringAnswer.model_validate_json(reply.content)
        return reply

    with reward_service(answering) as service:
        assert totals(score_all(service, candidate(city="Rome"))) == [1]


def test_the_documented_service_answers(tmp_path: Path):
    """`examples/reward_service.py` verifies, scores and signs."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    example = (Path(__file__).parents[2] / "examples/reward_service.py").read_text()
    moved = tmp_path / "service.py"
    moved.write_text(example.replace("8100", str(port)))
    environment = {**os.environ, "REWARD_SECRET": SECRET}
    process = subprocess.Popen(
        [sys.executable, str(moved)], env=environment, stderr=subprocess.DEVNULL
    )
    try:
        wait_until(lambda: _listens(port), seconds=20)
        url = f"http://127.0.0.1:{port}"
        outcomes = score_all(url, candidate("18"), candidate("17"), secret="GRADER")
        assert totals(outcomes) == [1, 0]
        assert len(causes(score_all(url, candidate(), tries=1))) == 1  # not signed
    finally:
        process.kill()
        process.wait()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
