"""Print which GPU engines see an adapter, and judge whether this machine needs a driver.

Exit status 0: a GPU, or software adapters for every engine that the tests run on.
1: some engine sees a software adapter, another sees nothing. 2: no engine sees any.
OpenGL alone counts as nothing: it lacks features that compute shaders here want.
"""

from __future__ import annotations

import json
import subprocess
import sys

ENGINES = ("wgpu", "wgpudawn")
READY, PARTIAL, NOTHING = 0, 1, 2
LIST_ADAPTERS = """
import importlib, json, sys
adapters = importlib.import_module(sys.argv[1]).gpu.enumerate_adapters_sync()
print("\\n" + json.dumps([{**adapter.info} for adapter in adapters]))
"""


def adapters_of(engine: str) -> list[dict[str, str]]:
    """Describe the adapters of one engine, asked in a process of its own: a driver may crash."""
    done = subprocess.run(
        [sys.executable, "-P", "-c", LIST_ADAPTERS, engine],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if done.returncode:
        return []
    found: list[dict[str, str]] = json.loads(done.stdout.splitlines()[-1])
    return found


def is_opengl(info: dict[str, str]) -> bool:
    """Tell whether the adapter is driven through OpenGL or OpenGL ES."""
    return info["backend_type"].startswith("OpenGL")


def judge(found: dict[str, list[dict[str, str]]]) -> int:
    """Tell the exit status for the adapters of each engine."""
    everything = [info for adapters in found.values() for info in adapters if not is_opengl(info)]
    if any(info["adapter_type"] != "CPU" for info in everything):
        return READY
    complete = all(any(not is_opengl(info) for info in adapters) for adapters in found.values())
    if complete and any(is_opengl(info) for info in found["wgpu"]):
        return READY
    return PARTIAL if everything else NOTHING


def main() -> int:
    """List the adapters and return the exit status."""
    found = {engine: adapters_of(engine) for engine in ENGINES}
    for engine, adapters in found.items():
        names = [f"{info['device']} ({info['backend_type']})" for info in adapters]
        print(f"  {engine}: {', '.join(names) or 'no adapter'}")
    return judge(found)


if __name__ == "__main__":
    sys.exit(main())
