"""`duet rewards`: the available rewards, and trials of them."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from duet.client.sync.client import Client
from duet.connection import Key, Url, connect
from duet.errors import Refused
from duet.objects.trial import CompletionTried
from duet.spec_file import Settings, read_spec, with_settings
from duet.terminal.output import AsJson, print_json, print_lines, print_list, score

app = typer.Typer(help="Rewards, which score completions.")


@app.callback(invoke_without_command=True)
def rewards(
    context: typer.Context, as_json: AsJson = False, url: Url = None, key: Key = None
) -> None:
    """List the available rewards; --json includes the schemas of their settings."""
    if context.invoked_subcommand is not None:
        return
    with connect(url, key) as client:
        found = client.rewards()
    rows = [[each.type, " ".join(each.description.split("\n\n")[0].split())] for each in found]
    print_list(found, ["reward", "description"], rows, as_json=as_json)


@app.command("try")
def try_(
    rewards: Annotated[str, typer.Argument(metavar="SPEC|TYPE", help="A spec, or one reward.")],
    completion: Annotated[list[str], typer.Option(help="Completion to score (repeatable).")],
    answer: Annotated[str, typer.Option(help="The expected answer.")] = "",
    prompt: Annotated[
        str | None, typer.Option(help="The prompt, for rewards that call a service.")
    ] = None,
    item: Annotated[
        str, typer.Option(help="The row's fields as a JSON object.", metavar="JSON")
    ] = "{}",
    settings: Settings = None,
    as_json: AsJson = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """Score completions as training would, with a spec's rewards or a single one; nothing is
    stored.

    As in `duet rewards try number --completion "it is 4" --answer 4 --set rewards.0.weight=2`.
    """
    path = Path(rewards)
    written = read_spec(path) if path.is_file() else {"rewards": [{"type": rewards}]}
    spec = with_settings(written, settings)
    messages = [] if prompt is None else [{"role": "user", "content": prompt}]
    row = _row(item)
    asked = [
        {"completion": each, "answer": answer, "messages": messages, "item": row}
        for each in completion
    ]
    with connect(url, key) as client:
        tried = client.try_rewards(_rewards_of(client, spec), asked)
    if as_json:
        print_json(tried)
        return
    for text, scored in zip(completion, tried.completions, strict=True):
        print_lines(_lines(text, scored))


def _row(written: str) -> dict[str, Any]:
    """Read a row's fields.

    Raises:
        Refused: they are not a JSON object.
    """
    try:
        row = json.loads(written)
    except ValueError as error:
        raise Refused(f"--item is not JSON: {error}") from None
    if not isinstance(row, dict):
        raise Refused('--item must be a JSON object, such as {"city": "Rome"}')
    return row


def _rewards_of(client: Client, spec: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the rewards of the spec, or of its preset."""
    if "rewards" in spec:
        return spec["rewards"]
    return client.jobs.validate({"preset": spec.get("preset")}).spec["rewards"]


def _lines(text: str, scored: CompletionTried) -> Iterator[str]:
    yield f"{score(scored.total)}  {text}"
    for part in scored.parts:
        took = "" if part.seconds is None else f" in {part.seconds * 1000:.2g} ms"
        yield f"  {part.reward}: {part.error or f'{score(part.score)}{took}'}"
