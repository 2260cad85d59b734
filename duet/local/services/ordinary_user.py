"""Start by root of a server that refuses to run as root (docs/decisions/0003)."""

import os
import pwd
import subprocess
from dataclasses import dataclass
from pathlib import Path

from duet.local.services.process import ServiceError

NOBODY = 65534
USUAL = 1000  # the first user of most systems
# The user still reads binaries and writes state below folders that only root may enter.
KEPT = "-all,+dac_override,+dac_read_search"
ANOTHER_USER = (
    *("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"),
    # Postgres looks for its programs by access(), which would not count them otherwise.
    "--securebits=+no_setuid_fixup",
    *(f"--inh-caps={KEPT}", f"--ambient-caps={KEPT}", f"--bounding-set={KEPT}"),
)


@dataclass(frozen=True)
class OrdinaryUser:
    """A command prefix, and the user who must own the server's data."""

    prefix: tuple[str, ...]
    uid: int

    def own(self, folder: Path) -> None:
        """Change the owner of a folder and its content, if an earlier start used another user."""
        if os.geteuid() != 0 or folder.stat().st_uid == self.uid:
            return
        for path in (*folder.rglob("*"), folder):  # the folder comes last, as a mark of completion
            os.chown(path, self.uid, self.uid, follow_symlinks=False)


def ordinary_user(*, death_signal: str) -> OrdinaryUser:
    """Return the current user, or a substitute for root and for users without an entry in
    /etc/passwd, as in many containers: a user namespace with another id, or, if the machine allows
    none, as in a chroot, the user `nobody`.

    Both clear the death signal, so it is set again.

    Raises:
        ServiceError: neither works on this machine.
    """
    uid = os.geteuid()
    if uid != 0 and _is_known(uid):
        return OrdinaryUser((), uid)
    again = ("--pdeathsig", death_signal, "--")
    namespace = _namespace()
    if _works(namespace):
        return OrdinaryUser((*namespace, "setpriv", *again), uid)
    if uid == 0 and _works(ANOTHER_USER):
        return OrdinaryUser((*ANOTHER_USER, *again), NOBODY)
    reason = "as root" if uid == 0 else f"as user {uid}, which has no entry in /etc/passwd"
    raise ServiceError(
        f"Postgres does not run {reason}, and this machine allows neither a user namespace nor "
        "another user: run as an ordinary user, or set DATABASE_URL to a server of your own"
    )


def _namespace() -> tuple[str, ...]:
    """Return a command prefix for a namespace with a user listed in /etc/passwd, since initdb looks
    up its name."""
    uid = USUAL if _is_known(USUAL) else NOBODY
    return ("unshare", "--user", f"--map-user={uid}", f"--map-group={uid}")


def _is_known(uid: int) -> bool:
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True


def _works(prefix: tuple[str, ...]) -> bool:
    try:
        return subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode == 0
    except OSError:
        return False
