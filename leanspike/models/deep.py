"""VGG-9, ResNet-19 and Spikformer, their published sizes times ``width``.

    vgg9         64 64 A 128 128 A 256 256 256 A 1024 K         of Kim & Panda 2021, arXiv:2010.01729; A: 2x2 mean
    resnet19     64, [128]x3, [256]x3, [512]x2, A 256 K          Zheng et al. 2021, arXiv:2011.05280; basic blocks
    spikformer   32 64 128 M 256 M +256, depth blocks, A K       Zhou et al. 2023, arXiv:2209.15425; M: 2x2 maximum

A number is a 3x3 convolution with norm and LIF (the 1024 and 256 before K: a dense layer), K the classes.

A basic block is ``LIF(N(conv(LIF(N(conv(x))))) + shortcut(x))``; the shortcut is x itself, or a 1x1 convolution with
norm where stride or channels change; norms that meet in a sum start at 1/sqrt(2) of the threshold. A block of
Spikformer is ``x + attention(x)``, then ``x + mlp(x)``, sums of spikes. ``docs/reference/models.md`` says what differs
from the papers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

from torch import nn

from leanspike.core.errors import ConfigError
from leanspike.nn import (
    LIF,
    AvgPool2d,
    Conv2d,
    Flatten,
    LeakyIntegrator,
    Linear,
    MaxPool2d,
    NeuronConfig,
    Residual,
    SpikingSelfAttention,
)

Norm = Callable[[int, float], Sequence[nn.Module]]
"""The norm of so many channels whose scale starts at a share of the usual one; none: no modules."""
_VGG = ((64, 64), (128, 128), (256, 256, 256))
_STEM, _BLOCKS = 64, ((128, 3), (256, 3), (512, 2))
_PATCHES = 8


def vgg9(shape: tuple[int, ...], width: float, neuron: NeuronConfig, norm: Norm) -> tuple[list[nn.Module], int]:
    """Hidden layers for images ``(C, H, W)`` of 8 x 8 or more, and how many features they give."""
    channels, height, sides = _image(shape, 8, "vgg9")
    layers: list[nn.Module] = []
    for group in _VGG:
        for published in group:
            size = scaled(published, width)
            layers += [*_convolved(channels, size, norm), LIF(neuron, size)]
            channels = size
        layers.append(AvgPool2d(2))
        height, sides = height // 2, sides // 2
    features = scaled(1024, width)
    dense = Linear(channels * height * sides, features, bias=False)
    return [*layers, Flatten(), dense, *norm(features, 1.0), LIF(neuron, features)], features


def resnet19(shape: tuple[int, ...], width: float, neuron: NeuronConfig, norm: Norm) -> tuple[list[nn.Module], int]:
    """Hidden layers for square images ``(C, H, H)`` of 4 x 4 or more, and how many features they give."""
    channels, side, _ = _image(shape, 4, "resnet19", square=True)
    size = scaled(_STEM, width)
    layers: list[nn.Module] = [*_convolved(channels, size, norm), LIF(neuron, size)]
    channels = size
    for group, (published, count) in enumerate(_BLOCKS):
        size = scaled(published, width)
        for i in range(count):
            stride = 2 if group and not i else 1
            layers += [_basic(channels, size, stride, neuron, norm), LIF(neuron, size)]
            channels, side = size, -(-side // stride)
    features = scaled(256, width)
    return [*layers, AvgPool2d(side), Flatten(), Linear(channels, features), LIF(neuron, features)], features


def _basic(channels: int, size: int, stride: int, neuron: NeuronConfig, norm: Norm) -> Residual:
    share = 1 / math.sqrt(2)
    branch = [*_convolved(channels, size, norm, stride), LIF(neuron, size), *_convolved(size, size, norm, share=share)]
    if stride == 1 and channels == size:
        return Residual(branch)
    shortcut = Conv2d(channels, size, kernel=1, padding=0, stride=stride, bias=False)
    return Residual(branch, [shortcut, *norm(size, share)])


def spikformer(
    shape: tuple[int, ...], width: float, depth: int, heads: int, neuron: NeuronConfig, norm: Norm
) -> tuple[list[nn.Module], int]:
    """Hidden layers for square images ``(C, H, H)`` of 4 x 4 or more, and how many features they give."""
    channels, side, _ = _image(shape, 4, "spikformer", square=True)
    size = _PATCHES * max(1, round(256 * width / _PATCHES))
    if size % heads:
        remedy = "change model.width, which gives round(256 width / 8) times 8 channels, or model.heads"
        raise ConfigError(f"{size} channels in {heads} heads", where="model.heads", remedy=remedy)
    layers: list[nn.Module] = []
    for share in (8, 4, 2, 1):
        layers += [*_convolved(channels, size // share, norm), LIF(neuron, size // share)]
        layers += [MaxPool2d(2)] if share < 4 else []
        channels = size // share
    layers.append(Residual([*_convolved(size, size, norm), LIF(neuron, size)]))
    for _ in range(depth):
        attention = SpikingSelfAttention(size, heads, neuron, norm=lambda count: norm(count, 1.0)[0])
        layers.append(Residual([attention, *_token(size, size, neuron, norm)]))
        layers.append(Residual([*_token(size, 4 * size, neuron, norm), *_token(4 * size, size, neuron, norm)]))
    return [*layers, AvgPool2d(side // 4), Flatten()], size


def _token(channels: int, size: int, neuron: NeuronConfig, norm: Norm) -> list[nn.Module]:
    """A dense layer of every token: a 1x1 convolution of the image whose places are the tokens."""
    return [Conv2d(channels, size, kernel=1, padding=0), *norm(size, 1.0), LIF(neuron, size)]


def _convolved(channels: int, size: int, norm: Norm, stride: int = 1, share: float = 1.0) -> list[nn.Module]:
    norms = norm(size, share)
    return [Conv2d(channels, size, stride=stride, bias=not norms), *norms]


def scaled(published: int, width: float) -> int:
    """A published number of channels times the width."""
    return max(1, round(published * width))


def _image(shape: tuple[int, ...], least: int, kind: str, square: bool = False) -> tuple[int, int, int]:
    fits = len(shape) == 3 and min(shape[1:]) >= least and (not square or shape[1] == shape[2])
    if not fits:
        wanted = f"{'square ' if square else ''}images (C, H, W) of {least} x {least} or more"
        what = f"{kind} needs {wanted}, the samples are {list(shape)}"
        raise ConfigError(what, where="model.kind", remedy="use model.kind=mlp")
    return shape[0], shape[1], shape[2]


def averaging(neuron: NeuronConfig, classes: int) -> LeakyIntegrator:
    """An output that keeps nothing from step to step: its mean over time is a dense layer of the mean spikes."""
    return LeakyIntegrator(replace(neuron, beta=0.0, learn_beta=False), classes)
