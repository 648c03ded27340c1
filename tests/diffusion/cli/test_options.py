"""Tables of all options of drawing: the setting that each makes, and what it refuses."""

from __future__ import annotations

import functools
import shlex
from operator import attrgetter
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.main import get_command

from diffusion.cli.program import app
from diffusion.tasks import DeepCache, HyperTile, TokenMerging
from gpucore import f32
from tests.diffusion.cli.fake_pipeline import FakePipeline, exit_status, file_names, run

Rows = list[tuple[str, str, Any]]

COMMANDS = {
    "txt2img": "txt2img a --seed 1",
    "img2img": "img2img in.png a --seed 1",
    "inpaint": "inpaint in.png a --mask mask.png --seed 1",
    "upscale": "upscale in.png --scale 1 --seed 1",
}

DRAWING: Rows = [
    ("", "negative", ""),
    ("--negative b", "negative", "b"),
    ("--seed 5", "seed", 5),
    ("", "count", 1),
    ("--count 2", "count", 2),
    ("--count 3", "batch", 3),
    ("--count 2 --batch 2", "batch", 2),
    ("", "steps", 3),
    ("--steps 4", "steps", 4),
    ("", "guidance", 7.0),
    ("--guidance 2.5", "guidance", 2.5),
    ("", "sampler", "dpmpp_2m"),
    ("--sampler euler_a", "sampler", "euler_a"),
    ("", "schedule", "automatic"),
    ("--schedule karras", "schedule", "karras"),
    ("", "eta", None),
    ("--eta 0.5", "eta", 0.5),
    ("", "emphasis", "original"),
    ("--emphasis no_norm", "emphasis", "no_norm"),
    ("", "clip_skip", 1),
    ("--clip-skip 2", "clip_skip", 2),
    ("", "rng", "nv"),
    ("--rng CPU", "rng", "CPU"),
    ("", "sampling.order", None),
    ("--set order=3 --set s_churn=10", "sampling.order", 3),
    ("--set order=3 --set s_churn=10", "sampling.s_churn", 10.0),
    ("--set s_noise=0.9", "sampling.s_noise", 0.9),
    ("--set sigma-max=9.5", "sampling.sigma_max", 9.5),
    ("", "zero_snr", False),
    ("--zero-snr", "zero_snr", True),
    ("--no-zero-snr", "zero_snr", False),
    ("", "seamless", ""),
    ("--seamless xy", "seamless", "xy"),
    ("--seamless y", "seamless", "y"),
    ("--seamless off", "seamless", ""),
    ("", "vae_tiling", "auto"),
    ("--vae-tiling on", "vae_tiling", "on"),
    ("", "variation", None),
    ("--variation 0.25", "variation.strength", 0.25),
    ("--variation 0.25 --variation-seed 30", "variation.seed", 30),
    ("--seed-resize 64x32", "variation.resize_from", (64, 32)),
]
TXT2IMG: Rows = [
    ("", "prompt", "a"),
    ("", "width", 16),
    ("", "height", 24),
    ("--size 64x32", "width", 64),
    ("--size 64X32", "height", 32),
    ("", "hires", None),
    ("--hires 1.5", "hires.scale", 1.5),
    ("--hires-resize 128x96", "hires.resize", (128, 96)),
    ("--hires 2 --hires-resize 0x96", "hires.resize", (0, 96)),
    ("--hires 2", "hires.upscaler", "latent"),
    ("--hires 2 --hires-upscaler lanczos", "hires.upscaler", "lanczos"),
    ("--hires 2 --hires-upscaler n/4x.safetensors", "hires.upscaler", Path("n/4x.safetensors")),
    ("--hires 2", "hires.strength", 0.7),
    ("--hires 2 --hires-strength 0.4", "hires.strength", 0.4),
    ("--hires 2", "hires.steps", None),
    ("--hires 2 --hires-steps 5", "hires.steps", 5),
    ("--hires 2 --hires-sampler euler_a", "hires.sampler", "euler_a"),
    ("--hires 2 --hires-schedule karras", "hires.schedule", "karras"),
    ("--hires 2 --hires-guidance 3", "hires.guidance", 3.0),
    ("--hires 2 --hires-prompt b", "hires.prompt", "b"),
    ("--hires 2 --hires-negative c", "hires.negative", "c"),
    ("--hires 2", "hires.first", None),
    ("--hires 2 --hires-first in.png", "hires.first.size", (40, 24)),
    ("--hires 2 --firstpass-image in.png", "width", 40),
    ("--hires 2 --hires-first in.png --size 32x16", "height", 16),
    ("--speed lcm", "sampler", "lcm"),
    ("--speed lcm", "steps", 4),
    ("--speed lcm --steps 6", "steps", 6),
    ("--speed Lightning-8", "schedule", "sgm_uniform"),
    ("--speed hyper_2", "guidance", 1.0),
    ("--speed tcd", "eta", 0.3),
    ("--speed dmd2 --guidance 1.5", "guidance", 1.5),
    ("", "guidance_options.rescale", 0.0),
    ("--guidance-rescale 0.7", "guidance_options.rescale", 0.7),
    ("", "guidance_options.self_attention", None),
    ("--sag 0.75", "guidance_options.self_attention.scale", 0.75),
    ("--sag 0.75 --sag-blur 1.5", "guidance_options.self_attention.blur", 1.5),
    ("--sag 0.75 --sag-threshold 1.2", "guidance_options.self_attention.threshold", 1.2),
    ("--sag 0 --sag-blur 1", "guidance_options.self_attention", None),
    ("", "guidance_options.merging", None),
    ("--token-merging 0.4", "guidance_options.merging", TokenMerging(0.4)),
    ("--tome 0.4 --token-merging-hires 0.6", "guidance_options.merging.hires", 0.6),
    ("--tome 0.4 --token-merging-downsample 2", "guidance_options.merging.downsample", 2),
    ("--token-merging 0", "guidance_options.merging", None),
    ("", "guidance_options.tiles", None),
    ("--hypertile 128", "guidance_options.tiles", HyperTile(128)),
    ("--hypertile 128 --hypertile-swap 3", "guidance_options.tiles.swap", 3),
    ("--hypertile 128 --hypertile-depth 1", "guidance_options.tiles.depth", 1),
    ("", "guidance_options.cache", None),
    ("--deep-cache 4", "guidance_options.cache", DeepCache(4)),
    ("--deepcache 4 --deep-cache-branch 1", "guidance_options.cache.branch", 1),
    ("", "guidance_options.thresholding", None),
    ("--mimic-scale 0 --mimic-share 0.5", "guidance_options.thresholding", None),
    ("--mimic-scale 5", "guidance_options.thresholding.mimic_scale", 5.0),
    ("--mimic-scale 5", "guidance_options.thresholding.percentile", 1.0),
    ("--mimic-scale 5 --mimic-percentile 0.9", "guidance_options.thresholding.percentile", 0.9),
    ("--mimic-scale 5 --mimic-whole", "guidance_options.thresholding.separate_channels", False),
    ("--mimic-scale 5 --mimic-channels", "guidance_options.thresholding.separate_channels", True),
    ("--mimic-scale 5 --mimic-startpoint zero", "guidance_options.thresholding.startpoint", "zero"),
    ("--mimic-scale 5 --mimic-measure STD", "guidance_options.thresholding.measure", "STD"),
    ("--mimic-scale 5 --mimic-share 0.5", "guidance_options.thresholding.share", 0.5),
    ("--ngms 2", "guidance_options.skip_below", 2.0),
    ("--ngms 2 --ngms-all", "guidance_options.skip_all", True),
    ("--ngms 2 --no-ngms-all", "guidance_options.skip_all", False),
    ("--skip-early 0.1", "guidance_options.skip_early", 0.1),
    ("--pag 3", "guidance_options.perturbed", 3.0),
    ("", "guidance_options.freeu", None),
    ("--freeu off", "guidance_options.freeu", None),
    ("--freeu sd1.5", "guidance_options.freeu.b1", 1.5),
    ("--freeu 1.1,1.2,0.8,0.3", "guidance_options.freeu.s2", 0.3),
    ("--freeu sdxl", "guidance_options.freeu.version", 2),
    ("--freeu sdxl --freeu-version 1", "guidance_options.freeu.version", 1),
]
IMG2IMG: Rows = [
    ("", "prompt", "a"),
    ("", "init_image.strength", 0.75),
    ("--strength 0.6", "init_image.strength", 0.6),
    ("", "init_image.resize", "stretch"),
    ("--resize crop", "init_image.resize", "crop"),
    ("", "init_image.inpaint", None),
    ("", "width", 40),
    ("--size 32x16", "width", 32),
    ("--size 32x16", "height", 16),
]
INPAINT: Rows = [
    ("", "prompt", "a"),
    ("", "init_image.strength", 0.75),
    ("--strength 0.6", "init_image.strength", 0.6),
    ("", "init_image.resize", "pad"),
    ("--size 80x48", "init_image.resize", "stretch"),
    ("--size 80x48", "width", 80),
    ("", "init_image.inpaint.blur", 4.0),
    ("--mask-blur 3.5", "init_image.inpaint.blur", 3.5),
    ("", "init_image.inpaint.blur_down", None),
    ("--mask-blur 3.5 --mask-blur-down 0", "init_image.inpaint.blur_down", 0.0),
    ("--mask-blur-x 1 --mask-blur-y 2", "init_image.inpaint.blur_down", 2.0),
    ("", "init_image.inpaint.soft", False),
    ("--soft-mask", "init_image.inpaint.soft", True),
    ("", "init_image.inpaint.invert", False),
    ("--invert", "init_image.inpaint.invert", True),
    ("", "init_image.inpaint.content", "original"),
    ("--content fill", "init_image.inpaint.content", "fill"),
    ("", "init_image.inpaint.area", "whole"),
    ("--area masked", "init_image.inpaint.area", "masked"),
    ("--area masked", "init_image.inpaint.padding", 32),
    ("--area masked --padding 4", "init_image.inpaint.padding", 4),
    ("--area masked", "width", 16),
]
UPSCALE: Rows = [
    ("", "prompt", ""),
    ("--prompt b", "prompt", "b"),
    ("", "init_image.strength", 0.3),
    ("--strength 0.2", "init_image.strength", 0.2),
    ("", "init_image.image.size", (40, 24)),
    ("--scale 1.5", "init_image.image.size", (64, 32)),
    ("--scale 2 --upscaler nearest", "init_image.image.size", (80, 48)),
    ("--scale 3 --upscaler nets/4x.safetensors", "init_image.image.size", (40, 24)),
    ("--scale 3 --upscaler nets/4x.safetensors", "width", 120),
    ("--upscaler n/4x.safetensors", "init_image.upscaler", Path("n/4x.safetensors")),
]
EXTENDING: Rows = [
    ("--left 24 --bottom 8", "init_image.image.size", (64, 32)),
    ("--left 24 --bottom 8", "width", 64),
    ("--right 8", "init_image.strength", 0.9),
    ("--top 8 --strength 0.5", "init_image.strength", 0.5),
]
LOADING: Rows = [
    ("", "tokenizer", None),
    ("--tokenizer words", "tokenizer", Path("words")),
    ("", "prediction", None),
    ("--prediction v", "prediction", "v_prediction"),
    ("--prediction sample", "prediction", "sample"),
    ("", "vae", None),
    ("--vae other/vae", "vae", Path("other/vae")),
    ("", "unet", None),
    ("--unet small.gguf", "unet", Path("small.gguf")),
    ("--diffusion-model small.gguf", "unet", Path("small.gguf")),
    ("", "dtype", None),
    ("--dtype f32", "dtype", f32),
    ("", "weights", None),
    ("--weights q8_0", "weights", "q8_0"),
    ("", "vram", None),
    ("--vram 4G", "vram", "4G"),
    ("", "preview", None),
    ("--preview p.png --preview-vae tiny", "preview", Path("tiny")),
    ("--preview p.png --preview-method taesd", "preview", "taesd"),
]
OTHERS = {
    *(
        "--upscalers",
        "--from",
        "--mask",
        "--model",
        "--output",
        "--device",
        "--preview",
        "--preview-every",
    ),
    *("--profile", "--json", "--debug", "--quiet", "--force", "--refiner", "--refiner-switch"),
    *(
        "--embedding",
        "--embeddings",
        "--lora",
        "--loras",
        "--lora-mode",
        "--dynamic",
        "--wildcards",
        "--combinatorial",
        "--overlap",
        "--prompts",
        "--restart",
        "--grid",
        "--grid-pictures",
        "--help",
    ),
}
"""Options that other tests are about."""

SETTINGS = [
    (f"{command} {options}", name, value)
    for lines, rows in (
        (COMMANDS.values(), DRAWING),
        ([COMMANDS["txt2img"]], TXT2IMG),
        ([COMMANDS["img2img"]], IMG2IMG),
        ([COMMANDS["inpaint"]], INPAINT),
        ([COMMANDS["upscale"]], UPSCALE),
        (["inpaint in.png a"], EXTENDING),
    )
    for command in lines
    for options, name, value in rows
]


@pytest.mark.usefixtures("pictures")
@pytest.mark.parametrize(("line", "setting", "value"), SETTINGS)
def test_options_make_settings(line: str, setting: str, value: object) -> None:
    done = run(*shlex.split(line))
    assert done.exit_code == 0, done.stderr
    first, *names = setting.split(".")
    found = getattr(FakePipeline.runs[0], first)
    assert (attrgetter(".".join(names))(found) if names else found) == value


@pytest.mark.usefixtures("pictures")
@pytest.mark.parametrize(("options", "argument", "value"), LOADING)
def test_options_choose_networks(options: str, argument: str, value: object) -> None:
    for command in COMMANDS.values():
        done = run(*shlex.split(f"{command} {options}"))
        assert done.exit_code == 0, done.stderr
    assert [each[argument] for each in FakePipeline.loads] == [value] * len(COMMANDS)


def options_of(command: str) -> set[str]:
    """Return all spellings of a command's options."""
    group: Any = get_command(app)
    found: Any = group.get_command(typer.Context(group), command)
    return {name for each in found.params for name in (*each.opts, *each.secondary_opts)}


def test_every_option_stands_in_a_table() -> None:
    tables = [*SETTINGS, *LOADING]
    tested = {word for line, *_ in tables for word in line.split() if word.startswith("--")}
    found = set[str]().union(*map(options_of, COMMANDS))
    rest = {name for name in found if name.startswith("--")} - tested - OTHERS
    controls = {name for name in rest if name.startswith("--control")} | {"--preprocessor"}
    rest = {name for name in rest if not name.startswith("--ip-")}  # see test_image_prompts.py
    assert rest == controls, "test_controls.py is about those of control networks"


def test_all_commands_that_draw_share_their_options() -> None:
    """Only where a picture's size, prompt and text come from do they differ."""
    shared = functools.reduce(set.intersection, map(options_of, COMMANDS))
    assert shared >= {
        "--negative", "--seed", "--count", "--variation", "--variation-seed", "--seed-resize",
        "--steps", "--guidance", "--sampler", "--schedule", "--eta", "--emphasis", "--clip-skip",
        "--batch", "--rng", "--set", "--zero-snr", "--no-zero-snr", "--refiner", "--refiner-switch",
        "--seamless", "--vae-tiling", "--model", "-m", "--tokenizer", "--prediction", "--vae",
        "--unet", "--dtype", "--weights", "--output", "-o", "--preview", "--preview-every",
        "--preview-vae", "--device", "-d", "--profile", "--json", "--debug",
    }  # fmt: skip


WRONG = [
    ("txt2img", "prompt is missing; give one, --prompts FILE, or --from PICTURE"),
    ("txt2img a --size 63x64", "--size width must be a multiple of 8, such as 64; got 63"),
    ("txt2img a --size big", "--size must be WIDTHxHEIGHT, such as 512x768; got 'big'"),
    ("txt2img a --steps 0", "--steps must be a whole number from 1 to 1000; got 0"),
    ("txt2img a --steps many", "--steps must be a whole number; got 'many'"),
    ("txt2img a --guidance x", "--guidance must be a number; got 'x'"),
    ("img2img in.png a --output in.png", "in.png: cannot be written: the command reads this file"),
    ("inpaint in.png a --mask mask.png -o mask.png", "mask.png: cannot be written: the command"),
    ("txt2img a --width 64 --size 64x64", "--width must not be given beside --size"),
    ("txt2img a --height x", "--height must be a whole number; got 'x'"),
    ("txt2img a --restart", "--restart needs --prompts FILE"),
    ("txt2img a --grid-pictures", "--grid-pictures needs --grid AXIS=VALUES"),
    ("txt2img a --guidance nan", "--guidance must be a number from 0 to 100; got nan"),
    ("txt2img a --seed -2", "--seed must be a whole number from 0 on, or -1 for a random one"),
    ("txt2img a --count 0", "--count must be a whole number from 1 to 1000; got 0"),
    ("txt2img a --sampler eular", "--sampler cannot be 'eular'; did you mean euler"),
    ("txt2img a --schedule karas", "--schedule cannot be 'karas'; did you mean karras"),
    ("txt2img a --emphasis 'no norms'", "--emphasis cannot be 'no norms'; did you mean no_norm"),
    ("txt2img a --rng gpuu", "--rng cannot be 'gpuu'; did you mean"),
    ("txt2img a --clip-skip 99", "--clip-skip must be a whole number from 1 to 12; got 99"),
    ("upscale in.png --clip-skip 0", "--clip-skip must be a whole number from 1 to 12; got 0"),
    ("upscale in.png --count 0", "--count must be a whole number from 1 to 1000; got 0"),
    ("txt2img a --dtype f8", "--dtype must be one of f16, f32; got 'f8'"),
    ("txt2img a --weights f8", "--weights must be one of f16, fp8, fp8_e4m3fn, fp8_e5m2, iq4"),
    ("txt2img a --vram much", "--vram must be a size such as 8GB; got 'much'"),
    ("txt2img a --prediction x", "--prediction must be one of epsilon, v, sample; got 'x'"),
    ("txt2img a --device cuda", "no device fits 'cuda'"),
    ("txt2img a --output a.gif", "a.gif: cannot be written: its name ends in .gif"),
    ("txt2img a --output notes.txt/a.png", "notes.txt: cannot be written: File exists"),
    ("txt2img a --output -", "-: cannot be written: pictures do not go to stdout; give a file"),
    ("txt2img a --output file", "file: cannot be written: it exists and is not a folder; give a"),
    ("txt2img a --output file/", "file/: cannot be written: it exists and is not a folder"),
    ("txt2img a --colour red", "No such option: --colour"),
    ("txt2img a --set s_chrun=1", "--set must be NAME=VALUE, NAME one of order, s_churn"),
    ("txt2img a --set rho", "--set must be NAME=VALUE"),
    ("txt2img a --set rho=x", "--set rho must be a number; got 'x'"),
    ("upscale in.png --set order=x", "--set order must be a whole number; got 'x'"),
    ("txt2img a --set rho=0", "--set rho must be a number from 0.1 on; got 0.0"),
    ("txt2img a --set rho=1e-300", "--set rho must be a number from 0.1 on; got 1e-300"),
    ("txt2img a --set sigma_min=1e-300", "--set sigma_min must be a number from"),
    ("txt2img a --set order=5", "--set order must be a whole number from 1 to 4; got 5"),
    ("txt2img a --set s_noise=nan", "--set s_noise must be a number"),
    ("txt2img a --speed lmc", "--speed cannot be 'lmc'; did you mean lcm"),
    ("txt2img a --guidance-rescale 2", "--guidance-rescale must be a number from 0 to 1; got 2.0"),
    ("txt2img a --mimic-share 0.5", "--mimic-share needs --mimic-scale SCALE; got 0.5"),
    ("txt2img a --mimic-whole", "--mimic-channels needs --mimic-scale SCALE; got False"),
    ("txt2img a --mimic-scale 5 --mimic-measure x", "--mimic-measure must be AD or STD; got 'x'"),
    ("txt2img a --ngms nan", "--ngms must be a number from 0"),
    ("txt2img a --pag -1", "--pag must be a number from 0 to 100; got -1.0"),
    ("txt2img a --freeu 1,2", "--freeu must be four numbers, such as 1.3,1.4,0.9,0.2"),
    ("txt2img a --freeu 1,2,3,99", "--freeu must be a number from 0 to 10; got 99.0"),
    ("txt2img a --freeu-version 1", "--freeu-version needs --freeu B1,B2,S1,S2; got 1"),
    ("txt2img a --freeu sdxl --freeu-version 3", "--freeu-version must be 1 or 2; got 3"),
    ("txt2img a --variation 2", "--variation must be a number from 0 to 1; got 2.0"),
    ("txt2img a --variation-seed 4", "--variation-seed needs --variation STRENGTH; got 4"),
    ("upscale in.png --variation-seed 5", "--variation-seed needs --variation STRENGTH; got 5"),
    ("img2img in.png a --variation-seed 5", "--variation-seed needs --variation STRENGTH; got 5"),
    ("txt2img a --variation 1 --variation-seed -2", "--variation-seed must be a whole number"),
    ("txt2img a --seed-resize big", "--seed-resize must be WIDTHxHEIGHT"),
    ("txt2img a --seed-resize 63x64", "--seed-resize must be a multiple of 8, such as 64; got 63"),
    ("txt2img a --vae-tiling yes", "--vae-tiling cannot be 'yes'"),
    ("txt2img a --seamless yes", "--seamless must be one of off, x, y, xy; got 'yes'"),
    ("txt2img a --refiner-switch 0.5", "--refiner-switch needs --refiner MODEL; got 0.5"),
    ("upscale in.png --refiner-switch 0.5", "--refiner-switch needs --refiner MODEL; got 0.5"),
    (
        "txt2img a --refiner r --refiner-switch 2",
        "--refiner-switch must be a number from 0 to 1; got 2.0",
    ),
    ("txt2img a --refiner r --hires 2", "--refiner must not be given with --hires; got 'r'"),
    ("txt2img a --hires 0.5", "--hires must be a number from 1 to 8; got 0.5"),
    ("txt2img a --hires 2 --hires-upscaler esrgan", "--hires-upscaler cannot be 'esrgan'"),
    ("txt2img a --hires 2 --hires-sampler eular", "--hires-sampler cannot be 'eular'; did you"),
    (
        "txt2img a --hires 2 --hires-steps 0",
        "--hires-steps must be a whole number from 1 to 1000; got 0",
    ),
    ("txt2img a --hires-first in.png", "--hires-first needs --hires SCALE; got 'in.png'"),
    ("txt2img a --hires 2 --hires-first none.png", "--hires-first cannot be 'none.png'; it cannot"),
    ("txt2img a --hires 2 --hires-first in.png -o in.png", "in.png: cannot be written: the comm"),
    ("inpaint in.png a --mask mask.png --mask-blur-down 99", "--mask-blur-down must be a number"),
    ("txt2img a --hires-steps 4", "--hires-steps needs --hires SCALE; got 4"),
    ("txt2img --from drawn.png --hires-strength 0.4", "--hires-strength needs --hires SCALE"),
    ("txt2img --from in.png", "--from must be a picture whose text has settings; got 'in.png'"),
    ("txt2img --from none.png", "--from cannot be 'none.png'; it cannot be read: No such file"),
    ("img2img in.png", "prompt is missing; give one, or --prompts FILE"),
    ("img2img none.png a", "image cannot be 'none.png'; it cannot be read: No such file"),
    ("img2img notes.txt a", "image cannot be 'notes.txt'; give a PNG, JPEG or WebP file"),
    ("img2img in.png a --strength 2", "--strength must be a number from 0 to 1; got 2.0"),
    ("img2img in.png a --resize shrnk", "--resize cannot be 'shrnk'"),
    ("img2img in.png a --resize pad --size 64x64", "--size cannot be '64x64'"),
    (
        "inpaint in.png a",
        "--mask is missing; give --mask FILE, or a picture with transparent parts",
    ),
    ("inpaint in.png a --mask in.png --left 8", "--mask must not be given where the picture is"),
    ("inpaint in.png a --left 8 --invert", "--invert must not be given where the picture is"),
    ("inpaint in.png a --mask mask.png --padding 8", "--padding needs --area masked; got 8"),
    ("inpaint in.png a --mask notes.txt", "--mask cannot be 'notes.txt'"),
    ("inpaint in.png a --mask mask.png --area al", "--area cannot be 'al'"),
    ("inpaint in.png a --left 99999", "--left must be a whole number from 0 to"),
    (
        "inpaint in.png a --left 8 --overlap 13",
        "--overlap must be a whole number from 0 to 12; got 13",
    ),
    (
        "inpaint in.png a --mask mask.png --overlap 4",
        "--overlap needs --left, --top, --right or --bottom; got 4",
    ),
    (
        "inpaint in.png a --left 3 --seamless x",
        "--seamless cannot be 'x'; what pads the picture to multiples of 8 is cut off again",
    ),
    (
        "inpaint in.png a --mask mask.png --area masked --seamless x",
        "--seamless cannot be 'x'; a box around the mask is drawn",
    ),
    ("txt2img a --sag-blur 2", "--sag-blur needs --sag SCALE; got 2.0"),
    ("txt2img a --token-merging 1.5", "--token-merging must be a number from 0 to 1; got 1.5"),
    ("txt2img a --token-merging-hires 0.5", "--token-merging-hires needs --token-merging; got 0.5"),
    ("txt2img a --hypertile 16", "--hypertile must be a whole number from 32 to 4096; got 16"),
    ("txt2img a --deep-cache-branch 2", "--deep-cache-branch needs --deep-cache; got 2"),
    ("txt2img a --deep-cache 3 --ngms 2", "--deep-cache must not be given with SAG or NGMS"),
    ("txt2img a --preview p.png --preview-method x", "--preview-method cannot be 'x'"),
    ("txt2img a --preview-method taesd", "--preview-method needs --preview FILE; got 'taesd'"),
    (
        "txt2img a --preview p.png --preview-method taesd --preview-vae t",
        "--preview-method must not be given with --preview-vae; got 'taesd'",
    ),
    ("upscale in.png --scale 17", "--scale must be a number from 1 to 16; got 17.0"),
    (
        "upscale thin.png --scale 16",
        "--scale cannot be 16.0; 16x64000 is over 16384 pixels a side",
    ),
    ("upscale in.png --upscaler latent", "--upscaler cannot be 'latent'"),
    ("info in.png", "image must be a picture with a text; got 'in.png'"),
    ("info none.png", "image cannot be 'none.png'; it cannot be read"),
    ("convert in.png -o x --dtype z", "--dtype must be one of bf16, f16"),
    ("tune --batch 99", "--batch must be a whole number from 1 to 64; got 99"),
    ("model pull ../x", "model cannot be '../x'"),
]


@pytest.mark.usefixtures("pictures")
@pytest.mark.parametrize(("line", "message"), WRONG)
def test_wrong_input_is_one_line_before_a_model_is_loaded(
    line: str, message: str, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    files = file_names(tmp_path)
    assert exit_status(*shlex.split(line)) == 2
    stdout, stderr = capfd.readouterr()
    assert stdout == ""
    assert stderr.startswith(f"avila: {message}")
    assert stderr.count("\n") == 1, stderr
    assert FakePipeline.loads == []
    assert file_names(tmp_path) == files


def test_a_model_that_is_not_there(
    fake_pipeline: type[FakePipeline], capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert exit_status("txt2img", "a", "--model", "nowhere") == 2
    assert capfd.readouterr().err.startswith("avila: nowhere: there is no such model folder")
    assert [each["model"] for each in fake_pipeline.loads] == [Path("nowhere")]
    assert file_names(tmp_path) == []


@pytest.mark.parametrize("line", ["txt2img a --model nosuch", "model show nosuch"])
def test_a_model_that_nobody_knows(line: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert exit_status(*line.split()) == 2
    errors = capfd.readouterr().err
    assert errors.startswith("avila: nosuch: no model of this name is known")
    assert "avila model list shows the models" in errors


@pytest.mark.parametrize("prediction", ["v", "epsilon", "sample"])
def test_errors_name_values_as_they_were_typed(prediction: str) -> None:
    """The model's folder says what it predicts, so the option is refused."""
    done = run("txt2img", "a", "--prediction", prediction, "--steps", "1")
    assert done.stderr.startswith(f"avila: --prediction cannot be '{prediction}'; a model's folder")
