"""The same-size artificial network: the line every spiking network is measured against."""

from __future__ import annotations

import math

from torch import nn

from leanspike.models.build import ModelConfig


def build_ann(model: ModelConfig, shape: tuple[int, ...], classes: int) -> nn.Sequential:
    """The topology of :func:`leanspike.models.build` with ReLU in place of LIF: ``[B, ...] -> logits [B, K]``."""
    layers: list[nn.Module] = []
    normed = model.norm != "none"
    if model.kind == "convnet":
        channels, height, width = shape
        for size in model.channels:
            norm = [nn.BatchNorm2d(size)] if normed else []
            layers += [nn.Conv2d(channels, size, 3, padding=1), *norm, nn.ReLU(), nn.MaxPool2d(2)]
            layers += [nn.Dropout(model.dropout)] if model.dropout else []
            channels, height, width = size, height // 2, width // 2
        features = channels * height * width
        layers.append(nn.Flatten())
    else:
        layers.append(nn.Flatten())
        features = math.prod(shape)
        for size in model.hidden:
            norm1 = [nn.BatchNorm1d(size)] if normed else []
            layers += [nn.Linear(features, size), *norm1, nn.ReLU()]
            layers += [nn.Dropout(model.dropout)] if model.dropout else []
            features = size
    layers.append(nn.Linear(features, classes))
    return nn.Sequential(*layers)
