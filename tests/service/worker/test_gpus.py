"""A worker finds the machine's GPUs by itself, and gives up on one that torch cannot use.

`nvidia-smi` is a script that prints what drivers print.
"""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import select

from store import workers
from store.database.database import Database
from store.jobs import jobs, queue_position
from store.settings import Settings
from store.tables import Worker
from store.workers import Gpu
from tests.service.worker.conftest import Desk
from tests.waiting import deadline, wait_until
from worker.claim_loop import ClaimLoop
from worker.machine.gpus import device_names, list_cards
from worker.machine.hardware import machine
from worker.machine.start_check import end_unless_able
from worker.slots import Slots, slots_for

GIB, MIB = 2**30, 2**20
WORKER = Path(__file__).with_name("scripted_worker.py")


@dataclass(frozen=True)
class Driver:
    """A simulated driver of one machine."""

    listing: str
    """`nvidia-smi -L`"""
    query: str
    names: tuple[str, ...]
    gpus: tuple[Gpu, ...]


TWO = Driver(
    "GPU 0: NVIDIA H100 80GB HBM3 (UUID: GPU-aaaa)\nGPU 1: NVIDIA L4 (UUID: GPU-bbbb)\n",
    "0, GPU-aaaa, NVIDIA H100 80GB HBM3, 81559\n1, GPU-bbbb, NVIDIA L4, 23034\n",
    ("0", "1"),
    (Gpu("NVIDIA H100 80GB HBM3", 81559 * MIB), Gpu("NVIDIA L4", 23034 * MIB)),
)
DRIVERS = {
    "two cards": TWO,
    "memory shared with the processor": Driver(
        "GPU 0: NVIDIA GB10 (UUID: GPU-cccc)\n",
        "0, GPU-cccc, NVIDIA GB10, [N/A]\n",
        ("0",),
        (Gpu("NVIDIA GB10", None),),
    ),
    "an old driver's words": Driver(
        "GPU 0: Orin (nvgpu) (UUID: GPU-dddd)\n",
        "0, GPU-dddd, Orin (nvgpu), [Not Supported]\n",
        ("0",),
        (Gpu("Orin (nvgpu)", None),),
    ),
    "MIG": Driver(
        "GPU 0: NVIDIA A100-SXM4-80GB (UUID: GPU-aaaa)\n"
        "  MIG 3g.40gb     Device  0: (UUID: MIG-1111)\n"
        "  MIG 1g.10gb+me  Device  1: (UUID: MIG-2222)\n"
        "GPU 1: NVIDIA A100-SXM4-80GB (UUID: GPU-bbbb)\n",
        "0, GPU-aaaa, NVIDIA A100-SXM4-80GB, 81920\n1, GPU-bbbb, NVIDIA A100-SXM4-80GB, 81920\n",
        ("MIG-1111", "MIG-2222", "GPU-bbbb"),
        (
            Gpu("NVIDIA A100-SXM4-80GB MIG 3g.40gb", 40 * GIB),
            Gpu("NVIDIA A100-SXM4-80GB MIG 1g.10gb+me", 10 * GIB),
            Gpu("NVIDIA A100-SXM4-80GB", 81920 * MIB),
        ),
    ),
    "a card that fell off the bus": Driver(
        "Unable to determine the device handle for gpu 0000:01:00.0: GPU is lost.\n"
        "GPU 1: NVIDIA L4 (UUID: GPU-bbbb)\n",
        "Unable to determine the device handle for GPU0: 0000:01:00.0: GPU is lost.\n"
        "1, GPU-bbbb, NVIDIA L4, 23034\n",
        ("1",),
        (Gpu("NVIDIA L4", 23034 * MIB),),
    ),
    "no query": Driver(
        "GPU 0: NVIDIA L4 (UUID: GPU-bbbb)\n", "", ("0",), (Gpu("NVIDIA L4", None),)
    ),
    "no listing": Driver("", "0, GPU-bbbb, NVIDIA L4, 23034\n", ("0",), (TWO.gpus[1],)),
    "no cards": Driver("No devices were found\n", "No devices were found\n", (), ()),
}


@pytest.fixture
def install(tmp_path: Path) -> Callable[[Driver], str]:
    """Install a driver and return the path of its nvidia-smi."""

    def make(driver: Driver) -> str:
        folder = tmp_path / "driver"
        folder.mkdir()
        (folder / "listing").write_text(driver.listing)
        (folder / "query").write_text(driver.query)
        script = folder / "nvidia-smi"
        script.write_text(
            f'#!/bin/sh\ncase "$1" in\n  -L) cat {folder}/listing ;;\n'
            f"  --query-gpu=*) cat {folder}/query ;;\nesac\n"
        )
        script.chmod(0o755)
        return str(script)

    return make


@pytest.mark.parametrize("driver", DRIVERS.values(), ids=DRIVERS.keys())
def test_without_a_setting_every_gpu_is_a_slot(install: Callable[[Driver], str], driver: Driver):
    nvidia_smi = install(driver)
    names = end_unless_able(None, nvidia_smi=nvidia_smi)
    assert names == driver.names
    assert tuple(machine(names, nvidia_smi=nvidia_smi).gpus) == driver.gpus
    assert [slot.gpus for slot in slots_for(names)] == ([(name,) for name in names] or [()])


def test_without_a_driver_there_is_one_slot_on_the_cpu(tmp_path: Path):
    assert end_unless_able(None, nvidia_smi=str(tmp_path / "missing")) == ()


def test_a_driver_that_fails_ends_the_worker_instead_of_hiding_the_gpus(tmp_path: Path):
    script = tmp_path / "nvidia-smi"
    script.write_text("#!/bin/sh\necho 'Driver/library version mismatch'; exit 18\n")
    script.chmod(0o755)
    with pytest.raises(SystemExit, match=r"version mismatch\n.*DUET_WORKER_GPUS=none"):
        end_unless_able(None, nvidia_smi=str(script))
    assert end_unless_able((), nvidia_smi=str(script)) == ()


def test_a_mig_device_is_named_by_the_beginning_of_its_uuid(install: Callable[[Driver], str]):
    nvidia_smi = install(DRIVERS["MIG"])
    assert machine(["MIG-2"], nvidia_smi=nvidia_smi).gpus == [DRIVERS["MIG"].gpus[1]]
    with pytest.raises(SystemExit, match="listed twice"):
        end_unless_able(["MIG-2", "MIG-2222"], nvidia_smi=nvidia_smi)


def test_cards_are_named_in_pci_order_whatever_order_they_are_listed_in(
    install: Callable[[Driver], str],
):
    backwards = "\n".join(reversed(TWO.listing.splitlines())) + "\n"
    nvidia_smi = install(Driver(backwards, TWO.query, TWO.names, TWO.gpus))
    assert device_names(list_cards(nvidia_smi)) == ("0", "1")


@pytest.mark.nightly
def test_a_whole_worker_registers_the_cards_that_it_finds(
    settings: Settings, database: Database, install: Callable[[Driver], str]
):
    folder = Path(install(TWO)).parent
    environment = {
        **{name: value for name, value in os.environ.items() if name != "CUDA_VISIBLE_DEVICES"},
        "DATABASE_URL": settings.database_url,
        "REDIS_URL": settings.redis_url,
        "ARTIFACTS_URL": settings.artifacts_url,
        "RUNS_DIR": str(settings.runs_dir),
        "PATH": f"{folder}:{os.environ['PATH']}",
    }

    def registered() -> Worker | None:
        with database.session() as session:
            return session.scalar(select(Worker))

    process = subprocess.Popen([sys.executable, str(WORKER)], env=environment)
    try:
        wait_until(registered)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(deadline(60))
    worker = registered()
    assert worker is not None
    assert (worker.num_gpus, worker.slots) == (2, 2)
    assert [Gpu(**gpu) for gpu in worker.gpus] == list(TWO.gpus)


def test_a_gpu_that_torch_cannot_use_takes_one_job_and_costs_it_no_failure(desk: Desk):
    desk.enrol(num_gpus=2)
    context, slots = desk.context, Slots(slots_for(("0", "1")))
    first = desk.submit("no_gpu", resources={"max_failures": 1})
    thread = threading.Thread(target=ClaimLoop(context, slots).poll)
    thread.start()
    try:
        wait_until(lambda: context.retired.problem(slots.gpus))
    finally:
        context.stopping.set()
        thread.join(deadline(30))
    job = desk.job(first)
    assert (job.status, job.attempt, job.failures) == ("queued", 2, 0)  # one for each GPU
    assert slots.all_free
    with slots.take(seconds=0) as slot:
        assert slot is None
    reason = context.retired.problem(slots.gpus)
    assert reason is not None
    desk.enrol(num_gpus=2, blocked=reason)
    with context.database.session() as session:
        queued = jobs.get(session, desk.project.id, first)
        timelines = jobs.timelines(session, [queued])
        waiting = queue_position.of_jobs(session, [queued], timelines)[first]
    assert waiting.waiting_for == f"a worker that can run it: {reason}"


def test_a_gpu_that_fails_while_the_disk_is_full_is_retired_too(desk: Desk):
    context, slots = desk.context, Slots(slots_for(("0",)))
    desk.enrol(num_gpus=1)
    desk.submit("gate no_gpu", resources={"max_failures": 1})
    loop = ClaimLoop(context, slots)
    thread = threading.Thread(target=loop.wake)
    thread.start()
    try:
        wait_until(lambda: list(context.settings.runs_dir.glob("*/attempt-*/spec.json")))
        context.writes.note_full()
        [spec] = context.settings.runs_dir.glob("*/attempt-*/spec.json")
        (spec.parent / "open").touch()
        wait_until(lambda: slots.all_free)
        assert context.writes.look() is not None
    finally:
        context.stopping.set()
        thread.join(deadline(30))
    with slots.take(seconds=0) as slot:
        assert slot is None


def test_auto_waits_for_a_gpu_where_a_worker_of_the_queue_has_one(desk: Desk):
    def gpus(**resources: object) -> int:
        return desk.job(desk.submit("complete", resources=resources)).gpus

    assert gpus() == 0
    desk.enrol(num_gpus=1)
    assert (gpus(), gpus(gpus=0), gpus(queue="other")) == (1, 0, 0)
    with desk.context.database.session() as session:
        workers.leave(session, desk.context.worker_id)
    assert gpus() == 0
