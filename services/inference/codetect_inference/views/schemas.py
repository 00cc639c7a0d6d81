"""What the API takes and gives of kept views."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from codetect_inference.schemas import PRINTABLE

Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=60, pattern=PRINTABLE)]
FiltersText = Annotated[
    str,
    Field(
        max_length=1000,
        pattern=PRINTABLE,
        description="The page's own query, as `status=failed&since=yesterday`; days may be relative.",
    ),
]


class ViewRequest(BaseModel):
    """A view to keep."""

    model_config = ConfigDict(extra="forbid")

    name: Name
    filters: FiltersText


class ViewChange(BaseModel):
    """What is to change of a view; what isn't sent stays as it is."""

    model_config = ConfigDict(extra="forbid")

    name: Name | None = None
    filters: FiltersText | None = None


class ViewOut(BaseModel):
    """A kept view."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    name: str
    filters: str
    created_at: datetime


class ViewList(BaseModel):
    """One's own views, by name."""

    items: list[ViewOut]
