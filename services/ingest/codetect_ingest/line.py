"""A line to a child: messages in parts, each way, and open files. Nothing is pickled; who receives sets the bounds."""

import socket
import struct
from collections.abc import Sequence

GATHERED_BYTES = 2**16  # what is smaller goes together
PARTS = 10_000
COUNT = struct.Struct("!I")


class Line:
    """One end. Raises EOFError when the other end is gone, OSError for what breaks the bounds."""

    def __init__(self, end: socket.socket) -> None:
        self.socket = end

    def send(self, parts: Sequence[bytes]) -> None:
        """Send a message."""
        gathered = struct.pack(f"!{1 + len(parts)}I", len(parts), *map(len, parts))
        for part in parts:
            if len(gathered) + len(part) <= GATHERED_BYTES:
                gathered += part
                continue
            self.socket.sendall(gathered)
            self.socket.sendall(part)
            gathered = b""
        if gathered:
            self.socket.sendall(gathered)

    def receive(self, most: int) -> list[bytes]:
        """Return a message's parts, of so many bytes in sum at most."""
        (count,) = COUNT.unpack(self._exactly(COUNT.size))
        if count > PARTS:
            raise OSError("too many parts")
        lengths = struct.unpack(f"!{count}I", self._exactly(COUNT.size * count))
        if sum(lengths) > most:
            raise OSError("too many bytes")
        return [self._exactly(length) for length in lengths]

    def lend(self, file: int) -> None:
        """Send an open file."""
        socket.send_fds(self.socket, [b"\0"], [file])

    def borrow(self) -> int:
        """Return an open file that was sent."""
        _, files, _, _ = socket.recv_fds(self.socket, 1, 1)
        if not files:
            raise EOFError
        return files[0]

    def close(self) -> None:
        """Close this end."""
        self.socket.close()

    def _exactly(self, length: int) -> bytes:
        found = self.socket.recv(length, socket.MSG_WAITALL) if length else b""
        while len(found) < length:
            more = self.socket.recv(length - len(found), socket.MSG_WAITALL)
            if not more:
                raise EOFError
            found += more
        return found


def line() -> tuple[Line, Line]:
    """Return both ends."""
    ours, theirs = socket.socketpair()
    return Line(ours), Line(theirs)
