"""The public port's manners: bounds that uvicorn leaves open to whoever connects and then dawdles."""

import asyncio
import socket

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEADER_BYTES = 32 * 1024


class DoorProtocol(HttpToolsProtocol):
    """HTTP with headers that are bounded and arrive in time; a peer that takes nothing for 30 s is cut off.

    The latter also ends sockets whose client stopped reading: closing waits for what is unsent, the kernel doesn't.
    """

    header_s = 15.0
    stall_s = 30.0
    _idle_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Set the kernel's limit, and wait for a request."""
        super().connection_made(transport)
        kernel = transport.get_extra_info("socket")
        kernel.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(self.stall_s * 1000))
        self._late = self.loop.call_later(self.header_s, transport.close)

    def data_received(self, data: bytes) -> None:
        """Count bytes that lead to nothing: header fields, chunk extensions and trailers that don't end."""
        self._idle_bytes += len(data)
        super().data_received(data)
        if self._idle_bytes > HEADER_BYTES and not self.transport.is_closing():
            self.send_400_response("The headers are too long.")

    def on_message_begin(self) -> None:
        """Another request begins."""
        super().on_message_begin()
        self._late.cancel()
        self._late = self.loop.call_later(self.header_s, self.transport.close)

    def on_headers_complete(self) -> None:
        """The headers are here."""
        self._late.cancel()
        self._idle_bytes = 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A piece of the body is here."""
        self._idle_bytes = 0
        super().on_body(body)

    def connection_lost(self, exc: Exception | None) -> None:
        """The end."""
        self._late.cancel()
        super().connection_lost(exc)
