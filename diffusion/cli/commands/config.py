"""``avila config``: defaults of options, in a file that the user owns."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer
from typer import Argument

from diffusion.cli.app import app, reporting
from diffusion.cli.config import ConfigFile, find_config_file
from diffusion.cli.config.config_file import OFF, VARIABLE, Value, change_config
from diffusion.cli.config.defaults import (
    CONFIGURED,
    DRAWING,
    check_config,
    environment_name,
    keys_of,
)
from diffusion.cli.options.shared import JsonOption
from diffusion.errors import SettingsError

__all__ = ["configs"]

configs = typer.Typer(
    name="config",
    help="Show and set defaults of options, which are kept in a file.",
    invoke_without_command=True,
)
app.add_typer(configs)

KeyArgument = Annotated[
    str,
    Argument(
        help="An option's name, such as steps; or txt2img.steps for one command alone.",
        show_default=False,
    ),
]
ValueArgument = Annotated[
    list[str], Argument(help="Its value, as it would be typed.", show_default=False)
]


class Place(NamedTuple):
    """A key and its table, "" for all commands that draw."""

    table: str
    key: str


@configs.callback()
def show_or_go_on(context: typer.Context) -> None:
    """Show and set defaults of options, which are kept in a file.

    Without a command, show what is set. What is typed counts first, then --from PICTURE, then
    variables such as AVILA_STEPS, then the file, then the model's own default.
    """
    if context.invoked_subcommand is None:
        show_config(context)


@configs.command("show")
def show_config(context: typer.Context, *, as_json: JsonOption = False) -> None:
    """Show the file's place, what it sets, and what the environment sets."""
    with reporting(context):
        file = _read_checked(context)
        commands = _parameters(context)
        names = {key for each in commands.values() for key in keys_of(each)}
        variables = {
            name: os.environ[name]
            for name in map(environment_name, sorted(names))
            if os.environ.get(name)
        }
    if as_json:
        tables = {table: dict(values) for table, values in file.tables.items()}
        print(json.dumps({"path": str(file.path), "file": tables, "environment": variables}))
        return
    print(f"{file.path}{'' if file.path.exists() else ' (not there yet)'}", file=sys.stderr)
    for table, values in file.tables.items():
        for key, value in values.items():
            print(f"{table}.{key}" if table else key, "=", json.dumps(value, ensure_ascii=False))
    for name, text in variables.items():
        print(f"{name} = {json.dumps(text, ensure_ascii=False)}")


@configs.command("path")
def print_path(context: typer.Context) -> None:
    """Print where the file lies, or would lie."""
    with reporting(context):
        print(_path())


@configs.command("keys")
def list_keys(context: typer.Context) -> None:
    """List all keys with their environment variables and the commands that have them."""
    commands = _parameters(context)
    found = {name: keys_of(parameters) for name, parameters in commands.items()}
    for key in sorted({key for each in found.values() for key in each}):
        owners = [name for name in found if key in found[name]]
        where = "" if set(owners) >= set(DRAWING) else f"  ({', '.join(owners)})"
        print(f"{key:24} {environment_name(key)}{where}")


@configs.command("set")
def set_key(context: typer.Context, key: KeyArgument, value: ValueArgument) -> None:
    """Set a default. Everything else in the file stays, comments too."""
    with reporting(context):
        place, parameter = _find(context, key)
        typed: Any = list(value) if parameter.multiple else " ".join(value)
        try:
            found = parameter.process_value(context, typed)
        except typer.BadParameter as error:
            raise SettingsError(key, " ".join(value), "it is not a value of this option") from error
        _read_checked(context)
        change_config(_path(), place.table, place.key, _as_toml(found))


@configs.command("unset")
def unset_key(context: typer.Context, key: KeyArgument) -> None:
    """Remove a default from the file."""
    with reporting(context):
        place, _ = _find(context, key)
        file = ConfigFile.read(_path())
        if place.key not in file.tables.get(place.table, {}):
            raise SettingsError(key, None, f"{file.path} does not set it")
        change_config(file.path, place.table, place.key, None)


@configs.command("edit")
def edit_config(context: typer.Context) -> None:
    """Open the file in the editor that VISUAL or EDITOR names, then check it."""
    with reporting(context):
        path = _path()
        editor = os.environ.get("VISUAL") or os.environ.get("EDITOR")
        if not editor:
            raise SettingsError("EDITOR", None, f"set this variable, or edit {path}")
        if not path.exists():
            change_config(path, "", "steps", None)
        try:
            subprocess.run([*shlex.split(editor), str(path)], check=True)
        except (OSError, ValueError, subprocess.CalledProcessError) as error:
            raise SettingsError("EDITOR", editor, f"it failed: {error}") from error
        _read_checked(context)


def _path() -> Path:
    """Return the file's place. Raises `SettingsError` where the environment turns it off."""
    path = find_config_file()
    if path is None:
        raise SettingsError(VARIABLE, OFF, "no config file is used; unset this variable")
    return path


def _read_checked(context: typer.Context) -> ConfigFile:
    """Return the file's content. Raises `SettingsError`."""
    file = ConfigFile.read(_path())
    check_config(file, _parameters(context))
    return file


def _parameters(context: typer.Context) -> dict[str, Sequence[Any]]:
    """Return the parameters of the commands that a config is for."""
    root: Any = context.find_root().command
    return {name: root.commands[name].params for name in CONFIGURED}


class Found(NamedTuple):
    """A key's place, and the parameter that it sets."""

    place: Place
    parameter: Any


def _find(context: typer.Context, text: str) -> Found:
    """Return what a key names. Raises `SettingsError`."""
    table, _, key = text.rpartition(".")
    key = key.lstrip("-").replace("_", "-")
    commands = _parameters(context)
    place = Place(table, key)
    probe: dict[str, dict[str, Value]] = {table: {key: ""}}
    check_config(ConfigFile(_path(), probe), commands)
    owners = [table] if table else DRAWING
    found = [known[key] for name in owners if key in (known := keys_of(commands[name]))]
    return Found(place, found[0])


def _as_toml(value: Any) -> Value:
    """Return an option's value as TOML holds it."""
    if isinstance(value, list | tuple):
        return [str(each) for each in value]
    return value if isinstance(value, bool | int | float) else str(value)
