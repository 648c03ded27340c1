"""Colours of another picture: against the libraries that AUTOMATIC1111 calls, and by itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from diffusion.tasks import InitImage, Inpaint
from diffusion.tasks.colour_matching import (
    colours_of,
    lab_levels,
    match_colours,
    match_levels,
    with_luma,
)
from tests.goldens.colour_cases import COLOUR_CASES
from tests.goldens.loader import load

LUMA = np.array([0.299, 0.587, 0.114])


STEPS = ("own", "wanted", "moved", "colours", "result")


def levels(image: Any) -> NDArray[np.int64]:
    return np.asarray(image).round().astype(np.int64)


def difference(ours: Any, theirs: Any) -> NDArray[np.int64]:
    return np.abs(levels(ours) - levels(theirs))


@pytest.mark.parametrize("name", COLOUR_CASES)
def test_each_step_is_that_of_the_webui_s_libraries(name: str) -> None:
    """OpenCV's 8-bit L*a*b* is in integers, which round otherwise than CIE's formulas.

    So a level is one away, in either direction of the conversion, and two in dark colours, where a
    level of L*a*b* is some two of RGB. Matching has no such rounding, and the blend one of its own.
    """
    case, steps = COLOUR_CASES[name], {key: load("colours")[f"{name}/{key}"] for key in STEPS}
    for image, key in ((case.drawn, "own"), (case.other, "wanted")):
        assert difference(lab_levels(image), steps[key]).max() <= 1
    own, wanted = steps["own"], steps["wanted"]
    moved = [match_levels(own[..., i], wanted[..., i]) for i in range(3)]
    assert np.array_equal(np.stack(moved, axis=2), steps["moved"])
    colours = colours_of(steps["moved"])
    assert difference(colours * 255, steps["colours"]).max() <= 2
    luma = levels(case.drawn) @ LUMA / 255
    mixed = with_luma(np.float32(steps["colours"] / 255), luma.astype(np.float32))
    assert difference(np.round(mixed * 255), steps["result"]).max() <= 1


@pytest.mark.parametrize("name", COLOUR_CASES)
def test_the_whole_is_that_of_the_webui_s_libraries(name: str) -> None:
    """A level of L*a*b* that is one away may cross a gap of the histogram, with all its pixels.

    These are few. Without the matching, half of all values are 12 or more away.
    """
    case, expected = COLOUR_CASES[name], load("colours")[f"{name}/result"]
    assert np.median(difference(case.drawn, expected)) >= 12
    away = difference(match_colours(case.drawn, case.other), expected)
    assert np.quantile(away, 0.9) <= 2
    assert np.quantile(away, 0.98) <= 5


def test_the_luma_stays_where_colours_have_room() -> None:
    case = COLOUR_CASES["other-size"]
    before, after = (
        levels(each) @ LUMA for each in (case.drawn, match_colours(case.drawn, case.other))
    )
    assert np.abs(before - after).max() <= 0.51  # half a level of rounding, in each channel


def test_levels_that_are_as_wanted_stay() -> None:
    own = lab_levels(COLOUR_CASES["same-size"].drawn)[..., 1]
    assert np.array_equal(match_levels(own, own), own)


@pytest.mark.parametrize("colour", ["black", "white", "red"])
def test_colours_at_the_ends(colour: str) -> None:
    """A grey picture stays what it is beside black and white, and takes red's hue from red."""
    ramp = np.tile(np.arange(256, dtype=np.uint8)[:, None, None], (1, 4, 3))
    found = levels(match_colours(Image.fromarray(ramp), Image.new("RGB", (5, 5), colour)))
    assert np.abs(found @ LUMA - ramp.astype(np.int64) @ LUMA).max() <= 1
    spread = found.max(axis=2) - found.min(axis=2)
    if colour == "red":
        assert np.all(found[1:-1, :, 0] > found[1:-1, :, 1])
    else:
        assert spread.max() <= 1


def test_only_what_is_drawn_is_matched() -> None:
    """With a mask, the pixels outside of it are the picture's own."""
    image = COLOUR_CASES["same-size"].drawn
    mask = Image.new("L", image.size)
    mask.paste(255, (0, 0, 20, 24))
    start = InitImage(image, inpaint=Inpaint(mask, blur=0), keep_colours=True)
    drawn = COLOUR_CASES["same-size"].other
    found = levels(start.prepare(image.size).compose(drawn))
    assert np.array_equal(found[:, 20:], levels(image)[:, 20:])
    assert np.array_equal(found[:, :20], levels(match_colours(drawn, image))[:, :20])
    plain = levels(InitImage(image).prepare(image.size).compose(drawn))
    assert np.array_equal(plain, levels(drawn))
