"""Choices about guidance in texts of other tools."""

from __future__ import annotations

import pytest

from diffusion.errors import SettingsError
from diffusion.infotext.to_settings import settings_from_infotext
from diffusion.tasks import (
    DeepCache,
    FreeU,
    GuidanceOptions,
    HyperTile,
    SelfAttentionGuidance,
    Thresholding,
    TokenMerging,
)

USUAL = "a cat\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1, Size: 512x512, "


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("RNG: NV", GuidanceOptions()),
        ("CFG Rescale φ: 0.7", GuidanceOptions(rescale=0.7)),
        ("CFG Rescale: 0.5", GuidanceOptions(rescale=0.5)),
        ("NGMS: 2.5", GuidanceOptions(skip_below=2.5)),
        ("NGMS: 2.5, NGMS all steps: True", GuidanceOptions(skip_below=2.5, skip_all=True)),
        ("Skip Early CFG: 0.1", GuidanceOptions(skip_early=0.1)),
        ("pag_enabled: True, pag_scale: 3", GuidanceOptions(perturbed=3.0)),
        ("pag_enabled: False, pag_scale: 3", GuidanceOptions()),
        (
            "freeu_enabled: True, freeu_b1: 1.01, freeu_b2: 1.02, freeu_s1: 0.99, freeu_s2: 0.95",
            GuidanceOptions(freeu=FreeU(1.01, 1.02, 0.99, 0.95)),
        ),
        ("freeu_enabled: False, freeu_b1: 1.01", GuidanceOptions()),
        (
            "sag_enabled: True, sag_scale: 0.6, sag_blur_sigma: 1.5",
            GuidanceOptions(self_attention=SelfAttentionGuidance(0.6, 1.5)),
        ),
        ("sag_enabled: False, sag_scale: 0.6", GuidanceOptions()),
        ("Token merging ratio: 0.5", GuidanceOptions(merging=TokenMerging(0.5))),
        (
            "Token merging ratio: 0.2, Token merging ratio hr: 0.4",
            GuidanceOptions(merging=TokenMerging(0.2, 0.4)),
        ),
        ("Token merging ratio hr: 0.4", GuidanceOptions(merging=TokenMerging(0.0, 0.4))),
        ("Token merging ratio: 0", GuidanceOptions()),
        (
            (
                "Hypertile U-Net: True, Hypertile U-Net max depth: 2, "
                "Hypertile U-Net max tile size: 64, Hypertile U-Net swap size: 12"
            ),
            GuidanceOptions(tiles=HyperTile(64, 12, 2)),
        ),
        ("DeepCache interval: 3", GuidanceOptions(cache=DeepCache(3))),
        (
            "Dynamic thresholding enabled: True, Mimic scale: 6, Threshold percentile: 99.5",
            GuidanceOptions(thresholding=Thresholding(6.0, 0.995)),
        ),
        (
            (
                "Dynamic thresholding enabled: True, Mimic scale: 7, "
                "Separate Feature Channels: False, "
                "Scaling Startpoint: ZERO, Variability Measure: STD, Interpolate Phi: 0.5, "
                "Threshold percentile: 100"
            ),
            GuidanceOptions(
                thresholding=Thresholding(
                    7.0, 1.0, separate_channels=False, startpoint="zero", measure="STD", share=0.5
                )
            ),
        ),
    ],
)
def test_texts_of_other_tools(text: str, expected: GuidanceOptions) -> None:
    assert settings_from_infotext(USUAL + text).guidance_options == expected


@pytest.mark.parametrize(
    "text",
    [
        "NGMS: many",
        "NGMS all steps: 1",
        "CFG Rescale φ: " + "9" * 99,
        "Dynamic thresholding enabled: yes",
        "Dynamic thresholding enabled: True, Scaling Startpoint: END",
        "Dynamic thresholding enabled: True, Variability Measure: MAD",
        "freeu_enabled: True, freeu_version: 3",
    ],
)
def test_values_of_another_type_are_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="this is not a value of this field"):
        settings_from_infotext(USUAL + text)


@pytest.mark.parametrize("text", ["NGMS: -1", "pag_enabled: True, pag_scale: nan"])
def test_values_out_of_range_are_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="must be a number from 0"):
        settings_from_infotext(USUAL + text).check()
