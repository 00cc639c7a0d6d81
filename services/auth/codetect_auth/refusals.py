"""Logins that are refused, written down."""

from codetect_shared.problems import Problem
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from codetect_auth.clients import ClientRefused
from codetect_auth.context import Auth, get_caller
from codetect_auth.login import LoginRefused
from codetect_auth.passkeys import PasskeyRefused
from codetect_auth.recording import ABOUT, record, stranger
from codetect_auth.second_factor import CodeRefused
from codetect_auth.step_up import ProofRefused
from codetect_auth.throttle import TooManyAttempts

ACTIONS: dict[type[Problem], str] = {
    LoginRefused: "login.password",
    CodeRefused: "login.factor",
    PasskeyRefused: "login.factor",
    ProofRefused: "step-up",
    TooManyAttempts: "login.locked",
    ClientRefused: "client.token",
}


def record_refused_logins(app: FastAPI) -> None:
    """Have each written down under its action, of one address and account once a minute.

    Never what was typed: people put passwords into the wrong field.
    """

    async def on_refused(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, Problem)
        auth: Auth = request.app.state.auth
        caller = await get_caller(request, auth)
        if caller.facility:
            target = f"person/{ABOUT.get()}" if ABOUT.get() else None
            action = ACTIONS[next(kind for kind in type(error).__mro__ if kind in ACTIONS)]
            async with auth.db.facility(caller.facility.id) as session:
                who = stranger(caller.facility)
                await record(session, who, action, target, outcome="refused", once=True, why=error.title())
        return error.response()

    for kind in ACTIONS:
        app.add_exception_handler(kind, on_refused)
