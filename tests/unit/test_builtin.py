import json
from itertools import islice

from grpo.builtin.arithmetic import demonstrations
from grpo.builtin.catalogue import DATASETS, MODELS, model_folder

FIRST_ROWS = [
    '{"question": "2+2+7=", "answer": "11"}',
    '{"question": "8+8+1+1=", "answer": "18"}',
]


def questions(name: str) -> list[str]:
    return [row["question"] for row in DATASETS[name].rows()]


def test_training_and_held_out_problems_are_all_different():
    training, held_out = questions("arithmetic"), questions("arithmetic-heldout")
    assert (len(training), len(held_out)) == (4096, 512)
    assert len({*training, *held_out}) == 4096 + 512


def test_the_base_policy_is_not_shown_a_held_out_problem():
    shown = {
        question for question, _ in islice(demonstrations(seed=0, mistake_probability=0), 20_000)
    }
    assert not shown & set(questions("arithmetic-heldout"))


def test_every_answer_is_the_sum_of_its_terms():
    for name in DATASETS:
        for row in DATASETS[name].rows():
            terms = row["question"].removesuffix("=").split("+")
            assert 3 <= len(terms) <= 6
            assert int(row["answer"]) == sum(map(int, terms))


def test_a_data_set_is_the_same_whenever_it_is_made():
    first = [json.dumps(row) for row in islice(DATASETS["arithmetic"].rows(), 2)]
    assert first == FIRST_ROWS
    assert questions("arithmetic") == questions("arithmetic")


def test_a_builtin_model_has_its_context_and_folder():
    assert MODELS["tiny-arithmetic"].context_tokens == 2048
    assert model_folder("tiny-arithmetic") == MODELS["tiny-arithmetic"].folder
    assert model_folder("no-such-model") is None


def test_the_base_policy_is_small_enough_to_be_committed():
    folder = MODELS["tiny-arithmetic"].folder
    assert sum(file.stat().st_size for file in folder.iterdir()) <= 5_000_000
