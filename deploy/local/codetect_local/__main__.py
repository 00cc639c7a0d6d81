"""`python -m codetect_local up|down|reset|demo|status|env|admin`: the stack on this machine."""

import argparse
import asyncio
import os
import shlex
import sys
import time

from codetect_local.settings import Settings, Trouble
from codetect_local.stack import Stack


def main() -> None:
    """Run one command; trouble is a sentence, not a traceback."""
    parser = argparse.ArgumentParser(prog="codetect_local", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", help="start everything, return when all is ready")
    up.add_argument("--servers", action="store_true", help="only the servers, none of the services")
    commands.add_parser("down", help="stop everything that this state folder started")
    commands.add_parser("reset", help="stop, then erase the state")
    commands.add_parser("demo", help="start everything, open a demo facility, analyse the sample CT")
    commands.add_parser("status", help="what runs")
    commands.add_parser("env", help="the environment of the services, for a shell")
    admin = commands.add_parser("admin", help="a command of the auth service, on this stack", add_help=False)
    admin.add_argument("rest", nargs=argparse.REMAINDER)
    arguments, rest = parser.parse_known_args()
    if rest and arguments.command != "admin":
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    stack = Stack(Settings())
    try:
        if arguments.command == "up":
            started = time.monotonic()
            programs = asyncio.run(stack.up(with_services=not arguments.servers))
            for program in programs:
                print(f"  {program.name:12} {program.address:18} {stack.supervisor.log / program.name}.log")
            if not arguments.servers:
                facility, operators = map(stack.settings.address.format, ("<facility>", "admin"))
                print(f"Each facility has its host name: {facility} (API: /docs), operators {operators}")
            if stack.settings.tls == "self":
                print(
                    f"Browsers and clients are to trust {stack.settings.state / 'tls' / 'ca.pem'} (docs/deployment.md)."
                )
            print(f"CoDetect is up after {time.monotonic() - started:.1f} s; state in {stack.settings.state}")
        elif arguments.command == "down":
            orphans = stack.down()
            print("CoDetect is down." + (f" {orphans} processes had lost their supervisor." if orphans else ""))
        elif arguments.command == "reset":
            stack.reset()
            print(f"CoDetect is down and {stack.settings.state} is erased.")
        elif arguments.command == "demo":
            from codetect_local import demo  # takes a while to import, and only this command needs it

            sys.exit(demo.run(stack.settings))
        elif arguments.command == "admin":
            if not stack.settings.state.is_dir():
                raise Trouble(f"There is no stack in {stack.settings.state}; start one with `make up`.")
            call = [sys.executable, "-m", "codetect_auth", "admin", *sys.argv[sys.argv.index("admin") + 1 :]]
            os.execve(sys.executable, call, os.environ | stack.environment())  # noqa: S606
        elif arguments.command == "status":
            print(stack.status())
        else:
            for name, value in stack.environment().items():
                print(f"export {name}={shlex.quote(value)}")
    except Trouble as trouble:
        sys.exit(str(trouble))


if __name__ == "__main__":
    main()
