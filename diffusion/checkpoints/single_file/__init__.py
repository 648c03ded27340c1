"""Whole models in one file: their families, configs and names.

Law: everything is worked out from names, shapes and metadata; no table of known files is kept.
"""

from diffusion.checkpoints.single_file.configs import CONFIG_KEY, Prediction
from diffusion.checkpoints.single_file.model_file import ModelFile

__all__ = ["CONFIG_KEY", "ModelFile", "Prediction"]
