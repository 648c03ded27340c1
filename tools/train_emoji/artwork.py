"""The pictures of the three art packages as 256 x 256 RGBA, and their dominant hue."""

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tools.train_emoji.concepts import code_of

SIDE = 256
_WINDOW = 36.0  # degrees to each side that count as one hue


@dataclass(frozen=True)
class Hue:
    """The colour of a picture.

    ``hue``: the dominant one in degrees, -1 for none. ``share``: of the opaque area within 36
    degrees of it. ``coloured``: the share of the opaque area that has colour at all. ``opaque``:
    the share of the picture that is opaque.
    """

    hue: float
    share: float
    coloured: float
    opaque: float


class Fluent3D:
    """Microsoft's 3D art: one WebP an emoji, named by its code points."""

    def __init__(self, package: Path) -> None:
        self._files = {code_of(path.stem): path for path in package.glob("assets/*.webp")}

    def __contains__(self, code: str) -> bool:
        return code in self._files

    def webp(self, code: str) -> bytes:
        """Return the file's SVG, made 256 pixels wide if it is not."""
        raw = self._files[code].read_bytes()
        picture = Image.open(io.BytesIO(raw)).convert("RGBA")
        if picture.size == (SIDE, SIDE):
            return raw
        return _webp(picture.resize((SIDE, SIDE), Image.Resampling.LANCZOS))


class IconSet:
    """An Iconify package: SVG bodies in `icons.json`, names by code points in `chars.json`."""

    def __init__(self, package: Path, side: int) -> None:
        self._set: Mapping[str, Any] = json.loads((package / "icons.json").read_text("utf-8"))
        names = json.loads((package / "chars.json").read_text("utf-8"))
        self._names = {code_of(code): name for code, name in names.items()}
        self._side = side

    def __contains__(self, code: str) -> bool:
        return code in self._names and self._icon(self._names[code]) is not None

    def webp(self, code: str) -> bytes:
        """Draw the SVG at this set's size in the middle of a transparent picture."""
        icon = self._icon(self._names[code])
        if icon is None:
            raise KeyError(f"no icon for {code} in this set")
        import resvg_py  # here, so that all else in this file works without it

        svg = _document(self._set, icon)
        png = bytes(resvg_py.svg_to_bytes(svg_string=svg, width=self._side, height=self._side))
        drawn = Image.open(io.BytesIO(png)).convert("RGBA")
        page = Image.new("RGBA", (SIDE, SIDE), (0, 0, 0, 0))
        page.paste(drawn, ((SIDE - drawn.width) // 2, (SIDE - drawn.height) // 2))
        pixels = np.array(page)
        pixels[pixels[..., 3] == 0] = 0
        return _webp(Image.fromarray(pixels))

    def _icon(self, name: str) -> Mapping[str, Any] | None:
        """Return the icon, also by an alias that is only another name."""
        icon: Mapping[str, Any] | None = self._set["icons"].get(name)
        alias = self._set.get("aliases", {}).get(name)
        if icon is None and alias is not None and set(alias) == {"parent"}:
            return self._icon(alias["parent"])
        return icon


def _document(defaults: Mapping[str, Any], icon: Mapping[str, Any]) -> str:
    """Return an SVG file around an icon's body (Iconify JSON: sizes default to the set's, 16)."""
    width = icon.get("width", defaults.get("width", 16))
    height = icon.get("height", defaults.get("height", 16))
    box = f"{icon.get('left', 0)} {icon.get('top', 0)} {width} {height}"
    names = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
    size = f'viewBox="{box}" width="{width}" height="{height}"'
    return f"<svg {names} {size}>{icon['body']}</svg>"


def _webp(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "WEBP", lossless=True, quality=60, method=4)
    return buffer.getvalue()


def dominant_hue(webp: bytes) -> Hue | None:
    """Return the colour by which a picture may be recoloured; None for almost no pixels."""
    pixels = np.asarray(Image.open(io.BytesIO(webp)).convert("RGBA"))
    opaque = pixels[..., 3] > 128
    if opaque.sum() < 50:
        return None
    rgb = pixels[opaque][:, :3].astype(np.float32) / 255
    value = rgb.max(1)
    saturation = (value - rgb.min(1)) / np.maximum(value, 1e-6)
    coloured = (saturation > 0.22) & (value > 0.2)
    shares = (float(coloured.mean()), float(opaque.mean()))
    if coloured.sum() < 0.1 * len(rgb):
        return Hue(-1.0, 0.0, *(round(share, 3) for share in shares))
    hue, count = _strongest(_hues(rgb[coloured]))
    return Hue(round(hue, 1), *(round(s, 3) for s in (count / len(rgb), *shares)))


def _hues(rgb: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the hues in degrees of coloured pixels (n, 3)."""
    red, green, blue = rgb.T
    value, spread = rgb.max(1), rgb.max(1) - rgb.min(1)
    warm = np.where(value == green, (blue - red) / spread + 2, (red - green) / spread + 4)
    turned: NDArray[np.float32] = np.where(value == red, ((green - blue) / spread) % 6, warm)
    return turned * 60


def _strongest(hues: NDArray[np.float32]) -> tuple[float, int]:
    """Return the centre of the fullest window of hues (its circular mean), and its pixels."""
    counts = np.histogram(hues, bins=36, range=(0, 360))[0].astype(float)
    around = np.concatenate([counts[-3:], counts, counts[:3]])
    centre = np.deg2rad(int(np.convolve(around, np.ones(7), "valid").argmax()) * 10 + 5)
    distance = np.angle(np.exp(1j * (np.deg2rad(hues) - centre)))
    inside = np.abs(distance) < np.deg2rad(_WINDOW)
    mean = centre + distance[inside].mean()
    return float(np.rad2deg(mean % (2 * np.pi))), int(inside.sum())
