"""What a gateway process works with, opened once."""

from dataclasses import dataclass
from typing import cast

from codetect_shared.db import Database
from starlette.requests import HTTPConnection

from codetect_gateway.browsers import Browsers
from codetect_gateway.door import Door
from codetect_gateway.live import Live
from codetect_gateway.openapi import Documents
from codetect_gateway.parts import Part
from codetect_gateway.settings import Settings


@dataclass(frozen=True)
class Gateway:
    """The parts that answers are made with."""

    settings: Settings
    db: Database
    parts: dict[str, Part]
    door: Door
    browsers: Browsers
    live: Live
    documents: Documents


def gateway_of(connection: HTTPConnection) -> Gateway:
    """The parts that the lifespan opened."""
    return cast(Gateway, connection.app.state.gateway)
