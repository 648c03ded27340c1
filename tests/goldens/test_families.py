"""The golden files of the families fit their cases and weights."""

import numpy as np
import pytest

from tests.goldens import weights
from tests.goldens.families import (
    FAMILIES,
    RUN_CASES,
    TEXT_CASES,
    TINY_VAE_CASES,
    UNET_CASES,
)
from tests.goldens.family_folders import parameters, read_families
from tests.goldens.loader import load

every_part = pytest.mark.parametrize(
    ("model", "part"),
    [(model, part) for model, family in FAMILIES.items() for part in family.parts],
)


@every_part
def test_weights_are_those_that_pytorch_had(model: str, part: str) -> None:
    drawn = parameters(model, part)
    assert weights.digest(drawn) == read_families()[model][part]["digest"]
    for array in drawn.values():
        np.testing.assert_array_equal(array.astype(np.float16).astype(np.float32), array)


def test_arrays_fit_their_cases() -> None:
    arrays = load("families")
    names = {case.name for case in UNET_CASES} | {"refined/latents", "refined/image"}
    names |= {f"{case.name}/{kind}" for case in TINY_VAE_CASES for kind in ("latents", "decoded")}
    kinds = ("sigmas", "latents", "image")
    names |= {f"{case.name}/{kind}" for case in RUN_CASES for kind in kinds}
    names |= {f"{case.name}/context" for case in TEXT_CASES}
    names |= {f"{case.name}/pooled" for case in TEXT_CASES if case.model.startswith("xl")}
    assert set(arrays) == names
    for name, array in arrays.items():
        assert np.isfinite(array).all(), name
    for case in RUN_CASES:
        steps = case.steps - case.skipped
        shape = (steps, *case.initial_noise().shape)
        assert arrays[f"{case.name}/latents"].shape == shape
        assert arrays[f"{case.name}/sigmas"].shape == (case.steps + 1,)


def test_runs_differ_where_their_cases_do() -> None:
    """A test against one case fails on the results of another, far beyond its tolerance."""
    arrays = load("families")
    for index, case in enumerate(RUN_CASES):
        for other in RUN_CASES[:index]:
            ours, theirs = (arrays[f"{each.name}/latents"][-1] for each in (case, other))
            if ours.shape == theirs.shape:
                assert np.linalg.norm(ours - theirs) > 1e-2 * np.linalg.norm(theirs), (case, other)
