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
(``*.fp16.safetensors``). Opening a folder reads and checks all JSON files. Weights are opened on
request. Only the names above are looked up: no path comes from a file's content.
"""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final, Literal, NamedTuple

from diffusion.checkpoints.file_errors import reading
from diffusion.checkpoints.file_kinds import CONVERT, DOWNLOAD_AGAIN
from diffusion.checkpoints.json_files import read_json_object
from diffusion.checkpoints.model_index import (
    ENCODERS,
    OTHER_FAMILY,
    XL_PIPELINES,
    Encoder,
    check_class,
    check_index,
    part_class,
    read_flag,
)
from diffusion.checkpoints.parameter_names import CLIP_NAMES, UNET_NAMES, VAE_NAMES, NameTable
from diffusion.checkpoints.part_files import (
    DEFAULT_VARIANTS,
    INCOMPLETE,
    check_tokenizer,
    find_weights,
)
from diffusion.checkpoints.weights import Weights, open_weights
from diffusion.errors import ModelFormatError, ModelNotFoundError, SettingsError, quote
from diffusion.models.config import ClipTextConfig, SchedulerConfig, VaeConfig
from diffusion.models.fields import noted_keys
from diffusion.models.unet_config import UNetConfig

Part = Literal["unet", "vae", "text_encoder", "text_encoder_2"]


class _WeightFiles(NamedTuple):
    """The weights of a part: the ``stem`` of the file's name, and other spellings of parameters."""

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
_SIZE_NUMBERS: Final = {False: 6, True: 5}
"""How many numbers an XL UNet takes, by whether one is an aesthetic score: original size, crop, and
target size or score.
"""


class ModelFolder:
    """An opened folder: its configs, its tokenizers' folders, and its weights on request.

    ``variant``: the word before ``.safetensors`` in the weights' file names. With ``None`` the
    plain names are taken, or ``fp16`` ones where a part has no plain ones. Raises
    ``ModelNotFoundError`` or ``ModelFormatError``, naming the file and the key.
    """

    path: Path
    unet: UNetConfig
    vae: VaeConfig
    text_encoders: Mapping[Encoder, ClipTextConfig]
    """One or two text encoders; their states are joined in this order."""
    tokenizers: Mapping[Encoder, Path]
    """Each text encoder's folder with ``vocab.json`` and ``merges.txt``."""
    scheduler: SchedulerConfig
    zeros_for_empty_prompt: bool
    """Tells whether an XL model sees zeros in place of the states of an empty negative prompt."""
    asks_for_score: bool
    """Tells whether the UNet takes an aesthetic score in place of the target size (XL refiner)."""

    def __init__(self, path: str | Path, *, variant: str | None = None) -> None:
        if variant is not None and not variant.replace("_", "").isalnum():
            raise SettingsError("variant", variant, "give a word such as fp16")
        self.path = Path(path)
        self._variants = DEFAULT_VARIANTS if variant is None else (variant,)
        with reading(self.path):
            _check_folder(self.path)
            self._read_configs()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.path)!r})"

    @property
    def is_xl(self) -> bool:
        """Tell whether the UNet takes pooled text and sizes, as SDXL's do."""
        return self.unet.addition_time_embed_dim is not None

    def weights(self, part: Part) -> Weights:
        """Open a part's weights; their header is checked, no tensor is read yet."""
        folder, files = self.path / part, _WEIGHTS[part]
        with reading(folder):
            return open_weights(find_weights(folder, files.stem, self._variants), files.names)

    @property
    def name(self) -> str:
        """The model's name: that of its folder, or ``owner/name`` in the cache of the Hub."""
        for parent in self.path.absolute().parents:
            if parent.name.startswith("models--"):
                return parent.name.removeprefix("models--").replace("--", "/", 1)
        return self.path.resolve().name

    def padding(self, encoder: Encoder) -> str | None:
        """Return the token that pads short texts; None for the one in the tokenizer's files."""
        return None

    def notes(self) -> dict[str, list[str]]:
        """Return the keys that no picture depends on, by the name of their JSON file.

        They are notes of training or of a tool. Files without any are left out.
        """
        names = ("unet/config.json", "vae/config.json", "scheduler/scheduler_config.json")
        found = {name: noted_keys(self.json(name)[0]) for name in names}
        return {name: keys for name, keys in found.items() if keys}

    def json(self, name: str) -> tuple[dict[str, object], Path]:
        """Return the object in a JSON file (such as ``unet/config.json``), and the file's path."""
        file = self.path / name
        if not file.exists() and name == "model_index.json":
            hint = "a model folder in the diffusers layout has one at its top"
            raise ModelNotFoundError(file, "there is no such file", hint)
        if not file.parent.is_dir():
            raise ModelNotFoundError(file.parent, "the folder is missing", INCOMPLETE)
        return read_json_object(file), file

    def _read_configs(self) -> None:
        """Read and check all configs."""
        index, file = self.json("model_index.json")
        check_index(index, file)
        self.unet = UNetConfig.from_json(*self._read_config("unet"))
        self.vae = VaeConfig.from_json(*self._read_config("vae"))
        encoders = [part for part in ENCODERS if part_class(index.get(part)) is not None]
        self.text_encoders = {p: ClipTextConfig.from_json(*self._read_config(p)) for p in encoders}
        self.tokenizers = {p: self._find_tokenizer(p) for p in encoders}
        self.scheduler = SchedulerConfig.from_json(*self.json("scheduler/scheduler_config.json"))
        self.zeros_for_empty_prompt = self.is_xl and read_flag(
            index, "force_zeros_for_empty_prompt"
        )
        self.asks_for_score = read_flag(index, "requires_aesthetics_score")
        self._check_family(str(index["_class_name"]), file)
        self._check_parts_match()

    def _read_config(self, part: str) -> tuple[dict[str, object], Path]:
        """Return a part's config and its path; the class that it names must be the part's."""
        config, file = self.json(f"{part}/config.json")
        if config.get("_class_name") is not None:
            check_class(part, config["_class_name"], file, "_class_name")
        return config, file

    def _find_tokenizer(self, encoder: Encoder) -> Path:
        """Return the checked folder of a text encoder's tokenizer."""
        return check_tokenizer(self.path / ENCODERS[encoder])

    def _check_family(self, pipeline: str, file: Path) -> None:
        """Refuse a pipeline or text encoders of another family than the UNet's."""
        if (pipeline in XL_PIPELINES) is not self.is_xl:
            reason = f"must be of the UNet's family, got {quote(pipeline)}"
            raise ModelFormatError(file, "_class_name", reason, DOWNLOAD_AGAIN)
        if "text_encoder" not in self.text_encoders and not self.is_xl:
            raise ModelFormatError(file, "text_encoder", "is missing", OTHER_FAMILY)
        if ("text_encoder_2" in self.text_encoders) is not self.is_xl:
            reason = "must be there in an XL model, and only there"
            raise ModelFormatError(file, "text_encoder_2", reason, OTHER_FAMILY)

    def _check_parts_match(self) -> None:
        """Refuse parts that do not fit each other in latent channels, text width or XL's sizes."""
        unet, latent = self.unet, self.vae.latent_channels
        file = self.path / "unet" / "config.json"
        if unet.in_channels < latent:
            reason = f"must be at least {latent}, the VAE's latent channels, got {unet.in_channels}"
            raise ModelFormatError(file, "in_channels", reason, OTHER_FAMILY)
        if unet.out_channels != latent:
            reason = f"must be {latent}, the VAE's latent channels, got {unet.out_channels}"
            raise ModelFormatError(file, "out_channels", reason, OTHER_FAMILY)
        text = sum(config.hidden_size for config in self.text_encoders.values())
        if unet.cross_attention_dim != text:
            reason = f"must be {text}, the text's width, got {unet.cross_attention_dim}"
            raise ModelFormatError(file, "cross_attention_dim", reason, DOWNLOAD_AGAIN)
        if self.is_xl:
            pooled = self.text_encoders["text_encoder_2"].projection_dim
            sizes = _SIZE_NUMBERS[self.asks_for_score] * (unet.addition_time_embed_dim or 0)
            found = unet.projection_class_embeddings_input_dim
            if found != pooled + sizes:
                reason = f"must be {pooled} + {sizes} for text and sizes, got {found}"
                raise ModelFormatError(
                    file, "projection_class_embeddings_input_dim", reason, DOWNLOAD_AGAIN
                )


def _check_folder(path: Path) -> None:
    """Refuse a path that is no folder. Raises ``ModelNotFoundError`` or ``ModelFormatError``."""
    if path.is_dir():
        return
    if not path.exists():
        raise ModelNotFoundError(path, "there is no such model folder", "check the path")
    if path.suffix in (".ckpt", ".pt", ".pth", ".bin"):
        reason = "must be a folder, got a Python pickle; it can run code, so it was not opened"
        raise ModelFormatError(path, "file", reason, CONVERT)
    raise ModelFormatError(path, "file", "must be a folder, got a single file", OTHER_FAMILY)
