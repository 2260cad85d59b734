"""Every picture of README.md and docs/, of real jobs on a real server: `make pictures`.

Some five minutes on two cores.  It needs Chromium and tmux (Debian: `apt install chromium tmux`).
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
COMPLETIONS = 512  # of a step, whether in groups of two or of sixteen


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
    """Trained one after the other: by twos, by sixteens, and by twos whose ties are replaced."""
    return (
        client.jobs.create(_spec("two rollouts a prompt", 2)),
        client.jobs.create(_spec("sixteen rollouts a prompt", 16)),
        client.jobs.create(_spec("two, ties replaced", 2, ties={"policy": "resample"})),
    )


def _spec(name: str, group_size: int, **algorithm: object) -> dict[str, Any]:
    prompts_per_step = COMPLETIONS // group_size
    return {
        "name": name,
        "preset": "demo",
        "labels": {"study": "group size"},
        "algorithm": {"group_size": group_size, "prompts_per_step": prompts_per_step, **algorithm},
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
