"""Inner side of the sandbox: a program that uses only the standard library.

It isolates itself, then grades.  `python -I -S inside.py FD`, FD a socket to `sandbox.Sandbox`.
Once isolated, only the standard library is accessible, read-only: no network, no other process, no
user's rights, no environment (none was passed), and few system calls.

`inside.py FD FILE ROOT PACKAGES...`: the grader is this project's own FILE, which imports from ROOT
and PACKAGES before the isolation; afterwards the folders PACKAGES are accessible, read-only.
"""

import ctypes
import json
import os
import resource
import runpy
import signal
import socket
import sys
import sysconfig
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

sys.path.append(str(Path(__file__).parent))  # left out by -I
from syscall_filter import forbid_other_calls  # pyright: ignore[reportMissingImports]

sys.path.pop()

# These need shared libraries that are not accessible later; loaded ones stay.
for module in ("zlib", "bz2", "lzma", "hashlib"):
    with suppress(ImportError):
        __import__(module)

MEMORY_BYTES = 1 << 30
MAX_OPEN_FILES = 32
NOBODY = 65534
GRADER_FILE = "source"

# linux/sched.h, linux/mount.h, linux/prctl.h, linux/capability.h
CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC = 0x00020000, 0x04000000, 0x08000000
CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x10000000, 0x20000000, 0x40000000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_REMOUNT = 1, 2, 4, 32
MS_BIND, MS_REC, MS_PRIVATE = 4096, 16384, 1 << 18
MNT_DETACH = 2
PR_SET_PDEATHSIG, PR_SET_NO_NEW_PRIVS = 1, 38
CAPABILITY_VERSION_3 = 0x20080522

libc = ctypes.CDLL(None, use_errno=True)
Grade = Callable[[dict[str, Any], dict[str, Any]], Any]


def main(fd: int, own_grader: str | None = None, *folders: str) -> None:
    channel = socket.socket(fileno=fd)
    try:
        enter_namespaces(channel)
        own = own_grader and own_grade(own_grader, folders)
        close_others(fd)
        hide_files([Path(folder) for folder in folders[1:]])
        drop_rights()
        forbid_other_calls()
    except (OSError, ImportError) as error:
        send(channel, {"unavailable": str(error)})
        return
    send(channel, {"isolated": True})
    source = receive(channel)["source"]
    if own:
        send(channel, {"loaded": True})
    grade = own or load(source, channel)
    while True:
        asked = receive(channel)
        send(channel, answer(grade, asked["sample"], asked["item"]))


def enter_namespaces(channel: socket.socket) -> None:
    """Enter new namespaces and return in a child, their first process; the parent waits for it.

    The starting process maps the user ids once it is notified of the user namespace.
    """
    die_with_parent()
    kinds = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS
    call("unshare", kinds)
    send(channel, {"unshared": True})
    receive(channel)
    if child := os.fork():
        channel.close()
        os.waitpid(child, 0)
        os._exit(0)
    die_with_parent()
    os.setsid()  # a signal to its group reaches only itself


def own_grade(file: str, folders: Sequence[str]) -> Grade:
    """Return the `grade` of this project's own file, with its libraries loaded.

    Raises:
        OSError: a library has started a thread, to which the isolation would not apply.
    """
    sys.path += folders
    grade = runpy.run_path(file)["load"]()
    if (threads := len(os.listdir("/proc/self/task"))) != 1:
        raise OSError(f"the grader's libraries have started {threads - 1} threads")
    sys.path.remove(folders[0])
    return grade


def close_others(fd: int) -> None:
    """Close what a library may have left open: a folder would lead out of the new root."""
    os.closerange(3, fd)
    os.closerange(fd + 1, resource.getrlimit(resource.RLIMIT_NOFILE)[0])


def hide_files(packages: Sequence[Path]) -> None:
    """Switch to a new root with only the standard library and these packages, read-only."""
    # /proc exists on every Linux, holds no interpreter, and is no longer needed.
    root = Path("/proc")
    call("mount", b"none", b"/", None, MS_REC | MS_PRIVATE, None)
    call("mount", b"tmpfs", bytes(root), b"tmpfs", MS_NOSUID | MS_NODEV, b"mode=755,size=64k")
    libraries = standard_library()
    inside = [one for one in packages if any(library in one.parents for library in libraries)]
    for library in [*libraries, *(one for one in packages if one not in inside)]:
        place = root / library.relative_to("/")
        place.mkdir(parents=True)
        call("mount", bytes(library), bytes(place), None, MS_BIND, None)
        make_read_only(place)
        if (place / "site-packages").exists() and library / "site-packages" not in inside:
            call("mount", b"tmpfs", bytes(place / "site-packages"), b"tmpfs", MS_RDONLY, b"size=4k")
    os.chdir(root)
    call("pivot_root", b".", b".")
    call("umount2", b".", MNT_DETACH)
    os.chdir("/")
    make_read_only(Path("/"))


def standard_library() -> set[Path]:
    """Return the standard library's folders: one, or two with extension modules in lib64."""
    folders = {Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib")}
    return {one for one in folders if not any(other in one.parents for other in folders)}


def make_read_only(place: Path) -> None:
    flags = MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV
    call("mount", None, bytes(place), None, flags, None)


def drop_rights() -> None:
    """Become an unprivileged user without capabilities, with tight resource limits."""
    if os.getuid() != NOBODY:  # started by root: the map has `nobody` as well
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
    call("capset", header, (ctypes.c_uint32 * 6)())
    call("prctl", PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    die_with_parent()  # cleared by the change of user id
    for limit, most in (
        (resource.RLIMIT_AS, MEMORY_BYTES),
        (resource.RLIMIT_NOFILE, MAX_OPEN_FILES),
        (resource.RLIMIT_NPROC, 0),  # no further process or thread
        (resource.RLIMIT_FSIZE, 0),  # files in memory must not evade the memory limit
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(limit, (most, most))


def die_with_parent() -> None:
    call("prctl", PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def call(name: str, *arguments: Any) -> None:  # noqa: ANN401 - C's
    if getattr(libc, name)(*arguments):
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


def load(source: str, channel: socket.socket) -> Grade:
    """Return the source's `grade`; an error is the sandbox's reply, and ends it."""
    namespace: dict[str, Any] = {"__name__": "grader"}
    try:
        exec(compile(source, GRADER_FILE, "exec"), namespace)
        grade = namespace["grade"]
    except BaseException as error:  # noqa: BLE001 - reported, whatever it is
        send(channel, {"error": told(error)})
        sys.exit()
    send(channel, {"loaded": True})
    return grade


def answer(grade: Grade, sample: dict[str, Any], item: dict[str, Any]) -> dict[str, Any]:
    try:
        score = grade(sample, item)
        if not isinstance(score, int | float):
            return {"error": f"grade returned {type(score).__name__}, not a number"}
        return {"score": float(score)}
    except BaseException as error:  # noqa: BLE001 - reported, whatever it is
        return {"error": told(error)}


def told(error: BaseException) -> str:
    lines = [
        frame.lineno
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename == GRADER_FILE
    ]
    where = f" (line {lines[-1]} of source)" if lines else ""
    return f"{type(error).__name__}: {error}".removesuffix(": ")[:1000] + where


def send(channel: socket.socket, message: dict[str, Any]) -> None:
    """Write one message per line, as sandbox.Sandbox reads them."""
    channel.sendall(json.dumps(message).encode() + b"\n")


def receive(channel: socket.socket) -> dict[str, Any]:
    """Read a message; the other side writes one at a time, so that a read ends with a message."""
    received = bytearray()
    while not received.endswith(b"\n"):
        some = channel.recv(1 << 16)
        if not some:
            leave()
        received += some
    return json.loads(received)


def leave() -> NoReturn:
    os._exit(0)


if __name__ == "__main__":
    main(int(sys.argv[1]), *sys.argv[2:])
