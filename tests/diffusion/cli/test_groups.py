"""Groups of options: how a command's parameters come from dataclasses."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import pytest
import typer
from typer import Argument, Option
from typer.testing import CliRunner

from diffusion.cli.options.groups import FIRST, OptionGroup, typed_values, with_groups


@dataclass(frozen=True)
class InnerOptions(OptionGroup, panel="Inner", first=("size",), prefix="inner"):
    """A group with a prefix."""

    scale: Annotated[float | None, Option("--inner", help="A scale.")] = None
    steps: Annotated[int | None, Option(help="Steps.", show_default="as many as outside")] = None
    size: Annotated[str | None, Option(help="A size.")] = None


@dataclass(frozen=True)
class OuterOptions(OptionGroup, panel="Outer"):
    """A group that holds another one, and an option that must be given."""

    inner: InnerOptions
    steps: Annotated[int, Option(help="Steps.")]
    plain: Annotated[bool, Option("--plain", help="A flag.")] = False


Received = list[tuple[str, OuterOptions, str]]


@pytest.fixture
def received() -> Received:
    return []


@pytest.fixture
def command(received: Received) -> Callable[..., None]:
    @with_groups
    def draw(
        prompt: Annotated[str, Argument(help="A prompt.")],
        *,
        outer: OuterOptions,
        name: Annotated[str, Option("--name", "-n")] = "x",
    ) -> None:
        """Draw."""
        received.append((prompt, outer, name))

    return draw


def run(command: Callable[..., None], *arguments: str) -> tuple[int, str]:
    app = typer.Typer(rich_markup_mode="rich")
    app.command()(command)
    done = CliRunner(env={"COLUMNS": "120", "NO_COLOR": "1"}).invoke(app, list(arguments))
    return done.exit_code, done.output


def test_each_field_becomes_a_parameter(command: Callable[..., None]) -> None:
    assert list(inspect.signature(command).parameters) == [
        *("prompt", "inner_scale", "inner_steps", "inner_size", "steps", "plain", "name")
    ]
    assert (command.__name__, command.__doc__) == ("draw", "Draw.")


def test_values_come_back_as_groups(command: Callable[..., None], received: Received) -> None:
    options = "a --inner 2 --inner-steps 3 --steps 4 --plain -n y"
    assert run(command, *options.split()) == (0, "")
    assert run(command, "b", "--steps", "1") == (0, "")
    assert received == [
        ("a", OuterOptions(InnerOptions(2.0, 3), 4, plain=True), "y"),
        ("b", OuterOptions(InnerOptions(), 1), "x"),
    ]
    assert typed_values(received[0][1].inner) == {"scale": 2.0, "steps": 3}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("a", "Missing option"),
        ("a --steps x", "Invalid value for '--steps'"),
        ("a --steps 1 --scale 2", "No such option: --scale"),
    ],
)
def test_wrong_options(command: Callable[..., None], options: str, message: str) -> None:
    status, output = run(command, *options.split())
    assert status == 2
    assert message in output


def test_help_has_a_panel_for_each_group(command: Callable[..., None]) -> None:
    _, output = run(command, "--help")
    panels = dict(part.split(" ─", 1) for part in output.split("╭─ ")[1:])
    assert "--inner-size" in panels[FIRST]
    assert "--inner " in panels["Inner"]
    assert "[default: as many as outside]" in panels["Inner"]
    assert "--plain" in panels["Outer"]


def test_two_options_of_one_name_are_refused() -> None:
    def draw(*, inner: InnerOptions, inner_scale: Annotated[float, Option()] = 1.0) -> None:
        raise AssertionError

    with pytest.raises(ValueError, match="duplicate parameter name"):
        with_groups(draw)
