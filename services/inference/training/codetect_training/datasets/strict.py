"""What descriptions are made of: a base that refuses unknown members, and the names several modules share."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints

Split = Literal["train", "val", "test"]
RANK: dict[Split, int] = {"train": 0, "val": 1, "test": 2}  # of two sides of a leak, the higher one keeps its images


def inside(path: str) -> str:
    """Refuse paths that leave the data folder."""
    pure = PurePosixPath(path)
    if pure.is_absolute() or ".." in pure.parts:
        raise ValueError(f"write {path!r} relative to CODETECT_DATA, without '..'")
    return path


DataPath = Annotated[str, StringConstraints(min_length=1), AfterValidator(inside)]
Text = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]
Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]*$")]


class Strict(BaseModel):
    """A part of a description."""

    model_config = ConfigDict(extra="forbid", frozen=True)
