"""The unprivileged user that servers and services run as when root starts the stack.

PostgreSQL refuses root. The user must reach the binaries and the data even when the checkout, or Python itself, lies
below a folder that only root may enter. Opening such a folder to others would be rude, and copying everything elsewhere
would scatter the state; so in that case alone the processes keep one capability: to look past folder permissions.
"""

import os
import pwd
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

from codetect_local.settings import Trouble

CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH = 1, 2


@cache
def user(name: str) -> pwd.struct_passwd | None:
    """The user to switch to, made when missing; None when we aren't root and just stay who we are."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam(name)
    except KeyError:
        made = subprocess.run(
            [
                "useradd",
                "--system",
                "--no-create-home",
                "--home-dir",
                "/nonexistent",
                "--shell",
                "/usr/sbin/nologin",
                name,
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        if made.returncode:
            raise Trouble(
                f"PostgreSQL refuses to run as root, and the system user {name!r} could not be made: "
                f"{made.stderr.strip()} Make one, or name an existing one in CODETECT_RUN_AS, or run as somebody else."
            ) from None
        return pwd.getpwnam(name)


@cache
def as_user(name: str, state: Path) -> list[str]:
    """What to put before a command so that it runs as the unprivileged user."""
    account = user(name)
    if account is None:
        return []
    switch = ["setpriv", f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--clear-groups"]
    needed = [str(state), sys.executable, os.path.realpath(sys.executable), __file__]
    test = 'for path in "$@"; do test -r "$path" || exit 1; done'
    if subprocess.run([*switch, "sh", "-c", test, "sh", *needed], check=False).returncode == 0:
        return switch
    with open("/proc/self/status") as status:
        ours = int(next(line for line in status if line.startswith("CapEff")).split()[1], 16)
    for bit, capability in ((CAP_DAC_READ_SEARCH, "dac_read_search"), (CAP_DAC_OVERRIDE, "dac_override")):
        if ours & 1 << bit:
            keep = f"=-all,+{capability}"
            return [*switch, "--securebits=+no_setuid_fixup", f"--inh-caps{keep}", f"--ambient-caps{keep}"]
    raise Trouble(
        f"The user {name!r} may not enter {state} or the folders of {sys.executable}; put the checkout elsewhere."
    )


def give(path: Path, name: str, mode: int = 0o700) -> Path:
    """Make a folder that belongs to the unprivileged user."""
    path.mkdir(parents=True, exist_ok=True)
    account = user(name)
    if account is not None:
        shutil.chown(path, account.pw_uid, account.pw_gid)
    path.chmod(mode)
    return path


def give_file(path: Path, text: str, name: str) -> Path:
    """Write a file that only the unprivileged user (and root) can read."""
    path.touch(mode=0o600)
    path.write_text(text)
    account = user(name)
    if account is not None:
        shutil.chown(path, account.pw_uid, account.pw_gid)
    return path
