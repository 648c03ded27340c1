"""Command line: `python -m tools.train_emoji STAGES`; the README shows whole runs."""

import argparse
import random
from collections.abc import Callable
from functools import cached_property, partial
from pathlib import Path

import torch
from diffusers import AutoencoderKL

from tools.train_emoji import tokenizer
from tools.train_emoji.bank import Bank, build_bank
from tools.train_emoji.control import build_edge_bank, export_control, train_control
from tools.train_emoji.dataset import Dataset, load
from tools.train_emoji.diffusion import Denoiser, train_diffusion
from tools.train_emoji.evaluation import evaluate
from tools.train_emoji.lora import build_styled_bank, export_lora, train_lora
from tools.train_emoji.model_export import export
from tools.train_emoji.networks import allow_fast_products, load_vae
from tools.train_emoji.settings import (
    DiffusionTraining,
    Folders,
    Mix,
    Settings,
    Sizes,
    VaeTraining,
)
from tools.train_emoji.sheets import recolouring_sheet
from tools.train_emoji.styles import STYLES_OF_LORA
from tools.train_emoji.timebox import log
from tools.train_emoji.vae import train_vae

_HERE = Path(__file__).parent


class Stages:
    """The steps of a run; each reads what earlier ones left in the work folder."""

    def __init__(self, settings: Settings, judged: Path | None) -> None:
        self._settings = settings
        self._work = settings.folders.work
        self._judged = judged
        self.by_name: dict[str, Callable[[], None]] = {
            "colours": self._colours,
            "tokenizer": self._tokenizer,
            "vae": self._vae,
            "bank": self._bank,
            "diffusion": self._diffusion,
            "export": self._export,
            "evaluate": self._evaluate,
            "control": self._control,
            **{f"lora-{style}": partial(self._lora, style) for style in STYLES_OF_LORA},
        }

    @cached_property
    def _data(self) -> Dataset:
        s = self._settings
        data = load(s.folders.data, s.sizes.image, s.device, concepts=s.concepts)
        log(f"data: {len(data.pictures)} pictures on {s.device}, torch {torch.__version__}")
        return data

    @property
    def _model(self) -> Path:
        return self._work / "model"

    def _colours(self) -> None:
        recolouring_sheet(self._data, self._settings.folders.out / "colours.png")

    def _tokenizer(self) -> None:
        size = self._settings.sizes.vocabulary
        tokenizer.train(self._data.concepts, size, self._work / "tokenizer")

    def _vae(self) -> None:
        vae = train_vae(self._data, self._settings)
        vae.save_pretrained(self._work / "vae")

    def _bank(self) -> None:
        s = self._settings
        vae = load_vae(self._work / "vae").to(s.device).eval().requires_grad_(False)
        vae = vae.to(memory_format=torch.channels_last)
        encoder = tokenizer.Encoder(self._work / "tokenizer")
        bank = build_bank(self._data, vae, encoder, s.mix, compile_it=s.compile)
        bank.save(self._work / "bank.pt")

    def _diffusion(self) -> None:
        s = self._settings
        bank = Bank.load(self._work / "bank.pt", s.device)
        empty = tokenizer.Encoder(self._work / "tokenizer")([""])
        train_diffusion(bank, empty, s, self._work / "diffusion.pt")

    def _export(self) -> None:
        net = Denoiser.load_averaged(self._settings.sizes, self._work / "diffusion.pt")
        export(self._model, load_vae(self._work / "vae"), net, self._work / "tokenizer")

    @property
    def _finished(self) -> Path:
        """The model that is judged and gets adapters: by default the one that was exported."""
        return self._judged if self._judged is not None else self._model

    def _encoders(self) -> tuple[AutoencoderKL, tokenizer.Encoder]:
        vae = load_vae(self._finished / "vae").to(self._settings.device)
        return vae.eval().requires_grad_(False), tokenizer.Encoder(self._finished / "tokenizer")

    def _control(self) -> None:
        s = self._settings
        vae, encoder = self._encoders()
        bank = build_edge_bank(self._data, vae, encoder, s)
        empty = encoder([""]).to(s.device)
        adapter = train_control(bank, Denoiser.load_exported(self._finished), empty, s)
        export_control(s.folders.out / "control", adapter)

    def _lora(self, style: str) -> None:
        s = self._settings
        vae, encoder = self._encoders()
        bank = build_styled_bank(self._data, vae, encoder, s, style)
        empty = encoder([""]).to(s.device)
        layers = train_lora(bank, Denoiser.load_exported(self._finished), empty, s)
        export_lora(s.folders.out / f"{style}.safetensors", layers, style)

    def _evaluate(self) -> None:
        evaluate(self._finished, self._data, self._settings.folders.out)


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(","))


def _shares(text: str) -> tuple[float, float, float]:
    plain, colour, background = (float(part) for part in text.split(","))
    if abs(plain + colour + background - 1) > 1e-6:
        raise argparse.ArgumentTypeError(f"the three shares must add up to 1, not {text}")
    return plain, colour, background


def _add_mix(parser: argparse.ArgumentParser, mix: Mix) -> None:
    """Write the pictures that the bank draws from; `bank` reads them."""
    add = parser.add_argument
    add("--kinds", type=_shares, default=mix.kinds, help="plain,recoloured,background; sum 1")
    add("--solid", type=float, default=mix.solid, help="share of the 3D style")
    add("--still", type=float, default=mix.still, help="share of plain pictures as drawn")
    add("--label", type=float, default=mix.label, help="share of captions that say the label")
    add("--people", type=float, default=mix.people, help="weight of people; of things 1.2")


def _parser() -> argparse.ArgumentParser:
    sizes, vae, diffusion = Sizes(), VaeTraining(), DiffusionTraining()
    parser = argparse.ArgumentParser(prog="python -m tools.train_emoji", description=__doc__)
    add = parser.add_argument
    names = "colours, tokenizer, vae, bank, diffusion, export, evaluate, control, lora-STYLE"
    add("stages", help=f"comma list of {names}")
    add("--data", type=Path, default=_HERE / "build", help="emoji.bin and meta.json")
    add("--work", type=Path, default=_HERE / "runs" / "work", help="state; a later call goes on")
    add("--out", type=Path, default=_HERE / "runs" / "out", help="sheets and measurements")
    add("--model", type=Path, help="a model folder to evaluate or lead, not the exported one")
    add("--image", type=int, default=sizes.image)
    add("--vae-channels", type=_numbers, default=sizes.vae_channels)
    add("--unet-channels", type=_numbers, default=sizes.unet_channels)
    add("--vae-seconds", type=float, default=vae.seconds)
    add("--vae-batch", type=int, default=vae.batch)
    add("--vae-rate", type=float, default=vae.learning_rate)
    add("--vae-from", type=Path, help="folder of a VAE to go on from (same channels)")
    add("--diffusion-seconds", type=float, default=diffusion.seconds, help="of this call")
    add("--diffusion-total", type=float, default=diffusion.total_seconds, help="of all calls")
    add("--diffusion-batch", type=int, default=diffusion.batch)
    add("--diffusion-rate", type=float, default=diffusion.learning_rate)
    add("--least-weight", type=float, default=diffusion.least_weight, help="of any time step")
    add("--diffusion-from", type=Path, help="model folder to go on from")
    _add_mix(parser, Mix())
    add("--deadline", type=float, help="training ends this many seconds after the start")
    add("--max-steps", type=int, help="ends each training after so many steps")
    add("--concepts", type=int, help="uses only so many concepts")
    add("--no-compile", action="store_true", help="runs without torch.compile")
    return parser


def _settings(a: argparse.Namespace) -> Settings:
    return Settings(
        Folders(a.data, a.work, a.out),
        Sizes(image=a.image, vae_channels=a.vae_channels, unet_channels=a.unet_channels),
        VaeTraining(a.vae_seconds, a.vae_batch, a.vae_rate, start_from=a.vae_from),
        DiffusionTraining(
            a.diffusion_seconds,
            a.diffusion_total,
            a.diffusion_batch,
            a.diffusion_rate,
            least_weight=a.least_weight,
            start_from=a.diffusion_from,
        ),
        Mix(a.kinds, a.solid, a.still, a.label, a.people),
        compile=not a.no_compile,
        max_steps=a.max_steps,
        concepts=a.concepts,
        deadline=a.deadline,
    )


def main() -> None:
    """Run the named stages in the order given."""
    parser = _parser()
    arguments = parser.parse_args()
    settings = _settings(arguments)
    stages = Stages(settings, arguments.model).by_name
    names = arguments.stages.split(",")
    unknown = sorted(set(names) - stages.keys())
    if unknown:
        parser.error(f"no stage {unknown}; there are {', '.join(stages)}")
    for folder in (settings.folders.work, settings.folders.out):
        folder.mkdir(parents=True, exist_ok=True)
    random.seed(1234)
    torch.manual_seed(1234)
    allow_fast_products()
    for name in names:
        stages[name]()
        log(f"== {name} done")


if __name__ == "__main__":
    main()
