"""Whatever somebody does in whatever order: no token without an admin's yes and a second factor.

Hypothesis chooses the steps and the tokens they are tried with; the service and its database are the real ones.
"""

import asyncio
import itertools
import secrets
import time
from collections import Counter
from collections.abc import Coroutine
from typing import Any, TypeVar

import httpx
import pyotp
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from tests.auth.access.conftest import Desk, desk_of
from tests.auth.conftest import House

BUDGET_S = 60
PASSWORDS = ("seven quiet herons", "nine patient otters")
Result = TypeVar("Result")
which = st.integers(0, 30)


class WayIn(RuleBasedStateMachine):
    """One person from outside, who has every token that was ever mailed or answered; an admin; the clock."""

    desk: Desk
    loop: asyncio.AbstractEventLoop
    until: float
    failed = False
    reached: Counter[str]
    numbers = itertools.count()

    @initialize()
    def come_from_outside(self) -> None:
        """Nobody knows them."""
        self.email = f"{secrets.token_hex(6)}@clinic.example"
        self.tokens = ["made up"]
        self.secrets: list[str] = [pyotp.random_base32()]
        self.recovery_codes: list[str] = ["aaaa-bbbb-cccc-dddd"]
        self.said_yes = False
        self.standing = "outside"
        self.open = True
        self.person_id = ""

    def teardown(self) -> None:
        """The facility is the next person's too."""
        if not self.open:
            self.let_facility_work(True)

    # What happens

    def do(self, work: Coroutine[Any, Any, Result]) -> Result:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(120)

    def spent(self) -> bool:
        """The time for all of this is over: what is left to do is nothing. What failed is gone through again."""
        return time.monotonic() > self.until and not WayIn.failed

    def must(self, holds: object, why: str) -> None:
        if not holds:
            WayIn.failed = True
            raise AssertionError(why)

    def send(self, path: str, body: dict[str, Any], code_is_right: bool = False) -> httpx.Response:
        """As the person; every token in an answer is theirs from then on, and an access token must be deserved."""
        self.sql("DELETE FROM throttle")
        answer = self.do(self.desk.knock("POST", path, json=body))
        self.must(answer.status_code < 500, answer.text)
        said = answer.json() if answer.content and answer.content != b"null" else {}
        for name in ("enrolment_token", "mfa_token", "refresh_token"):
            self.tokens += [said[name]] if said.get(name) else []
        if "access_token" in said:
            self.must(self.said_yes, "nobody had let them in")
            self.must(self.standing == "member", f"they are {self.standing}")
            self.must(self.open, "the facility is suspended")
            self.must(code_is_right, "there was no second factor")
            self.reached[path] += 1
        self.collect()
        return answer

    def sql(self, statement: str, **values: Any) -> list[Any]:
        return self.do(self.desk.house.sql(statement, **values))

    def collect(self) -> None:
        """Read the mailbox."""
        for mail in self.do(self.desk.house.mails(self.email)):
            token = mail.get("url", "").partition("#token=")[2]
            if token and token not in self.tokens:
                self.tokens.append(token)

    def pick(self, number: int) -> str:
        """One of the tokens, the newest first."""
        return self.tokens[-1 - number % len(self.tokens)]

    def admin(self, method: str, path: str, body: Any = None) -> httpx.Response:
        answer = self.do(self.desk.ask(method, path, json=body))
        self.must(answer.status_code < 500, answer.text)
        self.collect()
        return answer

    def let_facility_work(self, active: bool) -> None:
        status = "active" if active else "suspended"
        self.sql("UPDATE facilities SET status = :s WHERE id = :id", s=status, id=self.desk.facility.id)
        self.open = active

    # What the person does

    @rule()
    def ask_for_access(self) -> None:
        if not self.spent():
            wish = {"email": self.email, "name": "Nora New", "role": "member", "reason": "work"}
            self.send("/access-requests", wish)

    @rule(number=which)
    def confirm(self, number: int) -> None:
        if not self.spent():
            self.send("/access-requests/confirm", {"token": self.pick(number)})

    @rule(number=which, password=st.sampled_from(PASSWORDS))
    def accept(self, number: int, password: str) -> None:
        if self.spent():
            return
        body = {"token": self.pick(number), "password": password, "terms_version": self.terms()}
        if self.send("/invitations/accept", body).status_code == 200:
            self.must(self.said_yes and self.standing == "outside", f"accepted while {self.standing}")
            self.standing = "member"
            [(self.person_id,)] = self.sql("SELECT id FROM people WHERE email = :e", e=self.email)

    def terms(self) -> int:
        return int(self.do(self.desk.knock("GET", "/terms")).json()["version"])

    @rule(password=st.sampled_from(PASSWORDS))
    def log_in(self, password: str) -> None:
        if not self.spent():
            self.send("/auth/login", {"email": self.email, "password": password})

    @rule(number=which)
    def ask_for_a_secret(self, number: int) -> None:
        if not self.spent():
            said = self.send("/auth/totp/enrol", {"enrolment_token": self.pick(number)}).json()
            self.secrets += [said["secret"]] if "secret" in said else []

    @rule(number=which, secret=which, right=st.booleans())
    def confirm_the_secret(self, number: int, secret: int, right: bool) -> None:
        if not self.spent():
            body = {"enrolment_token": self.pick(number), "code": self.code(secret, right)}
            said = self.send("/auth/totp/confirm", body, code_is_right=right).json()
            self.recovery_codes += said.get("recovery_codes", [])

    @rule(number=which, secret=which, right=st.booleans())
    def give_a_code(self, number: int, secret: int, right: bool) -> None:
        if not self.spent():
            self.sql("UPDATE totp_factors SET last_step = 0")
            body = {"mfa_token": self.pick(number), "method": "totp", "code": self.code(secret, right)}
            self.send("/auth/mfa", body, code_is_right=right)

    @rule(number=which, code=which)
    def give_a_recovery_code(self, number: int, code: int) -> None:
        if not self.spent():
            text = self.recovery_codes[-1 - code % len(self.recovery_codes)]
            body = {"mfa_token": self.pick(number), "method": "recovery_code", "code": text}
            self.send("/auth/mfa", body, code_is_right=len(self.recovery_codes) > 1)

    @rule(number=which)
    def refresh(self, number: int) -> None:
        """A refresh token came with two factors already; no other token may do."""
        if not self.spent():
            token = self.pick(number)
            genuine = self.sql("SELECT 1 FROM refresh_tokens WHERE token_hash = sha256(:t)", t=token.encode())
            self.send("/auth/refresh", {"refresh_token": token}, code_is_right=bool(genuine))

    @rule()
    def forget_the_password(self) -> None:
        if not self.spent():
            self.send("/auth/password-reset", {"email": self.email})

    @rule(number=which, password=st.sampled_from(PASSWORDS))
    def reset_the_password(self, number: int, password: str) -> None:
        if not self.spent():
            self.send("/auth/password-reset/confirm", {"token": self.pick(number), "password": password})

    def code(self, number: int, right: bool) -> str:
        now = pyotp.TOTP(self.secrets[-1 - number % len(self.secrets)]).now()
        return now if right else f"{(int(now) + 333_333) % 1_000_000:06}"

    # What admins and the clock do

    @rule(approve=st.booleans())
    def decide(self, approve: bool) -> None:
        if self.spent():
            return
        rows = self.sql("SELECT id, state FROM access_requests WHERE email = :e ORDER BY id DESC", e=self.email)
        for row in rows[:1]:
            verb, body = ("approve", {}) if approve else ("reject", {"reason": "no"})
            answer = self.admin("POST", f"/access-requests/{row.id}/{verb}", body)
            if answer.status_code == 200:
                self.must(row.state == "confirmed", f"decided while {row.state}")
                self.said_yes = self.said_yes or approve

    @rule()
    def invite(self) -> None:
        if not self.spent():
            body = {"email": self.email, "name": "Nora New", "role": "viewer"}
            [item] = self.admin("POST", "/invitations", body).json()["items"]
            self.said_yes = self.said_yes or item["outcome"] == "invited"

    @rule(again=st.booleans())
    def resend_or_revoke(self, again: bool) -> None:
        if self.spent():
            return
        rows = self.sql("SELECT id FROM invitations WHERE email = :e ORDER BY id DESC", e=self.email)
        for row in rows[:1]:
            path = f"/invitations/{row.id}"
            answer = self.admin("POST", f"{path}/resend") if again else self.admin("DELETE", path)
            if answer.status_code == 204 and self.standing == "outside":
                self.said_yes = False

    @rule(status=st.sampled_from(["suspended", "active"]))
    def suspend(self, status: str) -> None:
        if self.person_id and not self.spent():
            answer = self.admin("PATCH", f"/members/{self.person_id}", {"status": status})
            if answer.status_code == 200:
                self.standing = "member" if status == "active" else status

    @rule()
    def remove(self) -> None:
        if self.person_id and not self.spent():
            self.must(self.admin("DELETE", f"/members/{self.person_id}").status_code == 204, "not removed")
            self.person_id, self.said_yes, self.standing = "", False, "outside"

    @rule(active=st.booleans())
    def suspend_the_facility(self, active: bool) -> None:
        if not self.spent():
            self.let_facility_work(active)

    @rule()
    def let_links_run_out(self) -> None:
        if not self.spent():
            for table in ("access_requests", "invitations"):
                self.sql(f"UPDATE {table} SET expires_at = now() WHERE email = :e", e=self.email)

    # What would take chance too long to find

    @rule(by_request=st.booleans())
    def go_the_way_in(self, by_request: bool) -> None:
        """Each step as it is meant, from wherever they stand."""
        if by_request:
            self.ask_for_access()
            self.confirm(0)
            self.decide(True)
        else:
            self.invite()
        self.accept(0, PASSWORDS[0])
        self.ask_for_a_secret(0)
        self.confirm_the_secret(0, 0, True)


async def test_no_order_of_steps_reaches_a_token_without_approval_and_a_second_factor(house: House) -> None:
    WayIn.desk, WayIn.loop = await desk_of(house), asyncio.get_running_loop()
    WayIn.until, WayIn.reached, WayIn.failed = time.monotonic() + BUDGET_S, Counter(), False
    chosen = settings(
        max_examples=40,
        stateful_step_count=20,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    await asyncio.to_thread(run_state_machine_as_test, WayIn, settings=chosen)
    assert WayIn.reached["/auth/totp/confirm"], "nobody ever got in: nothing was tested"
