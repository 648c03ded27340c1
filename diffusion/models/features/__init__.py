"""Changes of the UNet's features on the way up: scaled, or kept from an earlier call.

Law: knows layers, no network.
"""

from diffusion.models.features.freeu import (
    BlockFactors,
    FeatureScaling,
    feature_scaling,
    scale_features,
)
from diffusion.models.features.reuse import DeepFeature, current_deep_feature, deep_feature

__all__ = [
    "BlockFactors",
    "DeepFeature",
    "FeatureScaling",
    "current_deep_feature",
    "deep_feature",
    "feature_scaling",
    "scale_features",
]
