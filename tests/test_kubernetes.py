# SPDX-License-Identifier: Apache-2.0
"""deploy/kubernetes.yaml agrees with the schemas of Kubernetes, with itself, with the image and with the settings.
test_containers.py runs its preStop."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from lib.activator import TREE, binary

SOURCE = TREE / "tests" / "kubernetes"
PLACE = TREE / "build" / "kubernetes"
MANIFEST = (TREE / "deploy" / "kubernetes.yaml").read_text()
FILLED_IN = re.sub(r"<([^<>\n]*)>", r"\1", MANIFEST)  # what a user must replace
SELECTOR = {"app.kubernetes.io/name": "proxxy"}
GOODBYE_SECONDS = 10  # proxxy-listen waits 8 s for sessions after SIGTERM


def objects() -> dict[str, Any]:
    found = list(yaml.safe_load_all(FILLED_IN))
    by_kind = {each["kind"]: each for each in found}
    assert len(by_kind) == len(found)
    return by_kind


def pod() -> dict[str, Any]:
    template: dict[str, Any] = objects()["Deployment"]["spec"]["template"]
    return template


def container() -> dict[str, Any]:
    found: list[dict[str, Any]] = pod()["spec"]["containers"]
    assert len(found) == 1
    return found[0]


# --- the schemas --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def place() -> Path:
    """A folder with the packages of tests/kubernetes."""
    lock = (SOURCE / "package-lock.json").read_bytes()
    done = PLACE / "installed-lock.json"
    if not done.exists() or done.read_bytes() != lock:
        shutil.rmtree(PLACE, ignore_errors=True)
        PLACE.mkdir(parents=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(SOURCE / name, PLACE)
        command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier"]
        subprocess.run([*command, "--loglevel=error"], cwd=PLACE, check=True, timeout=300)
        done.write_bytes(lock)
    shutil.copy(SOURCE / "check.mjs", PLACE)
    return PLACE


def checked(place: Path, text: str) -> "subprocess.CompletedProcess[str]":
    (place / "manifest.yaml").write_text(text)
    return subprocess.run(
        ["node", "check.mjs", "manifest.yaml"], cwd=place, capture_output=True, text=True, timeout=120
    )


def test_manifest_agrees_with_the_schemas(place: Path) -> None:
    done = checked(place, FILLED_IN)
    assert done.returncode == 0, done.stderr
    kinds = {line.partition("/")[0] for line in done.stdout.splitlines()}
    assert kinds == {
        "Secret", "ConfigMap", "Deployment", "Service", "PodDisruptionBudget", "NetworkPolicy"
    }  # fmt: skip


@pytest.mark.parametrize(
    "right, wrong, words",
    [
        ("terminationGracePeriodSeconds: 3600", "terminationGracePeriodSecond: 3600", "terminationGracePeriodSecond"),
        ("containerPort: 8443", 'containerPort: "ws"', "must be integer"),
        ("readOnlyRootFilesystem: true", "readOnlyRootFileSystem: true", "readOnlyRootFileSystem"),
        ("  selector:\n    matchLabels", "  selectors:\n    matchLabels", "selector"),
        ("policyTypes: [Ingress, Egress]", "policyTypes: Ingress", "must be array"),
    ],
)
def test_mistakes_are_found(place: Path, right: str, wrong: str, words: str) -> None:
    assert right in FILLED_IN
    done = checked(place, FILLED_IN.replace(right, wrong, 1))
    assert done.returncode != 0 and words in done.stderr


# --- names, ports, labels, volumes --------------------------------------------------------------


def test_selectors_find_the_pods() -> None:
    found = objects()
    assert pod()["metadata"]["labels"] == SELECTOR
    assert found["Service"]["spec"]["selector"] == SELECTOR
    assert found["NetworkPolicy"]["spec"]["podSelector"] == {"matchLabels": SELECTOR}
    for kind in ("Deployment", "PodDisruptionBudget"):
        assert found[kind]["spec"]["selector"] == {"matchLabels": SELECTOR}
    assert all(each["metadata"]["labels"] == SELECTOR for each in found.values())
    assert found["Deployment"]["spec"]["replicas"] > found["PodDisruptionBudget"]["spec"]["maxUnavailable"]


def test_ports_agree() -> None:
    found = objects()
    [port] = container()["ports"]
    [served] = found["Service"]["spec"]["ports"]
    assert (served["targetPort"], served["port"]) == (port["name"], port["containerPort"]) == ("ws", 8443)
    [ingress] = found["NetworkPolicy"]["spec"]["ingress"]
    assert ingress["ports"] == [{"protocol": "TCP", "port": port["name"]}]
    upstream = re.search(r'"PROXXY_UPSTREAM_PORT", "(\d+)"', (TREE / "lib" / "config.c").read_text())
    assert upstream and found["NetworkPolicy"]["spec"]["egress"][-1]["ports"][0]["port"] == int(upstream[1])


def test_volumes_and_references_are_there() -> None:
    found, spec = objects(), pod()["spec"]
    volumes = {volume["name"]: volume for volume in spec["volumes"]}
    mounts = {mount["name"]: mount["mountPath"] for mount in container()["volumeMounts"]}
    assert set(volumes) == set(mounts)
    secret = found["Secret"]
    for name in ("key", "clusters"):
        source = volumes[name]["secret"]
        assert source["secretName"] == secret["metadata"]["name"]
        assert {item["key"] for item in source["items"]} <= set(secret["stringData"])
        assert source["defaultMode"] == 0o440  # not 0440, which YAML 1.2 reads as a decimal number
    settings = found["ConfigMap"]["data"]
    [path] = [item["path"] for item in volumes["key"]["secret"]["items"]]
    assert settings["PROXXY_KEY_FILE"] == f"{mounts['key']}/{path}"
    assert container()["envFrom"] == [{"configMapRef": {"name": found["ConfigMap"]["metadata"]["name"]}}]
    cluster = secret["stringData"]["pve.conf"]
    [ca] = re.findall(r"^CA_FILE=(.*)$", cluster, re.M)
    assert ca == f"{mounts['clusters']}/pve.pem" and "pve.pem" in secret["stringData"]
    assert mounts["clusters"] == "/etc/proxxy/clusters" and mounts["state"] == "/var/lib/proxxy"


# --- the image and its settings -----------------------------------------------------------------


def test_settings_are_accepted(tmp_path: Path) -> None:
    """proxxy-conn --check with the ConfigMap's settings and the Secret's files."""
    data = objects()["Secret"]["stringData"]
    clusters = tmp_path / "clusters"
    clusters.mkdir()
    (tmp_path / "key").write_text("0123456789abcdef" * 4)
    certificate = tmp_path / "clusters" / "pve.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj"]
    subprocess.run(
        [*command, "/CN=test", "-keyout", tmp_path / "private", "-out", certificate], check=True, capture_output=True
    )
    (clusters / "pve.conf").write_text(data["pve.conf"].replace("/etc/proxxy/clusters/pve.pem", str(certificate)))
    (clusters / "pve.conf").chmod(0o640)
    settings = {
        **objects()["ConfigMap"]["data"],
        "PROXXY_KEY_FILE": str(tmp_path / "key"),
        "PROXXY_CLUSTER_DIRECTORY": str(clusters),
        "PROXXY_STATE_DIRECTORY": str(tmp_path),
        "PROXXY_CONFIG": "/nonexistent",
    }
    known = subprocess.run([binary(), "--settings"], capture_output=True, text=True, check=True).stdout
    assert set(settings) - {"PROXXY_CONFIG"} <= set(re.findall(r"^#(\w+)=", known, re.M))
    done = subprocess.run([binary(), "--check"], env=settings, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_pod_is_confined_as_the_image_expects() -> None:
    spec = pod()["spec"]
    dockerfile = (TREE / "deploy" / "Dockerfile").read_text()
    [(user, group)] = re.findall(r"^USER (\d+):(\d+)$", dockerfile, re.M)
    security = spec["securityContext"]
    assert security["runAsNonRoot"] and security["seccompProfile"] == {"type": "RuntimeDefault"}
    assert (security["runAsUser"], security["runAsGroup"], security["fsGroup"]) == (int(user), int(group), int(group))
    assert container()["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert spec["automountServiceAccountToken"] is False
    assert container()["image"].endswith(f":{version()}")


def version() -> str:
    [found] = re.findall(r"^VERSION := (.*)$", (TREE / "Makefile").read_text(), re.M)
    return str(found)


def test_probes_wait_longer_than_the_health_check() -> None:
    header = (TREE / "listen" / "health.h").read_text()
    timeout = re.search(r"HEALTH_TIMEOUT_S = (\d+)", header)
    assert timeout
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        found = container()[probe]
        assert found["exec"]["command"] == ["proxxy", "--health"]
        assert found["timeoutSeconds"] > int(timeout[1])


def test_pre_stop_leaves_time_for_a_goodbye() -> None:
    grace = pod()["spec"]["terminationGracePeriodSeconds"]
    shell = container()["lifecycle"]["preStop"]["exec"]["command"]
    assert shell[:2] == ["/bin/sh", "-c"]
    times = re.fullmatch(r"sleep (\d+); kill -USR1 1; exec timeout (\d+) tail --pid=1 -f /dev/null", shell[2])
    assert times and int(times[1]) + int(times[2]) + GOODBYE_SECONDS < grace
