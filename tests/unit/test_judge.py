"""Judges against a real HTTP server: scores, labels, comparisons, and judges that do not answer."""

import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from grpo.rewards.service.access import ANY_ADDRESS, ServiceAccess
from grpo.rewards.service.calls import CallFailed
from grpo.rewards.service.service_reward import ServiceReward
from grpo.rewards.service.tournament import pairings
from grpo.rewards.service.verdict import read_score, verdict_of
from grpo.rollout.scorer import Score, ScoreFailure, Scorer
from grpo.spec.resolve import SpecError, resolve
from grpo.spec.rollout import Scoring
from tests.reward_service import Asked, Reply, RewardService, reward_service, said
from tests.unit.test_http_reward import candidate, causes, totals

KEY = "sk-canary"
ACCESS = ServiceAccess(ANY_ADDRESS, {"JUDGE_KEY": KEY})


def shown(asked: Asked, name: str) -> str:
    """Return a part of what the judge was shown."""
    text = asked.json["messages"][-1]["content"]
    return text.partition(f"<{name}>\n")[2].partition(f"\n</{name}>")[0]


def judged(
    service: RewardService, *texts: str, metrics: dict[str, float] | None = None, **settings: Any
) -> list[Score | ScoreFailure]:
    written = {"type": "judge", "url": service.url, "model": "m", "rubric": "Be right.", **settings}
    rewards = resolve({"rewards": [written]}).rewards
    scorer = Scorer(rewards, Scoring(), access=ACCESS)
    try:
        return scorer.score([candidate(text, answer_key="18") for text in texts])
    finally:
        if metrics is not None:
            metrics.update(scorer.take_metrics())
        scorer.close()


def test_a_score_is_a_share_of_its_range():
    def answering(asked: Asked) -> Reply:
        return said(
            {"reasoning": "…", "score": {"18": 5, "17": 1, "16": 2}[shown(asked, "answer")]}
        )

    counts: dict[str, float] = {}
    with reward_service(answering) as service:
        rubric = "As {{item.answer_key}}."
        outcomes = judged(
            service, "18", "17", "16", mode="score", range=[1, 5], rubric=rubric, metrics=counts
        )
    assert totals(outcomes) == [1.0, 0.0, 0.25]
    asked = service.asked[0]
    assert asked.path == "/score/chat/completions"
    assert shown(asked, "rubric") == "As 18."
    assert shown(asked, "conversation") == "system: Be brief.\n\nuser: 9*2="
    assert "from 1 to 5" in asked.json["messages"][0]["content"]
    assert (asked.json["model"], asked.json["max_completion_tokens"]) == ("m", 1024)
    assert "temperature" not in asked.json
    schema = asked.json["response_format"]["json_schema"]["schema"]
    assert schema["properties"]["score"] == {"type": "number"}
    assert counts["services/judge/num_tokens"] == 21
    assert counts["services/judge/num_requests"] == 3


def test_the_key_is_sent_as_a_bearer_token_and_told_nowhere():
    with reward_service(lambda _: Reply(f"no such key: {KEY}".encode(), 401)) as service:
        (cause,) = causes(judged(service, "18", mode="score", api_key="JUDGE_KEY"))
    (asked,) = service.asked
    assert asked.headers["authorization"] == f"Bearer {KEY}"
    assert KEY.encode() not in asked.body
    assert cause == "it answered 401: no such key: ***"


def test_a_label_is_right_or_wrong():
    labels: dict[str, Any] = {"labels": ["good", "poor", "off topic"], "passing_labels": ["good"]}

    def answering(asked: Asked) -> Reply:
        return said({"reasoning": "", "label": shown(asked, "answer")})

    with reward_service(answering) as service:
        outcomes = judged(service, "good", "poor", "great", mode="label", **labels)
    assert totals(outcomes) == [1, 0, None]
    assert causes(outcomes) == ['its label is none of the labels: "great"']
    schema = service.asked[0].json["response_format"]["json_schema"]["schema"]
    assert schema["properties"]["label"]["enum"] == labels["labels"]


def preferring(better: Callable[[str, str], str]) -> Callable[[Asked], Reply]:
    """Answer a comparison of A and B."""

    def answering(asked: Asked) -> Reply:
        verdict = better(shown(asked, "answer_A"), shown(asked, "answer_B"))
        return said({"reasoning": "", "better": verdict})

    return answering


def test_a_pair_is_asked_in_both_orders():
    with reward_service(preferring(lambda a, b: "A" if a > b else "B")) as service:
        assert totals(judged(service, "17", "18", mode="pairwise")) == [0, 1]
    shown_pairs = {(shown(one, "answer_A"), shown(one, "answer_B")) for one in service.asked}
    assert shown_pairs == {("17", "18"), ("18", "17")}


@pytest.mark.parametrize("verdict", ["A", "B", "tie"])
def test_a_judge_that_prefers_a_place_gives_a_tie(verdict: str):
    with reward_service(preferring(lambda *_: verdict)) as service:
        assert totals(judged(service, "17", "18", mode="pairwise")) == [0.5, 0.5]


def test_a_judge_that_is_undecided_in_one_order_gives_a_tie():
    with reward_service(preferring(lambda a, b: "A" if a > b else "tie")) as service:
        assert totals(judged(service, "17", "18", mode="pairwise")) == [0.5, 0.5]


def test_equal_completions_are_a_tie_and_not_asked_for():
    with reward_service(preferring(lambda *_: "A")) as service:
        assert totals(judged(service, "18", "18", mode="pairwise")) == [0.5, 0.5]
    assert service.asked == []


def test_one_comparison_that_fails_fails_both_and_no_other_group():
    def answering(asked: Asked) -> Reply:
        texts = {shown(asked, "answer_A"), shown(asked, "answer_B")}
        if "bad" in texts:
            return said("I would rather not say.")
        return preferring(lambda a, b: "A" if a > b else "B")(asked)

    with reward_service(answering) as service:
        written = {"type": "judge", "url": service.url, "model": "m", "rubric": "Be right."}
        rewards = resolve({"rewards": [{**written, "mode": "pairwise"}]}).rewards
        scorer = Scorer(rewards, Scoring(), access=ACCESS)
        groups = [candidate("bad", row=1), candidate("17", row=1)]
        groups += [candidate("17", row=2), candidate("18", row=2)]
        outcomes = scorer.score(groups)
        scorer.close()
    assert totals(outcomes) == [None, None, 0, 1]
    assert "it wrote no JSON object: I would rather" in causes(outcomes)[0]


def test_one_completion_alone_has_no_score():
    with reward_service(preferring(lambda *_: "A")) as service:
        (cause,) = causes(judged(service, "18", mode="pairwise"))
    assert "no other completion" in cause


@pytest.mark.parametrize(
    ("size", "opponents", "num_pairs"),
    [
        (2, 4, 1),
        (3, 4, 3),
        (5, 4, 10),
        (8, 4, 16),
        (16, 4, 32),
        (16, 2, 16),
        (16, 1, 16),
        (3, 2, 3),
    ],
)
def test_a_group_of_many_is_compared_in_a_ring(size: int, opponents: int, num_pairs: int):
    from grpo.rewards.reward import Case

    cases = [Case(str(n), 1, "") for n in range(size)]
    pairs = pairings(cases, opponents=opponents)
    assert len(pairs) == len(set(pairs)) == num_pairs
    met = [sum(n in pair for pair in pairs) for n in range(size)]
    assert min(met) == max(met)


def test_the_best_of_a_large_group_has_the_best_score():
    with reward_service(preferring(lambda a, b: "A" if a > b else "B")) as service:
        texts = [f"{n:02d}" for n in range(8)]
        found = totals(judged(service, *texts, mode="pairwise"))
    assert len(service.asked) == 2 * 16
    assert found[7] == max(score for score in found if score is not None) == 1
    assert found[0] == 0


def test_graders_own_messages_are_filled():
    own = [
        {"role": "developer", "content": "Grade by {{item.answer_key}}."},
        {"role": "user", "content": "{{sample.output_text}}"},
    ]

    def answering(asked: Asked) -> Reply:
        return said({"reasoning": "", "score": 0.5})

    with reward_service(answering) as service:
        settings = {"mode": "score", "input": own, "rubric": None, "range": [0, 1]}
        assert totals(judged(service, "17", **settings, temperature=0.5)) == [0.5]
    (asked,) = service.asked
    assert [each["content"] for each in asked.json["messages"]] == ["Grade by 18.", "17"]
    assert asked.json["temperature"] == 0.5


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        (said("A fine answer!"), "wrote no JSON object: A fine answer!"),
        (said("8"), "wrote no JSON object"),
        (said("[8]"), "wrote no JSON object"),
        (said('{"score": 8'), "wrote no JSON object"),
        (said(""), "wrote nothing"),
        (said(None), "wrote nothing"),
        (said(None, refusal="I can't help with that."), "it refused: I can't help"),
        (said({"reasoning": "x"}), "not a number: null"),
        (said({"score": "8"}), 'not a number: "8"'),
        (said({"score": True}), "not a number: true"),
        (said('{"score": NaN}'), "its score is nan"),
        (said({"score": 11}), "its score 11 is not from 0 to 10"),
        (said({"score": -1}), "its score -1 is not from 0 to 10"),
        (Reply({"error": {"message": "overloaded"}}), "no choices"),
        (Reply({"choices": []}), "no choices"),
        (Reply({"choices": [7]}), "no choices"),
        (Reply({"choices": [{"message": "hi"}]}), "no message"),
        (
            Reply({"choices": [{"finish_reason": "content_filter", "message": {}}]}),
            "content_filter",
        ),
        (Reply(b"prose"), "not JSON"),
        (Reply([]), "no choices"),
    ],
)
def test_a_judge_that_refuses_or_answers_prose_is_a_failed_score(reply: Reply, why: str):
    with reward_service(lambda _: reply) as service:
        outcomes = judged(service, "18", mode="score")
    assert totals(outcomes) == [None]
    assert why in causes(outcomes)[0]
    assert len(service.asked) == 1


def test_json_in_a_fence_is_read():
    with reward_service(lambda _: said('```json\n{"score": 5}\n```')) as service:
        assert totals(judged(service, "18", mode="score")) == [0.5]


def test_an_answer_that_was_cut_off_says_so():
    choice = {"finish_reason": "length", "message": {"content": '{"reasoning": "long'}}
    with pytest.raises(CallFailed, match="cut off at max_tokens"):
        verdict_of({"choices": [choice]})
    assert read_score({"score": 10}, (0, 10)) == 1


def problems(rewards: Sequence[dict[str, Any]], **spec: Any) -> list[str]:
    with pytest.raises(SpecError) as error:
        resolve({"rewards": list(rewards), **spec})
    return [f"{pointer}: {detail}" for pointer, detail in error.value.problems]


WRITTEN = {"type": "judge", "url": "https://a.example/v1", "model": "m", "rubric": "r"}


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"mode": "score", "rubric": None}, "either `rubric` or `input`"),
        ({"mode": "score", "input": [{"role": "user", "content": "x"}]}, "either `rubric` or"),
        ({"mode": "score", "range": [1, 1]}, "the lower one first"),
        ({"mode": "score", "range": [0, 1e9]}, "`range`"),
        ({"mode": "score", "labels": ["a"]}, "are for mode: label"),
        ({"mode": "score", "rubric": "{{thing}}"}, "unknown name"),
        ({"mode": "label"}, "`passing_labels` must be some"),
        ({"mode": "label", "labels": ["a"], "passing_labels": ["a"]}, "not all of them"),
        ({"mode": "label", "labels": ["a"], "passing_labels": ["b"]}, "must be some"),
        ({"mode": "label", "labels": ["a", "a", "b"], "passing_labels": ["b"]}, "twice"),
        ({"mode": "rank"}, "/mode"),
        ({}, "/mode"),
        ({"mode": "score", "api_key": "sk-live-123"}, "/api_key"),
        ({"mode": "score", "model": ""}, "/model"),
        (
            {
                "mode": "pairwise",
                "rubric": None,
                "input": [{"role": "user", "content": "x"}],
            },
            "cannot show two completions",
        ),
    ],
)
def test_a_bad_setting_is_named(settings: dict[str, Any], why: str):
    found = problems([{**WRITTEN, **settings}])
    assert len(found) == 1
    assert why in found[0]
    assert "sk-live-123" not in found[0]


def test_a_pairwise_judge_needs_whole_groups():
    pairwise = {**WRITTEN, "mode": "pairwise"}
    multi = {"type": "multi", "rewards": [pairwise], "calculate_output": "judge"}
    grow = {"algorithm": {"ties": {"policy": "grow"}}}
    for reward in (pairwise, multi):
        assert "pairwise judge" in problems([reward], **grow)[0]
    alone = {"evaluation": {"samples": 1}, "data": {"train": "arithmetic", "eval": "arithmetic"}}
    assert "evaluation.samples" in problems([pairwise], **alone)[0]


ENDLESS = {
    "newlines in a block": "```" + "\n" * 200_000,
    "newlines in an object": "```json\n{" + "\n" * 200_000,
    "ticks": "`" * 200_000,
    "blocks": "```\n" * 60_000,
    "long": "x" * 300_000,
}


@pytest.mark.parametrize("content", ENDLESS.values(), ids=ENDLESS)
def test_a_judge_that_writes_without_end_is_refused_at_once(content: str):
    """Parsing holds the interpreter's lock, and no deadline reaches it."""
    began = time.process_time()
    with pytest.raises(CallFailed):
        verdict_of(said(content).body)
    assert time.process_time() - began < 1


@pytest.mark.parametrize("fenced", ["```json\n{}\n```", "```\n{}```", " ```json {} ``` \n", "{}"])
def test_a_verdict_in_a_code_block_is_read(fenced: str):
    assert verdict_of(said(fenced).body) == {}


def test_a_judges_text_is_shown_without_the_key_and_in_characters_that_can_be_stored():
    with reward_service(lambda _: said(f"I got {KEY} \ud800\x00 and\nmore")) as service:
        (cause,) = causes(judged(service, "18", mode="score", api_key="JUDGE_KEY"))
    assert KEY not in cause
    assert "I got ***" in cause
    cause.encode()
    assert cause.isprintable()


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://API.openai.com/v1", "api.openai.com"),
        ("https://api.openai.com:443/v1", "api.openai.com"),
        ("https://api.openai.com:8443/v1", "api.openai.com:8443"),
        ("http://api.openai.com/v1", "api.openai.com:80"),
        ("http://[::1]:8000/v1", "[::1]:8000"),
    ],
)
def test_a_key_is_bound_to_the_host_with_its_port(url: str, host: str):
    written = {"type": "judge", "url": url, "model": "m", "rubric": "r", "mode": "score"}
    (reward,) = resolve({"rewards": [written]}).rewards
    assert isinstance(reward, ServiceReward)
    assert reward.host == host
