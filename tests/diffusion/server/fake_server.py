"""Run a server with a `FakeEngine`: ``python -m … FOLDER PORT STEP_SECONDS``."""

from __future__ import annotations

import sys
from pathlib import Path

from diffusion.server.launch import make_server
from diffusion.server.logs import configure_logs
from diffusion.server.settings import load_settings
from tests.diffusion.server.fake_engine import FakeEngine

if __name__ == "__main__":
    configure_logs(as_json=False)
    engine = FakeEngine()
    engine.step_seconds = float(sys.argv[3])
    options = {"output": Path(sys.argv[1]), "port": int(sys.argv[2]), "drain_seconds": 5}
    make_server(load_settings(None, options), [engine]).run()
