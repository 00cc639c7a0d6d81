"""`python -m codetect_gateway api | migrate | reseal`."""

import os
import resource
import sys

from codetect_shared.serving import serve

from codetect_gateway.app import api
from codetect_gateway.settings import Settings
from codetect_gateway.wire import DoorProtocol

FRAME_BYTES = 4096
PING_S = 20
SHUTDOWN_S = 15


def main() -> None:
    """Run the process that the first argument names."""
    match sys.argv[1:]:
        case ["api"]:
            settings = Settings()
            # A socket is an open file: take as many as the system grants, not the usual 1,024.
            most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
            serve(
                api(settings),
                settings,
                http=DoorProtocol,
                ws="websockets-sansio",
                ws_max_size=FRAME_BYTES,
                ws_ping_interval=PING_S,
                ws_ping_timeout=PING_S,
                ws_per_message_deflate=False,
                ssl_certfile=settings.tls_cert_file,
                ssl_keyfile=settings.tls_key_file,
                limit_concurrency=settings.connections_max,
                proxy_headers=bool(settings.trusted_proxies),
                forwarded_allow_ips=settings.trusted_proxies,
                # Sockets are told 1012 at once; requests in flight get this long.
                timeout_graceful_shutdown=SHUTDOWN_S,
            )
        case ["migrate"]:
            from codetect_shared.migrations import migrate  # Alembic is 11 MB that a running gateway doesn't need

            migrate("codetect_gateway", os.environ["CODETECT_GATEWAY_DATABASE_OWNER_URL"])
        case ["reseal"]:
            import asyncio

            from codetect_gateway.browsers import reseal_all

            print(asyncio.run(reseal_all(Settings())), "logins of browsers were sealed anew.")
        case _:
            raise SystemExit("Usage: python -m codetect_gateway api | migrate | reseal")


if __name__ == "__main__":
    main()
