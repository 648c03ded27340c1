"""Stable Diffusion 1.x and 2.x folders in the diffusers layout.

::

    model_index.json                      which class each part is
    scheduler/scheduler_config.json
    text_encoder/config.json, model.safetensors
    tokenizer/vocab.json, merges.txt
    unet/config.json, diffusion_pytorch_model.safetensors
    vae/config.json, diffusion_pytorch_model.safetensors

Weights may be split (``*.safetensors.index.json``) and may have a variant in their names
(``*.fp16.safetensors``). Opening a folder reads and checks all JSON; weights are opened when
asked for. Only the names above are looked up: no path comes from a file's content.
"""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final, Literal, NamedTuple

from diffusion.checkpoints.json_object import read_json_object
from diffusion.checkpoints.lookalikes import AGAIN, CONVERT
from diffusion.checkpoints.names import CLIP_NAMES, UNET_NAMES, VAE_NAMES, NameTable
from diffusion.checkpoints.weights import Weights, open_weights
from diffusion.errors import ModelFormatError, ModelNotFoundError, SettingsError, quoted
from diffusion.models.config import ClipTextConfig, SchedulerConfig, UNetConfig, VaeConfig

Part = Literal["unet", "vae", "text_encoder"]


class _WeightFiles(NamedTuple):
    """``stem``: of the file's name; ``names``: the table of other spellings."""

    stem: str
    names: NameTable


_WEIGHTS: Final[Mapping[Part, _WeightFiles]] = MappingProxyType(
    {
        "text_encoder": _WeightFiles("model", CLIP_NAMES),
        "unet": _WeightFiles("diffusion_pytorch_model", UNET_NAMES),
        "vae": _WeightFiles("diffusion_pytorch_model", VAE_NAMES),
    }
)
_PIPELINES: Final = ("StableDiffusionPipeline", "StableDiffusionImg2ImgPipeline")
_CLASSES: Final = {
    "text_encoder": ("CLIPTextModel",),
    "tokenizer": ("CLIPTokenizer", "CLIPTokenizerFast"),
    "unet": ("UNet2DConditionModel",),
    "vae": ("AutoencoderKL",),
}
_UNUSED_PARTS: Final = ("feature_extractor", "safety_checker", "requires_safety_checker")
_DEFAULT_VARIANTS: Final = ("", "fp16")
_TOKENIZER_FILES: Final = ("vocab.json", "merges.txt")
_TOKENIZER_LIMIT: Final = 16 * 2**20
_FAMILY: Final = "use a Stable Diffusion 1.x or 2.x model in the diffusers folder layout"
_INCOMPLETE: Final = "the folder is incomplete; download the whole model again"


class ModelFolder:
    """An opened folder: its configs, its tokenizer's place, and its weights on request.

    ``variant``: the part of the weights' file names before ``.safetensors``; when ``None`` the
    plain names are taken, or ``fp16`` ones where a part has no plain ones. Raises
    ``ModelNotFoundError`` or ``ModelFormatError``, naming the file and the key.
    """

    path: Path
    unet: UNetConfig
    vae: VaeConfig
    text_encoder: ClipTextConfig
    scheduler: SchedulerConfig
    tokenizer: Path
    """The folder with ``vocab.json`` and ``merges.txt``."""

    def __init__(self, path: str | Path, *, variant: str | None = None) -> None:
        if variant is not None and not variant.replace("_", "").isalnum():
            raise SettingsError("variant", variant, "it may be a word such as fp16")
        self.path = Path(path)
        self._variants = _DEFAULT_VARIANTS if variant is None else (variant,)
        _check_place(self.path)
        _check_index(self.path / "model_index.json")
        self.unet = UNetConfig.from_json(*self._config("unet"))
        self.vae = VaeConfig.from_json(*self._config("vae"))
        self.text_encoder = ClipTextConfig.from_json(*self._config("text_encoder"))
        self.scheduler = SchedulerConfig.from_json(
            *self._config("scheduler", "scheduler_config.json")
        )
        self.tokenizer = _tokenizer(self.path / "tokenizer")
        self._check_fit()

    def __repr__(self) -> str:
        return f"ModelFolder({str(self.path)!r})"

    def weights(self, part: Part) -> Weights:
        """Open a part's weights; their header is checked, no tensor is read yet."""
        files = _WEIGHTS[part]
        return open_weights(self._find(part, files.stem), files.names)

    def _config(self, part: str, name: str = "config.json") -> tuple[dict[str, object], Path]:
        """A part's config and its path; the class that it names must be the part's."""
        file = self._part(part) / name
        config = read_json_object(file)
        found = config.get("_class_name")
        if found is not None and part in _CLASSES and found not in _CLASSES[part]:
            reason = f"is {quoted(found)}, and {_CLASSES[part][0]} is wanted"
            raise ModelFormatError(file, "_class_name", reason, _FAMILY)
        return config, file

    def _part(self, part: str) -> Path:
        folder = self.path / part
        if not folder.is_dir():
            raise ModelNotFoundError(folder, "the folder is missing", _INCOMPLETE)
        return folder

    def _find(self, part: Part, stem: str) -> Path:
        """The weights' file, or the index of several."""
        folder = self._part(part)
        for variant in self._variants:
            dotted = f".{variant}" if variant else ""
            for name in (
                f"{stem}{dotted}.safetensors",
                f"{stem}.safetensors.index{dotted}.json",
                f"{stem}{dotted}.safetensors.index.json",
            ):
                if (folder / name).exists():
                    return folder / name
        for pattern in ("*.bin", "*.ckpt", "*.pt", "*.pth"):
            for file in sorted(folder.glob(pattern)):
                reason = "only a Python pickle is here; it can run code, so it was not opened"
                raise ModelFormatError(file, "file", reason, CONVERT)
        wanted = f"{stem}{'.' + self._variants[0] if self._variants[0] else ''}.safetensors"
        others = sorted(file.name for file in folder.glob("*.safetensors"))
        hint = f"the folder has {quoted(others[0])}" if others else _INCOMPLETE
        raise ModelNotFoundError(folder / wanted, "the weights are missing", hint)

    def _check_fit(self) -> None:
        """The parts must fit each other: latent channels, and the width of the text."""
        latent, text = self.vae.latent_channels, self.text_encoder.hidden_size
        file = self.path / "unet" / "config.json"
        for key, found in (
            ("in_channels", self.unet.in_channels),
            ("out_channels", self.unet.out_channels),
        ):
            if found != latent:
                reason = f"is {found}, but the VAE's latents have {latent} channels"
                hint = "inpainting and upscaling models are not supported; " + _FAMILY
                raise ModelFormatError(file, key, reason, hint)
        if self.unet.cross_attention_dim != text:
            width = self.unet.cross_attention_dim
            reason = f"is {width}, but the text encoder is {text} wide"
            raise ModelFormatError(file, "cross_attention_dim", reason, AGAIN)


def _check_place(path: Path) -> None:
    try:
        if path.is_dir():
            return
        found = path.exists()
    except OSError as error:
        reason = f"cannot be opened: {error.strerror}"
        raise ModelFormatError(path, "file", reason, "check the path and its rights") from error
    if not found:
        raise ModelNotFoundError(path, "there is no such model folder", "check the path")
    if path.suffix in (".ckpt", ".pt", ".pth", ".bin"):
        reason = "is a Python pickle by its name; it can run code, so it was not opened"
        raise ModelFormatError(path, "file", reason, CONVERT + ", in the diffusers folder layout")
    raise ModelFormatError(path, "file", "is a single file, and a folder is wanted", _FAMILY)


def _check_index(file: Path) -> None:
    """``model_index.json``: the pipeline's class and each part's class."""
    if not file.exists():
        hint = "a model folder in the diffusers layout has one at its top"
        raise ModelNotFoundError(file, "there is no such file", hint)
    index = read_json_object(file)
    found = index.get("_class_name")
    if found not in _PIPELINES:
        raise ModelFormatError(
            file, "_class_name", f"is {quoted(found)}, and {_PIPELINES[0]} is wanted", _FAMILY
        )
    for part, value in index.items():
        if part.startswith("_") or part in _UNUSED_PARTS:
            continue
        name = value[1] if isinstance(value, list) and len(value) == 2 else value
        if part in _CLASSES and name not in _CLASSES[part]:
            reason = f"is {quoted(value)}, and {_CLASSES[part][0]} is wanted"
            raise ModelFormatError(file, part, reason, _FAMILY)
        if part not in _CLASSES and part != "scheduler" and name is not None:
            raise ModelFormatError(file, quoted(part), "is a part that is not known", _FAMILY)


def _tokenizer(folder: Path) -> Path:
    """The tokenizer's folder, its two files present and of a bounded size."""
    for name in _TOKENIZER_FILES:
        file = folder / name
        if not file.is_file():
            raise ModelNotFoundError(file, "there is no such file", _INCOMPLETE)
        if file.stat().st_size > _TOKENIZER_LIMIT:
            reason = f"is larger than {_TOKENIZER_LIMIT} bytes"
            raise ModelFormatError(file, "file", reason, AGAIN)
    return folder
