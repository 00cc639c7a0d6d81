"""What can be wrong with a request about uploads and studies."""

from codetect_shared.problems import BadInput, Conflict, NotFound, Problem


class UploadNotFound(NotFound):
    """There is no such upload."""


class StudyNotFound(NotFound):
    """There is no such study."""


class CursorInvalid(BadInput):
    """The cursor is not one that this list gave."""


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
