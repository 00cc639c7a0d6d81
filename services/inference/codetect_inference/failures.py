"""Why something can't be done: problems of requests, and the codes of failed analyses with their sentences."""

from codetect_shared.problems import BadInput, Conflict, NotFound, Problem


class AnalysisNotFound(NotFound):
    """There is no such analysis."""


class SliceNotFound(NotFound):
    """The analysis has no such slice."""


class HeatmapNotFound(NotFound):
    """There is no heatmap for this slice."""


class ReportNotFound(NotFound):
    """The analysis has no report."""


class StudyNotFound(NotFound):
    """There is no such study."""


class ModelNotFound(NotFound):
    """There is no such model."""


class WrongState(Conflict):
    """The analysis is in a state that does not allow this."""


class TooManyTags(Conflict):
    """An analysis has 20 tags at most; remove one first."""


class ModelVersionTaken(Conflict):
    """Another bundle is registered under this name and version."""


class ModelOutOfService(Conflict):
    """The model's version is out of service; take it back into service first."""


class ModelDoesNotRun(Conflict):
    """The model's version could not be loaded and run, so what served before goes on."""


class NothingBefore(Conflict):
    """No other version served here before; activate one instead."""


class NotTakingPart(NotFound):
    """This version is no such candidate there."""


class FeedbackNotFound(NotFound):
    """There is no such feedback."""


class NoSuchFinding(BadInput):
    """The analysis has no such finding."""


class SecondReaderNeeded(Conflict):
    """Somebody else has to decide: you have said something about this finding yourself."""


class BundleNotAccepted(BadInput):
    """The model bundle was refused."""


class BundleTooLarge(Problem):
    """The model bundle is larger than this platform takes."""

    status = 413


class LengthNeeded(Problem):
    """The request must say its length."""

    status = 411


class CursorInvalid(BadInput):
    """The cursor is not one that this list gave."""


class NotSignedYet(Exception):
    """The version was registered before bundles were signed: its studies wait until it is registered again."""


class NotLoadedYet(Exception):
    """A model can't be loaded now, for want of memory, disk or network: its studies wait `wait_s` seconds."""

    def __init__(self, wait_s: float) -> None:
        super().__init__(f"try again in {wait_s:.0f} s")
        self.wait_s = wait_s


class Unanalysable(Exception):
    """An analysis that would end the same way if it were tried again; `code` is one of SENTENCES."""

    def __init__(self, code: str) -> None:
        super().__init__(SENTENCES[code])
        self.code, self.sentence = code, SENTENCES[code]


SENTENCES = {
    "no_model": "No model is registered on this platform yet; ask its operator.",
    "unknown_model": "No model of this name is registered on this platform.",
    "no_usable_series": "None of the study's series is an axial CT; this model reads axial slices only.",
    "no_lung": "No slice of this study shows lung, so there is nothing for this model to read.",
    "volume_missing": "The study's images are no longer stored.",
    "volume_unreadable": "The study's stored images are damaged; submit the study again.",
    "model_unusable": "The model's files are missing or damaged; the operator has to register the model again.",
    "gave_up": "The analysis was tried several times without success; the operator finds the reason in the logs.",
}
