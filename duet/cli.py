"""The command `duet`.

Exit codes: 0 done; 1 the job failed or was cancelled, a local server ended, or the doctor found a
failure; 2 wrong usage or invalid input; 3 the server does not answer or rejects the key; 130
Ctrl-C.
"""

import gc
import sys
from importlib.metadata import version
from typing import Annotated

import typer

from duet.commands.attempts import attempts
from duet.commands.audit import audit
from duet.commands.cancel import cancel
from duet.commands.catalogue import datasets, models, presets
from duet.commands.change import change
from duet.commands.checkpoint import checkpoint
from duet.commands.compare import compare
from duet.commands.delete import delete
from duet.commands.demo import demo
from duet.commands.doctor import doctor
from duet.commands.estimate import estimate
from duet.commands.files import app as files
from duet.commands.fork import fork
from duet.commands.job import job
from duet.commands.jobs import jobs
from duet.commands.keys import app as keys
from duet.commands.logs import logs
from duet.commands.metrics import metrics
from duet.commands.new import new
from duet.commands.pairs import pairs
from duet.commands.pause import pause
from duet.commands.projects import app as projects
from duet.commands.queue import queue
from duet.commands.resume import resume
from duet.commands.retry import retry
from duet.commands.rewards import app as rewards
from duet.commands.samples import samples
from duet.commands.secrets import app as secrets
from duet.commands.submit import submit
from duet.commands.sweep import sweep
from duet.commands.sweeps import app as sweeps
from duet.commands.up import up
from duet.commands.validate import validate
from duet.commands.watch import watch
from duet.commands.webhooks import app as webhooks
from duet.commands.workers import app as workers
from duet.errors import FAILED, DuetError
from duet.local.services.process import ServiceError
from duet.terminal.output import tell

app = typer.Typer(
    help="Trains language models with 2-GRPO, as a service.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
PANELS = {
    "Begin": (up, demo, doctor, new),
    "Submit jobs": (validate, estimate, submit, sweep, fork, retry),
    "Look at jobs": (
        jobs,
        job,
        watch,
        metrics,
        samples,
        logs,
        attempts,
        compare,
        checkpoint,
        pairs,
    ),
    "Control jobs": (pause, resume, cancel, delete),
    "Names for specs": (presets, models, datasets),
    "The server": (queue, audit),
}
GROUPS = {
    "Look at jobs": {"sweeps": sweeps},
    "Names for specs": {"rewards": rewards, "files": files},
    "The server": {
        "keys": keys,
        "secrets": secrets,
        "projects": projects,
        "workers": workers,
        "webhooks": webhooks,
    },
}


def print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"duet {version('duet')}")
        raise typer.Exit


@app.callback(help=app.info.help)
def common(
    _: Annotated[
        bool,
        typer.Option(
            "--version", callback=print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """Options before the command."""


for panel, commands in PANELS.items():
    for command in commands:
        app.command(rich_help_panel=panel)(command)
app.command("set", rich_help_panel="Control jobs")(change)
for panel, groups in GROUPS.items():
    for name, group in groups.items():
        app.add_typer(group, name=name, rich_help_panel=panel)


def main() -> None:
    """Run one command; an expected error is printed as a message, any other keeps its traceback."""
    gc.freeze()  # imports live as long as the process: its end need not collect among them
    try:
        app(prog_name="duet")
    except DuetError as error:
        tell(f"Error: {error}")
        sys.exit(error.exit_code)
    except ServiceError as error:
        tell(f"Error: {error}")
        sys.exit(FAILED)
