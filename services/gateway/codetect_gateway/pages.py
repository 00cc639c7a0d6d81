"""Pages beside the web app: the API's documentation, and where no app was built, one that says what this is.

Swagger UI's files come from a package: a hospital's network may know no content delivery network.
"""

from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse
from starlette.staticfiles import StaticFiles

from codetect_gateway.context import gateway_of
from codetect_gateway.door import host_of

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
HEADERS = {"Content-Security-Policy": POLICY}
PAGE = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>CoDetect</title><meta name="viewport" content="width=device-width">
<link rel="icon" href="data:,"></head>
<body>
{body}
</body>
</html>
"""
UNBUILT = PAGE.format(
    body="""<h1>CoDetect</h1>
<p>Chest CT studies go in, analyses come out. <strong>Not a medical device. Not for clinical use.</strong></p>
<p>Programs use the <a href="/docs">API</a>; people use the command line: <code>codetect --help</code>.
The web app was not built here: <code>make web</code>, then start the gateway again.</p>"""
)
DOCS = PAGE.format(
    body="""<link rel="stylesheet" href="/docs/assets/swagger-ui.css">
<div id="api">This page needs JavaScript. The same for programs: <a href="/openapi.json">/openapi.json</a></div>
<script src="/docs/assets/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>"""
)
START = """SwaggerUIBundle({
  url: "/openapi.json", dom_id: "#api", deepLinking: true, filter: true, persistAuthorization: false,
  validatorUrl: null, presets: [SwaggerUIBundle.presets.apis],
});
"""


def add_home(app: FastAPI) -> None:
    """What stands at a facility's address in place of the web app."""

    @app.get("/", include_in_schema=False)
    async def home(request: Request) -> Response:
        """Says what this is, at a facility's own address."""
        await gateway_of(request).door.facilities.at(host_of(request))
        return HTMLResponse(UNBUILT, headers=HEADERS)


def add_pages(app: FastAPI) -> None:
    """Routes for people, beside the API."""

    @app.get("/docs", include_in_schema=False)
    async def docs() -> Response:
        """Swagger UI."""
        return HTMLResponse(DOCS, headers=HEADERS)

    @app.get("/docs/start.js", include_in_schema=False)
    async def start() -> Response:
        """Its start, in a file of its own: the page allows no inline script."""
        return Response(START, media_type="text/javascript", headers=HEADERS)

    @app.get("/openapi.json", include_in_schema=False)
    async def openapi(request: Request) -> Response:
        """The merged document."""
        return Response(await gateway_of(request).documents.merged(), media_type="application/json")

    app.mount("/docs/assets", StaticFiles(packages=[("fastapi_offline", "static")]))
