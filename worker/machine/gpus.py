"""NVIDIA GPUs of this machine and their MIG devices, as nvidia-smi lists them."""

import csv
import re
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from store.workers import Gpu

NVIDIA_SMI = "nvidia-smi"
ASK_SECONDS = 60  # without the persistence daemon the driver first initializes each card
QUERY = ("--query-gpu=index,uuid,name,memory.total", "--format=csv,noheader,nounits")
LISTED = re.compile(r"^GPU (?P<index>\d+): (?P<name>.*) \(UUID: (?P<uuid>[^)]+)\)$")
LISTED_PART = re.compile(r"^\s+MIG (?P<profile>.*?)\s+Device\s+\d+: \(UUID: (?P<uuid>[^)]+)\)$")
PROFILE_MEMORY = re.compile(r"(\d+)gb\b")
MIG = "MIG-"
NONE_FOUND = "No devices were found"
MIB, GIB = 2**20, 2**30


class DriverFailed(Exception):
    """nvidia-smi is installed but cannot list the GPUs; the message is nvidia-smi's."""


@dataclass(frozen=True)
class Card:
    """One GPU."""

    index: int
    """Index in PCI order."""
    uuid: str
    gpu: Gpu
    parts: Sequence["Part"] = ()
    """MIG devices, which CUDA sees instead of the whole GPU."""


@dataclass(frozen=True)
class Part:
    """One MIG device."""

    uuid: str
    gpu: Gpu


def list_cards(nvidia_smi: str = NVIDIA_SMI) -> list[Card]:
    """Return the machine's GPUs; empty if nvidia-smi is not installed.

    Raises:
        DriverFailed: the GPUs cannot be listed.
    """
    listing = _ask(nvidia_smi, "-L")
    if listing is None:
        return []
    listed = _listed(listing)
    queried = _queried(_ask(nvidia_smi, *QUERY) or "")
    found = {card.uuid: card for card in (*listed, *queried)}
    parts = {card.uuid: card.parts for card in listed}
    cards = [replace(card, parts=parts.get(uuid, ())) for uuid, card in found.items()]
    return sorted(cards, key=lambda card: card.index)


def device_names(cards: Sequence[Card]) -> tuple[str, ...]:
    """Return a name for CUDA_VISIBLE_DEVICES for each usable device: the index, or the UUID on a
    machine with MIG, where CUDA numbers devices differently."""
    if not any(card.parts for card in cards):
        return tuple(str(card.index) for card in cards)
    return tuple(part.uuid for card in cards for part in (card.parts or (card,)))


def named(device: str, cards: Sequence[Card]) -> Card | Part | None:
    """Return a name as CUDA interprets it: an index, or the beginning of a UUID."""
    if device.isdecimal():
        return next((card for card in cards if card.index == int(device)), None)
    devices = (each for card in cards for each in (card, *card.parts))
    return next((each for each in devices if each.uuid.startswith(device)), None)


def _ask(nvidia_smi: str, *arguments: str) -> str | None:
    """Return the output of nvidia-smi; None: not installed.

    Raises:
        DriverFailed: it exits with an error.
    """
    try:
        asked = subprocess.run(
            [nvidia_smi, *arguments],
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=ASK_SECONDS,
        )
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DriverFailed(str(error)) from error
    said = (asked.stdout + asked.stderr).strip()
    if asked.returncode and NONE_FOUND not in said:
        raise DriverFailed(said or f"it ended with exit code {asked.returncode}")
    return asked.stdout


def _listed(text: str) -> list[Card]:
    """Parse `nvidia-smi -L`, which lists MIG devices but no memory."""
    cards: list[Card] = []
    for line in text.splitlines():
        if found := LISTED.match(line):
            cards.append(Card(int(found["index"]), found["uuid"], Gpu(found["name"], None)))
        elif (found := LISTED_PART.match(line)) and cards:
            whole = cards[-1]
            gpu = Gpu(f"{whole.gpu.name} MIG {found['profile']}", _profile_bytes(found["profile"]))
            cards[-1] = replace(whole, parts=(*whole.parts, Part(found["uuid"], gpu)))
    return cards


def _queried(text: str) -> Iterable[Card]:
    """Parse the output of QUERY, without lines about unreachable cards."""
    for row in csv.reader(text.splitlines(), skipinitialspace=True):
        if len(row) == len(QUERY[0].split(",")) and row[0].strip().isdecimal():
            index, uuid, name, mebibytes = (cell.strip() for cell in row)
            yield Card(int(index), uuid, Gpu(name, _memory_bytes(mebibytes)))


def _memory_bytes(mebibytes: str) -> int | None:
    """Return a card's memory; None if nvidia-smi prints [N/A], as for memory shared with the
    processor."""
    return int(mebibytes) * MIB if mebibytes.isdecimal() else None


def _profile_bytes(profile: str) -> int | None:
    """Return the memory stated in the name of a MIG profile, such as 3g.40gb."""
    found = PROFILE_MEMORY.search(profile)
    return int(found[1]) * GIB if found else None
