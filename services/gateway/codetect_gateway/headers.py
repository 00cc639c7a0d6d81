"""Headers that every answer has, unless whoever answers says otherwise: what a browser may do with it."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

API_POLICY = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
ALWAYS = {
    b"content-security-policy": API_POLICY.encode(),
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
    b"referrer-policy": b"no-referrer",
    b"cross-origin-opener-policy": b"same-origin",
    b"cross-origin-resource-policy": b"same-origin",
    b"permissions-policy": b"camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
}
ENCRYPTED = {b"strict-transport-security": b"max-age=63072000; includeSubDomains"}
PRIVATE = {b"cache-control": b"no-store"}


class SecureHeaders:
    """ASGI middleware that adds them; what an API answers is kept by no cache."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Add what isn't there when the answer starts."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        wanted = dict(ALWAYS)
        if scope["scheme"] == "https":
            wanted |= ENCRYPTED
        if scope["path"].startswith(("/api/", "/oauth/", "/dicomweb")):
            wanted |= PRIVATE

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = list(message.get("headers", ()))
                there = {name.lower() for name, _ in headers}
                headers += [pair for pair in wanted.items() if pair[0] not in there]
                message = {**message, "headers": headers}
            await send(message)

        await self.app(scope, receive, sending)
