"""The client: one facility, typed, async."""

import asyncio
import zipfile
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryFile
from types import TracebackType
from typing import IO, Any, Literal, Self
from uuid import UUID

from codetect import credentials as door
from codetect.api import Api, parse
from codetect.credentials import Credentials, Fixed
from codetect.errors import CodetectError
from codetect.live import watch
from codetect.models import (
    Analysis,
    AnalysisStatus,
    Challenge,
    Comparison,
    Enrolled,
    Enrolment,
    Erasure,
    Facility,
    Item,
    LiveEvent,
    Me,
    OpenedFacility,
    Page,
    Priority,
    RegisteredModel,
    Rollout,
    Slice,
    Study,
    Tokens,
    Upload,
)
from codetect.readers import Feedback, FeedbackState, Says, Watch
from codetect.submission import Progress, Submission
from codetect.submit import Wishes, submit

PAGE = 100
BUNDLE_TIMEOUT_S = 300


class Client:
    """What one may do at a facility; an async context manager.

    `credentials` may come later, through `log_in`. `patience_s` is how long a server that is away or restarting is
    asked again before `Unreachable` is raised; posts to the object store have their own.
    """

    def __init__(self, url: str, credentials: Credentials | None = None, *, patience_s: float = 30) -> None:
        self.api = Api(url, credentials, patience_s)

    @property
    def url(self) -> str:
        """The facility's address."""
        return self.api.address

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.api.http.aclose()

    async def facility(self) -> Facility:
        """The facility behind the address; needs no login."""
        return await self.api.get(Facility, "/api/v1/facility", bearer=False)

    async def log_in(self, email: str, password: str) -> Challenge:
        """First step: `confirm` follows, or `enrol` when the answer has an enrolment token."""
        return await door.login(self.api, email, password)

    async def confirm(self, challenge: Challenge, code: str, method: str = "totp") -> Tokens:
        """Second step, with a code of the authenticator or a recovery code; this client is logged in then."""
        return self._use(await door.second_factor(self.api, challenge.mfa_token or "", code, method))

    async def enrol(self, challenge: Challenge) -> Enrolment:
        """At the first login: the secret for an authenticator."""
        body = {"enrolment_token": challenge.enrolment_token}
        return await self.api.post(Enrolment, "/api/v1/auth/totp/enrol", bearer=False, retry=True, json=body)

    async def confirm_enrolment(self, challenge: Challenge, code: str) -> Enrolled:
        """At the first login: a code of the new authenticator. The recovery codes are told this once."""
        body = {"enrolment_token": challenge.enrolment_token, "code": code}
        enrolled = await self.api.post(Enrolled, "/api/v1/auth/totp/confirm", bearer=False, json=body)
        self._use(enrolled)
        return enrolled

    async def step_up(self, code: str, method: str = "totp") -> Tokens:
        """A code once more, before what is dangerous (`Refused` with the code `step-up-required`); for ten minutes."""
        body = {"method": method, "code": code}
        return self.api.bearer.replace(await self.api.post(Tokens, "/api/v1/auth/step-up", json=body))

    async def log_out(self, refresh_token: str) -> None:
        """End a login at the server."""
        body = {"refresh_token": refresh_token}
        await self.api.request("POST", "/api/v1/auth/logout", bearer=False, retry=True, json=body)

    async def me(self) -> Me:
        """Who is logged in."""
        return await self.api.get(Me, "/api/v1/auth/me")

    async def submit(
        self,
        paths: Iterable[Path | str],
        *,
        reference: str | None = None,
        priority: Priority = "routine",
        models: Sequence[str] = (),
        wait: bool = True,
        parallel: int = 8,
        timeout_s: float = 3600,
        on_progress: Callable[[Progress], None] = lambda progress: None,
    ) -> Submission:
        """Files, folders and zips to results. Called again with the same files it goes on where it was interrupted.

        Raises NothingToSubmit, TooMuch, UnderWay, NotFinished, and what every request may raise.
        """
        wishes = Wishes(reference, priority, tuple(dict.fromkeys(models)))
        return await submit(self, paths, wishes, wait=wait, parallel=parallel, timeout_s=timeout_s, report=on_progress)

    async def complete(self, upload_id: UUID, file_count: int, total_bytes: int) -> Upload:
        """Say that all files are there; asked again, the server answers the same."""
        claim = {"file_count": file_count, "total_bytes": total_bytes}
        return await self.api.post(Upload, f"/api/v1/uploads/{upload_id}/complete", retry=True, json=claim)

    async def upload(self, upload_id: UUID) -> Upload:
        """How far an upload is, and the outcome of each file by its number."""
        return await self.api.get(Upload, f"/api/v1/uploads/{upload_id}")

    def analyses(
        self,
        *,
        q: str | None = None,
        status: AnalysisStatus | None = None,
        finding: str | None = None,
        tag: str | None = None,
        folder: str | None = None,
        study_id: UUID | None = None,
        upload_id: UUID | None = None,
        feedback: FeedbackState | Literal["none"] | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        sort: str | None = None,
    ) -> AsyncGenerator[Analysis, None]:
        """All analyses that match, page by page as they are read."""
        filters: dict[str, Any] = {
            "q": q,
            "status": status,
            "finding": finding,
            "tag": tag,
            "folder": folder,
            "study_id": study_id,
            "upload_id": upload_id,
            "feedback": feedback,
            "from": since.isoformat() if since else None,
            "to": until.isoformat() if until else None,
            "sort": sort,
        }
        return self._all(Page[Analysis], "/api/v1/analyses", filters)

    async def analysis(self, analysis_id: UUID | str) -> Analysis:
        """One analysis."""
        return await self.api.get(Analysis, f"/api/v1/analyses/{analysis_id}")

    async def slices(self, analysis_id: UUID | str) -> list[Slice]:
        """The slices of an analysis, from feet to head."""
        return (await self.api.get(Page[Slice], f"/api/v1/analyses/{analysis_id}/slices")).items

    async def paper(self, analysis_id: UUID | str, name: str, file: IO[bytes]) -> None:
        """Write one of a result's documents: `report.pdf`, `report.dcm`, `report.fhir.json`, or `documents/<n>`."""
        await self.api.download(f"/api/v1/analyses/{analysis_id}/{name}", file)

    async def give_feedback(
        self,
        analysis_id: UUID | str,
        opinions: Mapping[str, Says],
        *,
        slices: Sequence[int] = (),
        comment: str | None = None,
    ) -> list[Feedback]:
        """Agree with findings or correct them, by label. Slices and comment go with each of them."""
        more = {"slices": list(slices), "comment": comment}
        findings = [{"label": label, "says": says, **more} for label, says in opinions.items()]
        path = f"/api/v1/analyses/{analysis_id}/feedback"
        return (await self.api.post(Page[Feedback], path, json={"findings": findings})).items

    async def feedback_on(self, analysis_id: UUID | str) -> list[Feedback]:
        """All that readers said of an analysis's findings."""
        return (await self.api.get(Page[Feedback], f"/api/v1/analyses/{analysis_id}/feedback")).items

    def feedback(
        self, *, state: FeedbackState | None = None, mine: bool = False, label: str | None = None
    ) -> AsyncGenerator[Feedback, None]:
        """Findings that something was said of, the oldest first; `mine`: those one may decide as a second reader."""
        wanted = {"state": state, "mine": "decide" if mine else None, "label": label}
        return self._all(Page[Feedback], "/api/v1/feedback", wanted)

    async def adjudicate(
        self, feedback_id: UUID | str, says: Says, *, slices: Sequence[int] = (), comment: str | None = None
    ) -> Feedback:
        """Decide as a second reader what holds."""
        body = {"says": says, "slices": list(slices), "comment": comment}
        return await self.api.post(Feedback, f"/api/v1/feedback/{feedback_id}/adjudicate", json=body)

    async def reopen(self, feedback_id: UUID | str) -> Feedback:
        """Take a decision back."""
        return await self.api.post(Feedback, f"/api/v1/feedback/{feedback_id}/reopen")

    async def export_labels(
        self,
        file: IO[bytes],
        *,
        label: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> None:
        """Write the labels that readers settled, as a CSV table that training reads."""
        wanted = {
            "label": label,
            "from": since.isoformat() if since else None,
            "to": until.isoformat() if until else None,
        }
        await self.api.download("/api/v1/feedback/labels.csv", file, params=_asked(wanted))

    async def watch_model(self, name: str, version: str) -> Watch:
        """How a model version fared in the last 30 days."""
        return await self.api.get(Watch, f"/api/v1/models/{name}/{version}/watch")

    def studies(self) -> AsyncGenerator[Study, None]:
        """All studies of the facility, the newest first, page by page as they are read."""
        return self._all(Page[Study], "/api/v1/studies")

    async def export(self, study_id: UUID | str, file: IO[bytes], *, original: bool = False) -> None:
        """Write a study's DICOM files as a zip; `original`, as they came, needs the right `identity`."""
        view = "original" if original else "deidentified"
        await self.api.download(f"/api/v1/studies/{study_id}/export", file, params={"view": view})

    async def erase(self, study_id: UUID | str) -> Erasure:
        """Erase a study for good; asked again, the server says how far it is."""
        return parse(Erasure, await self.api.request("DELETE", f"/api/v1/studies/{study_id}", retry=True))

    async def models(self) -> list[RegisteredModel]:
        """The models that can be asked for."""
        return (await self.api.get(Page[RegisteredModel], "/api/v1/models")).items

    async def push_model(self, folder: Path) -> RegisteredModel:
        """Register a model bundle (operator): a folder with `bundle.json` and the files that it names."""
        with TemporaryFile() as archive:
            await asyncio.to_thread(_zip, folder, archive)
            files = {"bundle": ("bundle.zip", archive, "application/zip")}
            return await self.api.post(RegisteredModel, "/api/v1/models", files=files, timeout=BUNDLE_TIMEOUT_S)

    async def rollouts(self) -> list[Rollout]:
        """Which versions take part where (operator)."""
        return (await self.api.get(Page[Rollout], "/api/v1/models/rollouts")).items

    async def activate_model(self, name: str, version: str, facility_id: UUID | None = None) -> Rollout:
        """Have a version read new studies, of one facility or of all, once it has been seen to run (operator)."""
        return await self._roll_out(f"{name}/{version}/activate", facility_id)

    async def shadow_model(self, name: str, version: str, facility_id: UUID | None = None) -> Rollout:
        """Have a version read new studies besides, for nobody to see (operator)."""
        return await self._roll_out(f"{name}/{version}/shadow", facility_id)

    async def canary_model(self, name: str, version: str, share: int, facility_id: UUID | None = None) -> Rollout:
        """Have a version read `share` percent of the new studies (operator)."""
        return await self._roll_out(f"{name}/{version}/canary", facility_id, share=share)

    async def stop_model(
        self, name: str, version: str, kind: Literal["shadow", "canary"], facility_id: UUID | None = None
    ) -> None:
        """End a shadow or a canary (operator)."""
        where = {"facility_id": str(facility_id)} if facility_id else {}
        await self.api.request("DELETE", f"/api/v1/models/{name}/{version}/{kind}", params=where)

    async def roll_back_model(self, name: str, facility_id: UUID | None = None) -> Rollout:
        """End the canary there, or have the version serve again that served before (operator): what serves now."""
        return await self._roll_out(f"{name}/rollback", facility_id)

    async def compare_model(self, name: str, version: str) -> Comparison:
        """How a shadow's results compare with those that were shown (operator)."""
        return await self.api.get(Comparison, f"/api/v1/models/{name}/{version}/comparison")

    async def facilities(self) -> list[OpenedFacility]:
        """All facilities (operator)."""
        return [one async for one in self._all(Page[OpenedFacility], "/api/v1/facilities")]

    async def _roll_out(self, path: str, facility_id: UUID | None, **more: int) -> Rollout:
        where = {"facility_id": str(facility_id) if facility_id else None}
        return await self.api.post(Rollout, f"/api/v1/models/{path}", json=where | more, timeout=BUNDLE_TIMEOUT_S)

    def watch(self, after: str | None = None, *, patience_s: float = float("inf")) -> AsyncGenerator[LiveEvent, None]:
        """What happens, as it happens, without end; see `LiveEvent`. Cuts are bridged."""
        return watch(self.api, after, patience_s)

    async def _all(
        self, page_of: type[Page[Item]], path: str, filters: Mapping[str, Any] | None = None
    ) -> AsyncGenerator[Item, None]:
        """What a list holds, page by page as it is read."""
        query = _asked({**(filters or {}), "limit": PAGE})
        while True:
            page = await self.api.get(page_of, path, params=query)
            for one in page.items:
                yield one
            if not page.next:
                return
            query["cursor"] = page.next

    def _use(self, tokens: Tokens) -> Tokens:
        self.api.bearer.credentials = Fixed(tokens)
        self.api.bearer.set(tokens)
        return tokens


def _asked(filters: Mapping[str, Any]) -> dict[str, str]:
    """Those that were given, as a query."""
    return {name: str(value) for name, value in filters.items() if value is not None}


def _zip(folder: Path, archive: IO[bytes]) -> None:
    """The bundle's files, stored as they are: weights hardly shrink."""
    if not (folder / "bundle.json").is_file():
        raise CodetectError(f"{folder} is no model bundle: there is no bundle.json in it.")
    with zipfile.ZipFile(archive, "w") as entries:
        for path in sorted(folder.iterdir()):
            if path.is_file() and not path.name.startswith("."):
                entries.write(path, path.name)
    archive.seek(0)
