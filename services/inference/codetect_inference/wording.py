"""A result in sentences, the same wherever people read it."""

from codetect_inference.schemas import FindingOut, OutOfDistribution


def found(one: FindingOut, title: str) -> str:
    """One finding, with its numbers."""
    reached = "reaches" if one.positive else "stays below"
    verdict = "positive" if one.positive else "negative"
    return (
        f"{title}: {verdict}. The slices that argue most have a mean probability of {one.probability:.2f}, "
        f"which {reached} the model's threshold of {one.threshold:.2f}."
    )


def peaked(one: FindingOut) -> str | None:
    """Where it argues most, for people, who count from 1; None when it is not known."""
    if one.peak is None:
        return None
    place = f"slice {one.peak.slice + 1}, column {one.peak.column}, row {one.peak.row}"
    if one.peak.position_mm:
        x, y, z = one.peak.position_mm
        place += f"; in the patient (LPS) x {x:.1f}, y {y:.1f}, z {z:.1f} mm"
    return f"Strongest evidence: {place}."


def unlike(one: OutOfDistribution | None) -> str:
    """Whether the study is like what the model learnt from."""
    if one is None:
        return "This model can't tell whether images are unlike those it learnt from."
    verdict = "unlike" if one.flagged else "like"
    return f"The images are {verdict} those the model learnt from: {one.score:.2f} times the distance it allows."
