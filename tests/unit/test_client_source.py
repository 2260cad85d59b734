"""The Python client's source: few imports, generated half up to date, every operation covered."""

import ast
import json
import pickle
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from duet.client import generate_sync
from duet.errors import NotFound

ROOT = Path(__file__).parents[2]
SOURCES = sorted(generate_sync.AIO.glob("[!_]*.py"))

NOT_THE_CLIENTS = {
    ("GET", "/livez"): "for what restarts processes",
    ("GET", "/metrics"): "for Prometheus",
    ("GET", "/v1/checkpoints/{}/archive.tar"): "for curl: `checkpoints.download` gets the files",
    ("GET", "/v1/session"): "for browsers",
    ("POST", "/v1/session"): "for browsers",
    ("DELETE", "/v1/session"): "for browsers",
}
"""Operations without a call of the client, each with its reason."""


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.name)
def test_the_generated_client_matches_its_source(source: Path):
    assert (generate_sync.SYNC / source.name).read_text() == generate_sync.twin_of(source), (
        "run `python -m duet.client.generate_sync`"
    )


def test_no_generated_file_remains_of_a_removed_source():
    assert [path.name for path in sorted(generate_sync.SYNC.glob("[!_]*.py"))] == [
        s.name for s in SOURCES
    ]


def test_every_operation_of_the_api_has_its_call_and_every_parameter_its_name():
    """If this fails for a new operation, add a method in duet/client/aio."""
    documented = dict(_operations())
    called = dict(_calls())
    assert called.keys() - documented.keys() == set()
    assert documented.keys() - called.keys() == NOT_THE_CLIENTS.keys()
    for operation, parameters in called.items():
        assert parameters == documented[operation] - {"after", "limit"}, operation


def _operations() -> Iterator[tuple[tuple[str, str], set[str]]]:
    """Return each operation of Duet's own API with its query parameters."""
    document = json.loads((ROOT / "docs" / "openapi.json").read_text())
    for path, methods in document["paths"].items():
        if path.startswith("/openai"):
            continue
        for method, operation in methods.items():
            named = operation.get("parameters", [])
            query = {each["name"] for each in named if each["in"] == "query"}
            yield (method.upper(), re.sub(r"\{\w+\}", "{}", path)), query


VERBS = {
    "get": "GET",
    "all": "GET",
    "pages": "GET",
    "opened": "GET",
    "lines": "GET",
    "post": "POST",
}
VERBS |= {
    "once": "POST",
    "put": "PUT",
    "patch": "PATCH",
    "delete": "DELETE",
    "text": "GET",
    "read": "GET",
    "fetch": "GET",
}
OURS = {"json", "limit", "after", "key", "item", "answer", "headers", "silence_seconds"}


def _calls() -> Iterator[tuple[tuple[str, str], set[str]]]:
    """Calls in the source: `self._http.VERB(path, ..., parameter=...)`."""
    found: dict[tuple[str, str], set[str]] = {}
    for source in SOURCES:
        for call in ast.walk(ast.parse(source.read_text())):
            if isinstance(call, ast.Call) and (operation := _operation(call)):
                found.setdefault(operation, set()).update(_parameters(call))
    yield from found.items()


def _operation(call: ast.Call) -> tuple[str, str] | None:
    texts = [text for argument in call.args if (text := _text(argument))]
    path = next((text for text in texts if text.startswith("/")), None)
    if path is None:
        return None
    name = call.func.attr if isinstance(call.func, ast.Attribute) else ast.unparse(call.func)
    return texts[0] if name == "call" else VERBS[name], path


def _text(node: ast.expr) -> str | None:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(part) or "{}" for part in node.values)
    return None


def _parameters(call: ast.Call) -> set[str]:
    named = {keyword.arg for keyword in call.keywords if keyword.arg} - OURS
    if isinstance(call.func, ast.Name) and call.func.id == "fetch":  # what a download is checked by
        named -= {"sha256", "num_bytes"}
    return named - {"params", "files", "repeatable", "tally"}


def test_importing_it_takes_only_httpx_and_pydantic():
    program = "import json, sys, duet; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, cwd=ROOT, check=True
    )
    loaded = json.loads(done.stdout)
    allowed = {*sys.stdlib_module_names, "duet", "httpx", "pydantic", "pydantic_core", "anyio"}
    for module in (name for name in loaded if name == "duet" or name.startswith("duet.")):
        path = ROOT / module.replace(".", "/")
        source = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        assert _imported(source) <= allowed, module
    # httpx itself loads rich, where that is installed.
    assert {"typer", "yaml", "fastapi", "torch", "pandas"} & set(loaded) == set()


def _imported(source: Path) -> set[str]:
    """Imports of a module when it is loaded."""
    return {
        name.partition(".")[0]
        for node in ast.parse(source.read_text()).body
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }


def test_errors_pass_between_processes():
    error = NotFound(404, "not_found", "Not Found", "no job", [("/a", "b")], "req_1", None)
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is NotFound
    assert (str(again), again.request_id) == (str(error), "req_1")
