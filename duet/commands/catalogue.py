"""`duet presets`, `models`, `datasets`: what a server offers for a spec."""

from duet.connection import Key, Url, connect
from duet.showing import AsJson, print_json_list, print_table


def presets(as_json: AsJson = False, url: Url = None, key: Key = None) -> None:
    """List settings that a spec can start from: `preset: NAME`."""
    with connect(url, key) as client:
        found = client.presets()
    if as_json:
        print_json_list(found)
        return
    print_table(["preset", "what it is"], [[each.name, each.description] for each in found])


def models(as_json: AsJson = False, url: Url = None, key: Key = None) -> None:
    """List the built-in models: `model.source`."""
    with connect(url, key) as client:
        found = client.models()
    if as_json:
        print_json_list(found)
        return
    rows = [[each.name, f"{each.context_tokens:,}", each.description] for each in found]
    print_table(["model", "tokens", "what it is"], rows, numbers=["tokens"])


def datasets(as_json: AsJson = False, url: Url = None, key: Key = None) -> None:
    """List the built-in data sets: `data.train`, `data.eval`."""
    with connect(url, key) as client:
        found = client.datasets()
    if as_json:
        print_json_list(found)
        return
    print_table(["data set", "what it is"], [[each.name, each.description] for each in found])
