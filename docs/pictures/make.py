"""Generates every picture of README.md and docs/ from real jobs on a real server: `make pictures`.

About five minutes on two quiet cores.  Needs Chromium and tmux (`apt install chromium tmux`).
"""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from page import Shown, photograph
from terminal import terminal

from duet import Client, Job
from duet.discovery import Server
from duet.local.run_locally import local_duet
from duet.local.state import State
from duet.terminal.output import tell

HERE = Path(__file__).parent
STEPS = 16
COMPLETIONS = 512  # per step, in groups of two and of sixteen
# The demo's rate, for both: by `auto` the rate of groups of sixteen, with an eighth of the prompts,
# would be an eighth, with which this small model hardly learns in 16 steps.
LEARNING_RATE = 1e-4


def main() -> None:
    with (
        TemporaryDirectory(ignore_cleanup_errors=True) as folder,
        local_duet(State(Path(folder)), port=None, say=tell) as (_, server),
        Client(server.url, server.key) as client,
    ):
        two, sixteen, replaced = submit(client)
        draw_watch(client, server, two, Path(folder))
        client.jobs.wait(sixteen.id)
        wait_for_step(client, replaced, STEPS // 4)
        photograph(server, Shown(two, sixteen), HERE)


def submit(client: Client) -> tuple[Job, Job, Job]:
    """Submit three jobs, trained in turn: groups of two, of sixteen, of two with ties replaced."""
    return (
        client.jobs.create(_spec("two rollouts per prompt", 2)),
        client.jobs.create(_spec("sixteen rollouts per prompt", 16)),
        client.jobs.create(_spec("two, ties replaced", 2, ties={"policy": "resample"})),
    )


def _spec(name: str, group_size: int, **algorithm: object) -> dict[str, Any]:
    prompts_per_step = COMPLETIONS // group_size
    return {
        "name": name,
        "preset": "demo",
        "labels": {"study": "group size"},
        "algorithm": {"group_size": group_size, "prompts_per_step": prompts_per_step, **algorithm},
        "optimizer": {"learning_rate": LEARNING_RATE},
        "evaluation": {"every_steps": 2},
        "budget": {"max_steps": STEPS},
    }


def draw_watch(client: Client, server: Server, job: Job, folder: Path) -> None:
    known = {"DUET_URL": server.url, "DUET_API_KEY": server.key}
    with terminal(folder, known) as shell:
        shell.enter(f"duet watch {job.id}")
        wait_for_step(client, job, STEPS * 5 // 8)
        shell.draw(HERE / "watch.svg", title="duet watch")


def wait_for_step(client: Client, job: Job, step: int) -> None:
    for record in client.jobs.stream(job.id):
        if record.kind == "metric" and (record.step or 0) >= step:
            return
    raise RuntimeError(f"{job.name} ended before its step {step}: {client.jobs.get(job.id).error}")


if __name__ == "__main__":
    main()
