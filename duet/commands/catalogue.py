"""`duet presets`, `models`, `datasets`: the names that a spec can use on a server."""

from duet.connection import Key, Url, connect
from duet.terminal.output import AsJson, print_list


def presets(as_json: AsJson = False, url: Url = None, key: Key = None) -> None:
    """List the presets that a spec can start from: `preset: NAME`."""
    with connect(url, key) as client:
        found = client.presets()
    rows = [[each.name, each.description] for each in found]
    print_list(found, ["preset", "description"], rows, as_json=as_json)


def models(as_json: AsJson = False, url: Url = None, key: Key = None) -> None:
    """List the built-in models: `model.source`."""
    with connect(url, key) as client:
        found = client.models()
    rows = [[each.name, f"{each.context_tokens:,}", each.description] for each in found]
    columns = ["model", "tokens", "description"]
    print_list(found, columns, rows, as_json=as_json, numbers=["tokens"])


def datasets(as_json: AsJson = False, url: Url = None, key: Key = None) -> None:
    """List the built-in data sets: `data.train`, `data.eval`."""
    with connect(url, key) as client:
        found = client.datasets()
    rows = [[each.name, each.description] for each in found]
    print_list(found, ["data set", "description"], rows, as_json=as_json)
