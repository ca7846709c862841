"""A batch through dense layers of spiking neurons, forward and backward, with no step of Python between layers.

The first layer reads packed spikes, analogue values, or values that are the same at every step; all others spikes.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from ctypes import c_double, c_int64
from typing import NamedTuple

import torch
from torch import Tensor

from leanspike.nn.constant import Constant
from leanspike.nn.kernels import cpu
from leanspike.nn.kernels.cpu import _incoming, _LIFArgs, _neuron
from leanspike.nn.kernels.library import kernels, ptr
from leanspike.nn.kernels.packing import words_of
from leanspike.nn.neuron import NeuronConfig


class _ChainArgs(ctypes.Structure):
    _fields_ = [
        ("layers", c_int64), ("layer", ctypes.POINTER(_LIFArgs)),
        ("bits", ctypes.c_void_p), ("values", ctypes.c_void_p),
        ("batch", c_int64), ("piece", c_int64),
        ("labels", ctypes.c_void_p), ("smoothing", c_double), ("scale", c_double),
        ("grad", ctypes.c_void_p), ("loss", ctypes.c_void_p), ("right", c_int64),
    ]  # fmt: skip


_LINE = 16
"""Floats of a cache line."""

_Place = tuple[ctypes.Structure, str]


class _Room:
    """One block of memory for all that a batch needs: malloc leaves gaps between many."""

    def __init__(self) -> None:
        self.size, self.parts = 0, list[tuple[int, tuple[_Place, ...]]]()

    def want(self, floats: int, *places: _Place) -> None:
        """So much room (a word is as large as a float), at which these arguments shall point."""
        self.parts.append((self.size, places))
        self.size += -(-floats // _LINE) * _LINE

    def block(self) -> Tensor:
        """The block, to be kept as long as the arguments are in use."""
        block = torch.empty(self.size)
        for at, places in self.parts:
            for args, name in places:
                setattr(args, name, block.data_ptr() + 4 * at)
        return block


class Layer(NamedTuple):
    """Synapses, neurons, and room for gradients: of weight and bias, and, added to, of beta and threshold (or None)."""

    config: NeuronConfig
    weight: Tensor
    bias: Tensor | None
    beta: Tensor
    threshold: Tensor
    sums: Sequence[Tensor | None]


Source = Tensor | Constant
"""Packed spikes ``[T, B, words]`` int32, analogue values ``[T, B, in]``, or one step's ``[B, in]``, seen T times."""


class Chain:
    """Buffers and arguments of a batch on its way.

    It goes ``piece`` samples at a time, whose potentials alone exist: 4 bytes a neuron, step and sample. Analogue
    values that differ from step to step, ``in`` times as large themselves, are one piece.

    Args:
        counts: the loss is that of spike counts (:meth:`counted`), or the caller's (:meth:`forward`, :meth:`backward`).
    """

    def __init__(self, source: Source, layers: Sequence[Layer], piece: int, counts: bool) -> None:
        self.steps, self.batch = source.shape[:2]
        constant = isinstance(source, Constant)
        self.source = (source.values if isinstance(source, Constant) else source).contiguous()
        packed = self.source.dtype == torch.int32
        self.piece = min(piece, self.batch) if packed or constant else self.batch
        self.args = (_LIFArgs * len(layers))()
        self.chain = _ChainArgs(len(layers), self.args, batch=self.batch, piece=self.piece)
        self.chain.bits, self.chain.values = (ptr(self.source), None) if packed else (None, ptr(self.source))
        self.room, self.kept, self.learned = _Room(), list[Tensor](), list[tuple[Tensor, Layer]]()
        for one, layer in zip(self.args, layers, strict=True):
            self._layer(one, layer)
        first, self.last = self.args[0], self.args[len(layers) - 1]
        if packed:
            self._spiking(first, self.source.shape[-1])
        else:
            self._analogue(first, constant, shown=len(layers) == 1 and not counts)
        for before, after in zip(self.args[:-1], self.args[1:], strict=True):
            before.out_words = words_of(before.features)
            before.next_weight, before.next_features = after.weight, after.features
            self._spiking(after, before.out_words)
            self.room.want(self._rows * after.words, (after, "bits"), (before, "out_bits"))
            self.room.want(self._rows * after.features, (after, "grad_current"), (before, "next_grad"))
        if counts:
            self.room.want(self.piece * self.last.features, (self.chain, "grad"), (self.last, "grad_spikes"))
            self.room.want(self._rows * self.last.features, (self.last, "spikes"))
        self.block = self.room.block()

    @property
    def _rows(self) -> int:
        return self.steps * self.piece

    def _layer(self, one: _LIFArgs, layer: Layer) -> None:
        beta, threshold = layer.beta.contiguous(), layer.threshold.contiguous()
        self.kept += [beta, threshold]
        _neuron(one, beta, threshold, layer.config)
        one.steps, one.batch, one.inputs, one.features = self.steps, self.piece, *layer.weight.shape
        one.weight, one.bias = ptr(layer.weight), ptr(layer.bias)
        one.grad_weight, one.grad_bias = ptr(layer.sums[0]), ptr(layer.sums[1])
        if layer.sums[2] is not None:
            by_sample = torch.zeros((2, self.piece, one.features))
            one.grad_beta, one.grad_theta = ptr(by_sample[0]), ptr(by_sample[1])
            self.learned.append((by_sample, layer))

    def _spiking(self, one: _LIFArgs, words: int) -> None:
        one.words = words
        self.room.want(cpu.room_of_potentials(self.steps, self.piece, one.features), (one, "potential"))

    def _analogue(self, one: _LIFArgs, constant: bool, shown: bool) -> None:
        """Currents, potentials and the currents' gradient take turns in one buffer, if nobody is to see potentials."""
        one.values, frame = ptr(self.source), self.piece * one.features
        one.current_step = 0 if constant else frame
        current, gradient, potential = (one, "current"), (one, "grad_current"), (one, "potential")
        if constant:
            self.room.want(frame, current, gradient)
            if not shown:
                self.room.want(self.steps * frame, potential)
        else:
            self.room.want(self.steps * frame, gradient, *(() if shown else (current, potential)))
            self.room.want(frame, (one, "grad_sum"))

    def forward(self, start: int, fires: bool) -> tuple[Tensor | None, Tensor]:
        """A piece from ``start`` on: the output layer's spikes, if it ``fires``, and potentials: ``[T, n, K]``."""
        one, shape = self.last, (self.steps, min(self.piece, self.batch - start), self.last.features)
        potential, spikes = torch.empty(shape), torch.empty(shape) if fires else None
        one.spikes = ptr(spikes)
        if not one.values:
            one.shown = ptr(potential)
        else:
            one.potential = ptr(potential)
            if one.current_step:
                one.current = one.potential
        kernels().leanspike_chain_forward(ctypes.byref(self.chain), c_int64(start))
        return spikes, potential

    def backward(self, grad_spikes: Tensor | None, grad_potential: Tensor | None) -> None:
        """Find the gradients of the piece that went forward last, and add them to those of the pieces before it."""
        self.last.grad_spikes = self.last.grad_potential = None
        arriving = _incoming(self.last, grad_spikes, grad_potential, None)
        kernels().leanspike_chain_backward(ctypes.byref(self.chain))
        del arriving

    def counted(self, labels: Tensor, smoothing: float, scale: float) -> tuple[Tensor, int]:
        """Find the gradients of the whole batch by :class:`leanspike.nn.loss.CountCrossEntropy`.

        Args:
            labels: ``[B]`` int64 within the classes.
            smoothing: of the labels.
            scale: what the loss of a sample is multiplied with.

        Returns:
            the loss, summed over the batch, and how many decisions were right.

        Raises:
            ValueError: a label is no class, or there is not one for every sample.
        """
        if labels.shape != (self.batch,) or labels.dtype != torch.int64:
            raise ValueError(f"labels are int64 [{self.batch}], not {labels.dtype} {list(labels.shape)}")
        chain, loss = self.chain, torch.empty(())
        chain.labels, chain.smoothing, chain.scale, chain.loss = ptr(labels), smoothing, scale, ptr(loss)
        if kernels().leanspike_chain(ctypes.byref(chain)):
            most = self.last.features - 1
            raise ValueError(f"labels are 0 to {most}, not {int(labels.min())} to {int(labels.max())}")
        return loss, chain.right

    def learn(self) -> None:
        """Add what beta and threshold learned, sample by sample, to the layers' sums."""
        for by_sample, layer in self.learned:
            for total, each in zip(layer.sums[2:], by_sample, strict=True):
                assert total is not None
                total += each.sum(0)
