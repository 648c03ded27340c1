"""Model files and folders, taken for hostile until checked.

Law: nothing is allocated from a number that has not been checked against the file's true size;
no name or text in a file is used as a path; a pickle is never loaded (a converter reads one in
a process of its own, as data). What comes out is NumPy
arrays and frozen configs; whatever is wrong is a ``ModelError``.
"""

from diffusion.checkpoints.folder import ModelFolder
from diffusion.checkpoints.header import TensorEntry
from diffusion.checkpoints.opening import open_model
from diffusion.checkpoints.parameters import check_parameters
from diffusion.checkpoints.safetensors import SafetensorsFile, open_safetensors, save_safetensors
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
