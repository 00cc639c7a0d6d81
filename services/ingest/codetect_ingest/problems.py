"""What can be wrong with a request about uploads and studies."""

from codetect_shared.problems import BadInput, Conflict, Forbidden, NotFound, Problem, TooManyRequests


class UploadNotFound(NotFound):
    """There is no such upload."""


class StudyNotFound(NotFound):
    """There is no such study."""


class CursorInvalid(BadInput):
    """The cursor is not one that this list gave."""


class FacilityIsSuspended(Forbidden):
    """This facility is suspended: nothing is taken for now; ask the operator."""


class WrongState(Conflict):
    """The upload's state doesn't allow this."""


class KeyReused(Conflict):
    """This Idempotency-Key was used for another request."""


class UploadExpired(Problem):
    """The upload's time has run out."""

    status = 410


class UploadEmpty(BadInput):
    """An upload needs at least one file."""


class UploadTooLarge(Problem):
    """The upload is larger than what is taken at once."""

    status = 413


class ClaimMismatch(Conflict):
    """What was posted isn't what was claimed."""


class UnderLegalHold(Conflict):
    """This study is under legal hold and can't be erased."""


class NotForgetful(Conflict):
    """The facility's profile keeps identities."""


class IdentityForgotten(Problem):
    """This study's identity isn't kept."""

    status = 410


class ReportNotFound(NotFound):
    """There is no report of what de-identification did to this file."""


class StorageQuotaReached(Problem):
    """The facility's storage is used up."""

    status = 507


class StudyQuotaReached(Problem):
    """The facility keeps as many studies as it may."""

    status = 507


class TooManyJobs(TooManyRequests):
    """Too much waits to be imported already; try again later."""

    headers = {"Retry-After": "30"}
