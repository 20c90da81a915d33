"""What no schema sees: the manifests agree with each other, with the code's own settings, and with what they promise."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import product
from typing import Any

import msgspec
import pytest

import audio_svc.settings
import fetcher_svc.settings
import gateway.settings
import image_svc.settings
import index_svc.settings
import video_svc.settings
from fetcher_svc import address_policy
from index_svc.server import UNPACKER_MEMORY_BYTES
from mesh.media import MediaType
from mesh.media_type import LIMITS
from mesh.replicas import METRICS_PORTS
from mesh.server import ALIVE
from mesh.settings import MatcherSettings, MeshSettings, read_settings
from tests.kustomize import OVERLAYS, Manifest, render

MIB = 1 << 20
REST_BYTES = 300 * MIB
"""Of a service that does nothing: measured are 40 to 130 MB."""
ROOMS: dict[str, type[MeshSettings]] = {
    "gateway": gateway.settings.Settings,
    "image": image_svc.settings.Settings,
    "video": video_svc.settings.Settings,
    "audio": audio_svc.settings.Settings,
    "fetcher": fetcher_svc.settings.Settings,
    "index": index_svc.settings.Settings,
}
SECRET_URL = "postgresql://mediamesh:secret@database-rw:5432/mediamesh"


@dataclass(frozen=True)
class Overlay:
    name: str
    objects: list[Manifest]

    def all(self, kind: str) -> dict[str, Manifest]:
        return {found["metadata"]["name"]: found for found in self.objects if found["kind"] == kind}

    @property
    def services(self) -> dict[str, Manifest]:
        """The Deployments of our own images."""
        return {name: found for name, found in self.all("Deployment").items() if container(found)["image"].startswith("mediamesh/")}


def container(deployment: Manifest) -> Any:
    (only,) = deployment["spec"]["template"]["spec"]["containers"]
    return only


def room(deployment: Manifest) -> str:
    """Which service runs in it, by its image."""
    return str(container(deployment)["image"]).split("/")[1].split(":")[0].removesuffix("_svc")


def environment(overlay: Overlay, deployment: Manifest) -> dict[str, str]:
    """As its process sees it."""
    given: dict[str, str] = {}
    for source in container(deployment).get("envFrom", ()):
        given |= overlay.all("ConfigMap")[source["configMapRef"]["name"]]["data"]
    return given | {one["name"]: one.get("value", SECRET_URL) for one in container(deployment).get("env", ())}


def settings_of(overlay: Overlay, deployment: Manifest) -> Any:
    return read_settings(ROOMS[room(deployment)], environment(overlay, deployment))


RENDERED = {name: Overlay(name, render(folder)) for name, folder in OVERLAYS.items()}
every_overlay = pytest.mark.parametrize("overlay", RENDERED.values(), ids=RENDERED)
every_deployment = pytest.mark.parametrize(
    ("overlay", "found"),
    [
        pytest.param(overlay, found, id=f"{overlay.name} {name}")
        for overlay in RENDERED.values()
        for name, found in overlay.all("Deployment").items()
    ],
)
every_service = pytest.mark.parametrize(
    ("overlay", "found"),
    [
        pytest.param(overlay, found, id=f"{overlay.name} {name}")
        for overlay in RENDERED.values()
        for name, found in overlay.services.items()
    ],
)


@every_deployment
def test_image_has_a_tag_or_a_digest(overlay: Overlay, found: Manifest) -> None:
    assert re.fullmatch(r"[a-z0-9._/-]+(:[A-Za-z0-9._-]+|@sha256:[0-9a-f]{64})", container(found)["image"])
    assert not container(found)["image"].endswith(":latest")


@every_deployment
def test_pod_is_restricted_and_writes_to_sized_folders_alone(overlay: Overlay, found: Manifest) -> None:
    pod, only = found["spec"]["template"]["spec"], container(found)
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] >= 10_000
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert only["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert pod["automountServiceAccountToken"] is False
    assert overlay.all("ServiceAccount")[pod["serviceAccountName"]]["automountServiceAccountToken"] is False
    # Services named like settings would overwrite them: gateway has GATEWAY_PORT.
    assert pod["enableServiceLinks"] is False
    for volume in pod["volumes"]:
        assert volume.keys() - {"name"} <= {"emptyDir", "secret"}
        assert volume.get("emptyDir", {"sizeLimit": 1}).get("sizeLimit")
    assert {mount["name"] for mount in only["volumeMounts"]} == {volume["name"] for volume in pod["volumes"]}
    assert not pod.keys() & {"hostNetwork", "hostPID", "hostIPC"}
    (namespace,) = overlay.all("Namespace").values()
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


@every_deployment
def test_memory_is_reserved_processors_are_not_limited_and_no_gpu_is_asked_for(overlay: Overlay, found: Manifest) -> None:
    resources = container(found)["resources"]
    assert resources["limits"]["memory"] == resources["requests"]["memory"]
    assert "cpu" in resources["requests"]
    assert set(resources["limits"]) == {"memory", "ephemeral-storage"}


@every_service
def test_memory_is_enough_for_what_the_settings_allow(overlay: Overlay, found: Manifest) -> None:
    settings, name = settings_of(overlay, found), room(found)
    if isinstance(settings, MatcherSettings):
        under_way = settings.max_under_way * 2 * LIMITS[MediaType(name)].max_bytes
        needed = settings.workers * settings.worker_memory_bytes + under_way + settings.cache_bytes
    elif name == "fetcher":
        needed = settings.fetcher_max_held_bytes + settings.fetcher_workers * settings.fetcher_worker_memory_bytes
    elif name == "index":
        # Each archive is held, and unpacked in a worker; nobody uploads to those that nobody calls.
        held = settings.index_max_held_bytes if found["metadata"]["name"] == "index" and overlay.name != "dev" else 0
        needed = held + settings.index_bulk_jobs * fetcher_svc.settings.Settings().archive_max_bytes + UNPACKER_MEMORY_BYTES
    else:
        needed = 0
    if overlay.name == "dev" and isinstance(settings, MatcherSettings):
        # What a laptop has: its owner does not send all that is allowed at once.
        needed = settings.workers * settings.worker_memory_bytes + settings.cache_bytes
    assert quantity(container(found)["resources"]["limits"]["memory"]) >= needed + REST_BYTES


def quantity(text: str) -> int:
    number, unit = re.fullmatch(r"(\d+)(Mi|Gi)", text).groups()  # type: ignore[union-attr]
    return int(number) * {"Mi": MIB, "Gi": 1024 * MIB}[unit]


@every_service
def test_every_setting_exists_and_is_valid(overlay: Overlay, found: Manifest) -> None:
    own = {one["name"] for one in container(found).get("env", ())}
    assert own <= variables(ROOMS[room(found)])
    settings_of(overlay, found)
    assert "FETCHER_ALLOW_NETWORKS" not in environment(overlay, found)


@every_overlay
def test_every_setting_that_all_are_told_is_one_of_some_service(overlay: Overlay) -> None:
    assert set(overlay.all("ConfigMap")["mesh"]["data"]) <= set().union(*map(variables, ROOMS.values()))


def variables(settings: type[MeshSettings]) -> set[str]:
    return {settings.variable(field.name) for field in msgspec.structs.fields(settings)}


@every_service
def test_ports_are_those_that_the_process_listens_on(overlay: Overlay, found: Manifest) -> None:
    name, given = room(found), environment(overlay, found)
    ports = {port["name"]: port["containerPort"] for port in container(found)["ports"]}
    assert ports["metrics"] == METRICS_PORTS[name]
    assert given["METRICS_HOST"] == "0.0.0.0"
    if name == "gateway":
        assert (given["GATEWAY_HOST"], int(given["GATEWAY_PORT"])) == ("0.0.0.0", ports["http"])
        return
    assert given[f"{name.upper()}_LISTEN"] == f"0.0.0.0:{ports['grpc']}"
    assert given["HEALTH_LISTEN"] == f"0.0.0.0:{ports['health']}"
    address = re.fullmatch(r"dns:///([a-z]+):(\d+)", given[f"{name.upper()}_ADDRESS"])
    assert address is not None
    service = overlay.all("Service")[address[1]]
    assert service["spec"]["clusterIP"] == "None"
    assert int(address[2]) == ports["grpc"] in [port["port"] for port in service["spec"]["ports"]]


@every_service
def test_probes_ask_the_process_itself_and_never_what_it_depends_on(overlay: Overlay, found: Manifest) -> None:
    only = container(found)
    ports = {port["name"]: port["containerPort"] for port in only["ports"]}
    asked = {
        name: {key: only[f"{name}Probe"][key] for key in ("grpc", "httpGet") if key in only[f"{name}Probe"]}
        for name in ("startup", "readiness", "liveness")
    }
    if room(found) == "gateway":
        assert set(map(str, asked.values())) == {str({"httpGet": {"path": "/healthz", "port": "http"}})}
        assert any(route.path == "/healthz" for route in gateway_routes())
    else:
        assert asked["startup"] == asked["readiness"] == {"grpc": {"port": ports["health"]}}
        assert asked["liveness"] == {"grpc": {"port": ports["health"], "service": ALIVE}}
    assert all(only[f"{name}Probe"]["timeoutSeconds"] >= 3 for name in asked)


def gateway_routes() -> Any:
    from gateway.server import ROUTES  # noqa: PLC0415

    return ROUTES


@every_service
def test_pod_has_the_time_to_leave_without_a_loss(overlay: Overlay, found: Manifest) -> None:
    settings = settings_of(overlay, found)
    leaving = container(found)["lifecycle"]["preStop"]["sleep"]["seconds"] + settings.lame_duck_seconds + settings.drain_seconds
    assert found["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] > leaving
    if room(found) == "gateway":
        # aiohttp waits for half of it before it cancels.
        assert settings.drain_seconds / 2 > settings.gateway_match_seconds
    else:
        assert settings.drain_seconds > gateway.settings.Settings().gateway_match_seconds


@every_deployment
def test_selectors_find_the_pods_that_they_are_for(overlay: Overlay, found: Manifest) -> None:
    name, labels = found["metadata"]["name"], found["spec"]["template"]["metadata"]["labels"]
    assert found["spec"]["selector"]["matchLabels"].items() <= labels.items()
    assert overlay.all("Service")[name]["spec"]["selector"].items() <= labels.items()
    ports = {port["name"] for port in container(found)["ports"]}
    assert {port["targetPort"] for port in overlay.all("Service")[name]["spec"]["ports"]} <= ports
    budgets = [budget for budget in overlay.all("PodDisruptionBudget").values() if finds(budget["spec"]["selector"], labels)]
    assert len(budgets) == (0 if overlay.name == "dev" or name == "valkey" else 1)
    for constraint in found["spec"]["template"]["spec"].get("topologySpreadConstraints", ()):
        assert finds(constraint["labelSelector"], labels)


def finds(selector: Manifest, labels: dict[str, str]) -> bool:
    return bool(selector.get("matchLabels", {}).items() <= labels.items())


@every_overlay
def test_each_deployment_has_at_most_one_autoscaler(overlay: Overlay) -> None:
    scaled = [one["spec"]["scaleTargetRef"]["name"] for one in overlay.all("HorizontalPodAutoscaler").values()]
    scaled += [one["spec"]["scaleTargetRef"]["name"] for one in overlay.all("ScaledObject").values()]
    assert len(scaled) == len(set(scaled))
    assert set(scaled) == (set() if overlay.name == "dev" else set(overlay.services))
    for name in scaled:
        assert "replicas" not in overlay.services[name]["spec"]
    for one in overlay.all("HorizontalPodAutoscaler").values():
        assert one["spec"]["minReplicas"] >= 2
        assert {"scaleUp", "scaleDown"} <= one["spec"]["behavior"].keys()


@every_overlay
def test_every_secret_that_is_read_is_made_by_something(overlay: Overlay) -> None:
    made = {one["spec"]["secretName"] for one in overlay.all("Certificate").values()}
    made |= {f"{name}-app" for name in overlay.all("Cluster")}
    read = {
        *(volume["secret"]["secretName"] for found in overlay.services.values() for volume in pod_volumes(found) if "secret" in volume),
        *(one["valueFrom"]["secretKeyRef"]["name"] for found in overlay.services.values() for one in secret_variables(found)),
        *(one["name"] for found in overlay.all("TriggerAuthentication").values() for one in found["spec"]["secretTargetRef"]),
    }
    assert read - made == ({"database-app"} if overlay.name == "base" else set())


def pod_volumes(found: Manifest) -> list[Any]:
    return list(found["spec"]["template"]["spec"]["volumes"])


def secret_variables(found: Manifest) -> list[Any]:
    return [one for one in container(found).get("env", ()) if "valueFrom" in one]


def test_development_needs_nothing_beside_it() -> None:
    dev = RENDERED["dev"]
    assert settings_of(dev, dev.services["index"]).database_url == ""
    assert dev.services["index"]["spec"]["strategy"] == {"type": "Recreate"}
    assert not [
        found
        for found in dev.objects
        if "." in found["apiVersion"].split("/")[0] and not found["apiVersion"].split("/")[0].endswith("k8s.io")
    ]


def test_services_of_production_speak_mutual_tls_by_certificates_of_their_own() -> None:
    production = RENDERED["production"]
    for name, found in production.services.items():
        settings = settings_of(production, found)
        assert settings.mesh_plaintext is False
        (volume,) = (volume for volume in pod_volumes(found) if "secret" in volume)
        (mount,) = (mount for mount in container(found)["volumeMounts"] if mount["name"] == volume["name"])
        assert all(
            path.startswith(f"{mount['mountPath']}/") for path in (settings.mesh_tls_cert, settings.mesh_tls_key, settings.mesh_tls_ca)
        )
        certificate = production.all("Certificate")[name]
        assert certificate["spec"]["secretName"] == volume["secret"]["secretName"]
        assert name in certificate["spec"]["dnsNames"]
        assert set(certificate["spec"]["usages"]) == {"server auth", "client auth"}


def test_production_asks_for_keys_and_counts_rates_together() -> None:
    production = RENDERED["production"]
    settings = settings_of(production, production.services["gateway"])
    assert settings.auth
    assert settings.rate_limit_store.startswith("redis://valkey:")
    ingest = settings_of(production, production.services["ingest"])
    index = settings_of(production, production.services["index"])
    assert (index.index_jobs, index.index_bulk_jobs) == (0, 0)
    assert ingest.index_jobs > 0 < ingest.index_bulk_jobs


def test_services_of_production_answer_those_certificates_alone_whose_holders_their_policies_let_in() -> None:
    production = RENDERED["production"]
    for name, found in production.services.items():
        callers = {one for one, other, _ in edges(production) if other == name}
        if room(found) == "index":
            # Its administration runs where it runs.
            callers.add(name)
            assert name != "index" or "127.0.0.1" in production.all("Certificate")[name]["spec"]["ipAddresses"]
        assert set(settings_of(production, found).mesh_callers) == callers


@dataclass(frozen=True)
class Opening:
    """What one rule of a network policy lets through: to or from pods with these labels, or whatever else its text says, on a port."""

    labels: tuple[tuple[str, str], ...]
    elsewhere: str
    port: int | None


def openings(overlay: Overlay, labels: dict[str, str], direction: str) -> set[Opening]:
    """What all policies together let pods with these labels do."""
    peers_of = {"ingress": "from", "egress": "to"}[direction]
    found = set()
    for policy in overlay.all("NetworkPolicy").values():
        if not finds(policy["spec"]["podSelector"], labels):
            continue
        for rule in policy["spec"].get(direction, ()):
            for peer, port in product(rule.get(peers_of, [{}]), rule.get("ports", [{}])):
                others = peer.keys() - {"podSelector"}
                selector = peer.get("podSelector", {}).get("matchLabels", {})
                elsewhere = str({key: peer[key] for key in sorted(others)}) if others or not peer else ""
                found.add(Opening(tuple(sorted(selector.items())), elsewhere, port.get("port")))
    return found


def edges(overlay: Overlay) -> set[tuple[str, str, int | None]]:
    """Who may reach whom: both sides must allow it."""
    pods = {name: found["spec"]["template"]["metadata"]["labels"] for name, found in overlay.all("Deployment").items()}
    pods |= {name: {"cnpg.io/cluster": name} for name in overlay.all("Cluster")}
    return {
        (one, other, out.port)
        for one, other in product(pods, pods)
        for out in openings(overlay, pods[one], "egress")
        if not out.elsewhere and out.labels and dict(out.labels).items() <= pods[other].items()
        for into in openings(overlay, pods[other], "ingress")
        if not into.elsewhere and into.port == out.port and dict(into.labels).items() <= pods[one].items()
    }


@every_overlay
def test_services_reach_whom_their_settings_name_and_nobody_else(overlay: Overlay) -> None:
    wanted: set[tuple[str, str, int | None]] = set()
    for name, found in overlay.services.items():
        for field in msgspec.structs.fields(ROOMS[room(found)]):
            variable = ROOMS[room(found)].variable(field.name)
            address = re.fullmatch(r"dns:///([a-z]+):(\d+)", environment(overlay, found).get(variable, ""))
            if address and address[1] != room(found):
                wanted.add((name, address[1], int(address[2])))
        if room(found) == "gateway" and "valkey" in overlay.all("Deployment"):
            wanted.add((name, "valkey", 6379))
        if room(found) == "index" and overlay.all("Cluster"):
            wanted.add((name, "database", 5432))
    if overlay.all("Cluster"):
        wanted |= {("database", "database", 5432), ("database", "database", 8000)}
    assert edges(overlay) == wanted
    assert {one for one, other, _ in wanted if other == "fetcher"} <= {"image", "video", "audio", "index", "ingest"}


@every_overlay
def test_nothing_is_allowed_that_no_policy_names(overlay: Overlay) -> None:
    deny = overlay.all("NetworkPolicy")["default-deny"]["spec"]
    assert deny == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    for name, found in overlay.all("Deployment").items():
        labels = found["spec"]["template"]["metadata"]["labels"]
        outside = {(out.elsewhere, out.port) for out in openings(overlay, labels, "egress") if out.elsewhere}
        traces = {(where, port) for where, port in outside if "'monitoring'" in where}
        assert {port for _, port in traces} == ({4317} if overlay.name == "production" else set())
        names = {(where, port) for where, port in outside if "kube-system" in where}
        assert {port for _, port in names} == {53}
        away = outside - traces - names
        assert {port for _, port in away} == (set(address_policy.WEB_PORTS) if name == "fetcher" else set())
        inside = {into.port for into in openings(overlay, labels, "ingress") if into.elsewhere and "'monitoring'" not in into.elsewhere}
        assert inside == ({8080} if name == "gateway" else set())


@every_overlay
def test_fetcher_reaches_no_address_by_the_network_that_its_policy_forbids(overlay: Overlay) -> None:
    (blocks,) = (rule["to"] for rule in overlay.all("NetworkPolicy")["fetcher"]["spec"]["egress"])
    ipv4, ipv6 = (block["ipBlock"] for block in blocks)
    assert ipv4["cidr"] == "0.0.0.0/0"
    assert ipv4["except"] == list(map(str, address_policy._NOT_PUBLIC_IPV4))
    assert ipv6["cidr"] == str(address_policy._GLOBAL_UNICAST_IPV6)
    assert ipv6["except"] == list(map(str, address_policy._NOT_PUBLIC_IPV6))


def test_database_reaches_private_networks_alone() -> None:
    production = RENDERED["production"]
    outside = {out.elsewhere for out in openings(production, {"cnpg.io/cluster": "database"}, "egress") if "ipBlock" in out.elsewhere}
    assert outside == {str({"ipBlock": {"cidr": cidr}}) for cidr in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")}
