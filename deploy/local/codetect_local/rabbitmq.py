"""RabbitMQ from Debian's package: a node of our own beside whatever else runs."""

import os
import subprocess
from pathlib import Path

from codetect_local import packages
from codetect_local.account import as_user, give, give_file
from codetect_local.settings import Settings

BIN = Path("/usr/lib/rabbitmq/bin")
SERVER = str(BIN / "rabbitmq-server")
NODE = "codetect@localhost"
CONFIG = """\
listeners.tcp.local = 127.0.0.1:{port}
default_user = codetect
default_pass = {password}
default_user_tags.administrator = true
heartbeat = 5
log.console = true
log.console.level = info
log.file = false
disk_free_limit.absolute = 256MB
vm_memory_high_watermark.absolute = 768MB
collect_statistics_interval = 60000
"""


def install() -> None:
    """Debian's package when it's missing."""
    packages.install("RabbitMQ", {SERVER: "rabbitmq-server"}, "name a RabbitMQ of yours in CODETECT_RABBITMQ_URL.")


def url(settings: Settings, secrets: dict[str, str]) -> str:
    """Where services find the broker."""
    return settings.rabbitmq_url or f"amqp://codetect:{secrets['rabbitmq']}@127.0.0.1:{settings.port('rabbitmq')}/"


def prepare(settings: Settings, secrets: dict[str, str]) -> Path:
    """Write the node's configuration; no plugins, streams need none over AMQP."""
    home = give(settings.state / "rabbitmq", settings.run_as)
    config = CONFIG.format(port=settings.port("rabbitmq"), password=secrets["rabbitmq"])
    give_file(home / "rabbitmq.conf", config, settings.run_as)
    give_file(home / "enabled_plugins", "[].\n", settings.run_as)
    return home


def environment(settings: Settings, home: Path) -> dict[str, str]:
    """What makes the node ours: name, folders, ports, and a port mapper that runs on its own."""
    return {
        "HOME": str(home),
        "RABBITMQ_NODENAME": NODE,
        "RABBITMQ_MNESIA_BASE": str(home / "data"),
        "RABBITMQ_LOG_BASE": str(home / "log"),
        "RABBITMQ_CONF_ENV_FILE": "/dev/null",
        "RABBITMQ_CONFIG_FILE": str(home / "rabbitmq.conf"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(home / "enabled_plugins"),
        "RABBITMQ_PID_FILE": str(home / "pid"),
        "RABBITMQ_NODE_PORT": str(settings.port("rabbitmq")),
        "RABBITMQ_DIST_PORT": str(settings.port("rabbitmq_dist")),
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-start_epmd false "
        "-kernel inet_dist_use_interface {127,0,0,1} -rabbit quorum_tick_interval 60000",
        "ERL_EPMD_PORT": str(settings.port("epmd")),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        # The start script then becomes the server, and signals reach it.
        "RUNNING_UNDER_SYSTEMD": "true",
        "LANG": "C.UTF-8",
    }


def evaluate(settings: Settings, expression: str) -> str:
    """Run an Erlang expression on the node (vhosts can't be made over AMQP)."""
    home = settings.state / "rabbitmq"
    own = {name: value for name, value in environment(settings, home).items() if "ADDITIONAL" not in name}
    done = subprocess.run(
        [*as_user(settings.run_as, settings.state), str(BIN / "rabbitmqctl"), "--node", NODE, "eval", expression],
        env=os.environ | own,
        cwd="/",
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def add_vhost(settings: Settings, name: str) -> None:
    """A vhost of its own for whoever wants to be alone, tests mostly."""
    permissions = 'rabbit_auth_backend_internal:set_permissions(<<"codetect">>, V, P, P, P, <<"codetect">>)'
    evaluate(settings, f'V = <<"{name}">>, P = <<".*">>, ok = rabbit_vhost:add(V, <<"codetect">>), {permissions}.')


def delete_vhost(settings: Settings, name: str) -> None:
    """The vhost with all that is in it."""
    evaluate(settings, f'rabbit_vhost:delete(<<"{name}">>, <<"codetect">>).')
