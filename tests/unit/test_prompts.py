import inspect
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as arrow
import pytest
from pyarrow import parquet
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from grpo.builtin.catalogue import MODELS
from grpo.data.prompts import Prompt, PromptSet, load_prompts
from grpo.data.sources import SourceShare, source_names
from grpo.errors import RunError
from grpo.spec.data import Data, DataSource

CHAT_TEMPLATE = (
    "{% for message in messages %}[{{ message.role }}]{{ message.content }}{% endfor %}"
    "{% if add_generation_prompt %}[assistant]{% endif %}"
)


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerBase:
    return AutoTokenizer.from_pretrained(MODELS["tiny-arithmetic"].folder)


@pytest.fixture
def chat_tokenizer() -> PreTrainedTokenizerBase:
    tokenizer = AutoTokenizer.from_pretrained(MODELS["tiny-arithmetic"].folder)
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


def write(folder: Path, *lines: str, name: str = "data.jsonl") -> str:
    path = folder / name
    path.write_text("\n".join(lines), encoding="utf-8")
    return str(path)


def load(tokenizer: PreTrainedTokenizerBase, source: str | Sequence[Any], **data: Any) -> PromptSet:
    settings = Data.model_validate({"max_prompt_tokens": 64, "train": source, **data})
    return load_prompts(settings.train_sources, data=settings, tokenizer=tokenizer, split="train")


def asked(prompt: Prompt) -> str:
    """Return the text of byte-level token ids."""
    return bytes(prompt.token_ids).decode()


def test_a_row_becomes_text_tokens_and_answer(tmp_path: Path, tokenizer: PreTrainedTokenizerBase):
    source = write(
        tmp_path, '{"q": "2+2", "a": "two and two #### 4"}', "", '{"q": "é\\u0000", "a": "#### 5"}'
    )
    first, second = load(
        tokenizer, source, prompt="Q: {{q}}", answer="{{a}}", answer_after="####"
    ).prompts
    assert first == Prompt(
        index=0,
        row=1,
        text="Q: 2+2",
        token_ids=tuple(b"Q: 2+2"),
        answer="4",
        source="data",
        fields={"q": "2+2", "a": "two and two #### 4"},
        messages=({"role": "user", "content": "Q: 2+2"},),
    )
    assert (second.index, second.row, second.text, second.answer) == (1, 3, "Q: é\x00", "5")
    assert second.token_ids == (*b"Q: ", 0xC3, 0xA9, 0)


def test_prompts_too_long_are_left_out_and_counted(
    tmp_path: Path, tokenizer: PreTrainedTokenizerBase
):
    rows = [f'{{"question": "{"x" * length}", "answer": 1}}' for length in (5, 4, 6, 3)]
    loaded = load(tokenizer, write(tmp_path, *rows), max_prompt_tokens=4)
    assert [(prompt.index, prompt.row) for prompt in loaded.prompts] == [(0, 2), (1, 4)]
    assert loaded.num_too_long == 2


def test_cut_left_keeps_the_end_of_prompts_too_long_and_counts_them(
    tmp_path: Path, tokenizer: PreTrainedTokenizerBase
):
    rows = [f'{{"question": "{question}", "answer": 1}}' for question in ("12345", "abcd", "z")]
    loaded = load(tokenizer, write(tmp_path, *rows), max_prompt_tokens=4, too_long="cut_left")
    assert [asked(prompt) for prompt in loaded.prompts] == ["2345", "abcd", "z"]
    assert loaded.prompts[0].text == "12345"
    assert loaded.num_too_long == 1


def test_sources_are_concatenated_each_with_its_own_templates(
    tmp_path: Path, tokenizer: PreTrainedTokenizerBase
):
    sums = write(tmp_path, '{"question": "1+1", "answer": 2}', '{"question": "1+2", "answer": 3}')
    tales = write(tmp_path, '{"q": "Say one.", "a": "so: 1"}', name="My Tales (v2).jsonl")
    loaded = load(
        tokenizer,
        [
            {"source": tales, "weight": 0.5, "prompt": "{{q}}", "answer": "{{a}}",
             "answer_after": ":"},
            {"source": sums, "name": "sums", "weight": 2},
        ],
    )  # fmt: skip
    assert loaded.sources == (SourceShare("my-tales-v2", 1, 0.5), SourceShare("sums", 2, 2))
    assert [
        (prompt.index, prompt.source, prompt.row, prompt.text, prompt.answer)
        for prompt in loaded.prompts
    ] == [
        (0, "my-tales-v2", 1, "Say one.", "1"),
        (1, "sums", 1, "1+1", "2"),
        (2, "sums", 2, "1+2", "3"),
    ]


def test_a_source_without_a_prompt_left_is_named_though_others_have_some(
    tmp_path: Path, tokenizer: PreTrainedTokenizerBase
):
    short = write(tmp_path, '{"question": "1", "answer": 1}')
    long = write(tmp_path, '{"question": "12345", "answer": 1}', name="long.jsonl")
    with pytest.raises(RunError, match=r"all 1 prompts of .*long\.jsonl are longer than 4 tokens"):
        load(tokenizer, [{"source": short}, {"source": long}], max_prompt_tokens=4)


def test_no_held_out_sources_are_no_prompts(tokenizer: PreTrainedTokenizerBase):
    loaded = load_prompts(
        Data(eval=None).eval_sources, data=Data(), tokenizer=tokenizer, split="test"
    )
    assert loaded == PromptSet([], 0, ())


def test_names_are_made_from_sources_and_never_the_same():
    sources = [
        "openai/gsm8k",
        "a/Big.Set",
        "/d/训练.jsonl",
        "x/gsm8k.jsonl",
        "-_-.jsonl",
        "arithmetic",
    ]
    listed = [DataSource(source=source) for source in sources]
    listed += [DataSource(source="b/c", name="gsm8k-2"), DataSource(source=f"/d/{'n' * 50}.jsonl")]
    listed += [listed[-1]]
    assert source_names(listed) == [
        "gsm8k", "big-set", "data", "gsm8k-3", "data-2", "arithmetic", "gsm8k-2",
        "n" * 40, "n" * 38 + "-2",
    ]  # fmt: skip


def test_parquet_is_detected_by_content_and_gives_the_same_prompts(
    tmp_path: Path, tokenizer: PreTrainedTokenizerBase
):
    path = tmp_path / "file_0198"  # as the artifact store names it
    rows = [
        {"question": "2+2", "answer": 4, "meta": {"tags": ["a", "b"]}},
        {"question": "é", "answer": 5, "meta": None},
    ]
    parquet.write_table(arrow.Table.from_pylist(rows), path)
    loaded = load(tokenizer, str(path))
    assert [(p.row, p.text, p.answer, p.fields) for p in loaded.prompts] == [
        (1, "2+2", "4", rows[0]),
        (2, "é", "5", rows[1]),
    ]


def test_a_chat_model_reads_prompts_in_its_template(
    tmp_path: Path, chat_tokenizer: PreTrainedTokenizerBase
):
    source = write(tmp_path, '{"question": "2+2", "answer": 4}')

    def read(**settings: str) -> str:
        (prompt,) = load(chat_tokenizer, source, **settings).prompts
        assert prompt.text == "2+2"
        return asked(prompt)

    assert read() == "[user]2+2[assistant]"
    assert read(system="Be brief.") == "[system]Be brief.[user]2+2[assistant]"
    assert read(chat="never") == "2+2"
    assert read(chat="never", system="Be brief.") == "Be brief.\n\n2+2"


TALK = [
    {"role": "user", "content": "1+1?"},
    {"role": "assistant", "content": "2", "mood": None},
    {"role": "user", "content": "And 2+2?"},
]


def talk(folder: Path, *messages: Any) -> str:
    return write(folder, json.dumps({"talk": messages, "answer": 4}))


def test_messages_are_a_prompt_of_several_turns(
    tmp_path: Path, tokenizer: PreTrainedTokenizerBase, chat_tokenizer: PreTrainedTokenizerBase
):
    source = talk(tmp_path, *TALK)
    (chat,) = load(chat_tokenizer, source, messages="talk", system="Add.").prompts
    assert asked(chat) == "[system]Add.[user]1+1?[assistant]2[user]And 2+2?[assistant]"
    assert chat.text == "user: 1+1?\n\nassistant: 2\n\nuser: And 2+2?"
    (plain,) = load(tokenizer, source, messages="talk", system="Add.").prompts
    assert asked(plain) == "Add.\n\n1+1?\n\n2\n\nAnd 2+2?"
    (lone,) = load(tokenizer, talk(tmp_path, TALK[0]), messages="talk").prompts
    assert (asked(lone), lone.text) == ("1+1?", "1+1?")


def test_messages_in_parquet_are_read_as_in_jsonl(
    tmp_path: Path, chat_tokenizer: PreTrainedTokenizerBase
):
    path = tmp_path / "talk.parquet"
    parquet.write_table(arrow.Table.from_pylist([{"talk": TALK, "answer": 4}]), path)
    (prompt,) = load(chat_tokenizer, str(path), messages="talk").prompts
    assert asked(prompt) == "[user]1+1?[assistant]2[user]And 2+2?[assistant]"


def test_a_row_may_bring_its_own_system_message(
    tmp_path: Path, chat_tokenizer: PreTrainedTokenizerBase
):
    source = talk(tmp_path, {"role": "system", "content": "Add."}, TALK[0])
    (prompt,) = load(chat_tokenizer, source, messages="talk").prompts
    assert asked(prompt) == "[system]Add.[user]1+1?[assistant]"
    with pytest.raises(RunError, match="line 1 has a system message of its own"):
        load(chat_tokenizer, source, messages="talk", system="Be brief.")


def test_a_source_with_a_prompt_template_needs_no_messages(
    tmp_path: Path, tokenizer: PreTrainedTokenizerBase
):
    sums = write(tmp_path, '{"question": "1+1", "answer": 2}', name="sums.jsonl")
    sources = [{"source": talk(tmp_path, TALK[0])}, {"source": sums, "prompt": "{{question}}"}]
    loaded = load(tokenizer, sources, messages="talk")
    assert [prompt.text for prompt in loaded.prompts] == ["1+1?", "1+1"]


@pytest.mark.parametrize(
    ("messages", "complaint"),
    [
        ([], "field 'talk' must be a list of messages"),
        (["hello"], "message 1 of 'talk' must have a role: system, user, assistant"),
        ([{"role": "tool", "content": "x"}], "message 1 of 'talk' must have a role"),
        ([{"role": [], "content": "x"}], "message 1 of 'talk' must have a role"),
        ([TALK[0], {"role": "user"}], "message 2 of 'talk' must have a content that is a text"),
        (
            [{"role": "user", "content": "\ud800"}],
            "message 1 of 'talk' holds an unpaired surrogate",
        ),
        ([TALK[0], {"role": "system", "content": "x"}], "message 2 of 'talk' is a system message"),
        (TALK[:2], "the last message of 'talk' must be the user's"),
    ],
)
def test_messages_that_cannot_be_used_are_named_by_their_line(
    messages: list[Any], complaint: str, tmp_path: Path, tokenizer: PreTrainedTokenizerBase
):
    with pytest.raises(RunError, match=f"line 1: {complaint}") as caught:
        load(tokenizer, talk(tmp_path, *messages), messages="talk")
    assert caught.value.code == "bad_data"


def test_what_a_chat_template_refuses_is_named_by_its_line(
    tmp_path: Path, chat_tokenizer: PreTrainedTokenizerBase
):
    chat_tokenizer.chat_template = "{{ raise_exception('roles must alternate') }}"
    with pytest.raises(RunError, match=r"line 1: .*roles must alternate"):
        load(chat_tokenizer, talk(tmp_path, TALK[0], TALK[0]), messages="talk")


@pytest.mark.parametrize(
    ("lines", "settings", "complaint"),
    [
        (['{"question": "x", "answer": 1}', "oops"], {}, "line 2 is not JSON"),
        (['{"question": "x"}'], {}, "line 1 has no field 'answer'; it has 'question'"),
        ([], {}, "has no rows"),
        (['{"question": "", "answer": 1}'], {}, "line 1: the prompt is empty"),
        (['{"question": "12345", "answer": 1}'], {}, "all 1 prompts .* are longer than 4 tokens"),
        (['{"question": "x", "answer": 1}'], {"answer_after": "#"}, "line 1: the answer does not"),
        (['{"question": "x", "answer": 1}'], {"chat": "always"}, "has no chat template"),
    ],
)
def test_unusable_data_ends_the_run_with_the_reason(
    lines: list[str],
    settings: dict[str, str],
    complaint: str,
    tmp_path: Path,
    tokenizer: PreTrainedTokenizerBase,
):
    with pytest.raises(RunError, match=complaint) as caught:
        load(tokenizer, write(tmp_path, *lines), **{"max_prompt_tokens": 4, **settings})
    assert caught.value.code == "bad_data"


@pytest.mark.parametrize("source", ["/nowhere/rows.jsonl", "rows/train.parquet", "no-such-set"])
def test_a_file_that_is_not_there_is_bad_data(source: str, tokenizer: PreTrainedTokenizerBase):
    with pytest.raises(RunError, match=f"No such file .*{source}") as caught:
        load(tokenizer, source)
    assert caught.value.code == "bad_data"


@pytest.mark.parametrize("setting", ["config", "split"])
def test_hub_settings_of_other_sources_are_refused(
    setting: str, tokenizer: PreTrainedTokenizerBase
):
    with pytest.raises(RunError, match=f"arithmetic: {setting} applies only to hub data sets"):
        load(tokenizer, [{"source": "arithmetic", setting: "main"}])


def test_arguments_other_than_template_settings_are_refused():
    taken = inspect.signature(PreTrainedTokenizerBase.apply_chat_template).parameters.keys()
    for name in taken - {"self", "kwargs"}:
        with pytest.raises(ValueError, match="not a setting of the chat template"):
            Data.model_validate({"chat_template_kwargs": {name: True}})


@pytest.mark.parametrize(
    "template",
    [
        "{% include 'FILE' %}",
        "{% extends 'FILE' %}",
        "{% import 'FILE' as x %}{{ x }}",
        "{% from 'FILE' import x %}{{ x }}",
        "{% set x = cycler.__init__.__globals__.os.popen('id') %}{{ x.read() }}",
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ messages.append({'role': 'user', 'content': 'x'}) }}",
        "{{ self._TemplateReference__context.environment.loader }}",
        "{{ 1 // 0 }}",
        "{% for i in range(10 ** 9) %}{% endfor %}",
    ],
)
def test_a_chat_template_reaches_no_file_and_nothing_around_it(tmp_path: Path, template: str):
    secret = tmp_path / "secret.txt"
    secret.write_text("canary")
    tokenizer = AutoTokenizer.from_pretrained(MODELS["tiny-arithmetic"].folder)
    tokenizer.chat_template = template.replace("FILE", str(secret)) + "{{ messages[0].content }}"
    source = write(tmp_path, '{"question": "1+1", "answer": "2"}')
    data = Data(train=source, max_prompt_tokens=100_000)
    with pytest.raises(RunError, match="the model's chat template raised: ") as refused:
        load_prompts(data.train_sources, data=data, tokenizer=tokenizer, split="train")
    assert refused.value.code == "bad_data"
    assert "canary" not in refused.value.message
