"""STOW-RS (PS3.18 10.5): instances in, each with its outcome; however many come, a process holds few at a time."""

import asyncio
from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from codetect_shared.problems import BadInput, Problem, ServiceUnavailable
from codetect_shared.storage import StorageUnavailable
from codetect_shared.tokens import Principal
from starlette.requests import Request

from codetect_ingest.assembly import sort_out
from codetect_ingest.depositing import Deposit
from codetect_ingest.dicom.identity import SERIES_UID, SOP_UID, STUDY_UID, Identity
from codetect_ingest.dicom.instance import Instance
from codetect_ingest.dicom.other import Other
from codetect_ingest.dicom.refusals import Refusal, Refused
from codetect_ingest.dicomweb.finding import checked_uid
from codetect_ingest.dicomweb.parts import DICOM, parts
from codetect_ingest.filing import Outcome, StudyMoved
from codetect_ingest.identities import sealer_of
from codetect_ingest.intake import Reader
from codetect_ingest.models import now
from codetect_ingest.packs import Found, Kept
from codetect_ingest.quota import check_quota
from codetect_ingest.scratch import room_or_later, scratch_folder
from codetect_ingest.service import Ingest

OUT_OF_RESOURCES = 0xA700
NOT_OF_ITS_CLASS = 0xA900
OTHER_STUDY = 0xA901
PROCESSING_FAILURE = 0x0110
DUPLICATE = 0x0111
CLASS_NOT_SUPPORTED = 0x0122
CANNOT_UNDERSTAND = 0xC000
SYNTAX_NOT_SUPPORTED = 0xC122
OTHER_CLASSES = (
    Refusal.NOT_CT,
    Refusal.STRUCTURED_REPORT,
    Refusal.RADIOTHERAPY,
    Refusal.ANNOTATION,
    Refusal.DOCUMENT,
    Refusal.SECONDARY_CAPTURE,
)
REASONS = dict.fromkeys(OTHER_CLASSES, CLASS_NOT_SUPPORTED) | {
    Refusal.UNSUPPORTED_TRANSFER_SYNTAX: SYNTAX_NOT_SUPPORTED,
    Refusal.TIMEOUT: PROCESSING_FAILURE,
    Refusal.MEMORY: OUT_OF_RESOURCES,
    Refusal.TOO_LARGE: OUT_OF_RESOURCES,
    Refusal.NO_GEOMETRY: NOT_OF_ITS_CLASS,
    Refusal.OTHER_STUDY: OTHER_STUDY,
    Refusal.DUPLICATE: DUPLICATE,
}


class NothingStored(BadInput):
    """The request holds no instance."""

    status = 400


class TooManyInstances(Problem):
    """The request holds more instances or bytes than are taken at once; send them in several."""

    status = 413


@dataclass(frozen=True)
class Stored:
    """What became of a request: its upload, and the outcome of each part by number."""

    upload_id: str
    found: Mapping[int, list[Found]]
    kept: Mapping[int, Other]
    refused: Mapping[int, Refused]
    base: str
    sees_identities: bool

    @property
    def status(self) -> int:
        """200 where all were stored, 202 where some were, 409 where none was (PS3.18 10.5.3.1)."""
        return 409 if len(self.refused) == self.count else 202 if self.refused else 200

    @property
    def count(self) -> int:
        """How many parts there were."""
        return len(self.found.keys() | self.kept.keys() | self.refused.keys())

    def answer(self) -> dict[str, Any]:
        """Return the Store Instances Response Module (PS3.18 Annex I) as DICOM JSON."""
        referenced, failed, others = [], [], []
        named = self._named()
        for number, (sop, url) in sorted(named.items()):
            if why := self.refused.get(number):
                failed.append(sop | {"00081197": _us(REASONS.get(why.code, CANNOT_UNDERSTAND))})
            else:
                referenced.append(sop | {"00081190": _ur(url)})
        for number in sorted(self.refused.keys() - named.keys()):
            why = self.refused[number]
            reason = {"00081197": _us(REASONS.get(why.code, CANNOT_UNDERSTAND))}
            if why.named:
                failed.append(_sop(*why.named) | reason)
            else:
                others.append(reason)
        module: dict[str, Any] = {}
        if referenced:
            module["00081190"] = _ur(referenced[0]["00081190"]["Value"][0].partition("/series/")[0])
            module["00081199"] = _sq(referenced)
        if failed:
            module["00081198"] = _sq(failed)
        if others:
            module["0008119A"] = _sq(others)
        return module

    def _named(self) -> dict[int, tuple[dict[str, Any], str]]:
        """Name each instance as its sender did, with the address at which who asked may find it."""
        named = {number: (frames[0].instance, frames[0].identity) for number, frames in self.found.items()}
        told = {number: why.other for number, why in self.refused.items() if why.other}
        told |= self.kept
        return {
            number: (_sop(clean.sop_class_uid, _original(identity)[2]), self._url(clean, identity))
            for number, (clean, identity) in (named | {n: (one, one.identity) for n, one in told.items()}).items()
        }

    def _url(self, clean: Instance | Other, identity: Identity) -> str:
        uids = clean.study_instance_uid, clean.series_instance_uid, clean.sop_instance_uid
        study, series, instance = _original(identity) if self.sees_identities else uids
        return f"{self.base}/studies/{study}/series/{series}/instances/{instance}"


async def store(request: Request, ingest: Ingest, who: Principal, study_instance_uid: str | None) -> Stored:
    """Store a request's instances.

    Raises QueryInvalid, MediaTypeUnsupported, BodyMalformed, NothingStored, ServiceUnavailable, and what `check_quota`
    does.
    """
    if study_instance_uid is not None:
        checked_uid(study_instance_uid)
    started, settings = now(), ingest.settings
    async with ingest.db.facility(who.facility_id) as session:
        await check_quota(session, settings, who.facility_id, _announced(request))
        sealer = await sealer_of(session, who.facility_id, settings.master_key)
    sizes: dict[int, int] = {}
    total = 0
    with room_or_later(), scratch_folder() as scratch:
        reader = Reader(ingest.children, sealer, scratch)
        reading: list[asyncio.Task[Outcome]] = []

        content_type = request.headers.get("content-type", "")
        async with aclosing(parts(request.stream(), content_type, scratch, settings.max_file_bytes)) as arriving:
            try:
                async for part in arriving:
                    number = len(sizes) + 1
                    sizes[number] = part.size
                    total += sizes[number]
                    if number > settings.max_files or total > settings.max_total_bytes:
                        raise TooManyInstances(max_files=settings.max_files, max_total_bytes=settings.max_total_bytes)
                    if part.too_large or part.content_type not in ("", DICOM):
                        reader.refuse(number, Refused(Refusal.TOO_LARGE if part.too_large else Refusal.NOT_DICOM))
                        continue
                    await ingest.hands.acquire()
                    source = part.source
                    reading.append(asyncio.create_task(reader.read(number, source)))
                    reading[-1].add_done_callback(lambda _: ingest.hands.release())
                    if isinstance(source, Path):
                        await reading[-1]  # before more is taken: large ones need room on the disk
                await asyncio.gather(*reading)
            finally:
                for task in reading:
                    task.cancel()
                await asyncio.gather(*reading, return_exceptions=True)
        if not sizes:
            raise NothingStored("Send at least one part of the type application/dicom.")
        refused = reader.refused | sort_out(reader.found) | _of_other_studies(reader.found, study_instance_uid)
        staying = {number: frames for number, frames in reader.found.items() if number not in refused}
        deposit = Deposit(ingest, who, sealer, scratch, started)
        try:
            refused = await deposit.keep(sizes, staying, _keepable(reader, study_instance_uid), refused)
        except (StorageUnavailable, StudyMoved) as error:
            raise ServiceUnavailable("Nothing of this request was stored. Send it again.") from error
    shown = who.sees_identities and sealer.keeps
    others = {number: one.other for number, one in reader.kept.items() if number not in refused}
    return Stored(str(deposit.id), reader.found, others, refused, base_of(request), shown)


def base_of(request: Request) -> str:
    """Return the address of this DICOMweb service as the client reaches it."""
    host = request.headers.get("x-forwarded-host") or request.headers.get("host", "")
    return f"{request.headers.get('x-forwarded-proto', request.url.scheme)}://{host}/dicomweb"


def _announced(request: Request) -> int:
    """Return how many bytes the request says it brings; none where it doesn't say."""
    length = request.headers.get("content-length", "")
    return int(length) if length.isdecimal() else 0


def _of_other_studies(found: Mapping[int, list[Found]], study: str | None) -> dict[int, Refused]:
    """Refuse what isn't of the study in the address."""
    return {
        number: Refused(Refusal.OTHER_STUDY)
        for number, frames in found.items()
        if study is not None and study not in (_original(frames[0].identity)[0], frames[0].instance.study_instance_uid)
    }


def _keepable(reader: Reader, study: str | None) -> list[Kept]:
    """Return the files to keep, none that was sent to another study."""
    kept = reader.kept.values()
    return [one for one in kept if study in (None, one.other.study_instance_uid, _original(one.other.identity)[0])]


def _original(identity: Identity) -> tuple[str, str, str]:
    """Return the original UIDs of study, series and instance."""
    return (
        identity.study[STUDY_UID]["Value"][0],
        identity.series[SERIES_UID]["Value"][0],
        identity.instance[SOP_UID]["Value"][0],
    )


def _sop(class_uid: str, instance_uid: str) -> dict[str, Any]:
    named = (("00081150", class_uid), ("00081155", instance_uid))
    return {tag: {"vr": "UI", "Value": [value]} for tag, value in named}


def _us(value: int) -> dict[str, Any]:
    return {"vr": "US", "Value": [value]}


def _ur(value: str) -> dict[str, Any]:
    return {"vr": "UR", "Value": [value]}


def _sq(items: list[dict[str, Any]]) -> dict[str, Any]:
    return {"vr": "SQ", "Value": items}
