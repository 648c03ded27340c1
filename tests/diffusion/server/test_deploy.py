"""The files of docs/deploy: they parse, and agree with the server and with one another."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from diffusion.server.ray.options import ReplicaOptions
from diffusion.server.settings import ServerSettings, load_settings
from tests.diffusion.cli.fake_pipeline import run
from tests.laws.sources import ROOT

FOLDER = ROOT / "docs" / "deploy"


def text_of(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")


def documents(text: str) -> list[Any]:
    yaml: Any = pytest.importorskip("yaml")
    return list(yaml.safe_load_all(text))


def test_the_page_tells_of_every_file() -> None:
    page = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")
    for file in FOLDER.iterdir():
        assert f"deploy/{file.name}" in page


def test_the_service_can_be_read(tmp_path: Path) -> None:
    unit = re.sub(
        r"^ExecStart=.*$", "ExecStart=/bin/true", text_of("avila.service"), flags=re.MULTILINE
    )
    seconds = re.search(r"^TimeoutStopSec=(\d+)$", unit, re.MULTILINE)
    assert seconds is not None
    assert int(seconds[1]) >= server_settings().drain_seconds + 10
    state = re.search(r"^StateDirectory=(.*)$", unit, re.MULTILINE)
    assert state is not None
    made = {f"/var/lib/{each}" for each in state[1].split()}
    assert str(server_settings().models) in made, "the server does not start without it"
    assert "KillMode=mixed" in unit, "workers must not get the server's SIGTERM"
    if shutil.which("systemd-analyze") is None:
        pytest.skip("needs systemd-analyze, to check the rest")
    (tmp_path / "avila.service").write_text(unit)
    command = ["systemd-analyze", "verify", str(tmp_path / "avila.service")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert [line for line in done.stderr.splitlines() if "avila.service" in line] == []


def server_settings(name: str = "server.toml") -> ServerSettings:
    return load_settings(FOLDER / name, {})


def test_the_proxies_go_where_the_server_is() -> None:
    settings = server_settings()
    address = f"{settings.host}:{settings.port}"
    nginx, caddy = text_of("nginx.conf"), text_of("Caddyfile")
    assert f"proxy_pass http://{address};" in nginx
    assert f"reverse_proxy {address} " in caddy
    (name,) = settings.allowed_hosts
    assert f"server_name {name};" in nginx
    assert f"{name} {{" in caddy
    for text in (nginx, caddy):
        size = re.search(r"(?:client_max_body_size|max_size) (\d+)m", text, re.IGNORECASE)
        assert size is not None
        assert int(size[1]) * 10**6 >= settings.largest_body - 2**20
    assert nginx.count("{") == nginx.count("}")


def test_the_images_command_has_options_that_there_are() -> None:
    text = text_of("Dockerfile")
    command = re.search(r"^CMD \[(.*?)\]", text, re.MULTILINE | re.DOTALL)
    assert command is not None
    words = re.findall(r'"([^"]+)"', command[1])
    shown = run("serve", "--help").stdout
    assert words[0] == "serve"
    for word in words[1:]:
        assert not word.startswith("--") or f"{word} " in shown
    assert "USER avila" in text


def pod_of(document: Any) -> Any:
    return document["spec"]["template"]["spec"]


def test_the_pod_is_closed_and_has_time_to_end() -> None:
    found = {each["kind"]: each for each in documents(text_of("kubernetes.yaml"))}
    pod = pod_of(found["Deployment"])
    (container,) = pod["containers"]
    assert found["Deployment"]["spec"]["strategy"]["type"] == "Recreate", (
        "the folder has one server"
    )
    assert pod["terminationGracePeriodSeconds"] >= ServerSettings().drain_seconds + 10
    assert pod["securityContext"]["runAsNonRoot"]
    assert container["securityContext"]["allowPrivilegeEscalation"] is False
    assert container["livenessProbe"]["httpGet"]["path"] == "/healthz"
    compile(container["readinessProbe"]["exec"]["command"][-1], "probe", "exec")
    names = {each["name"] for each in pod["volumes"]}
    for each in (*pod["initContainers"], *pod["containers"]):
        assert {mount["name"] for mount in each["volumeMounts"]} <= names
    made = re.search(r'"--models", "([^"]+)"', text_of("Dockerfile"))
    assert made is not None
    assert f"install -d {made[1]}" in pod["initContainers"][0]["command"][-1], "a volume is empty"
    assert found["Service"]["spec"]["selector"] == {"app": "avila"}


def test_the_clusters_arguments_are_those_of_the_application() -> None:
    service, policy = documents(text_of("kuberay.yaml"))
    cluster = service["spec"]["rayClusterConfig"]
    assert cluster["authOptions"] == {"mode": "token"}
    (own,) = documents(service["spec"]["serveConfigV2"])
    (bare,) = documents(text_of("serve.yaml"))
    for config in (own, bare):
        (application,) = config["applications"]
        module, _, name = application["import_path"].partition(":")
        source = (ROOT / (module.replace(".", "/") + ".py")).read_text(encoding="utf-8")
        assert f"def {name}(" in source
        ReplicaOptions(**application["args"])
    settings = server_settings("replica.toml")
    assert settings.users is not None
    (workers,) = cluster["workerGroupSpecs"]
    grace = workers["template"]["spec"]["terminationGracePeriodSeconds"]
    assert grace >= settings.drain_seconds + 10
    assert policy["spec"]["policyTypes"] == ["Ingress"]
