"""Assumptions of the GPU path about vLLM, read in its source: no test of the CPU runs it.

The source is parsed and not imported, which would take seconds.
"""

import ast
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

import grpo.rollout.engines.vllm as engine
from grpo.commands.program import ALLOCATOR_SETTINGS, GROWING_SEGMENTS, set_environment

_SPEC = find_spec("vllm")
assert _SPEC is not None, "the tests' environment has vLLM"
assert _SPEC.origin is not None
VLLM = Path(_SPEC.origin).parent


def parsed(path: str) -> ast.Module:
    return ast.parse((VLLM / path).read_text())


def value_of(path: str, name: str) -> ast.expr:
    """The value that a module gives a name."""
    for node in parsed(path).body:
        if not isinstance(node, ast.Assign | ast.AnnAssign) or node.value is None:
            continue
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        if any(isinstance(target, ast.Name) and target.id == name for target in targets):
            return node.value
    raise AssertionError(f"{path} has no {name}")


def strings(node: ast.AST) -> set[str]:
    return {
        each.value
        for each in ast.walk(node)
        if isinstance(each, ast.Constant) and isinstance(each.value, str)
    }


def class_of(path: str, name: str) -> ast.ClassDef:
    (found,) = (
        node
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.ClassDef) and node.name == name
    )
    return found


def fields(path: str, name: str) -> set[str]:
    return {
        node.target.id
        for node in class_of(path, name).body
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
    }


def method(path: str, of: str, name: str) -> ast.FunctionDef:
    (found,) = (
        node
        for node in class_of(path, of).body
        if isinstance(node, ast.FunctionDef) and node.name == name
    )
    return found


def parameters(function: ast.FunctionDef) -> set[str]:
    return {argument.arg for argument in (*function.args.args, *function.args.kwonlyargs)}


def given_to_llm() -> Iterator[str]:
    """The names of the arguments that `start_vllm` gives to `LLM`, on either kind of machine."""
    source = Path(engine.__file__).read_text()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "LLM":
            yield from (keyword.arg for keyword in node.keywords if keyword.arg is not None)
    yield from engine._cpu_settings({})
    yield from engine._gpu_settings(0.4)


def test_sleep_has_the_two_tags_that_wake_one_after_the_other():
    assert strings(value_of("v1/executor/abstract.py", "SLEEP_TAGS")) == {"weights", "kv_cache"}
    deferrable = value_of("device_allocator/__init__.py", "DEFERRABLE_TAGS")
    assert strings(deferrable) == {"weights", "kv_cache"}
    source = Path(engine.__file__).read_text()
    assert '"weights"' in source
    assert '"kv_cache"' in source
    assert {"level"} <= parameters(method("entrypoints/llm.py", "LLM", "sleep"))
    assert {"tags"} <= parameters(method("entrypoints/llm.py", "LLM", "wake_up"))


@pytest.mark.parametrize(
    "runner", ["v1/worker/gpu_model_runner.py", "v1/worker/gpu/model_runner.py"], ids=["V1", "V2"]
)
def test_both_model_runners_reload_weights_from_an_iterator(runner: str):
    """On CUDA the second is the default, and the tests of the CPU run the first."""
    reload = method(runner, "GPUModelRunner", "reload_weights")
    assert "weights_iterator" in parameters(reload)


def test_the_second_model_runner_is_chosen_where_triton_is():
    """Written down, so that a change of the default is seen here and not on a GPU."""
    chosen = method("config/vllm.py", "VllmConfig", "use_v2_model_runner")
    names = {node.id for node in ast.walk(chosen) if isinstance(node, ast.Name)}
    attributes = {node.attr for node in ast.walk(chosen) if isinstance(node, ast.Attribute)}
    assert "HAS_TRITON" in names
    assert "VLLM_USE_V2_MODEL_RUNNER" in attributes


def test_logprobs_after_temperature_and_flat_ones_are_offered():
    modes = strings(value_of("config/model.py", "PROCESSED_LOGPROBS_MODES"))
    assert "processed_logprobs" in modes
    assert "flat_logprobs" in fields("sampling_params.py", "SamplingParams")


def test_segments_that_grow_are_turned_off_around_vllms_own_memory():
    """Memory that sleeps and wakes must keep its place."""
    own = method("device_allocator/cumem.py", "CuMemAllocator", "use_memory_pool")
    names = {node.id for node in ast.walk(own) if isinstance(node, ast.Name)}
    assert {"EXPANDABLE_SEGMENTS", "set_alloc_conf"} <= names
    known = strings(value_of("device_allocator/alloc_conf.py", "ALLOC_CONF_ENV_VARS"))
    assert set(ALLOCATOR_SETTINGS) <= known


@pytest.mark.parametrize("name", ALLOCATOR_SETTINGS)
def test_the_allocator_is_set_unless_the_user_has_under_either_name(name: str):
    chosen: dict[str, str] = {}
    set_environment(chosen)
    assert chosen["PYTORCH_ALLOC_CONF"] == GROWING_SEGMENTS
    users = {name: "max_split_size_mb:128"}
    set_environment(users)
    assert [users.get(each) for each in ALLOCATOR_SETTINGS].count(None) == 1
    assert users[name] == "max_split_size_mb:128"


def test_every_setting_of_an_engine_is_one_of_vllms():
    """`LLM` passes on what it does not know itself to `EngineArgs`, which refuses other names."""
    known = fields("engine/arg_utils.py", "EngineArgs") | parameters(
        method("entrypoints/llm.py", "LLM", "__init__")
    )
    given = set(given_to_llm())
    assert {"gpu_memory_utilization", "enable_sleep_mode", "enforce_eager", "hf_overrides"} <= given
    assert given - known == set()
    assert engine._gpu_settings(0.4)["gpu_memory_utilization"] == 0.4
    assert "enable_sleep_mode" in fields("config/model.py", "ModelConfig")


def test_the_decorated_call_asks_an_instance_whether_it_is_to_be_compiled():
    """`start_vllm` relies on it for models made before the engine: see its comment."""
    source = (VLLM / "compilation/decorators.py").read_text()
    assert "if self.do_not_compile or torch.compiler.is_compiling():" in source
    assert "self.do_not_compile = (" in source  # the engine's own models have an answer
