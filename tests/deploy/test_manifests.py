"""What compose and Kubernetes run is what the local stack runs, with no more rights and secrets than it needs."""

import json
import re
import subprocess
from collections import defaultdict
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest
import yaml
from codetect_ingest.app import FOLLOWED
from codetect_ingest.settings import Settings
from codetect_local import orthanc
from codetect_local.services import PROCESSES

from tests.infrastructure import settings_apart

ROOT = Path(__file__).resolve().parents[2]
SERVICES = {service for _, service, _ in PROCESSES}
BY_NAME = {process: (service, what) for process, service, what in PROCESSES}
# Secrets without which a process of ours does not start: docs/settings.md.
COMMON = {
    "CODETECT_RABBITMQ_URL",
    "CODETECT_STORAGE_ACCESS_KEY",
    "CODETECT_STORAGE_SECRET_KEY",
    "CODETECT_MASTER_KEY",
}

# What the mailer is told besides, all of it a person's to say.
OF_MAIL = {"CODETECT_AUTH_SMTP_USER", "CODETECT_AUTH_SMTP_PASSWORD", "CODETECT_AUTH_DKIM_KEY"}
MAY_BE_EMPTY = {
    "mailer": OF_MAIL | {"CODETECT_AUTH_MAIL_FROM", "CODETECT_AUTH_MAIL_BOUNCE_ADDRESS"},
    "gateway": {"CODETECT_GATEWAY_TRUSTED_PROXIES"},  # nobody, until something ends TLS before it
}


def own(service: str) -> set[str]:
    return {f"CODETECT_{service.upper()}_DATABASE_{role}URL" for role in ("", "SYSTEM_")}


def default_ports() -> dict[str, str]:
    ports = {}
    for section in (ROOT / "docs/settings.md").read_text().split("\n## ")[1:]:
        for name, port in re.findall(r"`(CODETECT_\w+_PORT)` \| `(\d+)`", section):
            ports.setdefault(name, port)
    return ports


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """deploy/ with secrets made up for this test; everything in it found valid by scripts/k8s first."""
    done = subprocess.run([ROOT / "scripts/k8s"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(re.findall("nothing for checkov to say", done.stdout)) == 4
    folder = tmp_path_factory.mktemp("deploy") / "deploy"
    subprocess.run(["cp", "-r", ROOT / "deploy", folder], check=True)
    subprocess.run(["rm", "-rf", folder / "k8s/overlays/local/secrets", folder / ".env"], check=True)
    for kind, where in (("k8s", folder / "k8s/overlays/local/secrets"), ("compose", folder)):
        subprocess.run([ROOT / "scripts/secrets", kind, where], check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def objects(folder: Path) -> dict[str, dict[str, dict[str, Any]]]:
    """The local overlay, rendered: by kind and name."""
    return rendered(folder / "k8s/overlays/local")


@pytest.fixture(scope="module")
def objects_with_pacs(folder: Path) -> dict[str, dict[str, dict[str, Any]]]:
    """The same with Orthanc, as a person would have it."""
    overlay = folder / "k8s/overlays/with-pacs"
    subprocess.run(["cp", "-r", folder / "k8s/overlays/local", overlay], check=True)
    text = (overlay / "kustomization.yaml").read_text()
    wanted, count = re.subn(r"# (- .*pacs)", r"\1", text)
    assert count == 2
    (overlay / "kustomization.yaml").write_text(wanted)
    return rendered(overlay)


def rendered(overlay: Path) -> dict[str, dict[str, dict[str, Any]]]:
    done = subprocess.run([ROOT / "scripts/k8s", "render", overlay], capture_output=True, text=True, check=True)
    found: dict[str, dict[str, dict[str, Any]]] = defaultdict(dict)
    for item in yaml.safe_load_all(done.stdout):
        found[item["kind"]][item["metadata"]["name"]] = item
    return found


@pytest.fixture(scope="module")
def compose(folder: Path) -> dict[str, dict[str, Any]]:
    return composed(folder)


def composed(folder: Path, *more: str) -> dict[str, dict[str, Any]]:
    call = [ROOT / ".venv-deploy/bin/docker-compose", "--file", folder / "compose.yaml", *more]
    done = subprocess.run([*call, "config", "--format", "json"], capture_output=True, text=True, check=True)
    services: dict[str, dict[str, Any]] = json.loads(done.stdout)["services"]
    return services


def test_who_reads_files_takes_no_more_processes_than_its_share_of_a_node(objects: dict) -> None:
    """Unsaid, it would be as many as the node has cores."""
    for name in ("ingest", "importer"):
        (container,) = objects["Deployment"][name]["spec"]["template"]["spec"]["containers"]
        told = {variable["name"]: variable["value"] for variable in container["env"]}
        assert told["CODETECT_INGEST_CHILDREN"] == container["resources"]["limits"]["cpu"]


def test_kubernetes_runs_the_same_processes(objects: dict) -> None:
    assert set(objects["Deployment"]) == set(BY_NAME)
    for name, (service, what) in BY_NAME.items():
        (container,) = objects["Deployment"][name]["spec"]["template"]["spec"]["containers"]
        assert container["image"].split(":")[0] == f"codetect/{service}"
        assert container["args"] == [what]
        told = {variable["name"]: variable["value"] for variable in container.get("env", [])}
        variable = f"CODETECT_{service.upper()}_PORT"
        assert str(container["ports"][0]["containerPort"]) == told.get(variable, default_ports()[variable])
        assert (name in objects["Service"]) == (what == "api")
        assert name in objects["PodDisruptionBudget"]
        assert name in objects["ServiceAccount"]


def test_every_process_has_the_secrets_it_needs_and_no_others(objects: dict) -> None:
    secrets = {name: set(secret["data"]) for name, secret in objects["Secret"].items()}
    for name, (service, _) in BY_NAME.items():
        (container,) = objects["Deployment"][name]["spec"]["template"]["spec"]["containers"]
        sources = [source["secretRef"]["name"] for source in container["envFrom"] if "secretRef" in source]
        assert set().union(*(secrets[source] for source in sources)) == COMMON | own(service) | (
            OF_MAIL if name == "mailer" else set()
        )
        assert {"configMapRef": {"name": "settings"}} in container["envFrom"]
    for service in SERVICES:
        assert secrets[f"migrate-{service}"] == {f"CODETECT_{service.upper()}_DATABASE_OWNER_URL"}


def pods(objects: dict) -> dict[str, dict[str, Any]]:
    return {
        name: item["spec"]["template"]
        for kind in ("Deployment", "StatefulSet", "Job")
        for name, item in objects[kind].items()
    }


def test_no_pod_has_more_rights_than_it_needs(objects: dict) -> None:
    assert objects["Namespace"]["codetect"]["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    assert len(pods(objects)) == 9 + 3 + 7
    no_rights(pods(objects))


def no_rights(found: dict[str, dict[str, Any]]) -> None:
    for name, pod in found.items():
        spec = pod["spec"]
        assert spec["automountServiceAccountToken"] is False, name
        assert spec["securityContext"]["runAsNonRoot"], name
        for container in spec["containers"]:
            context = container["securityContext"]
            assert context["readOnlyRootFilesystem"], name
            assert context["capabilities"] == {"drop": ["ALL"]}, name
            assert not context["allowPrivilegeEscalation"], name
            assert container["resources"]["requests"], name
            assert container["resources"]["limits"]["memory"], name


def matches(selector: dict[str, Any], labels: dict[str, str]) -> bool:
    return all(labels.get(key) == value for key, value in selector.get("matchLabels", {}).items())


def allowed(objects: dict, source: str, target: str, port: int) -> bool:
    """Whether policies let one pod open a connection to another; what no rule names is denied, both ways."""
    labels = {name: pod["metadata"]["labels"] for name, pod in pods(objects).items()}
    names = {c.get("name"): c["containerPort"] for c in pods(objects)[target]["spec"]["containers"][0].get("ports", [])}

    def one_way(direction: str, here: str, there: str, side: str) -> bool:
        for policy in objects["NetworkPolicy"].values():
            if direction.title() in policy["spec"]["policyTypes"] and matches(
                policy["spec"]["podSelector"], labels[here]
            ):
                for rule in policy["spec"].get(direction, []):
                    ports = [names.get(p["port"], p["port"]) for p in rule.get("ports", [])]
                    peers = rule.get(side)
                    fits = peers is None or any(
                        "podSelector" in peer
                        and "namespaceSelector" not in peer
                        and matches(peer["podSelector"], labels[there])
                        for peer in peers
                    )
                    if fits and (not ports or port in ports):
                        return True
        return False

    return one_way("egress", source, target, "to") and one_way("ingress", target, source, "from")


def test_pods_reach_what_they_need_and_nothing_else(objects: dict) -> None:
    port = {
        name: pod["spec"]["containers"][0]["ports"][0]["containerPort"]
        for name, pod in pods(objects).items()
        if "ports" in pod["spec"]["containers"][0]
    }
    everything = {"postgres", "rabbitmq", "storage"}
    expected = {
        "gateway": {"postgres", "rabbitmq", "auth", "ingest", "inference", "analytics"},
        "auth": {"postgres", "rabbitmq"},
        "mailer": {"postgres", "rabbitmq"},
        "ingest": everything | {"auth"},
        "importer": everything,
        "inference": everything | {"auth"},
        "worker": everything,
        "analytics": {"postgres", "rabbitmq", "auth"},
        "projector": {"postgres", "rabbitmq"},
        "bootstrap": {"postgres"},
        "buckets": {"storage"},
        **{f"migrate-{service}": {"postgres"} for service in SERVICES},
        **{server: set() for server in everything},
    }
    reached = {s: {t for t in port if t != s and allowed(objects, s, t, port[t])} for s in pods(objects)}
    # The door is open to all who can leave their own pod to it, and nobody can.
    assert reached == expected
    deny = objects["NetworkPolicy"]["deny-all"]["spec"]
    assert deny == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


def test_the_mailer_alone_reaches_the_internet_and_by_that_way_nothing_inside(objects: dict) -> None:
    blocks = {
        name: [
            peer["ipBlock"]
            for rule in policy["spec"].get("egress", [])
            for peer in rule.get("to", [])
            if "ipBlock" in peer
        ]
        for name, policy in objects["NetworkPolicy"].items()
    }
    assert [name for name, found in blocks.items() if found] == ["to-internet"]
    selector = objects["NetworkPolicy"]["to-internet"]["spec"]["podSelector"]
    assert {name for name, pod in pods(objects).items() if matches(selector, pod["metadata"]["labels"])} == {"mailer"}
    for address in ("10.1.2.3", "172.20.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "127.0.0.1", "fd00::1"):
        inside = [
            block
            for block in blocks["to-internet"]
            if ip_address(address) in ip_network(block["cidr"])
            and not any(ip_address(address) in ip_network(but) for but in block.get("except", []))
        ]
        assert not inside, address


def test_compose_runs_the_same_processes(compose: dict) -> None:
    ports = default_ports()
    for name, (service, what) in BY_NAME.items():
        found = compose[name]
        assert found["image"] == f"codetect/{service}"
        assert (found.get("command") or ["api"]) == [what]
        told = found["environment"]
        listens = told.get(f"CODETECT_{service.upper()}_PORT", ports[f"CODETECT_{service.upper()}_PORT"])
        assert f"http://127.0.0.1:{listens}/readyz" in found["healthcheck"]["test"][-1]
        assert COMMON | own(service) <= set(told)
        assert {key for key, value in told.items() if not value} <= MAY_BE_EMPTY.get(name, set())
        assert not [key for key in told if key.endswith("OWNER_URL") or "ADMIN" in key]
        assert {key for key in told if "_DATABASE_" in key} == own(service)
        assert (found["read_only"], found["cap_drop"]) == (True, ["ALL"])
        assert found["depends_on"][f"migrate-{service}"]["condition"] == "service_completed_successfully"
    addresses = {
        key: value for key, value in compose["gateway"]["environment"].items() if re.fullmatch(r"CODETECT_\w+_URL", key)
    }
    for service in SERVICES - {"gateway"}:
        assert (
            addresses[f"CODETECT_{service.upper()}_URL"]
            == f"http://{service}:{ports[f'CODETECT_{service.upper()}_PORT']}"
        )


def test_who_reads_dicom_has_room_for_the_largest_upload_and_what_is_read_ahead(objects: dict, compose: dict) -> None:
    """Clean slices, their HU and volumes come to twice the upload; beyond its limit a pod is evicted."""
    most = {name: Settings.model_fields[name].default for name in ("max_total_bytes", "read_ahead_bytes")}
    needed = 2 * most["max_total_bytes"] + FOLLOWED * 2 * most["read_ahead_bytes"]
    for name in ("ingest", "importer"):
        (tmp,) = (v for v in objects["Deployment"][name]["spec"]["template"]["spec"]["volumes"] if v["name"] == "tmp")
        assert int(tmp["emptyDir"]["sizeLimit"].removesuffix("Gi")) * 2**30 >= needed
        assert not compose[name].get("tmpfs")
        assert [v["target"] for v in compose[name]["volumes"]] == ["/tmp"]  # noqa: S108


def test_compose_shows_the_world_the_door_the_store_and_the_mail_alone(compose: dict) -> None:
    published = {
        name: [p["published"] for p in found["ports"]] for name, found in compose.items() if found.get("ports")
    }
    assert published == {"gateway": ["8080"], "storage": ["9000"], "mail": ["8025"]}
    assert all(p["host_ip"] == "127.0.0.1" for found in compose.values() for p in found.get("ports", []))


def test_orthanc_reaches_the_door_alone_and_those_who_deliver_reach_orthanc(objects_with_pacs: dict) -> None:
    objects = objects_with_pacs
    no_rights({"orthanc": pods(objects)["orthanc"]})
    others = set(pods(objects)) - {"orthanc"}
    assert {name for name in others if allowed(objects, name, "orthanc", 8042)} == {"ingest", "importer"}
    ports = {
        name: pod["spec"]["containers"][0]["ports"][0]["containerPort"]
        for name, pod in pods(objects).items()
        if "ports" in pod["spec"]["containers"][0]
    }
    assert {name for name in ports if name != "orthanc" and allowed(objects, "orthanc", name, ports[name])} == {
        "gateway"
    }
    main, forwarder = pods(objects)["orthanc"]["spec"]["containers"]
    assert main["image"].startswith("jodogne/orthanc-plugins:")
    assert forwarder["image"] == objects["Deployment"]["gateway"]["spec"]["template"]["spec"]["containers"][0]["image"]
    files = objects["ConfigMap"]["orthanc"]["data"]
    assert files["forward.py"] == (ROOT / "deploy/orthanc/forward.py").read_text()
    assert set(files) == {"forward.py", "orthanc.json"}


def test_whoever_runs_orthanc_tells_it_what_its_configuration_asks(
    objects_with_pacs: dict, folder: Path, tmp_path: Path
) -> None:
    """`${NAME}` without a default must be in the environment, in containers as on this machine."""
    asked = set(re.findall(r"\$\{(\w+)\}", (ROOT / "deploy/orthanc/orthanc.json").read_text()))
    settings = settings_apart(tmp_path)
    known = {"orthanc": "a password"}
    (tmp_path / "orthanc").mkdir()
    local = orthanc.server(settings, known), orthanc.forwarder(settings, known)
    kubernetes = pods(objects_with_pacs)["orthanc"]["spec"]["containers"]
    shared = set(objects_with_pacs["ConfigMap"]["pacs"]["data"])
    services = composed(folder, "--profile", "pacs")
    told = {
        "local": [set(program.environment) for program in local],
        "kubernetes": [{one["name"] for one in container["env"]} | shared for container in kubernetes],
        "compose": [set(services[name]["environment"]) for name in ("orthanc", "forwarder")],
    }
    for server, forwarder in told.values():
        assert asked <= server
        assert {"PACS_PASSWORD", "PACS_FACILITY_FILE", "PACS_CURSOR_FILE", "PACS_DELETE"} <= forwarder


def test_secrets_are_made_once_and_for_their_owner_alone(tmp_path: Path) -> None:
    texts = []
    for _ in range(2):
        subprocess.run([ROOT / "scripts/secrets", "compose", tmp_path], check=True, capture_output=True)
        texts.append((tmp_path / ".env").read_text())
    text, again = texts
    assert again == text
    assert (tmp_path / ".env").stat().st_mode & 0o777 == 0o600
    values = [value for line in text.splitlines() if (value := line.partition("=")[2])]
    assert len(set(values)) >= len(values) - 3
    passwords = re.findall(r"postgresql://codetect_\w+:([^@]+)@", text)
    assert len(set(passwords)) == 15
