"""Bodies of several parts (RFC 2387), as they are written."""

import secrets
from collections.abc import Mapping


class Multipart:
    """A boundary that no part contains, since nobody could have guessed it, and what stands around each part."""

    def __init__(self, media_type: str) -> None:
        self._boundary = secrets.token_hex(16)
        self.content_type = f'multipart/related; type="{media_type}"; boundary={self._boundary}'

    def head(self, content_type: str, headers: Mapping[str, str] | None = None) -> bytes:
        """Return what stands before a part."""
        lines = {"Content-Type": content_type, **(headers or {})}
        text = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        return f"--{self._boundary}\r\n{text}\r\n".encode()

    def part(self, content_type: str, data: bytes, headers: Mapping[str, str] | None = None) -> bytes:
        """Return a part whole."""
        return b"".join((self.head(content_type, headers), data, b"\r\n"))

    @property
    def end(self) -> bytes:
        """Return what stands behind the last part."""
        return f"--{self._boundary}--\r\n".encode()
