"""The bars on stderr: what they show, and that they show nothing where stderr is no terminal."""

from __future__ import annotations

import io
import re
import time

import pytest
from rich.console import Console

from diffusion.cli import progress


def test_progress_shows_phase_steps_and_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")  # on a dumb terminal rich draws no bar
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, width=120)
    monkeypatch.setattr(progress, "Console", lambda **_: console)
    with progress.ProgressBar(shown=True) as bar:
        bar.phase("compiling")
        for index in range(1, 5):
            time.sleep(0.01)
            bar.step(index, 4)
            bar._progress.refresh()
        bar.phase("decoding")
        bar._progress.refresh()
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", file.getvalue())
    for part in ("loading", "sampling", "decoding", "4/4", "it/s", "ETA"):
        assert part in shown


def test_progress_is_silent_without_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    for terminal, shown in ((False, True), (True, False)):
        file = io.StringIO()
        console = Console(file=file, force_terminal=terminal, width=120)
        monkeypatch.setattr(progress, "Console", lambda c=console, **_: c)
        with progress.ProgressBar(shown=shown) as bar:
            bar.step(1, 4)
        assert file.getvalue().strip() == ""


@pytest.mark.parametrize(
    ("terminal", "patience", "shown"), [(True, 0.0, True), (True, 60.0, False), (False, 0.0, False)]
)
def test_a_bar_for_what_takes_long(
    monkeypatch: pytest.MonkeyPatch, terminal: bool, patience: float, shown: bool
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    file = io.StringIO()
    console = Console(file=file, force_terminal=terminal, width=120)
    monkeypatch.setattr(progress, "Console", lambda **_: console)
    assert list(progress.show_progress("abc", "reading", patience)) == ["a", "b", "c"]
    assert ("reading" in file.getvalue()) == shown
    assert shown or not file.getvalue()


@pytest.mark.parametrize(
    ("rate", "text"),
    [(None, "-.-- it/s"), (0.4, "2.50 s/it"), (1.0, "1.00 it/s"), (12.345, "12.35 it/s")],
)
def test_rates(rate: float | None, text: str) -> None:
    assert progress.rate_text(rate) == text
