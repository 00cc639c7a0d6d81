"""What can go wrong, each with a sentence that can be shown as it is.

CodetectError
├── Refused            the server said no: an RFC 9457 problem
├── Unreachable        nothing answered, or not sensibly
├── LoginRequired      there are no credentials, or they are no longer good
├── NothingToSubmit    the paths hold no file that can be sent
├── TooMuch            more files or bytes than one upload takes
├── UnderWay           another process is submitting the same files at this moment
└── NotFinished        the results took longer than the caller would wait
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from codetect.files import Rejected
    from codetect.submission import Submission


class CodetectError(Exception):
    """Something went wrong."""


class Refused(CodetectError):
    """The server refused a request; `code` is the last part of the problem's type, such as `not-found`."""

    def __init__(self, status: int, problem: dict[str, Any]) -> None:
        self.status = status
        self.problem = problem
        self.code = str(problem.get("type", "")).rpartition(":")[2]
        self.title = str(problem.get("title") or f"The server answered {status}.")
        detail = problem.get("detail")
        super().__init__(f"{self.title} {detail}" if detail else self.title)


class Unreachable(CodetectError):
    """The server can't be reached."""


class LoginRequired(CodetectError):
    """Somebody has to log in first."""


class NothingToSubmit(CodetectError):
    """There is no file to submit; `rejected` says what was found instead."""

    def __init__(self, message: str, rejected: "Sequence[Rejected]" = ()) -> None:
        self.rejected = rejected
        super().__init__(message)


class TooMuch(CodetectError):
    """More than one upload takes."""


class UnderWay(CodetectError):
    """The same files are being submitted by another process."""


class NotFinished(CodetectError):
    """The results are not there yet; `submission` is what there is."""

    def __init__(self, message: str, submission: "Submission") -> None:
        self.submission = submission
        super().__init__(message)
