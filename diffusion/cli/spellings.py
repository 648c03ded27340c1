"""Options as other tools spell them: understood everywhere, and left out of the help.

They are those of stable-diffusion.cpp, diffusers' arguments, the WebUI's names and old scripts'. A
command that lacks the option does not know its other spellings either. Underscores are hyphens.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import typer
from typer.core import TyperArgument, TyperCommand, TyperGroup

from diffusion.cli.config.defaults import CONFIGURED, default_values, environment_name, keys_of
from diffusion.cli.error_texts import TYPED
from diffusion.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ORDER", "SPELLINGS", "AvilaCommand", "AvilaGroup"]

SPELLINGS: Final[Mapping[str, Sequence[str]]] = {
    "prompt": ("-p", "--prompt"),
    "image": ("-i", "--image", "--init-img", "--init-image"),
    "--prompt": ("-p",),
    "--negative": ("-n", "--negative-prompt"),
    "--guidance": ("--cfg-scale", "--cfg", "--guidance-scale"),
    "--steps": ("--num-inference-steps", "--sampling-steps", "--ddim-steps"),
    "--seed": ("-s",),
    "--count": ("-b", "--batch-count", "--n-iter", "--num-images", "--num-images-per-prompt"),
    "--sampler": ("--sampling-method", "--sampler-name"),
    "--schedule": ("--scheduler", "--schedule-type"),
    "--model": ("--ckpt", "--checkpoint", "--model-path"),
    "--output": ("--out", "--outdir", "--output-dir"),
    "--strength": ("--denoise", "--denoising-strength", "--denoising"),
    "--mask": ("--mask-image",),
    "--mask-blur": ("--mask-blur-x",),
    "--mask-blur-down": ("--mask-blur-y",),
    "--hires": ("--hires-scale", "--hr-scale", "--hires-upscale"),
    "--hires-upscaler": ("--hr-upscaler",),
    "--hires-first": ("--firstpass-image",),
    "--hires-strength": ("--hires-denoising-strength",),
    "--refiner-switch": ("--refiner-switch-at",),
    "--variation": ("--variation-strength", "--subseed-strength"),
    "--variation-seed": ("--subseed",),
    "--seed-resize": ("--seed-resize-from",),
    "--preview-vae": ("--taesd",),
    "--unet": ("--diffusion-model",),
    "--token-merging": ("--token-merging-ratio", "--tome"),
    "--token-merging-hires": ("--token-merging-ratio-hr",),
    "--deep-cache": ("--deepcache",),
    "--dtype": ("--precision",),
    "--control": ("--control-image",),
    "--control-model": ("--control-net",),
    "--control-weight": ("--control-strength", "--controlnet-conditioning-scale"),
    "--control-start": ("--control-guidance-start",),
    "--control-end": ("--control-guidance-end",),
    "--ip-adapter": ("--ip-adapter-model",),
    "--ip-image": ("--ip-adapter-image",),
    "--ip-weight": ("--ip-adapter-scale", "--ip-adapter-strength"),
}
"""Other spellings of options and arguments. Those of another option of the command do not count."""

ORDER: Final = (
    *(
        "txt2img",
        "img2img",
        "inpaint",
        "upscale",
        "batch",
        "plan",
        "serve",
        "info",
        "model",
        "config",
    ),
    *("doctor", "tune", "convert", "kernel"),
)
"""The commands, in the order of use."""

_SIDES: Final = {"width": ("-W", "--width"), "height": ("-H", "--height")}
_GIVEN: Final = "given as an option: "


class AvilaGroup(TyperGroup):
    """The program: its help lists the commands in the order of use."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the parameters. A flag takes no value, so the help shows no kind of value."""
        return _without_kinds(super().get_params(ctx))

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names of all commands, those of `ORDER` first."""
        found = super().list_commands(ctx)
        return sorted(found, key=lambda name: ORDER.index(name) if name in ORDER else len(ORDER))


class AvilaCommand(TyperCommand):
    """A command that knows other tools' spellings, and takes defaults from the config file."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the parameters. A flag takes no value, so the help shows no kind of value."""
        return _without_kinds(super().get_params(ctx))

    def make_parser(self, ctx: Any) -> Any:
        """Return the parser, with spellings beside the command's own options."""
        parser: Any = super().make_parser(ctx)
        known = {name for each in self.params for name in (*each.opts, *each.secondary_opts)}
        each: Any
        for each in self.params:
            is_argument = isinstance(each, TyperArgument)
            for name in each.opts:
                words = [word for word in SPELLINGS.get(name, ()) if word not in known]
                if words:
                    target = _GIVEN + name if is_argument else each.name
                    parser.add_option(each, words, target)
            if "--size" in each.opts:
                for side, spellings in _SIDES.items():
                    own = [word for word in spellings if word not in known]
                    parser.add_option(each, own, side)
        parse = parser.parse_args

        def parse_args(args: list[str]) -> Any:
            found, rest, order = parse(args)
            rest = self._place_arguments(found, rest)
            _join_sides(found)
            ctx.meta[TYPED] = found
            return found, rest, order

        parser.parse_args = parse_args
        return parser

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse what was typed; the rest has the defaults of the environment and config file."""
        if ctx.default_map is None and not ctx.resilient_parsing:
            ctx.default_map = self._defaults(ctx)
        return super().parse_args(ctx, args)

    def _defaults(self, ctx: Any) -> dict[str, Any] | None:
        """Return the defaults of the config file. Raises the usage error of a wrong one."""
        group: Any = ctx.parent and ctx.parent.command
        if not isinstance(group, TyperGroup) or not set(CONFIGURED) <= group.commands.keys():
            return None
        parameters = {name: group.commands[name].params for name in CONFIGURED}
        if self.name not in parameters:
            return None
        self._name_variables()
        try:
            return default_values(self.name, parameters)
        except SettingsError as error:
            raise typer.BadParameter(str(error)) from None

    def _name_variables(self) -> None:
        """Let environment variables set the options that a config file may set."""
        for key, each in keys_of(self.params).items():
            each.envvar, each.show_envvar = environment_name(key), False

    def _place_arguments(self, found: dict[str, Any], rest: list[str]) -> list[str]:
        """Give arguments that were spelled as options their values, and the others what is left."""
        names = [str(each.name) for each in self.params if isinstance(each, TyperArgument)]
        named = {name: found.pop(_GIVEN + name) for name in names if _GIVEN + name in found}
        if not named:
            return rest
        texts = [found[name] for name in names if found.get(name) is not None] + rest
        for name in names:
            found[name] = named[name] if name in named else texts.pop(0) if texts else None
        return texts


def _without_kinds(parameters: list[Any]) -> list[Any]:
    """Return the parameters, where the help of a flag shows no kind of value."""
    for each in parameters:
        if getattr(each, "is_flag", False):
            each.metavar = ""
    return parameters


def _join_sides(found: dict[str, Any]) -> None:
    """Join ``--width`` and ``--height`` to a ``--size``. Raises the usage error of a wrong one."""
    sides = {name: found.pop(name) for name in _SIDES if name in found}
    if not sides:
        return
    if found.get("size") is not None:
        raise typer.BadParameter("must not be given beside --size", param_hint=f"--{min(sides)}")
    for name, text in sides.items():
        if not text.strip().isdecimal():
            raise typer.BadParameter(
                f"must be a whole number; got {text!r}", param_hint=f"--{name}"
            )
    found["size"] = "x".join(sides.get(name, "") for name in _SIDES)
