"""The CoDetect client: an async library and the `codetect` command.

async with codetect.Client("https://clinic.example.org", codetect.ApiClient(client_id, client_secret)) as client:
    result = await client.submit(["/data/ct-study"])
"""

from codetect.client import Client
from codetect.credentials import ApiClient, Credentials, Fixed, Person
from codetect.errors import (
    CodetectError,
    LoginRequired,
    NotFinished,
    NothingToSubmit,
    Refused,
    TooMuch,
    UnderWay,
    Unreachable,
)
from codetect.models import Analysis, Finding, LiveEvent, Upload
from codetect.submission import Progress, Submission

__all__ = [
    "Analysis",
    "ApiClient",
    "Client",
    "CodetectError",
    "Credentials",
    "Finding",
    "Fixed",
    "LiveEvent",
    "LoginRequired",
    "NotFinished",
    "NothingToSubmit",
    "Person",
    "Progress",
    "Refused",
    "Submission",
    "TooMuch",
    "UnderWay",
    "Unreachable",
    "Upload",
]
