"""What can be wrong with a request to search or retrieve; none of these ever repeats what was asked for."""

from codetect_shared.problems import BadInput, NotFound, Problem


class QueryInvalid(BadInput):
    """The query can't be understood."""

    status = 400


class NothingThere(NotFound):
    """There is no such study, series, instance or frame here."""


class NotAcceptable(Problem):
    """This can't be given in any of the accepted media types."""

    status = 406


class SearchTooBroad(Problem):
    """Too many studies would have to be looked through; give a date, or the beginning of a name."""

    status = 413


class ImageUnreadable(Problem):
    """The image's compressed data can't be decoded here; ask for it as it is stored."""

    status = 406
