"""Settings of other programs that have no effect here, and what a user is told about them."""

from __future__ import annotations

import pytest

from diffusion.errors import SettingsError
from diffusion.infotext.grammar import parse_infotext
from diffusion.infotext.to_settings import settings_from_infotext
from diffusion.infotext.unreproduced import unreproduced_settings
from diffusion.tasks import Hires

USUAL = "Steps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1, Size: 512x512, Model: emoji"


def left(more: str) -> list[str]:
    return unreproduced_settings(parse_infotext(f"a cat\n{USUAL}{more}"))


@pytest.mark.parametrize(
    "more",
    [
        "",
        ", Version: v1.10.1, User: someone",
        ", Batch size: 4, Batch pos: 2",
        ", Face restoration: None",
        ", Hires upscale: 2, Hires upscaler: Latent (bicubic), Denoising strength: 0.5",
        ', Hashes: {"model": "0123456789"}',
        ", VAE: x, VAE hash: 1, Refiner: y [0], Refiner switch at: 0.8, Sigma churn: 1, RNG: CPU",
        ", ENSD: 31337",
        ", NGMS: 2, NGMS all steps: True, Skip Early CFG: 0.1, pag_enabled: True, pag_scale: 3",
        ", freeu_enabled: True, freeu_b1: 1.3, freeu_b2: 1.4, freeu_s1: 0.9, freeu_s2: 0.2",
        ", CFG Rescale φ: 0.7",
        ", Dynamic thresholding enabled: True, Mimic scale: 7, Threshold percentile: 100",
    ],
)
def test_nothing_is_left(more: str) -> None:
    assert left(more) == []


@pytest.mark.parametrize("sampler", ["DPM++ 2M SDE", "DPM++ SDE Karras", "dpmpp_3m_sde_gpu"])
def test_noise_along_a_path_is_named(sampler: str) -> None:
    """torchsde's Brownian tree, or ComfyUI's on the GPU, are not drawn here."""
    text = f"a cat\nSteps: 20, Sampler: {sampler}, Seed: 1, ENSD: 31337, Version: "
    (told,) = unreproduced_settings(parse_infotext(text + "v1.10.1"))
    assert told.startswith("noise of DPM++ ")
    assert unreproduced_settings(parse_infotext(text + "Avila 0.1.0")) == []


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (", Face restoration: CodeFormer", ["Face restoration: CodeFormer"]),
        (
            ", ADetailer model: face_yolov8n.pt, ADetailer confidence: 0.3, ADetailer version: 24",
            ["ADetailer (3 settings)"],
        ),
        (", Passes: 2, Lora: ink", ["Passes: 2", "Lora: ink"]),
        (
            ", Aa: 1, Bb: 1, Cc: 1, Dd: 1, Ee: 1, Ff: 1, Gg: 1",
            ["Aa: 1", "Bb: 1", "Cc: 1", "Dd: 1", "Ee: 1", "2 more"],
        ),
        (", Xx: " + "y" * 100, ["Xx: " + "y" * 55 + "…"]),
    ],
)
def test_what_is_left_is_named(more: str, told: list[str]) -> None:
    assert left(more) == told


def settings(more: str) -> tuple[int | None, int | None, Hires | None]:
    found = settings_from_infotext(f"a cat\nSteps: 20, CFG scale: 7, Seed: 1, {more}")
    return found.width, found.height, found.hires


def test_upscalers_that_are_networks_keep_their_names() -> None:
    text = "Size: 512x512, Hires upscale: 2, Hires upscaler: 4x-UltraSharp, Denoising strength: 0.3"
    assert settings(text) == (512, 512, Hires(2.0, "4x-UltraSharp", 0.3))


@pytest.mark.parametrize(
    ("text", "width", "height", "scale"),
    [
        ("Size: 1024x1024, First pass size: 512x512", 512, 512, 2.0),
        ("Size: 1024x1024, First pass size: 0x0", 512, 512, 2.0),
    ],
)
def test_sizes_of_two_passes(text: str, width: int, height: int, scale: float) -> None:
    found = settings(f"{text}, Denoising strength: 0.5, Hires upscaler: Latent")
    assert found == (width, height, Hires(scale, "Latent", 0.5))


def test_the_size_of_a_result_is_kept() -> None:
    text = "Size: 512x768, Hires resize: 1024x0, Denoising strength: 0.5, Hires upscaler: Latent"
    assert settings(text) == (512, 768, Hires(2.0, "Latent", 0.5, resize=(1024, 0)))


@pytest.mark.parametrize("text", ["First pass size: 512x512", "First pass size: 0x0"])
def test_another_shape_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="another shape"):
        settings(f"Size: 1024x640, {text}, Denoising strength: 0.5")


def test_a_line_end_after_the_settings() -> None:
    assert settings_from_infotext(f"a cat\n{USUAL}\n").prompt == "a cat"


def test_names_of_stable_diffusion_cpp() -> None:
    found = settings_from_infotext(f"a cat\n{USUAL}, RNG: cuda")
    found.check()
    assert found.rng == "cuda"


def test_an_undefined_sampler_is_the_model_s() -> None:
    text = USUAL.replace("Euler a", "Undefined")
    assert settings_from_infotext(f"a cat\n{text}").sampler is None
