"""What the routes of notes take and give."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from codetect_inference.feedback.schemas import MULTILINE

NoteText = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2000, pattern=MULTILINE)]


class NoteRequest(BaseModel):
    """A note to keep."""

    model_config = ConfigDict(extra="forbid")

    text: NoteText = Field(description="Sealed. What plainly holds an identifier is refused.")


class NoteOut(BaseModel):
    """A note on a study."""

    id: UUID
    writer: UUID
    at: datetime
    text: str | None = Field(description="Null: it is somebody else's, and you don't have the right `identity`.")


class NoteList(BaseModel):
    """A study's notes, the oldest first."""

    items: list[NoteOut]
    next: None = None
