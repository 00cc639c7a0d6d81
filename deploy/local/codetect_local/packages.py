"""Debian's packages, installed when missing and possible; else words on what to do."""

import os
import shutil
import subprocess
from pathlib import Path

from codetect_local.settings import Trouble

POLICY = Path("/usr/sbin/policy-rc.d")


def install(what: str, packages: dict[str, str], otherwise: str) -> None:
    """The packages whose file is missing (file: package), their own services kept from starting."""
    missing = [package for file, package in packages.items() if not Path(file).exists()]
    if not missing:
        return
    by_hand = f"Do it by hand, `apt-get install {' '.join(missing)}`, or {otherwise}"
    if shutil.which("apt-get") is None:
        raise Trouble(f"{what} is missing, and there is no apt-get here to install it with. {by_hand}")
    if os.geteuid() != 0:
        raise Trouble(f"{what} is missing and only root may install it. {by_hand}")
    print(f"Installing {what} (Debian's {', '.join(missing)}) ...", flush=True)
    ours = not POLICY.exists()
    if ours:
        POLICY.write_text("#!/bin/sh\nexit 101\n")
        POLICY.chmod(0o755)
    try:
        for command in (["update"], ["install", "--yes", "--no-install-recommends", *missing]):
            done = subprocess.run(
                ["apt-get", "-q", "-o", "DPkg::Lock::Timeout=120", *command],
                env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
            )
        if done.returncode or not all(Path(file).exists() for file in packages):
            said = [line for line in done.stderr.splitlines() if line.startswith("E:")] or done.stderr.splitlines()[-1:]
            raise Trouble(f"{what} is missing and apt-get could not install it: {' '.join(said)} {by_hand}")
    finally:
        if ours:
            POLICY.unlink()
