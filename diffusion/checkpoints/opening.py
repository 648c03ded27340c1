"""Opening whatever a user names as a model: a folder or a single file."""

from pathlib import Path

from diffusion.checkpoints.folder import ModelFolder
from diffusion.checkpoints.single_file import ModelFile, Prediction
from diffusion.checkpoints.torch_file import SUFFIXES as TORCH_SUFFIXES
from diffusion.errors import ModelFormatError

SUFFIX = ".safetensors"


def open_model(
    path: str | Path,
    *,
    tokenizer: str | Path | None = None,
    prediction: Prediction | None = None,
) -> ModelFolder:
    """Open a model's folder, or a single ``.safetensors`` file.

    ``tokenizer`` and ``prediction`` are for single files, which lack them (see ``ModelFile``).
    Raises ``ModelNotFoundError`` or ``ModelFormatError``.
    """
    path = Path(path)
    if path.suffix.lower() == SUFFIX and not path.is_dir():
        return ModelFile(path, tokenizer=tokenizer, prediction=prediction)
    if path.is_file():
        target = path.with_suffix(SUFFIX).name
        old = path.suffix.lower() in TORCH_SUFFIXES
        hint = f"convert it: avila convert {path} -o {target}" if old else "name a model"
        reason = "is neither a model's folder nor a .safetensors file"
        raise ModelFormatError(path, "file", reason, hint)
    return ModelFolder(path)
