"""Reaching addresses that strangers name, and no others: nothing inside the house (SSRF).

A name is looked up once, each address is checked, and the connection goes to the address that was checked: a name that
changes its mind in between (DNS rebinding) gains nothing. Redirects aren't followed.
"""

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Iterable, Sequence
from urllib.parse import urlsplit

import httpcore
import httpx

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
TIMEOUT = httpx.Timeout(10, connect=5)
TOTAL_S = 15
TRANSLATED = ipaddress.ip_network("64:ff9b::/96")  # RFC 6052


class Unreachable(Exception):
    """The endpoint isn't where we may, or can, go."""


def networks(text: str) -> list[Network]:
    """Networks from a setting, comma-separated."""
    return [ipaddress.ip_network(each.strip()) for each in text.split(",") if each.strip()]


def is_allowed(address: Address, inside: Iterable[Network], encrypted: bool = True) -> bool:
    """Whether a delivery may go there: where the operator allows it; encrypted, to the Internet, too."""
    if any(address.version == network.version and address in network for network in inside):
        return True
    if isinstance(address, ipaddress.IPv6Address):
        if address.sixtofour or address.teredo:  # tunnels of old, which lead who knows where
            return False
        hidden = address.ipv4_mapped
        if address in TRANSLATED:
            hidden = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if hidden is not None:  # what counts is where it leads
            return is_allowed(hidden, inside, encrypted)
    return encrypted and address.is_global and not address.is_multicast


def check_url(url: str, inside: Sequence[Network]) -> str | None:
    """What is wrong with an address, before anybody is asked about its name; None: nothing."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return "This is no address."
    if parts.scheme not in ("https", "http") or not parts.hostname or port == 0:
        return "An address begins with https:// and a host name."
    if parts.scheme == "http" and not inside:
        return "Deliveries go over https only."
    if parts.username or parts.password or parts.fragment:
        return "An address has neither credentials nor a fragment: deliveries are signed."
    try:
        literal = ipaddress.ip_address(parts.hostname)
    except ValueError:
        return None
    if not is_allowed(literal, inside):
        return "Deliveries don't go to addresses inside a network."
    if not is_allowed(literal, inside, parts.scheme == "https"):
        return "Deliveries to the Internet go over https only."
    return None


class Guarded(httpcore.AsyncNetworkBackend):
    """Connections to allowed addresses only; what isn't to be `encrypted` stays in the operator's networks."""

    def __init__(self, inside: Sequence[Network], encrypted: bool) -> None:
        self._inside, self._encrypted, self._real = inside, encrypted, httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Look the name up, check, and connect to what was checked."""
        try:
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise httpcore.ConnectError(f"The name isn't known ({error.strerror}).") from error
        addresses = [ipaddress.ip_address(str(info[4][0])) for info in found]
        if not all(is_allowed(one, self._inside) for one in addresses):
            raise httpcore.ConnectError("The name leads inside a network.")
        if not all(is_allowed(one, self._inside, self._encrypted) for one in addresses):
            raise httpcore.ConnectError("The name leads to the Internet, where deliveries go over https only.")
        return await self._real.connect_tcp(str(addresses[0]), port, timeout, local_address, socket_options)

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Never."""
        raise httpcore.ConnectError("Deliveries don't go to sockets of this machine.")


class Reach:
    """Posts to endpoints."""

    def __init__(self, inside: Sequence[Network]) -> None:
        self._inside = inside
        tls = httpx.create_ssl_context(trust_env=True)  # SSL_CERT_FILE: a hospital's own authority
        self._transports = {scheme: _transport(tls, Guarded(inside, scheme == "https")) for scheme in ("https", "http")}

    async def post(self, url: str, headers: dict[str, str], body: bytes) -> int:
        """The status of the answer, which is otherwise not read. Raises Unreachable."""
        if wrong := check_url(url, self._inside):
            raise Unreachable(wrong)
        extensions = {"timeout": TIMEOUT.as_dict()}
        try:
            async with asyncio.timeout(TOTAL_S):
                asked = httpx.Request("POST", url, headers=headers, content=body, extensions=extensions)
                answer = await self._transports[asked.url.scheme].handle_async_request(asked)
                await answer.aclose()
        except TimeoutError:
            raise Unreachable("It took too long to answer.") from None
        except httpx.TimeoutException:
            raise Unreachable("It took too long to answer.") from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise Unreachable(_words(error)) from error
        return answer.status_code

    async def close(self) -> None:
        """Let go of connections."""
        for transport in self._transports.values():
            await transport.aclose()


def _transport(tls: ssl.SSLContext, guarded: Guarded) -> httpx.AsyncHTTPTransport:
    transport = httpx.AsyncHTTPTransport(verify=tls, trust_env=False)
    transport._pool = httpcore.AsyncConnectionPool(  # httpx has no argument for the backend
        ssl_context=tls, max_connections=20, max_keepalive_connections=0, network_backend=guarded
    )
    return transport


def _words(error: Exception) -> str:
    """Why there was no answer, without what a stranger's server may have put there."""
    text = str(error)
    if text.startswith(("The name", "Deliveries don't")):
        return text
    if "CERTIFICATE_VERIFY_FAILED" in text:
        return "Its certificate isn't valid for this name."
    return f"It doesn't answer ({type(error).__name__})."
