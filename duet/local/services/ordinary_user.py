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
    """A prefix of commands, and the user to whom the server's data must belong."""

    prefix: tuple[str, ...]
    uid: int

    def own(self, folder: Path) -> None:
        """Change the owner of a folder and its content, where an earlier start had another user."""
        if os.geteuid() != 0 or folder.stat().st_uid == self.uid:
            return
        for path in (*folder.rglob("*"), folder):  # last the folder, which says that all is done
            os.chown(path, self.uid, self.uid, follow_symlinks=False)


def ordinary_user(*, death_signal: str) -> OrdinaryUser:
    """Return the current user, unless that is root or has no entry in /etc/passwd, as in many
    containers: then a user namespace with another id, and where the machine allows none, as in a
    chroot, the user `nobody` in root's stead.

    Both clear the death signal, so it is set again.

    Raises:
        ServiceError: none of them works here.
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
    """A command's prefix for a namespace where the user is one that /etc/passwd has, since initdb
    looks up its name."""
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
