"""`python -m codetect_local.forward LISTEN PORT TARGET_PORT CHAIN KEY`: TLS in front of a port of this machine.

The object store can speak TLS itself, but would then open its inner ports to the network, too.
"""

import asyncio
import contextlib
import ssl
import sys

PIECE = 256 * 1024
IDLE_S = 120
AT_ONCE = 500


class Forwarder:
    """Takes connections with TLS and passes what comes on, both ways, in pieces."""

    def __init__(self, target_port: int) -> None:
        self._target_port = target_port
        self._open = 0

    async def join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One client, from its first byte to its last."""
        if self._open >= AT_ONCE:
            writer.close()
            return
        self._open += 1
        try:
            inside, inward = await asyncio.open_connection("127.0.0.1", self._target_port)
            try:
                async with asyncio.timeout(IDLE_S) as life, asyncio.TaskGroup() as ways:
                    ways.create_task(_pass(reader, inward, life))
                    ways.create_task(_pass(inside, writer, life))
            finally:
                inward.transport.abort()
        except* (OSError, TimeoutError, asyncio.IncompleteReadError):
            pass
        finally:
            self._open -= 1
            writer.close()


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, life: asyncio.Timeout) -> None:
    """What moves either way prolongs the connection's life. Raises ConnectionResetError at the end of one way."""
    while data := await reader.read(PIECE):
        writer.write(data)
        await writer.drain()
        life.reschedule(asyncio.get_running_loop().time() + IDLE_S)
    raise ConnectionResetError


async def serve(listen: str, port: int, target_port: int, chain: str, key: str) -> None:
    """Until the process is ended."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(chain, key)
    forwarder = Forwarder(target_port)
    server = await asyncio.start_server(
        forwarder.join, listen, port, ssl=context, ssl_handshake_timeout=10, limit=2 * PIECE
    )
    await server.serve_forever()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), *sys.argv[4:]))
