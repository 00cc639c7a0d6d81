"""Ports: whether they are free, who has them, and free ones for tests."""

import random
import socket

from codetect_local.processes import holder
from codetect_local.settings import Settings, Trouble


def is_free(port: int) -> bool:
    """Whether we could listen there on loopback."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def require_free(settings: Settings, wanted: list[tuple[str, int]]) -> None:
    """Say which port is taken, by whom, and which setting moves us elsewhere."""
    taken = []
    for name, port in wanted:
        if not is_free(port):
            by = holder(port) or "a process that can't be seen from here"
            taken.append(f"Port {port} ({name}) is taken by {by}. Another: CODETECT_{name.upper()}_PORT=...")
    if taken:
        raise Trouble("\n".join([*taken, "Or move all ports at once, for example CODETECT_PORT_OFFSET=1000."]))


def free_block(size: int = 100) -> int:
    """The first of so many neighbouring ports that are free now, below those that outgoing connections take from."""
    starts = list(range(20000, 32000, size))
    random.shuffle(starts)
    for start in starts:
        if all(is_free(port) for port in range(start, start + size)):
            return start
    raise Trouble("No block of free ports between 20000 and 32000.")
