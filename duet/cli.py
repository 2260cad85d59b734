"""The command `duet`.

Exit codes: 0 done; 1 the job failed or was cancelled, or a local server ended; 2 wrong usage or
refused input; 3 no server answers, or it does not take the key; 130 Ctrl-C.
"""

import sys

import typer

from duet.commands.attempts import attempts
from duet.commands.cancel import cancel
from duet.commands.change import change
from duet.commands.checkpoint import checkpoint
from duet.commands.delete import delete
from duet.commands.demo import demo
from duet.commands.fork import fork
from duet.commands.job import job
from duet.commands.jobs import jobs
from duet.commands.logs import logs
from duet.commands.pause import pause
from duet.commands.resume import resume
from duet.commands.retry import retry
from duet.commands.submit import submit
from duet.commands.sweep import sweep
from duet.commands.up import tell, up
from duet.commands.webhooks import app as webhooks
from duet.commands.workers import app as workers
from duet.errors import FAILED, DuetError
from duet.services.child import ServiceError

app = typer.Typer(
    help="Trains language models with 2-GRPO, as a service.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for command in (
    up,
    demo,
    submit,
    sweep,
    jobs,
    job,
    attempts,
    logs,
    cancel,
    pause,
    resume,
    retry,
    fork,
    delete,
    checkpoint,
):
    app.command()(command)
app.command("set")(change)
app.add_typer(webhooks, name="webhooks")
app.add_typer(workers, name="workers")


def main() -> None:
    """Run one command; an error of ours is said in words, any other keeps its traceback."""
    try:
        app()
    except DuetError as error:
        tell(f"Error: {error}")
        sys.exit(error.exit_code)
    except ServiceError as error:
        tell(f"Error: {error}")
        sys.exit(FAILED)
