"""What the proxy turns away before a service is asked."""

from codetect_shared.problems import Problem


class Malformed(Problem):
    """This request is written in a way that could be read as another one."""

    status = 400


class BodyTooLarge(Problem):
    """The request's body is too large for this address."""

    status = 413
    headers = {"Connection": "close"}


class ClientTooSlow(Problem):
    """The request's body did not arrive in time."""

    status = 408
    headers = {"Connection": "close"}
