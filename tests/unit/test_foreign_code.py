"""The product loads data, never code: no pickle, no remote code, no eval, no shell."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PACKAGES = ("grpo", "store", "api", "worker", "duet", "migrations")
SANDBOX = "grpo/rewards/sandbox/inside.py"
"""Module that runs the code of a python reward: without network, files or environment."""

MODULES = {"pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib"}
BUILTINS = {"eval", "exec", "compile", "__import__"}
FILES_OF_PYTHON = {"yaml.load", "yaml.unsafe_load", "yaml.full_load", "numpy.load", "np.load"}


def findings(source: str) -> list[str]:
    return sorted({found for node in ast.walk(ast.parse(source)) for found in _findings(node)})


def _findings(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Import(names=names):
            yield from (n.name for n in names if n.name.partition(".")[0] in MODULES)
        case ast.ImportFrom(module=str(module)) if module.partition(".")[0] in MODULES:
            yield module
        case ast.Call(func=ast.Name(id=name)) if name in BUILTINS:
            yield name
        case ast.Call():
            yield from _of_call(node)


def _of_call(call: ast.Call) -> Iterator[str]:
    called = ast.unparse(call.func)
    given = {keyword.arg: keyword.value for keyword in call.keywords}
    if "trust_remote_code" in given:
        yield "trust_remote_code"
    if "shell" in given or called in ("os.system", "os.popen"):
        yield "shell"
    if called in FILES_OF_PYTHON and not _is_plain_yaml(call):
        yield called
    if called == "torch.load":
        yield called
    loads_model = called.endswith("ForCausalLM.from_pretrained")
    if loads_model and ast.unparse(given.get("use_safetensors", call)) != "True":
        yield "a model without use_safetensors"


def _is_plain_yaml(call: ast.Call) -> bool:
    """Whether a call reads YAML by a loader of the same module that is a `SafeLoader` by class."""
    given = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
    return given.get("Loader") == "_PlainLoader"


def test_the_plain_loaders_of_yaml_are_safe_loaders():
    from duet import plain_yaml as clients
    from grpo.data import dataset_folder as data_sets
    from grpo.spec import plain_yaml as trainers

    for module in (clients, trainers, data_sets):
        assert issubclass(module._PlainLoader, yaml.SafeLoader)
    for module in (clients, trainers):
        with pytest.raises(yaml.YAMLError):
            module.load_yaml("!!python/object/apply:os.getcwd []")


def sources() -> list[Path]:
    return [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]


def test_the_product_loads_no_code():
    found = {
        str(path.relative_to(ROOT)): here
        for path in sources()
        if (here := findings(path.read_text()))
    }
    assert found == {SANDBOX: ["__import__", "compile", "exec"]}


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("import pickle", "pickle"),
        ("from joblib.numpy_pickle import load", "joblib.numpy_pickle"),
        ("AutoConfig.from_pretrained(a, trust_remote_code=True)", "trust_remote_code"),
        ("AutoModelForCausalLM.from_pretrained(a)", "a model without use_safetensors"),
        ("torch.load(a, weights_only=True)", "torch.load"),
        ("yaml.load(a)", "yaml.load"),
        ("eval(a)", "eval"),
        ("subprocess.run(a, shell=True)", "shell"),
    ],
)
def test_loading_of_foreign_code_is_found(source: str, said: str):
    assert findings(source) == [said]


def test_safe_calls_are_not_reported():
    assert not findings(
        "model.eval(); AutoModelForCausalLM.from_pretrained(a, use_safetensors=True)"
    )


def test_celery_takes_only_json():
    from worker.celery_app import make_app

    def work() -> None:
        """Celery makes a header of its name: a lambda has none."""

    app = make_app("redis://127.0.0.1:1/0", work=work)
    assert list(app.conf.accept_content) == ["json"]
    assert app.conf.task_serializer == "json"
