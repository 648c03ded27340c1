"""Send requests of all kinds, made by schemathesis of the OpenAPI schema, to a server here.

    python -m tools.fuzz_server                     # 50 requests of each kind to each operation
    python -m tools.fuzz_server --examples 500

The server has an engine that draws rectangles, in a folder that is deleted. It ends with status 1
where an answer is from 500 on (501 and 503 are no mistakes), or not as the schema says. The tests
do the same with few requests (`tests.diffusion.server.test_schema`).
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.diffusion.server.live_server import run_on_thread
from tests.diffusion.server.test_schema import WORK
from tests.processes import environment

CONFIG = """
[checks.not_a_server_error]
expected-statuses = ["2xx", "3xx", "4xx", 501, 503]

[checks.positive_data_acceptance]
enabled = false

[[operations]]
include-path-regex = "^/(sdapi|internal)/"
checks.negative_data_rejection.enabled = false
"""
"""A schema says nothing about the names of samplers, or sides that are multiples of 8. Clients of
AUTOMATIC1111's routes send numbers as text, and 0 for false."""


def main() -> int:
    """Run it; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=50, help="of each kind and operation")
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        config = folder / "schemathesis.toml"
        config.write_text(CONFIG)
        with run_on_thread(folder / "out", work=WORK, queue=100_000) as live:
            command = [
                *(sys.executable, "-P", "-m", "schemathesis.cli", "--config-file", str(config)),
                *("run", f"{live.url}/openapi.json", "--max-examples", str(options.examples)),
                *("--exclude-tag", "not built yet", "--seed", str(options.seed)),
                *("--continue-on-failure", "--generation-database", "none"),
            ]
            status = subprocess.run(command, cwd=folder, env=environment(), check=False).returncode
            lively = live.get("/healthz").ok
    print("the server answers" if lively else "the server is gone")
    return status if lively else 1


if __name__ == "__main__":
    sys.exit(main())
