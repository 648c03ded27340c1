"""The doctor: its advice for each kind of machine, crashes of drivers, and a real examination."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from gpucore import Device, KernelCompileError, adapters
from gpucore.__main__ import lines
from gpucore.doctor import examination, selftest
from gpucore.doctor.examination import problems
from gpucore.doctor.report import AdapterReport, EngineReport, Machine, Report
from gpucore.doctor.selftest import Check, adapter_record, run_checks
from tests.conftest import engine_problem, engines, open_engine

ROOT = Path(__file__).parents[3]
RIGHT = (Check("f32 arithmetic", True, "right"),)
BOTH = (EngineReport("dawn", "0.32.0", adapters=1), EngineReport("wgpu", "0.32.0", adapters=1))
LINUX = Machine("Linux", "Debian GNU/Linux 12 (bookworm)", environment={"XDG_RUNTIME_DIR": "/run"})


def adapter(
    backend: str = "dawn-vulkan", kind: str = "discrete", driver: str = ""
) -> AdapterReport:
    """Return the report of an adapter that works."""
    engine, api = backend.split("-")
    info = dataclasses.replace(
        Device.null().info, engine=engine, api=api, kind=kind, name="Card 9", driver=driver
    )
    return AdapterReport(adapter_record(info), RIGHT)


CARD = adapter()
SOFTWARE = adapter("wgpu-vulkan", "cpu", "Mesa 25.0.7 (LLVM 15.0.6)")
OLD_SOFTWARE = adapter("wgpu-vulkan", "cpu", "Mesa 22.3.6 (LLVM 15.0.6)")


def advice(
    machine: Machine = LINUX,
    engines: tuple[EngineReport, ...] = BOTH,
    present: tuple[AdapterReport, ...] = (CARD,),
) -> list[tuple[str, str]]:
    return [(each.what, each.fix) for each in problems(machine, engines, present)]


def status(present: tuple[AdapterReport, ...], machine: Machine = LINUX) -> int:
    found = problems(machine, BOTH, present)
    return Report(machine, BOTH, present, tuple(found)).status


def test_a_machine_without_problems() -> None:
    assert advice() == []
    assert status((CARD, SOFTWARE)) == 0


def asked(**environment: str) -> list[str]:
    machine = dataclasses.replace(LINUX, environment={**LINUX.environment, **environment})
    return [what for what, _ in advice(machine)]


@pytest.mark.parametrize("name", ["dawn", " Dawn ", "dawn:0", "card 9", "VULKAN", "null", ""])
def test_a_variable_that_names_a_device(name: str) -> None:
    assert asked(GPUCORE_DEVICE=name) == []


@pytest.mark.parametrize("name", ["dawn:1", "dawn:x", "cuda", "null:2"])
def test_a_variable_that_names_no_device(name: str) -> None:
    assert asked(GPUCORE_DEVICE=name) == [f"GPUCORE_DEVICE is {name!r}, which fits no adapter"]


def test_a_limit_that_is_no_size() -> None:
    """Every self-test fails because of the limit, so no driver is blamed."""
    broken = dataclasses.replace(CARD, fault="failed: ArgumentError")
    machine = dataclasses.replace(
        LINUX, environment={**LINUX.environment, "GPUCORE_MEMORY_LIMIT": "much"}
    )
    ((what, fix),) = advice(machine, present=(broken,))
    assert "GPUCORE_MEMORY_LIMIT must be a size, got 'much'" in what
    assert fix == "unset GPUCORE_MEMORY_LIMIT"


def test_software_alone_works_with_a_problem() -> None:
    ((what, fix),) = advice(present=(SOFTWARE,))
    assert "only a software adapter" in what
    assert "install its Vulkan driver" in fix
    assert status((SOFTWARE,)) == 1


def test_nothing_at_all() -> None:
    blind = tuple(dataclasses.replace(engine, adapters=0) for engine in BOTH)
    assert advice(engines=blind, present=()) == [("no adapter was found", adapters.install_hint())]
    assert status(()) == 2


@pytest.mark.parametrize(
    ("change", "fix"),
    [
        ({"has_vulkan_loader": False}, "sudo apt-get install libvulkan1"),
        ({"has_mounted_nvidia_driver": True}, "export VK_ADD_DRIVER_FILES=/usr/local/nvidia/"),
        ({}, "install the driver's Vulkan part"),
    ],
)
def test_a_card_of_nvidia_that_vulkan_does_not_see(change: dict[str, bool], fix: str) -> None:
    machine = dataclasses.replace(LINUX, has_nvidia_card=True, **change)
    found = advice(machine, present=(SOFTWARE,))
    assert [what for what, _ in found] == ["the NVIDIA card is not seen through Vulkan"]
    assert found[0][1].startswith(fix)


def test_a_missing_engine_is_one_pip_line() -> None:
    engines = (EngineReport("dawn", None), BOTH[1])
    assert advice(engines=engines) == [
        ("the engine dawn is not installed", "pip install 'wgpudawn>=0.32,<0.33'")
    ]


def test_an_engine_that_does_not_start() -> None:
    engines = (BOTH[0], EngineReport("wgpu", "0.32.0", "failed: OSError: libX.so is missing"))
    ((what, fix),) = advice(engines=engines)
    assert what == "the engine wgpu failed: OSError: libX.so is missing"
    assert fix == "pip install --force-reinstall 'wgpu>=0.32,<0.33'"


def test_the_engines_are_those_of_the_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    optional = project["optional-dependencies"]["cuda"]
    named = {*project["dependencies"], *(each.partition(";")[0].strip() for each in optional)}
    assert set(filter(None, examination.ENGINES.values())) <= named
    assert {"cuda", "hip"} == examination.OPTIONAL


@pytest.mark.parametrize("cards", [("cuda",), ("hip",), ()])
def test_engines_of_one_maker_are_examined_where_they_are_of_use(
    cards: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a card nobody hears of them, whatever is installed."""
    found = {"dawn": BOTH[0], "wgpu": BOTH[1]}
    found |= {name: EngineReport(name, "13.0", "failed: x") for name in examination.OPTIONAL}
    monkeypatch.setattr(examination, "_examine_engine", lambda name, limit: (found[name], []))
    machine = dataclasses.replace(
        LINUX, has_nvidia_card="cuda" in cards, has_amd_card="hip" in cards
    )
    monkeypatch.setattr(examination, "describe_machine", lambda: machine)
    report = examination.examine()
    assert [engine.name for engine in report.engines] == ["dawn", "wgpu", *cards]
    fixes = [each.fix for each in report.problems if "the engine hip" in each.what]
    assert fixes == [examination.ROCM] * ("hip" in cards)


def test_mesa_too_old_for_dawn() -> None:
    engines = (EngineReport("dawn", "0.32.0", adapters=0), BOTH[1])
    found = dict(advice(engines=engines, present=(OLD_SOFTWARE,)))
    fix = found["the engine dawn sees no adapter"]
    assert "Mesa 22 is too old" in fix
    assert "-t bookworm-backports mesa-vulkan-drivers" in fix
    ubuntu = dataclasses.replace(LINUX, release="Ubuntu 22.04 LTS")
    found = dict(advice(ubuntu, engines, (OLD_SOFTWARE,)))
    assert "install Mesa 25 or newer" in found["the engine dawn sees no adapter"]


def test_the_folder_of_a_run() -> None:
    bare = dataclasses.replace(LINUX, environment={})
    ((what, fix),) = advice(bare)
    assert "XDG_RUNTIME_DIR is not set" in what
    assert fix.startswith("export XDG_RUNTIME_DIR=")
    assert advice(dataclasses.replace(bare, system="Windows")) == []


def test_a_wrong_adapter_is_named_and_avoided() -> None:
    wrong = dataclasses.replace(
        adapter("dawn-vulkan", driver="560.1"),
        checks=(*RIGHT, Check("subgroups", False, "3 of 9 numbers are wrong")),
    )
    other = adapter("wgpu-vulkan")
    ((what, fix),) = advice(present=(wrong, other))
    assert "dawn-vulkan, Card 9" in what
    assert "subgroups: 3 of 9 numbers are wrong" in what
    assert fix == "update the driver (560.1); or avoid it: export GPUCORE_DEVICE=wgpu-vulkan"
    assert status((wrong, other)) == 1
    assert status((wrong,)) == 2


def fake_python(folder: Path, body: str) -> str:
    """Write a program that runs in the place of Python."""
    program = folder / "python"
    program.write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
    program.chmod(0o755)
    return str(program)


@pytest.mark.skipif(sys.platform == "win32", reason="the stand-in is a shell script")
@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ("kill -SEGV $$", "crashed (signal 11)"),
        ("exec sleep 30", "gave no answer within 0.5 s"),
        ("echo 'RuntimeError: lost' >&2; exit 1", "failed: RuntimeError: lost"),
        ("exit 3", "failed: without a message"),
        ("exit 0", "failed: its self-test printed no result"),
        ("echo [1", "failed: its self-test printed no result"),
    ],
)
def test_a_driver_that_fails_becomes_a_line(
    body: str, fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(examination.sys, "executable", fake_python(tmp_path, body))
    report = examination.examine(time_limit=0.5)
    assert {engine.fault for engine in report.engines} == {fault}
    assert report.status == 2
    assert fault in "\n".join(lines(report))


def test_a_python_that_cannot_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examination.sys, "executable", "/no/such/python")
    report = examination.examine(time_limit=0.5)
    assert {engine.fault for engine in report.engines} == {
        "cannot be tested: /no/such/python: No such file or directory"
    }


@pytest.mark.parametrize("path", [None, "", ".", "{root}:", ":{root}"])
def test_nothing_in_the_current_folder_runs(
    path: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder of downloads may hold a file with the name of a module (CWE-427)."""
    canary = tmp_path / "executed"
    for name in ("numpy", "json", "wgpu", "gpucore", "sitecustomize"):
        (tmp_path / f"{name}.py").write_text(f"open({str(canary)!r}, 'w')", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    if path is None:
        monkeypatch.delenv("PYTHONPATH", raising=False)
    else:
        monkeypatch.setenv("PYTHONPATH", path.format(root=ROOT))
    _, fault = examination._run_selftest(["no_such_engine"], 60)
    assert not canary.exists()
    assert "no_such_engine" in fault, "it ran as far as our own code"


def test_every_check_passes(device: Device) -> None:
    checks = {check.name: check for check in run_checks(device)}
    assert {"f32 arithmetic", "32-bit integers", "workgroup memory"} <= checks.keys()
    assert ("f16 arithmetic" in checks) == device.has_f16
    assert ("subgroups" in checks) == ("subgroups" in device.features)
    assert [check for check in checks.values() if not check.ok] == []


def test_wrong_numbers_are_found() -> None:
    """The null device computes nothing, so every check of it must fail."""
    checks = run_checks(Device.null())
    assert len(checks) == 6
    assert [check.name for check in checks if check.ok] == []
    assert "numbers are wrong: number" in checks[0].detail


def test_a_check_that_cannot_run_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selftest, "HASH", "no WGSL")
    with pytest.raises(KernelCompileError):
        Device.null().compile_kernel("no WGSL")
    assert "WGSL does not parse" in run_checks(Device.null())[1].detail


def test_the_command_prints_json() -> None:
    """Examine this machine: every adapter present is listed, tested and works."""
    done = subprocess.run(
        [sys.executable, "-m", "gpucore", "--json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    report = json.loads(done.stdout)
    assert done.returncode == report["status"] <= 1
    optional = ["cuda"] if adapters.cuda_adapters() else []
    assert [engine["name"] for engine in report["engines"]] == ["dawn", "wgpu", *optional]
    found = {each["backend"]: each for each in report["adapters"]}
    opened = [open_engine(each) for each in engines() if not engine_problem(each)]
    assert opened
    for each in opened:
        assert found[each.info.backend]["works"]
        assert found[each.info.backend]["limits"]["max_buffer_size"] > 0


def test_the_text_says_it_all() -> None:
    shapes = (("f16", "f32", 16, 16, 16), ("i8", "i32", 16, 16, 32))
    card = AdapterReport({**CARD.record, "matrix_shapes": shapes, "memory_size": 2**34}, RIGHT)
    engines = (EngineReport("dawn", None), BOTH[1])
    found = tuple(problems(LINUX, engines, (card,)))
    text = "\n".join(lines(Report(LINUX, engines, (card,), found)))
    for part in (
        "dawn  not installed",
        "0.32.0      1 adapter",
        "dawn-vulkan: Card 9 (discrete)",
        "16 GiB",
        "f16 to f32 16x16x16, i8 to i32 16x16x32",
        "workgroup memory 48 KiB",
        "passed (f32 arithmetic)",
        "-> pip install 'wgpudawn>=0.32,<0.33'",
    ):
        assert part in text
