"""A data set's description: a YAML file that says what lies where, what it may be used for and how it is split."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, ValidationError, model_validator

from codetect_training.datasets.alike import ALIKE, BITS
from codetect_training.datasets.sources import ImageFolders, SplitFiles
from codetect_training.datasets.strict import Slug, Strict, Text
from codetect_training.datasets.volumes import DicomSeries, NiftiVolumes

FOLDER = Path(__file__).parents[2] / "datasets"

AnySource = Annotated[ImageFolders | SplitFiles | DicomSeries | NiftiVolumes, Field(discriminator="kind")]


class Leaks(Strict):
    """What happens to images on one side whose patient or near-duplicate is on the other."""

    action: Literal["leave_out", "keep"] = "leave_out"
    because: Text | None = None

    @model_validator(mode="after")
    def reasoned(self) -> Leaks:
        """Leaks are kept for a reason only."""
        if self.action == "keep" and not self.because:
            raise ValueError("`action: keep` makes figures look better than they are: say why in `because`")
        return self


class Description(Strict):
    """A data set. A label's place in `labels` is its number; `include` adds other descriptions' sources."""

    name: Slug
    title: Text
    labels: list[Text] = Field(default_factory=list)
    include: list[Slug] = Field(default_factory=list)
    sources: dict[Slug, AnySource] = Field(default_factory=dict)
    alike: int = Field(default=ALIKE, ge=0, le=BITS)
    leaks: Leaks = Leaks()

    @model_validator(mode="after")
    def known_labels(self) -> Description:
        """Sources use the labels that are listed; something is there at all."""
        if len(set(self.labels)) != len(self.labels):
            raise ValueError("a label is listed twice")
        for name, source in self.sources.items():
            if unknown := source.words - set(self.labels):
                raise ValueError(
                    f"source {name} uses {', '.join(sorted(unknown))}: add it to `labels`, or mend the source"
                )
        if not self.sources and not self.include:
            raise ValueError("say what is in it, in `sources` or `include`")
        return self


def load_description(which: str | Path) -> Description:
    """Read a description by its name (those in services/inference/training/datasets) or its file."""
    path = Path(which)
    if path.suffix not in {".yaml", ".yml"}:
        path = FOLDER / f"{which}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(one.stem for one in FOLDER.glob("*.yaml")))
        raise SystemExit(f"{path} isn't there: give a file, or one of {known}")
    try:
        content: Any = yaml.safe_load(path.read_text())
        description = Description.model_validate(content)
    except yaml.YAMLError as error:
        raise SystemExit(f"{path} isn't YAML: {error}") from None
    except ValidationError as error:
        raise SystemExit(f"{path}:\n" + "\n".join(map(told, error.errors()))) from None
    return including(description, path)


def including(description: Description, path: Path) -> Description:
    """The description with the sources that it takes from others beside it."""
    sources: dict[str, Any] = dict(description.sources)
    for name in description.include:
        other_path = path.with_name(f"{name}{path.suffix}")
        other = load_description(other_path)
        if other.include:
            raise SystemExit(f"{path} includes {name}, which includes others itself: include those directly")
        if both := set(other.sources) & set(sources):
            raise SystemExit(f"{path}: source {', '.join(sorted(both))} comes twice: rename one")
        sources |= other.sources
    try:
        return Description.model_validate(description.model_copy(update={"sources": sources}).model_dump())
    except ValidationError as error:
        raise SystemExit(f"{path}:\n" + "\n".join(map(told, error.errors()))) from None


def told(error: Any) -> str:
    """One line on one mistake: where it is, and what to do."""
    place = ".".join(map(str, error["loc"])) or "the description"
    said = {
        "extra_forbidden": "no such member: a misspelling? Take it out, or see docs/models/data.md",
        "missing": "missing: add it (docs/models/data.md)",
    }.get(error["type"], error["msg"].removeprefix("Value error, "))
    return f"  {place}: {said}"
