"""WADO-RS (PS3.18 10.4): what is retrieved, as who asks may see it."""

import asyncio
import json
import re
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from io import BytesIO

import pydicom
from codetect_shared.tokens import Principal
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian
from starlette.responses import Response, StreamingResponse

from codetect_ingest.dicom.identity import SERIES_UID, SOP_UID, STUDY_UID, Attributes
from codetect_ingest.dicom.refusals import Refusal, Refused
from codetect_ingest.dicomweb import decoding, elements
from codetect_ingest.dicomweb.decoding import BULK, Job, Picture
from codetect_ingest.dicomweb.elements import Bytes
from codetect_ingest.dicomweb.finding import Address, Located, find, names_of
from codetect_ingest.dicomweb.giving import Giving
from codetect_ingest.dicomweb.multipart import Multipart
from codetect_ingest.dicomweb.negotiation import (
    DICOM,
    DICOM_JSON,
    DICOM_XML,
    EXPLICIT,
    OCTETS,
    Accepted,
    Form,
    choose_dicom,
    choose_document,
    choose_pixels,
    choose_rendered,
)
from codetect_ingest.dicomweb.problems import ImageUnreadable, NotAcceptable, NothingThere
from codetect_ingest.dicomweb.reading import read_file, read_files, read_headers
from codetect_ingest.dicomweb.rendering import Rendering, render
from codetect_ingest.dicomweb.views import View, restored, view_of, with_uids
from codetect_ingest.dicomweb.xml import to_xml
from codetect_ingest.models import Kind
from codetect_ingest.service import Ingest

AT_ONCE = 50
LARGE = 2**16  # a piece of so many bytes isn't copied
MANY = 64  # pieces that are smaller
SOP_CLASS_UID, PIXEL_DATA = "00080016", "7FE00010"
BULK_PATH = re.compile(r"([0-9A-Fa-f]{8}/[1-9][0-9]{0,8}/){0,20}[0-9A-Fa-f]{8}")


class Retrieval:
    """What one request retrieves: instances, the view of who asks, what documents call other instances there."""

    def __init__(self, ingest: Ingest, view: View, located: list[Located], names: Mapping[str, str]) -> None:
        self._ingest, self.view, self.located, self._names = ingest, view, located, names
        self._seen: elements.Seen = {}
        self._giving = Giving(view, names)

    @classmethod
    async def begin(
        cls, ingest: Ingest, who: Principal, address: Address, what: str, *, one: bool = False
    ) -> "Retrieval":
        """Find what is asked for, and write down that it is read where that must be; nothing is read before that.

        `one` keeps a single image in the middle of the largest series. Raises NothingThere.
        """
        async with ingest.db.facility(who.facility_id) as session:
            view = await view_of(session, ingest, who)
            located = await find(session, who.facility_id, view, address)
            located = [_middle(located)] if one else located
            names = await names_of(session, view, located)
            await view.note_read(session, located[0].study.id, what, len(located))
        return cls(ingest, view, located, names)

    async def files(self, accepts: Sequence[Accepted]) -> Response:
        """Give DICOM files, streamed. Raises NotAcceptable, NothingThere, ServiceUnavailable, ImageUnreadable."""
        form = choose_dicom(accepts, len(self.located))
        syntaxes = {one.instance.transfer_syntax_uid: "" for one in self.located}
        syntaxes = {stored: form.syntax_for(stored) for stored in syntaxes}
        if not form.multipart:
            data = await self._file(self.located[0], syntaxes)
            syntax = syntaxes[self.located[0].instance.transfer_syntax_uid]
            return Response(data, media_type=f"{DICOM}; transfer-syntax={syntax}")
        multipart = Multipart(DICOM)
        heads = {stored: multipart.head(f"{DICOM}; transfer-syntax={given}") for stored, given in syntaxes.items()}
        length = None
        if all(stored == given for stored, given in syntaxes.items()):
            length = await self._giving.length(self._ingest.blocks, self.located)
        if length is not None:
            length += sum(len(heads[_syntax(one)]) + 2 for one in self.located) + len(multipart.end)
        return await streamed(self._stream(multipart, heads, syntaxes), multipart.content_type, length)

    async def metadata(self, accepts: Sequence[Accepted], base: str) -> Response:
        """Give data sets without what is large, as JSON or XML, streamed."""
        form = choose_document(accepts)
        if form.media_type == DICOM_XML:
            multipart = Multipart(DICOM_XML)
            return await streamed(self._xml(multipart, base), multipart.content_type)
        return await streamed(self._json(base), DICOM_JSON)

    async def frames(self, numbers: Sequence[int], accepts: Sequence[Accepted]) -> Response:
        """Give frames of one instance, stored or decoded. Raises NothingThere for frames that aren't there."""
        form = choose_pixels(accepts, _syntax(self.located[0]), len(numbers))
        return self._pixels(form, await self._frames(self.located[0], numbers, native=form.media_type == OCTETS))

    async def bulkdata(self, tag: str, accepts: Sequence[Accepted]) -> Response:
        """Give the image's data, a part a frame where it is compressed; or what `metadata` gives an address of.

        Raises NothingThere for other attributes.
        """
        if tag.upper() != PIXEL_DATA:
            return await self._bulk(tag, accepts)
        form = choose_pixels(accepts, _syntax(self.located[0]), 1)
        native = form.media_type == OCTETS
        found = await self._frames(self.located[0], (), native=native)
        return self._pixels(form, [b"".join(found)] if native else found)

    async def _bulk(self, path: str, accepts: Sequence[Accepted]) -> Response:
        """Only of files that a child described: in others nothing is too long."""
        one = self.located[0]
        if one.instance.header_length or not BULK_PATH.fullmatch(path):
            raise NothingThere
        form = choose_pixels(accepts, EXPLICIT, 1)
        return self._pixels(form, await self._ask(await self._file(one), Job("bulk", path=path)))

    def _pixels(self, form: Form, found: list[bytes]) -> Response:
        if not form.multipart and len(found) == 1:
            return Response(found[0], media_type=form.media_type)
        (syntax,) = form.syntaxes or {EXPLICIT}
        multipart = Multipart(form.media_type)
        parts = [multipart.part(f"{form.media_type}; transfer-syntax={syntax}", data) for data in found]
        return Response(b"".join([*parts, multipart.end]), media_type=multipart.content_type)

    async def rendered(self, accepts: Sequence[Accepted], how: Rendering, frames: Sequence[int] = (1,)) -> Response:
        """Give pictures to look at: one by itself, several as parts. Raises NotAcceptable, ImageUnreadable."""
        form = choose_rendered(accepts)
        if not form.multipart:
            return Response(
                await self._picture(_middle(self.located), frames[0], how, form), media_type=form.media_type
            )
        multipart = Multipart(form.media_type)
        return await streamed(self._pictures(multipart, how, frames, form), multipart.content_type)

    async def _stream(
        self, multipart: Multipart, heads: Mapping[str, bytes], syntaxes: Mapping[str, str]
    ) -> AsyncGenerator[Bytes]:
        small: list[Bytes] = []  # goes out together, before what is large
        async for one, pieces in read_files(self._ingest.blocks, self.located):
            small.append(heads[_syntax(one)])
            for piece in await self._as_given(one, pieces, syntaxes):
                if len(piece) < LARGE:
                    small.append(piece)
                    continue
                yield b"".join(small)
                yield piece
                small.clear()
            small.append(b"\r\n")
            if len(small) > MANY:
                yield b"".join(small)
                small.clear()
        yield b"".join((*small, multipart.end))

    async def _file(self, one: Located, syntaxes: Mapping[str, str] | None = None) -> bytes:
        data = await read_file(self._ingest.blocks, one)
        return b"".join(await self._as_given(one, [data], syntaxes or {_syntax(one): _syntax(one)}))

    async def _as_given(self, one: Located, kept: Sequence[Bytes], syntaxes: Mapping[str, str]) -> Sequence[Bytes]:
        """Return a file, in pieces, as who asks may see it, in the syntax it is given in."""
        pieces = await self._giving.given(one, kept)
        if syntaxes[_syntax(one)] == _syntax(one):
            return pieces
        return list(await self._ask(b"".join(pieces), Job("file")))

    async def _json(self, base: str) -> AsyncGenerator[bytes]:
        before = b"["
        async for found in self._attributes(base):
            yield before + b",".join(json.dumps(one, separators=(",", ":")).encode() for one in found)
            before = b","
        yield b"]"

    async def _xml(self, multipart: Multipart, base: str) -> AsyncGenerator[bytes]:
        async for found in self._attributes(base):
            yield b"".join(multipart.part(DICOM_XML, to_xml(one)) for one in found)
        yield multipart.end

    async def _attributes(self, base: str) -> AsyncIterator[list[Attributes]]:
        ours = [one for one in self.located if one.series.kind != Kind.SEALED and one.instance.header_length]
        headers = await read_headers(self._ingest.blocks, ours)
        by_owner = {
            (one.series.id, one.instance.sop_instance_uid): header for one, header in zip(ours, headers, strict=True)
        }
        for at in range(0, len(self.located), AT_ONCE):
            part = self.located[at : at + AT_ONCE]
            yield [
                await self._described(one, by_owner.get((one.series.id, one.instance.sop_instance_uid)), base)
                for one in part
            ]
            await asyncio.sleep(0)

    async def _described(self, one: Located, header: bytes | None, base: str) -> Attributes:
        """Return an instance's data set in this view, with the address of its image."""
        url = f"{one.url(base, self.view)}/bulkdata"
        syntax = {"00083002": {"vr": "UI", "Value": [_syntax(one)]}}
        if header is None:
            try:
                (told,) = await self._ask(await self._file(one), Job("attributes"))
            except (NothingThere, ImageUnreadable):
                return self._known(one) | syntax
            found: Attributes = json.loads(told)
            _place(found, url)
            return {tag: a for tag, a in found.items() if not tag.startswith("0002")} | syntax
        clean = elements.to_json(header, seen=self._seen)
        if self._names:
            clean = with_uids(clean, self._names)
        levels = (self.view.study(one.study), self.view.series(one.series), self.view.instance(one.instance))
        found = restored(clean, *levels) | syntax
        if "00280010" in clean:
            vr = "OW" if _syntax(one) == EXPLICIT and (clean["00280100"]["Value"][0] > 8) else "OB"
            found[PIXEL_DATA] = {"vr": vr, "BulkDataURI": f"{url}/{PIXEL_DATA}"}
        return dict(sorted(found.items()))

    def _known(self, one: Located) -> Attributes:
        """Return what is known of an instance without its file."""
        uids = one.instance.sop_class_uid, *one.uids(self.view)
        named = {
            tag: {"vr": "UI", "Value": [uid]}
            for tag, uid in zip((SOP_CLASS_UID, STUDY_UID, SERIES_UID, SOP_UID), uids, strict=True)
        }
        levels = (self.view.study(one.study), self.view.series(one.series), self.view.instance(one.instance))
        return restored(named, *levels) | named

    async def _frames(self, one: Located, numbers: Sequence[int], *, native: bool) -> list[bytes]:
        """Raises NothingThere for frames that aren't there, ImageUnreadable for what can't be decoded."""
        try:
            data, trusted = await self._image_file(one)
            if trusted:
                return await asyncio.to_thread(lambda: decoding.frames(_parsed(data), numbers, native=True))
            return await self._ask(data, Job("frames", tuple(numbers), native))
        except Refused as refused:
            raise _problem(refused) from refused

    async def _image_file(self, one: Located) -> tuple[bytes, bool]:
        """Return a file to take images out of, and whether this process may do that: never with what is compressed."""
        data = await read_file(self._ingest.blocks, one)
        if one.series.kind == Kind.SEALED:
            return await asyncio.to_thread(self._giving.unsealed, one, data), False
        return data, one.instance.transfer_syntax_uid == ExplicitVRLittleEndian

    async def _pictures(
        self, multipart: Multipart, how: Rendering, frames: Sequence[int], form: Form
    ) -> AsyncGenerator[bytes]:
        given = 0
        for one in self.located:
            for frame in frames:
                try:
                    picture = await self._picture(one, frame, how, form)
                except NotAcceptable:
                    continue
                given += 1
                yield multipart.part(form.media_type, picture)
        if not given:
            raise NotAcceptable("There is no image in it.")
        yield multipart.end

    async def _picture(self, one: Located, frame: int, how: Rendering, form: Form) -> bytes:
        try:
            data, trusted = await self._image_file(one)
            job = Job("picture", (frame,))
            found = await asyncio.to_thread(
                lambda: (
                    decoding.picture(_parsed(data), frame)
                    if trusted
                    else self._ingest.viewers.ask(data, job.message(), decoding.understand_picture)
                )
            )
        except Refused as refused:
            problem = _problem(refused)
            if isinstance(problem, NothingThere) and frame == 1:
                raise NotAcceptable("There is no image in it.") from refused
            raise problem from refused
        return await asyncio.to_thread(_rendered, found, how, form.media_type)

    async def _ask(self, data: bytes, job: Job) -> list[bytes]:
        """Have a child do it. Raises NothingThere, ImageUnreadable."""
        try:
            return await asyncio.to_thread(self._ingest.viewers.ask, data, job.message(), decoding.understand)
        except Refused as refused:
            raise _problem(refused) from refused


def _rendered(picture: Picture, how: Rendering, media_type: str) -> bytes:
    return render(picture, how, media_type)


def _place(attributes: Attributes, url: str) -> None:
    """Make addresses of paths, however deep they lie."""
    for attribute in attributes.values():
        if "BulkDataURI" in attribute:
            attribute["BulkDataURI"] = f"{url}/{attribute['BulkDataURI'].removeprefix(BULK)}"
        elif attribute["vr"] == "SQ":
            for item in attribute.get("Value", []):
                _place(item, url)


def _parsed(data: bytes) -> Dataset:
    return pydicom.dcmread(BytesIO(data))


def _syntax(one: Located) -> str:
    return str(one.instance.transfer_syntax_uid)


def _problem(refused: Refused) -> NothingThere | ImageUnreadable:
    return NothingThere() if refused.code == Refusal.NO_PIXEL_DATA else ImageUnreadable()


def _middle(located: list[Located]) -> Located:
    """Return the middle of the largest series of images, or of whatever there is."""
    series: dict[object, list[Located]] = {}
    for one in located:
        series.setdefault(one.series.id, []).append(one)
    largest = max(series.values(), key=lambda one: (one[0].series.kind == Kind.IMAGE, len(one)))
    return largest[len(largest) // 2]


async def streamed(chunks: AsyncGenerator[Bytes], content_type: str, length: int | None = None) -> Response:
    """Begin an answer only once its first part is there: until then, what goes wrong has a status of its own."""
    first = await anext(chunks)

    async def all_of_it() -> AsyncIterator[Bytes]:
        try:
            yield first
            async for chunk in chunks:
                yield chunk
        finally:
            await chunks.aclose()

    headers = {"Content-Length": str(length)} if length is not None else None
    return StreamingResponse(all_of_it(), headers=headers, media_type=content_type)
