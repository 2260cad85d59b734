"""`duet webhooks`: addresses that receive events about jobs."""

from typing import Annotated

import typer

from duet.connection import Key, Url, connect
from duet.errors import DuetError, Refused
from duet.objects.webhook import Delivery, Webhook
from duet.terminal.confirm import Yes, confirm
from duet.terminal.output import AsJson, print_answer, print_done, print_json, print_json_list, say
from duet.terminal.plain import plain

HookId = Annotated[
    str, typer.Argument(metavar="WEBHOOK", help="Its id, as `duet webhooks list` prints it.")
]

app = typer.Typer(no_args_is_help=True, help="Addresses that receive events about jobs.")


@app.command("list")
def list_(as_json: AsJson = False, url: Url = None, key: Key = None) -> None:
    """List the webhooks."""
    with connect(url, key) as client:
        found = list(client.webhooks.list())
    if as_json:
        print_json_list(found)
        return
    say("\n".join(plain(_line(hook)) for hook in found) or "none yet")


@app.command()
def add(
    address: Annotated[str, typer.Argument(metavar="URL", help="Where events are sent.")],
    event: Annotated[
        list[str] | None,
        typer.Option(help="Event type to deliver, e.g. job.failed (repeatable); default: all."),
    ] = None,
    as_json: AsJson = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """Add a webhook; the secret that signs its deliveries is printed only once."""
    with connect(url, key) as client:
        hook = client.webhooks.create(address, events=event)
    print_answer(hook, f"{hook.id}\n{hook.secret}", as_json=as_json)


@app.command()
def change(
    webhook: HookId,
    address: Annotated[
        str | None, typer.Option(metavar="URL", help="Where events are sent.")
    ] = None,
    event: Annotated[
        list[str] | None,
        typer.Option(help="Event type to deliver, replacing the current ones (repeatable)."),
    ] = None,
    description: Annotated[str | None, typer.Option(help="Its purpose.")] = None,
    enabled: Annotated[
        bool | None, typer.Option("--enable/--disable", help="Whether deliveries are sent.")
    ] = None,
    as_json: AsJson = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """Change a webhook; other values are kept."""
    if address is None and not event and description is None and enabled is None:
        raise Refused(
            "nothing to change: give --address, --event, --description, --enable or --disable"
        )
    with connect(url, key) as client:
        hook = client.webhooks.update(
            webhook, url=address, events=event, description=description, enabled=enabled
        )
    print_answer(hook, plain(_line(hook)), as_json=as_json)


@app.command()
def remove(
    webhook: HookId, yes: Yes = False, as_json: AsJson = False, url: Url = None, key: Key = None
) -> None:
    """Delete a webhook with its deliveries."""
    confirm(f"remove {webhook} with its deliveries permanently", yes=yes)
    with connect(url, key) as client:
        client.webhooks.delete(webhook)
    print_done(webhook, "removed", as_json=as_json)


@app.command("rotate-secret")
def rotate_secret(
    webhook: HookId, as_json: AsJson = False, url: Url = None, key: Key = None
) -> None:
    """Change a webhook's secret; the new one is printed only once."""
    with connect(url, key) as client:
        hook = client.webhooks.rotate_secret(webhook)
    print_answer(hook, hook.secret, as_json=as_json)


@app.command()
def redeliver(
    webhook: HookId,
    delivery: Annotated[
        str, typer.Argument(metavar="DELIVERY", help="Its id, as `deliveries` lists it.")
    ],
    as_json: AsJson = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """Send a delivery again."""
    with connect(url, key) as client:
        now = client.webhooks.redeliver(webhook, delivery)
    print_answer(now, f"{now.id} is {now.status}", as_json=as_json)


@app.command("test")
def send_test(webhook: HookId, as_json: AsJson = False, url: Url = None, key: Key = None) -> None:
    """Send a test event and show the result."""
    with connect(url, key) as client:
        sent = client.webhooks.test(webhook)
    if as_json:
        print_json(sent)
    if sent.status == "pending":
        raise DuetError(
            "not sent yet: check that the server's ops process is running (python -m worker ops)"
        )
    if sent.delivered_at is None:
        raise DuetError(f"not delivered: {sent.error}")
    if not as_json:
        seconds = (sent.delivered_at - (sent.tried_at or sent.delivered_at)).total_seconds()
        say(f"delivered: it answered {sent.status_code} in {seconds:.2f} s")


@app.command()
def deliveries(
    webhook: HookId,
    limit: Annotated[int, typer.Option(min=1, max=100, help="Number of deliveries.")] = 20,
    as_json: AsJson = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """List a webhook's deliveries, sent and pending, newest first."""
    with connect(url, key) as client:
        found = list(client.webhooks.deliveries(webhook, limit=limit))
    if as_json:
        print_json_list(found)
        return
    say("\n".join(plain(_delivery_line(item)) for item in found) or "nothing yet")


def _line(hook: Webhook) -> str:
    state = f"disabled: {hook.disabled_reason}" if hook.disabled_reason else ", ".join(hook.events)
    return f"{hook.id}  {hook.url}  {state}"


def _delivery_line(item: Delivery) -> str:
    error = f"  {item.error}" if item.error else ""
    return f"{item.id}  {item.event:<18}  {item.status:<9}  {item.tries} tries{error}"
