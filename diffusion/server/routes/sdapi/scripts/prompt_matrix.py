"""The script ``Prompt matrix``: a picture with and without each part of a prompt.

The first part, before the first ``|``, is in all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from PIL import Image

from diffusion.errors import SettingsError
from diffusion.grids import draw_grid
from diffusion.images import arrange_grid
from diffusion.server.routes.sdapi.requests import DrawBody, Img2ImgBody
from diffusion.server.routes.sdapi.scripts.plan import Argument, Shown, check_several, fix_seeds

__all__ = ["PromptMatrix"]

MOST_PARTS: Final = 9
_MOST_MARGIN: Final = 500


class PromptMatrix:
    """The script; its arguments are the WebUI's."""

    title = "Prompt matrix"

    def arguments(self, is_img2img: bool) -> Sequence[Argument]:
        """Return its arguments, in their order."""
        return [
            Argument("Put variable parts at start of prompt", False),
            Argument("Use different seed for each picture", False),
            Argument("Select prompt", "positive", choices=("positive", "negative")),
            Argument("Select joining char", "comma", choices=("comma", "space")),
            Argument("Grid margins (px)", 0, 0, _MOST_MARGIN, 2),
        ]

    def plan(self, body: DrawBody, arguments: Sequence[Any]) -> MatrixPlan:
        """Return what to draw. Raises `SettingsError`."""
        comes_first, varies_seed, chosen, joint, margin = arguments
        field = "prompt" if chosen == "positive" else "negative_prompt"
        constant, *parts = getattr(body, field).split("|")
        if len(parts) > MOST_PARTS:
            hint = f"a prompt matrix has at most {MOST_PARTS} parts after the first"
            raise SettingsError("prompt", len(parts), hint)
        parts = [part.strip().strip(",") for part in parts]
        images = (body.init_images or []) if isinstance(body, Img2ImgBody) else []
        if isinstance(body, Img2ImgBody):
            check_several(body)
        fixed = fix_seeds(body).model_copy(update={"batch_size": 1, "n_iter": 1})
        bodies = []
        for number in range(2 ** len(parts)):
            chosen_parts = _select_parts(parts, number)
            words = [*chosen_parts, constant] if comes_first else [constant, *chosen_parts]
            text = (", " if joint == "comma" else " ").join(words)
            seed = fixed.seed + number * bool(varies_seed)
            changes: dict[str, object] = {field: text, "seed": seed}
            if images:  # those of a batch are drawn by turns
                changes["init_images"] = [images[number % len(images)]]
            bodies.append(fixed.model_copy(update=changes))
        return MatrixPlan(bodies, parts, margin)


@dataclass(frozen=True)
class MatrixPlan:
    """The bodies of all combinations: bit n of a number tells whether it has part n."""

    bodies: Sequence[DrawBody]
    parts: Sequence[str]
    margin: int
    keeps_pictures: bool = True

    def make_grids(self, drawn: Sequence[Sequence[Shown]]) -> list[Shown]:
        """Return the grid: the first half of the parts from left to right, the others downwards."""
        wide = (len(self.parts) + 1) // 2
        images: dict[tuple[int, ...], Image.Image] = {
            (number % 2**wide, number >> wide): arrange_grid([each.image for each in pictures])
            for number, pictures in enumerate(drawn)
            if pictures
        }
        if not images:
            return []
        halves = self.parts[:wide], self.parts[wide:]
        labels = [
            [", ".join(_select_parts(half, number)) for number in range(2 ** len(half))]
            for half in halves
        ]
        first = next(pictures[0] for pictures in drawn if pictures)
        return [Shown(draw_grid(images, labels, ["", ""], self.margin), first.infotext)]


def _select_parts(parts: Sequence[str], number: int) -> list[str]:
    return [part for bit, part in enumerate(parts) if number >> bit & 1]
