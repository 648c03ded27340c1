"""Who may import whom: diffusion → gpustd → gpucore, and the finer laws inside each."""

from __future__ import annotations

import ast
import re
import sys
import tomllib

import pytest

from tests.laws.sources import (
    PACKAGES,
    ROOT,
    imports_of,
    is_within,
    name_of,
    python_files,
    tree_of,
)

# folder or file: what nothing in it may import
FORBIDDEN = {
    "gpucore": ["gpustd", "diffusion"],
    "gpucore/compiler": ["gpucore.backends", "gpucore.device", "gpucore.kernel", "numpy"],
    "gpucore/interpreter": ["gpucore.backends", "gpucore.buffer", "gpucore.device"],
    "gpucore/wgsl": ["gpucore.backends", "gpucore.device", "gpucore.kernel", "numpy"],
    "gpustd": ["diffusion"],
    "tests/gpustd/reference": ["gpucore"],
    "diffusion/batching": ["diffusion.cli", "diffusion.server"],
    "diffusion/client": ["diffusion.cli", "diffusion.pipeline", "diffusion.server", "gpucore"],
    "diffusion/checkpoints": ["diffusion.cli", "diffusion.pipeline", "diffusion.samplers"],
    "diffusion/models": ["diffusion.cli", "diffusion.pipeline", "diffusion.samplers"],
    "diffusion/pipeline": ["diffusion.batching", "diffusion.cli"],
    "diffusion/tasks": ["diffusion.cli", "diffusion.models", "diffusion.pipeline"],
    "diffusion/prompts": ["diffusion.cli", "diffusion.models", "diffusion.pipeline", "gpucore"],
    "diffusion/samplers": ["diffusion.cli", "diffusion.models", "diffusion.pipeline", "gpucore"],
    "diffusion/schedules": ["diffusion.cli", "diffusion.models", "diffusion.pipeline", "gpucore"],
}
ENGINES = ("wgpu", "wgpudawn")
# distribution: the module it brings, where the names differ
MODULES = {"pillow": "PIL"}


def violations(folder: str, packages: list[str]) -> list[str]:
    """Return imports under `folder` of one of `packages`, as file:line: module."""
    return [
        f"{name_of(file)}:{line}: {module}"
        for file in python_files(folder)
        for line, module in imports_of(file)
        if any(is_within(module, package) for package in packages)
    ]


@pytest.mark.parametrize("folder", FORBIDDEN)
def test_imports_go_one_way(folder: str) -> None:
    assert python_files(folder), f"{folder} is gone: mend the table above"
    assert violations(folder, FORBIDDEN[folder]) == []


@pytest.mark.parametrize("package", PACKAGES)
def test_packages_do_not_import_what_is_not_shipped(package: str) -> None:
    assert violations(package, ["tests", "bench", "tools", "examples"]) == []


def test_only_the_backends_touch_a_gpu_interface() -> None:
    found = [hit for package in PACKAGES for hit in violations(package, list(ENGINES))]
    assert [hit for hit in found if not hit.startswith("gpucore/backends/")] == []
    # The engine modules are also imported by name; the name alone must not leak either.
    for file in python_files(*PACKAGES):
        if not name_of(file).startswith("gpucore/backends/"):
            text = file.read_text(encoding="utf-8")
            assert not re.search(r"import_module\(\s*[\"'](wgpu|wgpudawn)\b", text), name_of(file)


def dependencies() -> list[str]:
    """Return the names of the distributions that a plain install needs."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return [re.split(r"[<>=~!\[; ]", entry, maxsplit=1)[0] for entry in project["dependencies"]]


SERVER = "diffusion/server/"
RAY = "diffusion/server/ray/"
# The files that reach into it, and only when their command is called.
SERVER_COMMANDS = {"diffusion/cli/commands/batch.py", "diffusion/cli/commands/serve.py"}


def third_party_imports(server: bool = False, ray: bool = False) -> dict[str, str]:
    """Return each outside module that a part imports, with its place: all else if not the server.

    The server is without what is for Ray.
    """
    return {
        module.split(".")[0]: f"{name_of(file)}:{line}"
        for file in python_files(*PACKAGES)
        if name_of(file).startswith(SERVER) == server or ray
        if name_of(file).startswith(RAY) == ray
        for line, module in imports_of(file)
        if module.split(".")[0] not in {*PACKAGES, *sys.stdlib_module_names}
    }


def test_every_import_is_a_declared_dependency() -> None:
    declared = {MODULES.get(name, name) for name in dependencies()}
    unknown = {name: place for name, place in third_party_imports().items() if name not in declared}
    assert unknown == {}


def test_the_server_needs_no_more_than_its_extra() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extra = {
        re.split(r"[<>=]", entry, maxsplit=1)[0].replace("-", "_")
        for entry in project["optional-dependencies"]["server"]
    }
    declared = {MODULES.get(name, name) for name in dependencies()} | extra
    imported = third_party_imports(server=True)
    assert {name: place for name, place in imported.items() if name not in declared} == {}
    # FastAPI imports it for forms, under another name.
    assert extra - imported.keys() == {"python_multipart"}


def test_only_what_is_for_ray_imports_it() -> None:
    new = third_party_imports(ray=True).keys() - third_party_imports(server=True).keys()
    assert new == {"pyarrow", "ray"}, "pyarrow comes with ray[data]"


def test_nothing_but_its_commands_imports_the_server() -> None:
    found = {
        hit.partition(":")[0]
        for hit in violations("diffusion", ["diffusion.server"])
        if not hit.startswith(SERVER)
    }
    assert found == SERVER_COMMANDS
    for command in SERVER_COMMANDS:
        top = tree_of(ROOT / command).body
        assert not [
            each for each in top if "diffusion.server" in ast.unparse(each).partition("def ")[0]
        ]


def test_every_dependency_is_imported_and_explained() -> None:
    imported = third_party_imports().keys() | set(ENGINES)
    explained = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    for name in dependencies():
        assert MODULES.get(name, name) in imported, f"{name} is declared and never imported"
        assert f"| `{name}` |" in explained, f"ARCHITECTURE.md has no line for {name}"


def test_no_star_imports() -> None:
    """But for the file that joins the names of gpustd.arrays to gpustd's own."""
    files = python_files(*PACKAGES, "bench", "examples", "tests", "tools")
    stars = [name_of(f) for f in files for _, name in imports_of(f) if name.endswith(".*")]
    assert stars == ["gpustd/__init__.py"]
