"""The web app as `make web` built it: files named by their content below /assets, one page at all its addresses.

Nothing inline is allowed on that page, and it may talk to its own host and to the object store alone.
"""

from pathlib import Path
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Router
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

from codetect_gateway.context import gateway_of
from codetect_gateway.door import host_of

# In the repository as in the image, the build lies beside the package.
BUILT = Path(__file__).parents[1] / "web/dist"
ENCODINGS = (("br", ".br"), ("gzip", ".gz"))
FOR_GOOD = "public, max-age=31536000, immutable"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; font-src 'self'; "
    "connect-src 'self' {storage}; worker-src 'self'; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)


def policy(storage_url: str) -> str:
    """The page's Content-Security-Policy; uploads go straight to the object store."""
    storage = urlsplit(storage_url)
    return POLICY.format(storage=f"{storage.scheme}://{storage.netloc}")


class Built(StaticFiles):
    """Files of the build, in the smallest form that was built and that the browser takes."""

    def __init__(self, folder: Path, headers: dict[str, str]) -> None:
        super().__init__(directory=folder)
        self._headers = headers

    async def get_response(self, path: str, scope: Scope) -> Response:
        """As StaticFiles; a plain file also says that there are others."""
        taken = Headers(scope=scope).get("accept-encoding", "")
        for encoding, ending in (*ENCODINGS, ("", "")):
            if encoding and encoding not in taken:
                continue
            try:
                answer = await super().get_response(path + ending, scope)
            except HTTPException:
                if not encoding:
                    raise
                continue
            if encoding:
                answer.headers["Content-Encoding"] = encoding
            answer.headers["Vary"] = "Accept-Encoding"
            answer.headers.update(self._headers)
            return answer
        raise AssertionError  # the last round answers or raises


class Pages:
    """ASGI application for addresses that nobody else answers: a person gets the app's page, a program what it got."""

    def __init__(self, folder: Path, otherwise: ASGIApp) -> None:
        self._files = Built(folder, {"Cache-Control": "no-cache"})
        self._otherwise = otherwise

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The page, at a facility's own host. Raises UnknownHost, PartUnavailable."""
        if not _for_a_person(scope):
            await self._otherwise(scope, receive, send)
            return
        request = Request(scope)
        gateway = gateway_of(request)
        await gateway.door.facilities.at(host_of(request))
        answer = await self._files.get_response("index.html", scope)
        answer.headers["Content-Security-Policy"] = policy(str(gateway.settings.storage_public_url))
        await answer(scope, receive, send)


def add_web(router: Router, folder: Path) -> None:
    """Serve the app, after all routes of the API."""
    router.mount("/assets", Built(folder / "assets", {"Cache-Control": FOR_GOOD}))
    router.default = Pages(folder, router.default)


def _for_a_person(scope: Scope) -> bool:
    """Whether a browser's address bar asks, and not for a file or anything of the API's."""
    if scope["type"] != "http" or scope["method"] not in ("GET", "HEAD"):
        return False
    path = scope["path"]
    if path == "/":
        return True
    if path.startswith(("/api/", "/oauth/", "/dicomweb", "/docs/", "/.")) or "." in path.rpartition("/")[2]:
        return False
    return "text/html" in Headers(scope=scope).get("accept", "")
