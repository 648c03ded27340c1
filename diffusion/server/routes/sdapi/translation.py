"""From AUTOMATIC1111's requests to jobs. What cannot be done is refused with a sentence."""

from __future__ import annotations

import base64
import io
from typing import Any, Final

from PIL import Image

from diffusion.adapters.tags import remove_tags
from diffusion.errors import SettingsError, quote
from diffusion.images import decode_image, to_mask
from diffusion.samplers import find_sampler_and_schedule
from diffusion.server.errors import NotBuiltError, NotFoundError, RefusedError
from diffusion.server.jobs.guidance_request import (
    DeepCacheRequest,
    GuidanceRequest,
    HyperTileRequest,
    TokenMergingRequest,
)
from diffusion.server.jobs.request import (
    HiresRequest,
    InitImageRequest,
    InpaintRequest,
    JobRequest,
    RefinerRequest,
    SamplingRequest,
    VariationRequest,
    WorkLimits,
)
from diffusion.server.pictures import read_upload
from diffusion.server.routes.sdapi import controlnet
from diffusion.server.routes.sdapi.guidance_scripts import (
    GUIDANCE_SCRIPTS,
    find_script,
    script_guidance,
)
from diffusion.server.routes.sdapi.option_values import USUAL_ORDER, OptionValues
from diffusion.server.routes.sdapi.requests import DrawBody, Img2ImgBody, Txt2ImgBody
from diffusion.server.routes.sdapi.scripts import check_several, fix_seeds
from diffusion.settings import random_seed

__all__ = ["check_body", "img2img_job", "split_pictures", "txt2img_job"]

RESIZE_MODES: Final = ("stretch", "crop", "fill", "latent")
CONTENTS: Final = ("fill", "original", "latent_noise", "latent_nothing")
DEFAULT_STRENGTH: Final = 0.75
_NO_MODEL: Final = (None, "", "None", "Use same checkpoint")


def check_body(body: DrawBody, options: OptionValues) -> None:
    """Check what needs no picture of a request. Raises `SettingsError` and `ServerError`."""
    _shared_fields(body, options)


def txt2img_job(body: Txt2ImgBody, options: OptionValues) -> JobRequest:
    """Return the job of a ``txt2img`` request. Raises `SettingsError` and `ServerError`."""
    fields = _shared_fields(body, options) | _first_size(body)
    if body.enable_hr:
        fields["hires"] = _hires(body)
    return JobRequest(**fields)


def img2img_job(body: Img2ImgBody, options: OptionValues) -> JobRequest:
    """Return the job of an ``img2img`` request. Raises `SettingsError` and `ServerError`.

    It decodes pictures, so call it on a thread.
    """
    _check_picture_fields(body)
    assert body.init_images, "they are checked"
    image, inpaint = body.init_images[0], None  # the job checks it, and writes it anew
    if body.mask is not None:
        image = read_upload(image, "init_images")
        inpaint = _inpaint(body, body.mask, image)
    strength = DEFAULT_STRENGTH if body.denoising_strength is None else body.denoising_strength
    chosen, noise = options.override(body.override_settings or {}), body.initial_noise_multiplier
    is_latent = RESIZE_MODES[body.resize_mode] == "latent"
    init_image = InitImageRequest(
        image=image,
        strength=strength,
        resize=RESIZE_MODES[body.resize_mode],
        inpaint=inpaint,
        upscaler=None if inpaint is not None or is_latent else chosen.img2img_upscaler,
        noise=chosen.noise_multiplier if noise is None else noise,
        keep_colours=chosen.keep_colours,
    )
    return JobRequest(**_shared_fields(body, options), init_image=init_image)


def split_pictures(body: Img2ImgBody, limits: WorkLimits) -> list[Img2ImgBody]:
    """Return a body for each picture to draw, where a request has several init images.

    As in AUTOMATIC1111 they are the batch, at most ``batch_size`` of them, which is drawn
    ``n_iter`` times, and the seed counts on from picture to picture. Raises `RefusedError`.
    """
    images = body.init_images or []
    if len(images) <= 1:
        return [body]
    check_several(body)
    count = len(images) * body.n_iter
    if count > limits.count:
        raise RefusedError(f"{count} pictures are more than this server draws, {limits.count}")
    fixed = fix_seeds(body)
    return [_part(fixed, images[number % len(images)], number) for number in range(count)]


def _part(body: Img2ImgBody, image: str, number: int) -> Img2ImgBody:
    """Return the body of one picture; with a variation its seed alone counts on, as elsewhere."""
    first = body.seed if body.subseed_strength else body.seed + number
    changes: dict[str, object] = {
        "init_images": [image],
        "batch_size": 1,
        "n_iter": 1,
        "seed": first % 2**64,
        "subseed": (body.subseed + number) % 2**64,
    }
    return body.model_copy(update=changes)


def _check_picture_fields(body: Img2ImgBody) -> None:
    """Raise `ServerError` for a missing picture, or a field whose feature is missing."""
    if not body.init_images:
        raise NotFoundError("Init image not found: send one in init_images")


def _require(condition: bool, feature: str) -> None:
    """Raise `NotBuiltError` unless the condition holds."""
    if not condition:
        raise NotBuiltError(f"this server does not do {feature} yet; leave it out")


def _shared_fields(body: DrawBody, options: OptionValues) -> dict[str, Any]:
    """Return the fields of a job that both kinds of requests have."""
    _refuse_missing(body)
    chosen = options.override(body.override_settings or {})
    sampler = body.sampler_name or body.sampler_index or "Euler"
    found, _ = find_sampler_and_schedule(sampler)
    count = body.batch_size * body.n_iter
    return {
        "prompt": remove_tags(body.prompt) if body.disable_extra_networks else body.prompt,
        "negative": body.negative_prompt,
        "model": chosen.model,
        "vae": chosen.chosen_vae,
        "refiner": _refiner(body),
        "width": body.width,
        "height": body.height,
        "steps": body.steps,
        "guidance": body.cfg_scale,
        "sampler": sampler,
        "schedule": _schedule(body.scheduler),
        "seed": None if body.seed < 0 else body.seed,
        "count": count,
        "batch": body.batch_size,
        # A sampler without this option ignores it there; clients send 1 with every one.
        "eta": body.eta if found.eta is not None else None,
        "clip_skip": chosen.clip_skip,
        "rng": chosen.rng,
        "seamless": "xy" if body.tiling else "",
        "variation": _variation(body),
        "sampling": _sampling(body, chosen),
        "guidance_options": _guidance(body, chosen),
        "controls": controlnet.unit_controls(body.alwayson_scripts, crops=_crops(body)),
        "image_prompts": controlnet.unit_prompts(body.alwayson_scripts),
        "preview_every": chosen.chosen_previews,
    }


def _guidance(body: DrawBody, chosen: OptionValues) -> GuidanceRequest:
    """Return the choices about guidance: those of options, then those of scripts."""
    tiles = HyperTileRequest(
        tile=chosen.tile, swap=max(1, chosen.tile_swap), depth=chosen.tile_depth
    )
    cache = DeepCacheRequest(interval=max(1, chosen.cache_interval), branch=chosen.cache_branch)
    fields: dict[str, Any] = {
        "skip_below": chosen.skip_below if body.s_min_uncond is None else body.s_min_uncond,
        "skip_all": chosen.skip_all,
        "skip_early": chosen.skip_early,
        "merging": _merging(body, chosen),
        "tiles": tiles if chosen.tiles else None,
        "cache": cache if chosen.cache else None,
        **script_guidance(body.alwayson_scripts),
    }
    return GuidanceRequest(**fields)


def _merging(body: DrawBody, chosen: OptionValues) -> TokenMergingRequest | None:
    """Return the merging of tokens; image to image may have a ratio of its own, as there."""
    own = chosen.merging_img2img if isinstance(body, Img2ImgBody) else 0.0
    if "token_merging_ratio" in (body.override_settings or {}):
        own = 0.0
    ratio = own or chosen.merging
    if not (ratio or chosen.merging_hires):
        return None
    return TokenMergingRequest(ratio=ratio, hires=chosen.merging_hires)


def _refiner(body: DrawBody) -> RefinerRequest | None:
    """Return the model of the last steps; without a switch it makes all of them, as there."""
    switch = body.refiner_switch_at or 0.0
    if not 0 <= switch <= 1:
        hint = "must be a share of the steps, from 0 to 1"
        raise SettingsError("refiner_switch_at", switch, hint)
    if body.refiner_checkpoint in _NO_MODEL or switch == 1:
        return None
    return RefinerRequest(model=body.refiner_checkpoint, switch=switch)


def _crops(body: DrawBody) -> bool:
    """Tell whether a part of a picture is drawn alone."""
    return isinstance(body, Img2ImgBody) and body.mask is not None and body.inpaint_full_res


def _refuse_missing(body: DrawBody) -> None:
    """Raise `ServerError` for a field whose feature is missing, or a script."""
    _require(not body.restore_faces, "restore_faces")
    for name in body.alwayson_scripts:
        if name.casefold() != controlnet.NAME and find_script(name) is None:
            names = [controlnet.NAME, *(each.title for each in GUIDANCE_SCRIPTS)]
            known = f"this server has {', '.join(names)}"
            raise RefusedError(f"always on script {quote(name)} not found; {known}")


def _schedule(name: str | None) -> str | None:
    """Return a schedule; None, which lets a sampler's name hold one, for "Automatic"."""
    return None if name is None or name.casefold() == "automatic" else name


def _variation(body: DrawBody) -> VariationRequest | None:
    resize = [body.seed_resize_from_w, body.seed_resize_from_h]
    given = min(resize) > 0
    if not body.subseed_strength and not given:
        return None
    seed = body.subseed if body.subseed >= 0 else random_seed()
    size = resize if given else None
    return VariationRequest(seed=seed, strength=body.subseed_strength, resize_from=size)


def _sampling(body: DrawBody, chosen: OptionValues) -> SamplingRequest:
    """Return the choices about sampling, without those that have AUTOMATIC1111's defaults.

    There 0 stands for no upper end of the noise levels.
    """
    return SamplingRequest(
        s_churn=body.s_churn or None,
        s_tmin=body.s_tmin or None,
        s_tmax=body.s_tmax or None,
        s_noise=None if body.s_noise in (None, 1) else body.s_noise,
        sigma_min=chosen.sigma_min or None,
        sigma_max=chosen.sigma_max or None,
        rho=chosen.rho or None,
        order=None if chosen.order == USUAL_ORDER else chosen.order,
        noise_seed_delta=chosen.noise_seed_delta or None,
    )


def _first_size(body: Txt2ImgBody) -> dict[str, int]:
    """Return the size that AUTOMATIC1111 draws instead of ``width`` and ``height``, if any.

    The second pass starts from it: ``hr_scale`` is a factor of these sides. Raises `SettingsError`.
    """
    width, height = body.firstphase_width, body.firstphase_height
    if not (width or height):
        return {}
    for name, side in (("firstphase_width", width), ("firstphase_height", height)):
        if side <= 0:
            raise SettingsError(name, side, "give both sides of the first pass, or neither")
    return {"width": width, "height": height}


def _hires(body: Txt2ImgBody) -> HiresRequest:
    strength = DEFAULT_STRENGTH if body.denoising_strength is None else body.denoising_strength
    resize = [body.hr_resize_x, body.hr_resize_y]
    return HiresRequest(
        scale=body.hr_scale,
        resize=resize if any(resize) else None,
        upscaler=body.hr_upscaler or "Latent",
        strength=strength,
        steps=body.hr_second_pass_steps or None,
        sampler=_unless_same(body.hr_sampler_name, "Use same sampler"),
        schedule=_unless_same(body.hr_scheduler, "Use same scheduler"),
        prompt=body.hr_prompt or None,
        negative=body.hr_negative_prompt or None,
        first=body.firstpass_image or None,
        model=None if body.hr_checkpoint_name in _NO_MODEL else body.hr_checkpoint_name,
    )


def _unless_same(name: str | None, same: str) -> str | None:
    return None if name in (None, "", same) else name


def _inpaint(body: Img2ImgBody, mask: str, image: str) -> InpaintRequest | None:
    """Return the part to draw anew, with the mask at the size of the ``image`` (both base64).

    None, so that all is drawn anew, for a mask without a part to cut out, as in AUTOMATIC1111.
    """
    blur, blur_down = body.mask_blur_x, body.mask_blur_y
    if body.mask_blur is not None:
        blur = blur_down = body.mask_blur
    clean = read_upload(mask, "mask")
    if body.inpaint_full_res and _is_blank(clean, 255 if body.inpainting_mask_invert else 0):
        return None
    return InpaintRequest(
        mask=_resize_mask(clean, image),
        blur=float(blur),
        invert=bool(body.inpainting_mask_invert),
        content=CONTENTS[body.inpainting_fill],
        area="masked" if body.inpaint_full_res else "whole",
        padding=body.inpaint_full_res_padding,
        blur_down=None if blur == blur_down else float(blur_down),
        soft=not body.mask_round,
    )


def _is_blank(mask: str, level: int) -> bool:
    """Tell whether a mask (PNG as base64) has one level throughout, as it is read."""
    opened = decode_image(base64.b64decode(mask), "mask")
    return to_mask(opened).getextrema() == (level, level)


def _resize_mask(mask: str, image: str) -> str:
    with (
        Image.open(io.BytesIO(base64.b64decode(mask)), formats=["PNG"]) as given,
        Image.open(io.BytesIO(base64.b64decode(image)), formats=["PNG"]) as opened,
    ):
        if given.size == opened.size:
            return mask
        file = io.BytesIO()
        given.resize(opened.size, Image.Resampling.NEAREST).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()
