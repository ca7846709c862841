"""Networks by name, built from a frozen configuration."""

from leanspike.models.baselines import build_ann
from leanspike.models.build import ModelConfig, build

__all__ = ["ModelConfig", "build", "build_ann"]
