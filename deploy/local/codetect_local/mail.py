"""The SMTP sink: every mail becomes a file, nothing leaves the machine."""

import asyncio
import itertools
import signal
import sys
import time
from pathlib import Path

from aiosmtpd.smtp import SMTP, Envelope, Session


class Sink:
    """Writes each message as one .eml file, whole or not at all."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.numbers = itertools.count()

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Keep the message, then say so."""
        name = f"{time.strftime('%Y%m%dT%H%M%S')}-{time.time_ns() % 10**9:09}-{next(self.numbers)}"
        fresh = self.folder / f"{name}.part"
        recipients = ", ".join(envelope.rcpt_tos)
        fresh.write_bytes(f"X-Envelope-To: {recipients}\r\n".encode() + bytes(envelope.original_content or b""))
        fresh.rename(self.folder / f"{name}.eml")
        return "250 kept"


async def serve(port: int, folder: Path) -> None:
    """Until the supervisor says stop."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    server = await loop.create_server(lambda: SMTP(Sink(folder), enable_SMTPUTF8=True), "127.0.0.1", port)
    async with server:
        await stop.wait()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), Path(sys.argv[2])))
