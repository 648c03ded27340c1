"""Stable Diffusion folders (1.x, 2.x, XL and their like) in the diffusers layout.

::

    model_index.json                      which class each part is
    scheduler/scheduler_config.json
    text_encoder/config.json, model.safetensors
    tokenizer/vocab.json, merges.txt
    unet/config.json, diffusion_pytorch_model.safetensors
    vae/config.json, diffusion_pytorch_model.safetensors

XL models have ``text_encoder_2`` and ``tokenizer_2`` too; the XL refiner has these two alone.
Weights may be split (``*.safetensors.index.json``) and may have a variant in their names
(``*.fp16.safetensors``). Opening a folder reads and checks all JSON; weights are opened when
asked for. Only the names above are looked up: no path comes from a file's content.
"""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final, Literal, NamedTuple

from diffusion.checkpoints.file_kinds import AGAIN, CONVERT
from diffusion.checkpoints.json_object import read_json_object
from diffusion.checkpoints.names import CLIP_NAMES, UNET_NAMES, VAE_NAMES, NameTable
from diffusion.checkpoints.weights import Weights, open_weights
from diffusion.errors import ModelFormatError, ModelNotFoundError, SettingsError, quoted
from diffusion.models.config import ClipTextConfig, SchedulerConfig, VaeConfig
from diffusion.models.unet_config import UNetConfig

Encoder = Literal["text_encoder", "text_encoder_2"]
Part = Literal["unet", "vae", "text_encoder", "text_encoder_2"]


class _WeightFiles(NamedTuple):
    """``stem``: of the file's name; ``names``: the table of other spellings."""

    stem: str
    names: NameTable


_WEIGHTS: Final[Mapping[Part, _WeightFiles]] = MappingProxyType(
    {
        "text_encoder": _WeightFiles("model", CLIP_NAMES),
        "text_encoder_2": _WeightFiles("model", CLIP_NAMES),
        "unet": _WeightFiles("diffusion_pytorch_model", UNET_NAMES),
        "vae": _WeightFiles("diffusion_pytorch_model", VAE_NAMES),
    }
)
_XL_PIPELINES: Final = (
    "StableDiffusionXLPipeline",
    "StableDiffusionXLImg2ImgPipeline",
    "StableDiffusionXLInpaintPipeline",
)
_PIPELINES: Final = (
    "StableDiffusionPipeline",
    "StableDiffusionImg2ImgPipeline",
    "StableDiffusionInpaintPipeline",
    "LatentConsistencyModelPipeline",
    "LatentConsistencyModelImg2ImgPipeline",
    *_XL_PIPELINES,
)
ENCODERS: Final[Mapping[Encoder, str]] = {
    "text_encoder": "tokenizer",
    "text_encoder_2": "tokenizer_2",
}
"""Each text encoder's tokenizer."""

_TOKENIZERS: Final = ("CLIPTokenizer", "CLIPTokenizerFast")
_CLASSES: Final = {
    "text_encoder": ("CLIPTextModel",),
    "text_encoder_2": ("CLIPTextModelWithProjection",),
    "tokenizer": _TOKENIZERS,
    "tokenizer_2": _TOKENIZERS,
    "unet": ("UNet2DConditionModel",),
    "vae": ("AutoencoderKL",),
}
_UNUSED_PARTS: Final = (
    "add_watermarker",
    "feature_extractor",
    "requires_safety_checker",
    "safety_checker",
)
_FLAGS: Final = {"force_zeros_for_empty_prompt": True, "requires_aesthetics_score": False}
"""Options of XL pipelines and what they are when left out."""

SIZE_NUMBERS: Final = {False: 6, True: 5}
"""How many numbers an XL UNet is told: original size, crop, and target size or aesthetic score."""
_DEFAULT_VARIANTS: Final = ("", "fp16")
_TOKENIZER_FILES: Final = ("vocab.json", "merges.txt")
_TOKENIZER_LIMIT: Final = 16 * 2**20
_FAMILY: Final = "use a Stable Diffusion 1.x, 2.x or XL model in the diffusers folder layout"
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
    text_encoders: Mapping[Encoder, ClipTextConfig]
    """One or two; their states are joined in this order."""
    tokenizers: Mapping[Encoder, Path]
    """Each text encoder's folder with ``vocab.json`` and ``merges.txt``."""
    scheduler: SchedulerConfig
    zeros_for_empty_prompt: bool
    """An XL model that sees zeros, and not the states of an empty text, for no negative prompt."""
    asks_for_score: bool
    """The XL refiner: it is told an aesthetic score in place of the target size."""

    def __init__(self, path: str | Path, *, variant: str | None = None) -> None:
        if variant is not None and not variant.replace("_", "").isalnum():
            raise SettingsError("variant", variant, "it may be a word such as fp16")
        self.path = Path(path)
        self._variants = _DEFAULT_VARIANTS if variant is None else (variant,)
        _check_place(self.path)
        self._read()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.path)!r})"

    @property
    def is_xl(self) -> bool:
        """Tell whether the UNet is told pooled text and sizes, as SDXL's are."""
        return self.unet.addition_time_embed_dim is not None

    def weights(self, part: Part) -> Weights:
        """Open a part's weights; their header is checked, no tensor is read yet."""
        files = _WEIGHTS[part]
        return open_weights(find_weights(self.path / part, files.stem, self._variants), files.names)

    @property
    def name(self) -> str:
        """What the model is called: its folder, or ``owner/name`` in the cache of the Hub."""
        for parent in self.path.absolute().parents:
            if parent.name.startswith("models--"):
                return parent.name.removeprefix("models--").replace("--", "/", 1)
        return self.path.resolve().name

    def padding(self, encoder: Encoder) -> str | None:
        """The token that fills short texts up; None for the one that the tokenizer's files name."""
        return None

    def json(self, name: str) -> tuple[dict[str, object], Path]:
        """The object in one of the JSON files (``unet/config.json``), and the file's path."""
        file = self.path / name
        if not file.exists() and name == "model_index.json":
            hint = "a model folder in the diffusers layout has one at its top"
            raise ModelNotFoundError(file, "there is no such file", hint)
        if not file.parent.is_dir():
            raise ModelNotFoundError(file.parent, "the folder is missing", _INCOMPLETE)
        return read_json_object(file), file

    def _read(self) -> None:
        """Read and check all configs."""
        index, file = self.json("model_index.json")
        _check_index(index, file)
        self.unet = UNetConfig.from_json(*self._config("unet"))
        self.vae = VaeConfig.from_json(*self._config("vae"))
        encoders = [part for part in ENCODERS if _class_of(index.get(part)) is not None]
        self.text_encoders = {p: ClipTextConfig.from_json(*self._config(p)) for p in encoders}
        self.tokenizers = {p: self._tokenizer(p) for p in encoders}
        self.scheduler = SchedulerConfig.from_json(*self.json("scheduler/scheduler_config.json"))
        self.zeros_for_empty_prompt = self.is_xl and _flag(index, "force_zeros_for_empty_prompt")
        self.asks_for_score = _flag(index, "requires_aesthetics_score")
        self._check_family(str(index["_class_name"]), file)
        self._check_fit()

    def _config(self, part: str) -> tuple[dict[str, object], Path]:
        """A part's config and its path; the class that it names must be the part's."""
        config, file = self.json(f"{part}/config.json")
        found = config.get("_class_name")
        if found is not None and part in _CLASSES and found not in _CLASSES[part]:
            reason = f"is {quoted(found)}, and {_CLASSES[part][0]} is wanted"
            raise ModelFormatError(file, "_class_name", reason, _FAMILY)
        return config, file

    def _tokenizer(self, encoder: Encoder) -> Path:
        return tokenizer_folder(self.path / ENCODERS[encoder])

    def _check_family(self, pipeline: str, file: Path) -> None:
        """The pipeline's class and the text encoders must be those of the UNet's family."""
        if (pipeline in _XL_PIPELINES) is not self.is_xl:
            reason = f"is {quoted(pipeline)}, and the UNet is of another family"
            raise ModelFormatError(file, "_class_name", reason, AGAIN)
        if "text_encoder" not in self.text_encoders and not self.is_xl:
            raise ModelFormatError(file, "text_encoder", "is missing", _FAMILY)
        if ("text_encoder_2" in self.text_encoders) is not self.is_xl:
            reason = "goes with an XL model, and with no other"
            raise ModelFormatError(file, "text_encoder_2", reason, _FAMILY)

    def _check_fit(self) -> None:
        """The parts must fit each other: latent channels, the text's width, what XL is told."""
        unet, latent = self.unet, self.vae.latent_channels
        file = self.path / "unet" / "config.json"
        if unet.in_channels < latent:
            reason = f"is {unet.in_channels}, but the VAE's latents have {latent} channels"
            raise ModelFormatError(file, "in_channels", reason, _FAMILY)
        if unet.out_channels != latent:
            reason = f"is {unet.out_channels}, but the VAE's latents have {latent} channels"
            raise ModelFormatError(file, "out_channels", reason, _FAMILY)
        text = sum(config.hidden_size for config in self.text_encoders.values())
        if unet.cross_attention_dim != text:
            reason = f"is {unet.cross_attention_dim}, but the text is {text} wide"
            raise ModelFormatError(file, "cross_attention_dim", reason, AGAIN)
        if self.is_xl:
            pooled = self.text_encoders["text_encoder_2"].projection_dim
            sizes = SIZE_NUMBERS[self.asks_for_score] * (unet.addition_time_embed_dim or 0)
            found = unet.projection_class_embeddings_input_dim
            if found != pooled + sizes:
                reason = f"is {found}, but text and sizes make {pooled} + {sizes}"
                raise ModelFormatError(file, "projection_class_embeddings_input_dim", reason, AGAIN)


def find_weights(folder: Path, stem: str, variants: tuple[str, ...] = _DEFAULT_VARIANTS) -> Path:
    """The weights' file in a part's folder, or the index of several.

    The first of ``variants`` that is there. Raises ``ModelNotFoundError``, ``ModelFormatError``.
    """
    if not folder.is_dir():
        raise ModelNotFoundError(folder, "the folder is missing", _INCOMPLETE)
    for variant in variants:
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
    wanted = f"{stem}{'.' + variants[0] if variants[0] else ''}.safetensors"
    others = sorted(file.name for file in folder.glob("*.safetensors"))
    hint = f"the folder has {quoted(others[0])}" if others else _INCOMPLETE
    raise ModelNotFoundError(folder / wanted, "the weights are missing", hint)


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
        raise ModelFormatError(path, "file", reason, CONVERT)
    raise ModelFormatError(path, "file", "is a single file, and a folder is wanted", _FAMILY)


def _class_of(value: object) -> object:
    """The class in an entry such as ``["transformers", "CLIPTextModel"]``; None for no part."""
    return value[1] if isinstance(value, list) and len(value) == 2 else value


def _flag(index: Mapping[str, object], key: str) -> bool:
    return index.get(key, _FLAGS[key]) is True


def _check_index(index: Mapping[str, object], file: Path) -> None:
    """``model_index.json``: the pipeline's class and each part's class."""
    found = index.get("_class_name")
    if found not in _PIPELINES:
        raise ModelFormatError(
            file, "_class_name", f"is {quoted(found)}, and {_PIPELINES[0]} is wanted", _FAMILY
        )
    for part, value in index.items():
        if part.startswith("_") or part in _UNUSED_PARTS:
            continue
        name = _class_of(value)
        if part in _FLAGS and not isinstance(value, bool):
            reason = f"is {quoted(value)}, and true or false must be there"
            raise ModelFormatError(file, part, reason, AGAIN)
        absent = name is None and part in ENCODERS.keys() | ENCODERS.values()
        if part in _CLASSES and not absent and name not in _CLASSES[part]:
            reason = f"is {quoted(value)}, and {_CLASSES[part][0]} is wanted"
            raise ModelFormatError(file, part, reason, _FAMILY)
        known = part in _CLASSES or part in _FLAGS or part == "scheduler"
        if not known and name is not None:
            raise ModelFormatError(file, quoted(part), "is a part that is not known", _FAMILY)


def tokenizer_folder(folder: Path) -> Path:
    """The tokenizer's folder, its two files present and of a bounded size."""
    for name in _TOKENIZER_FILES:
        file = folder / name
        if not file.is_file():
            raise ModelNotFoundError(file, "there is no such file", _INCOMPLETE)
        if file.stat().st_size > _TOKENIZER_LIMIT:
            reason = f"is larger than {_TOKENIZER_LIMIT} bytes"
            raise ModelFormatError(file, "file", reason, AGAIN)
    return folder
