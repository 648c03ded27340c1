"""Model files and folders, which are taken for hostile until checked.

Law: nothing is allocated from a number that has not been checked against the file's true size. No
name or text in a file is used as a path. A pickle is never loaded: a converter reads one as data,
in a process of its own. The results are NumPy arrays and frozen configs; every failure is a
``ModelError``.
"""

from diffusion.checkpoints.model_folder import ModelFolder
from diffusion.checkpoints.opening import open_model
from diffusion.checkpoints.parameters import check_parameters
from diffusion.checkpoints.safetensors import (
    SafetensorsFile,
    TensorEntry,
    open_safetensors,
    save_safetensors,
)
from diffusion.checkpoints.separate_vae import SeparateVae, open_vae
from diffusion.checkpoints.single_file import ModelFile
from diffusion.checkpoints.weights import Weights

__all__ = [
    "ModelFile",
    "ModelFolder",
    "SafetensorsFile",
    "SeparateVae",
    "TensorEntry",
    "Weights",
    "check_parameters",
    "open_model",
    "open_safetensors",
    "open_vae",
    "save_safetensors",
]
