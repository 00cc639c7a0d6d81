"""A STOW-RS server as small as can be, which answers as it is told."""

import io
import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pydicom

Uids = list[str]
Reply = tuple[int, Any, dict[str, str]]


def stored(uids: Uids) -> Reply:
    """200: all of them."""
    return 200, {"00081199": sequence([{"00081155": uid(one)} for one in uids])}, {}


def refused(bad: set[str], reason: int) -> Callable[[Uids], Reply]:
    """202 or 409: all but some."""

    def answer(uids: Uids) -> Reply:
        good = [one for one in uids if one not in bad]
        failed = [{"00081155": uid(one), "00081197": {"vr": "US", "Value": [reason]}} for one in uids if one in bad]
        body = {"00081198": sequence(failed)} | (
            {"00081199": sequence([{"00081155": uid(o)} for o in good])} if good else {}
        )
        return (202 if good else 409), body, {"Link": '</api/v1/uploads/1>; rel="describedby"'}

    return answer


def only(status: int, **headers: str) -> Callable[[Uids], Reply]:
    """Nothing but a status."""
    return lambda uids: (status, {}, headers)


def uid(value: str) -> dict[str, Any]:
    return {"vr": "UI", "Value": [value]}


def sequence(items: list[dict[str, Any]]) -> dict[str, Any]:
    return {"vr": "SQ", "Value": items}


class Receiver:
    """Listens on a port; `answer` may be changed at any time; `has` holds what it said it stored."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.answer: Callable[[Uids], Reply] = stored
        self.has: dict[str, bytes] = {}
        self.requests: list[tuple[int, dict[str, str], Uids]] = []
        self.server: ThreadingHTTPServer | None = None

    def start(self) -> None:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                receiver.take(self)

            def log_message(self, *_: Any) -> None:
                """Quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.05,)).start()

    def stop(self) -> None:
        if self.server:
            self.server.shutdown()
            self.server.server_close()
            self.server = None

    def take(self, request: BaseHTTPRequestHandler) -> None:
        files = parts(request)
        status, body, headers = self.answer(list(files)) if files else (400, {}, {})
        good = {item["00081155"]["Value"][0] for item in body.get("00081199", {}).get("Value", [])}
        self.has |= {one: content for one, content in files.items() if one in good}
        self.requests.append((status, dict(request.headers), list(files)))
        content = json.dumps(body).encode()
        request.send_response(status)
        for name, value in (headers | {"Content-Length": str(len(content))}).items():
            request.send_header(name.replace("_", "-"), value)
        request.end_headers()
        request.wfile.write(content)


def parts(request: BaseHTTPRequestHandler) -> dict[str, bytes]:
    """The DICOM files of a request by SOP Instance UID, none of a broken one; chunked as Orthanc sends it, or not."""
    assert request.path == "/dicomweb/studies"
    if "Content-Length" in request.headers:
        body = request.rfile.read(int(request.headers["Content-Length"]))
    else:
        body = b""
        while size := int(request.rfile.readline(), 16):
            body += request.rfile.read(size)
            request.rfile.readline()
        request.rfile.readline()
    boundary = request.headers.get_param("boundary")
    pieces = body.split(f"--{boundary}".encode())
    if pieces[-1].strip() != b"--":
        return {}
    files = [piece.split(b"\r\n\r\n", 1)[1][:-2] for piece in pieces[1:-1]]
    return {
        str(pydicom.dcmread(io.BytesIO(one), specific_tags=["SOPInstanceUID"]).SOPInstanceUID): one for one in files
    }
