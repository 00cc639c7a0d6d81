"""`make demo`: a facility with people in it, the model, the sample CT through the whole house."""

import asyncio
import io
import json
import os
import secrets as random
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

import httpx
import pyotp

from codetect_local.coming_in import Mailbox, accept, answer, approve, come_in
from codetect_local.services import command
from codetect_local.settings import ROOT, Settings, Trouble, private_file
from codetect_local.stack import Stack

SLUG, NAME = "demo", "Demo Hospital"
SAMPLE = ROOT / "tests" / "data" / "lidc-idri-0001"
PEOPLE = {
    "operator": ("olga@operators.example", "Olga Operator"),
    "admin": ("anna@demo.example", "Anna Admin"),
    "member": ("mira@demo.example", "Mira Member"),
}
SEE_PATIENTS = ("admin", "member")
CLIENT_SCOPES = ("read", "write", "identity")
TOTP_STEP_S = 30


class Demo:
    """What is known of the demo facility so far; kept after each step, so that one cut short goes on."""

    def __init__(self, stack: Stack) -> None:
        self.settings, self.environment = stack.settings, stack.environment()
        self.path = stack.settings.state / "demo.json"
        port = self.settings.port("gateway")
        self.hosts = {name: f"{name}.{self.settings.base_domain}:{port}" for name in ("admin", SLUG)}
        self.known: dict[str, Any] = json.loads(self.path.read_text()) if self.path.exists() else {}
        self.known |= {"url": self.settings.address.format(SLUG)}

    def keep(self) -> None:
        """Write what is known, for the owner alone."""
        private_file(self.path, json.dumps(self.known, indent=1))

    def door(self, who: str) -> httpx.Client:
        """The gateway under the host name of somebody's facility; Python wouldn't resolve *.localhost."""
        host = self.hosts["admin" if who == "operator" else SLUG]
        url = f"http://127.0.0.1:{self.settings.port('gateway')}"
        return httpx.Client(base_url=url, headers={"Host": host}, timeout=150, trust_env=False)

    async def auth(self, *arguments: str, password: str = "") -> dict[str, Any]:
        """A command of the auth service; what exists already is fine (exit 3)."""
        call = ("admin", *arguments, "--json")
        code, output, errors = await command("codetect_auth", *call, environment=self.environment, stdin=password)
        if code not in (0, 3):
            raise Trouble(f"`codetect_auth admin {arguments[0]}` failed: {errors}")
        return dict(json.loads(output)) if code == 0 else {}

    async def open_facility(self) -> None:
        """The facility, one person of each kind with a second factor, and an API client; most see who patients are."""
        for who, (email, _) in PEOPLE.items():
            person = self.known.setdefault(who, {"email": email, "password": random.token_urlsafe(15)})
            if who == "operator":
                person["url"] = self.settings.address.format("admin")
        self.keep()
        email, name = PEOPLE["operator"]
        named = ("--email", email, "--name", name, "--password-stdin")
        await self.auth("create-operator", *named, password=self.known["operator"]["password"])
        await asyncio.to_thread(self.bring_in)
        # By a command of its own: people of an older demo are there already, without it.
        grant = ("grant", "--facility", SLUG, "--right", "identity", "--email")
        await asyncio.gather(*(self.auth(*grant, PEOPLE[who][0]) for who in SEE_PATIENTS))
        for who in PEOPLE:
            if "totp_secret" not in self.known[who]:
                self.log_in(who)
        if self.known.get("api_client_scopes") != list(CLIENT_SCOPES):  # none yet, or an older demo's
            scopes = [part for scope in CLIENT_SCOPES for part in ("--scope", scope)]
            made = await self.auth("create-api-client", "--facility", SLUG, "--name", "demo", *scopes)
            self.known["api_client"] = {key: made[key] for key in ("client_id", "client_secret")}
            self.known["api_client_scopes"] = list(CLIENT_SCOPES)
            self.keep()

    def bring_in(self) -> None:
        """By the way in: the operator opens the facility, its admin is invited, the member asks and is let in."""
        mailbox = Mailbox(self.settings.state / "mail")
        if not self.is_in("admin"):
            before = mailbox.seen()
            fresh = self.invite_admin(self.log_in("operator"))
            with self.door("admin") as door:
                accept(door, mailbox, self.person("admin"), before if fresh else None)
        if not self.is_in("member"):
            token = self.log_in("admin")
            with self.door("member") as door:
                come_in(door, mailbox, self.person("member"), "member", lambda address: approve(door, token, address))

    def invite_admin(self, access_token: str) -> bool:
        """Have the facility opened, and its first admin invited; False: the mail is there already."""
        email, name = PEOPLE["admin"]
        first, bearer = {"email": email, "name": name}, {"Authorization": f"Bearer {access_token}"}
        with self.door("operator") as door:
            wish = {"slug": SLUG, "name": NAME, "first_admin": first}
            reply = door.post("/api/v1/facilities", json=wish, headers=bearer)
            if reply.status_code == httpx.codes.CONFLICT:
                known = answer(door.get("/api/v1/facilities", params={"limit": 200}, headers=bearer))["items"]
                [id] = [facility["id"] for facility in known if facility["slug"] == SLUG]
                reply = door.post(f"/api/v1/facilities/{id}/invitations", json=first, headers=bearer)
                if reply.status_code == httpx.codes.CONFLICT:
                    return False
        answer(reply)
        return True

    def person(self, who: str) -> dict[str, Any]:
        """Somebody's name, e-mail address and password."""
        return {**self.known[who], "name": PEOPLE[who][1]}

    def is_in(self, who: str) -> bool:
        """Whether somebody belongs to the facility already: the password opens the first step of a login."""
        login = {key: self.known[who][key] for key in ("email", "password")}
        with self.door(who) as door:
            return door.post("/api/v1/auth/login", json=login).is_success

    def log_in(self, who: str) -> str:
        """As the person would: password, then the second factor, which the first login sets up. An access token."""
        person = self.known[who]
        with self.door(who) as door:
            step = answer(door.post("/api/v1/auth/login", json={key: person[key] for key in ("email", "password")}))
            if enrolment := step.get("enrolment_token"):
                offered = answer(door.post("/api/v1/auth/totp/enrol", json={"enrolment_token": enrolment}))
                person["offered_secret"] = offered["secret"]
                self.keep()
                body = {"enrolment_token": enrolment, "code": pyotp.TOTP(offered["secret"]).now()}
                return self.logged_in(person, answer(door.post("/api/v1/auth/totp/confirm", json=body)))
            while True:
                code = pyotp.TOTP(person.get("totp_secret") or person["offered_secret"]).now()
                body = {"mfa_token": step["mfa_token"], "method": "totp", "code": code}
                reply = door.post("/api/v1/auth/mfa", json=body)
                if reply.status_code != 401:
                    return self.logged_in(person, answer(reply))
                # A code works once; the next comes within half a minute.
                time.sleep(TOTP_STEP_S - time.time() % TOTP_STEP_S + 0.1)
                step = answer(door.post("/api/v1/auth/login", json={key: person[key] for key in ("email", "password")}))

    def logged_in(self, person: dict[str, Any], tokens: dict[str, Any]) -> str:
        """What was offered is the second factor from now on."""
        if "offered_secret" in person:
            person["totp_secret"] = person.pop("offered_secret")
            self.keep()
        return str(tokens["access_token"])

    def publish_models(self) -> None:
        """The newest version of each of the repository's models that the settings name is registered, and serves."""
        with self.door("member") as door:
            client = self.known["api_client"]
            grant = answer(door.post("/oauth/token", data={"grant_type": "client_credentials", **client}))
            bearer = {"Authorization": f"Bearer {grant['access_token']}"}
            models = answer(door.get("/api/v1/models", headers=bearer))["items"]
        registered = {(one["name"], one["version"]) for one in models if one["signed_by"]}
        serving = {(one["name"], one["version"]) for one in models if one["serves"]}
        folders = sorted((path.parent for path in bundles(self.settings.demo_models)), key=by_version)
        newest = {folder.parent.name: folder for folder in folders}.values()
        missing = [folder for folder in newest if (folder.parent.name, folder.name) not in registered]
        idle = [folder for folder in newest if (folder.parent.name, folder.name) not in serving]
        if not missing and not idle:
            return
        bearer = {"Authorization": f"Bearer {self.log_in('operator')}"}
        with self.door("operator") as door:
            for folder in missing:
                files = {"bundle": ("bundle.zip", archive(folder), "application/zip")}
                answer(door.post("/api/v1/models", headers=bearer, files=files))
                print(f"Model {folder.parent.name} {folder.name} is registered.")
            for folder in idle:
                path = f"/api/v1/models/{folder.parent.name}/{folder.name}/activate"
                answer(door.post(path, headers=bearer, json={}))


def by_version(folder: Path) -> tuple[str, list[int]]:
    """The order of bundles' folders, `<name>/<version>`: 10.0.0 comes after 9.0.0."""
    return folder.parent.name, [int(part) for part in folder.name.split(".")]


def bundles(names: str) -> list[Path]:
    """bundle.json of each version in the repository: of these names, split by commas, or of all."""
    wanted = {name.strip() for name in names.split(",")} - {""}
    known = sorted(ROOT.glob("models/*/*/bundle.json"))
    if missing := wanted - {"all"} - {path.parent.parent.name for path in known}:
        raise Trouble(f"CODETECT_DEMO_MODELS names {', '.join(sorted(missing))}: the folder models has no such bundle")
    return [path for path in known if {"all", path.parent.parent.name} & wanted]


def archive(folder: Path) -> bytes:
    """A model bundle as one zip."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as target:
        for path in sorted(folder.iterdir()):
            target.write(path, path.name)
    return packed.getvalue()


def run(settings: Settings) -> int:
    """All of it; the exit code of the submission."""
    stack = Stack(settings)
    print("Starting the stack ...", flush=True)
    started = time.monotonic()
    asyncio.run(stack.up())
    print(f"It is up after {time.monotonic() - started:.1f} s.", flush=True)
    demo = Demo(stack)
    asyncio.run(demo.open_facility())
    demo.publish_models()
    if settings.pacs:
        from codetect_local import pacs  # which needs what is here

        asyncio.run(pacs.forward_to(demo, SLUG))
        pacs.bring_back(demo)
        pacs.show(settings, SAMPLE)
    print(f"Submitting {SAMPLE.relative_to(ROOT)} ...", flush=True)
    url = demo.known["url"]
    client = {f"CODETECT_{name.upper()}": value for name, value in demo.known["api_client"].items()}
    if settings.tls == "self":
        client["SSL_CERT_FILE"] = str(settings.state / "tls" / "ca.pem")
    codetect = Path(sys.executable).with_name("codetect")
    submit = [codetect, "submit", *sorted(SAMPLE.glob("*.dcm")), "--facility", url]
    done = subprocess.run(submit, env=os.environ | client, check=False)
    print(
        "The sample was taken years before COVID-19: where it comes out positive, the model errs. This first model\n"
        "was trained on 425 images; how often it errs, and on what, is in docs/models/covid-ct-densenet169.md."
    )
    print(f"\nThe demo facility: {url} (API: {url}/docs)\n")
    for who in PEOPLE:
        person = demo.known[who]
        print(f"  {who:9} {person.get('url', url)}  {person['email']}  {person['password']}")
    print(f"\nSecond factors and the API client's secret: {demo.path}")
    print(f"Logs: {stack.supervisor.log}   Mail: {settings.state / 'mail'}   Stop it all: make down")
    return done.returncode
