"""Texts of other programs' pictures, written by hand in the forms of their public sources."""

from __future__ import annotations

import json
from typing import Any, Final

__all__ = ["COMFY", "COMFY_CUSTOM", "FOREIGN", "comfy_node"]


def comfy_node(kind: str, **inputs: Any) -> dict[str, Any]:
    """Return a node of ComfyUI's graph."""
    return {"class_type": kind, "inputs": inputs, "_meta": {"title": kind}}


COMFY: Final = {
    "3": comfy_node(
        "KSampler",
        seed=156680208700286,
        steps=20,
        cfg=8,
        sampler_name="dpmpp_2m",
        scheduler="karras",
        denoise=1,
        model=["10", 0],
        positive=["6", 0],
        negative=["7", 0],
        latent_image=["5", 0],
    ),
    "4": comfy_node("CheckpointLoaderSimple", ckpt_name="sd15.safetensors"),
    "5": comfy_node("EmptyLatentImage", width=512, height=768, batch_size=1),
    "6": comfy_node("CLIPTextEncode", text="a glass bottle, (galaxy:1.2)", clip=["11", 0]),
    "7": comfy_node("CLIPTextEncode", text="watermark", clip=["11", 0]),
    "8": comfy_node("VAEDecode", samples=["12", 0], vae=["4", 2]),
    "9": comfy_node("SaveImage", filename_prefix="ComfyUI", images=["8", 0]),
    "10": comfy_node("LoraLoader", lora_name="ink.safetensors", model=["4", 0], clip=["4", 1]),
    "11": comfy_node("CLIPSetLastLayer", stop_at_clip_layer=-2, clip=["10", 1]),
    "12": comfy_node(
        "KSampler",
        seed=1,
        steps=10,
        cfg=8,
        sampler_name="euler",
        scheduler="normal",
        denoise=0.5,
        model=["10", 0],
        positive=["6", 0],
        negative=["7", 0],
        latent_image=["13", 0],
    ),
    "13": comfy_node("LatentUpscale", width=1024, height=1536, samples=["3", 0]),
}
"""Two passes, a LoRA and a clip skip."""

COMFY_CUSTOM: Final = {
    "1": comfy_node("CheckpointLoaderSimple", ckpt_name="xl.safetensors"),
    "2": comfy_node("CLIPTextEncodeSDXL", text_g="a fox", text_l="a fox", clip=["1", 1]),
    "3": comfy_node("CLIPTextEncode", text=["14", 0], clip=["1", 1]),
    "4": comfy_node("RandomNoise", noise_seed=7),
    "5": comfy_node("CFGGuider", cfg=5.5, model=["1", 0], positive=["2", 0], negative=["3", 0]),
    "6": comfy_node("KSamplerSelect", sampler_name="euler_ancestral"),
    "7": comfy_node("BasicScheduler", scheduler="sgm_uniform", steps=["15", 0], denoise=1.0),
    "8": comfy_node("EmptyLatentImage", width=1024, height=1024, batch_size=1),
    "9": comfy_node(
        "SamplerCustomAdvanced",
        noise=["4", 0],
        guider=["5", 0],
        sampler=["6", 0],
        sigmas=["7", 0],
        latent_image=["8", 0],
    ),
    "10": comfy_node("VAEDecode", samples=["9", 0], vae=["1", 2]),
    "11": comfy_node("PreviewImage", images=["10", 0]),
    "14": comfy_node("PrimitiveString", value="blurry"),
    "15": comfy_node("INTConstant", value=12),
}
"""The sampler in parts: noise, guider, sampler, levels; values from nodes of their own."""

INVOKE: Final = {
    "app_version": "5.4.2",
    "generation_mode": "txt2img",
    "positive_prompt": "a red barn",
    "negative_prompt": "people",
    "width": 640,
    "height": 512,
    "seed": 4177542269,
    "rand_device": "cpu",
    "cfg_scale": 7.5,
    "steps": 30,
    "scheduler": "dpmpp_2m_sde_k",
    "clip_skip": 1,
    "model": {"key": "7c", "hash": "blake3:90", "name": "stable-diffusion-v1-5", "base": "sd-1"},
    "loras": [{"model": {"name": "ink"}, "weight": 0.75}],
}
INVOKE_2: Final = {
    "model": "stable diffusion",
    "model_weights": "stable-diffusion-1.5",
    "app_id": "invoke-ai/InvokeAI",
    "app_version": "2.3.0",
    "image": {
        "prompt": [{"prompt": "a red barn [people, cars]", "weight": 1}],
        "steps": 50,
        "cfg_scale": 7.5,
        "height": 512,
        "width": 640,
        "seed": 3298079,
        "seamless": False,
        "type": "txt2img",
        "sampler": "k_lms",
    },
}
SWARM: Final = {
    "sui_image_params": {
        "prompt": "a red barn",
        "negativeprompt": "people",
        "model": "OfficialStableDiffusion/sd_xl_base_1.0",
        "seed": 321,
        "steps": 20,
        "cfgscale": 7.0,
        "sampler": "dpmpp_2m",
        "scheduler": "karras",
        "width": 1024,
        "height": 768,
        "swarm_version": "0.9.4",
    },
    "sui_extra_data": {"date": "2025-01-01"},
}
FOOOCUS: Final = {
    "prompt": "a red barn",
    "full_prompt": ["cinematic still a red barn", "emotional, harmonious"],
    "negative_prompt": "people",
    "full_negative_prompt": ["people", "anime, cartoon"],
    "styles": "['Fooocus V2']",
    "performance": "Speed",
    "steps": 30,
    "resolution": "(1152, 896)",
    "guidance_scale": 4.0,
    "sharpness": 2.0,
    "base_model": "juggernautXL",
    "base_model_hash": "aeb7e9e689",
    "refiner_model": "None",
    "sampler": "dpmpp_2m_sde_gpu",
    "scheduler": "karras",
    "seed": "6456745674567456",
    "vae": "Default (model)",
    "version": "Fooocus v2.5.5",
}
EASY: Final = {
    "prompt": "a red barn",
    "negative_prompt": "people",
    "seed": "42",
    "num_inference_steps": "25",
    "guidance_scale": "7.5",
    "sampler_name": "euler_a",
    "use_stable_diffusion_model": "sd-v1-4",
    "use_vae_model": "None",
    "width": "512",
    "height": "640",
}
NOVEL: Final = {
    "steps": 28,
    "sampler": "k_euler_ancestral",
    "seed": 2537223543,
    "strength": 0.7,
    "noise": 0.2,
    "scale": 11.0,
    "uc": "lowres",
}

Expected = dict[str, str]

FOREIGN: Final[dict[str, tuple[dict[str, str], str, str, Expected]]] = {
    "comfyui": (
        {"prompt": json.dumps(COMFY), "workflow": "{}"},
        "a glass bottle, (galaxy:1.2)",
        "watermark",
        {
            "Steps": "20",
            "Sampler": "dpmpp_2m",
            "Schedule type": "karras",
            "CFG scale": "8",
            "Seed": "156680208700286",
            "Size": "512x768",
            "Model": "sd15.safetensors",
            "Clip skip": "2",
            "RNG": "CPU",
            "Emphasis": "No norm",
            "Passes": "2",
            "Lora": "ink.safetensors",
            "Version": "ComfyUI",
        },
    ),
    "comfyui in parts": (
        {"prompt": json.dumps(COMFY_CUSTOM)},
        "a fox",
        "blurry",
        {
            "Steps": "12",
            "Sampler": "euler_ancestral",
            "Schedule type": "sgm_uniform",
            "CFG scale": "5.5",
            "Seed": "7",
            "Size": "1024x1024",
            "Model": "xl.safetensors",
            "RNG": "CPU",
            "Emphasis": "No norm",
            "Version": "ComfyUI",
        },
    ),
    "invokeai": (
        {"invokeai_metadata": json.dumps(INVOKE), "invokeai_graph": "{}"},
        "a red barn",
        "people",
        {
            "Steps": "30",
            "Sampler": "dpmpp_2m_sde",
            "Schedule type": "Karras",
            "CFG scale": "7.5",
            "Seed": "4177542269",
            "Size": "640x512",
            "Model": "stable-diffusion-v1-5",
            "Clip skip": "2",
            "RNG": "CPU",
            "loras": "used",
            "Version": "InvokeAI",
        },
    ),
    "invokeai 2": (
        {"sd-metadata": json.dumps(INVOKE_2), "Dream": "…"},
        "a red barn",
        "people, cars",
        {
            "Steps": "50",
            "Sampler": "k_lms",
            "CFG scale": "7.5",
            "Seed": "3298079",
            "Size": "640x512",
            "Model": "stable-diffusion-1.5",
            "Version": "InvokeAI",
        },
    ),
    "invokeai 1": (
        {"Dream": '"a \\"red\\" barn [people]" -s 50 -S 3298079 -W 640 -H 512 -C 7.5 -A k_lms'},
        'a "red" barn',
        "people",
        {
            "Steps": "50",
            "Sampler": "k_lms",
            "CFG scale": "7.5",
            "Seed": "3298079",
            "Size": "640x512",
            "Version": "InvokeAI",
        },
    ),
    "swarmui": (
        {"parameters": json.dumps(SWARM)},
        "a red barn",
        "people",
        {
            "Steps": "20",
            "Sampler": "dpmpp_2m",
            "Schedule type": "karras",
            "CFG scale": "7",
            "Seed": "321",
            "Size": "1024x768",
            "Model": "OfficialStableDiffusion/sd_xl_base_1.0",
            "RNG": "CPU",
            "Version": "SwarmUI",
        },
    ),
    "fooocus": (
        {"parameters": json.dumps(FOOOCUS), "fooocus_scheme": "fooocus"},
        "cinematic still a red barn, emotional, harmonious",
        "people, anime, cartoon",
        {
            "Steps": "30",
            "Sampler": "dpmpp_2m_sde_gpu",
            "Schedule type": "karras",
            "CFG scale": "4",
            "Seed": "6456745674567456",
            "Size": "1152x896",
            "Model": "juggernautXL",
            "Model hash": "aeb7e9e689",
            "Performance": "Speed",
            "Styles": "['Fooocus V2']",
            "Sharpness": "2",
            "Version": "Fooocus",
        },
    ),
    "easy diffusion": (
        EASY,
        "a red barn",
        "people",
        {
            "Steps": "25",
            "Sampler": "euler_a",
            "CFG scale": "7.5",
            "Seed": "42",
            "Size": "512x640",
            "Model": "sd-v1-4",
            "Version": "Easy Diffusion",
        },
    ),
    "novelai": (
        {"Software": "NovelAI", "Description": "a red barn", "Comment": json.dumps(NOVEL)},
        "a red barn",
        "lowres",
        {
            "Steps": "28",
            "Sampler": "euler_a",
            "CFG scale": "11",
            "Seed": "2537223543",
            "Size": "24x16",
            "Version": "NovelAI",
        },
    ),
}
"""Texts of a picture of 24 by 16 pixels, its prompt, its negative prompt and its settings."""
