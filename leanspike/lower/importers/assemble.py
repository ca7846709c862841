"""From a row of layers to a network of ours, with the same spikes.

image layout     a dense weight behind a flattened image is reordered from (C, H, W) to (H, W, C)
input gain       u = beta v + gain I: the gain goes into the synapse's weight and bias, or into the norm behind it
firing on >      u > theta is u >= the next floating-point number above theta
average pool     of spikes: a sum pool, its 1/size^2 in the next weights
                 of currents behind a convolution: a wider kernel with the pool's stride,
                 W'[a + stride i] = sum of W[a] / size^2 over i < size; stride' = stride size
no last neurons  currents are read as the potentials of integrators with beta = 0
dropout          does nothing in evaluation and is left out
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from leanspike.lower.importers.chain import Convolution, Dense, Flat, Neurons, Norm, Piece, Pool, refuse
from leanspike.nn import (
    LIF,
    BatchNorm,
    Conv2d,
    Flatten,
    LeakyIntegrator,
    Linear,
    MaxPool2d,
    Network,
    NeuronConfig,
    SumPool2d,
)
from leanspike.nn.readout import ReadoutName


def network_of(
    pieces: Sequence[Piece], input_shape: tuple[int, ...], readout: ReadoutName, dtype: torch.dtype
) -> Network:
    """The network of a row of layers, in evaluation.

    Args:
        input_shape: of one sample in one step, images ``(C, H, W)``.
        dtype: of the parameters.

    Raises:
        ModelImportError: the row cannot be expressed; the layer and the reason are named.
    """
    built = _Assembly(input_shape, dtype)
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        for piece in pieces:
            built.put(piece)
        built.finish(readout)
    return Network(built.layers, readout).to(dtype).eval()


class _Assembly:
    def __init__(self, shape: tuple[int, ...], dtype: torch.dtype) -> None:
        self.layers: list[nn.Module] = []
        self.shape, self.dtype = shape, dtype
        self.current: list[nn.Module] = []
        """The synapse, and the norm behind it, whose neurons have not come yet."""
        self.gain = 1.0
        """What the next synapse's weights are still to be multiplied with."""
        self.order: Tensor | None = None
        """Behind a flattened image: for each feature here, its number in the model."""

    def put(self, piece: Piece) -> None:
        if isinstance(piece, Dense):
            self._dense(piece)
        elif isinstance(piece, Convolution):
            self._convolution(piece)
        elif isinstance(piece, Norm):
            self._norm(piece)
        elif isinstance(piece, Pool):
            self._pool(piece)
        elif isinstance(piece, Flat):
            self._flat(piece)
        else:
            self._neurons(piece)

    def finish(self, readout: ReadoutName) -> None:
        membrane = readout.startswith("membrane")
        if self.current:
            if not membrane:
                raise refuse(
                    "", f"ends in currents, which the readout {readout} cannot count", "take a membrane readout"
                )
            nothing, one = torch.zeros(1), torch.ones(1)
            self._neurons(Neurons("readout", nothing, one, None))
        last = self.layers[-1] if self.layers else None
        if not isinstance(last, LIF | LeakyIntegrator) or len(self.shape) != 1:
            raise refuse("", "does not end in neurons, one a class", "give the whole model, up to its output neurons")
        if membrane and isinstance(last, LIF):
            what = f"its output neurons reset, so the readout {readout} would read potentials that a reset has changed"
            raise refuse("", what, "take the readout count, or output neurons without reset")
        if not membrane and isinstance(last, LeakyIntegrator):
            raise refuse("", f"its output neurons never fire, so there is no {readout}", "take a membrane readout")

    def _synapse(self, name: str) -> None:
        if self.current:
            raise refuse(name, "a synapse behind a synapse without neurons between", "multiply the two into one")

    def _dense(self, piece: Dense) -> None:
        self._synapse(piece.name)
        outputs, inputs = piece.weight.shape
        if self.shape != (inputs,):
            raise refuse(piece.name, f"takes {inputs} features, and {list(self.shape)} arrive", "flatten before it")
        layer = Linear(inputs, outputs, bias=piece.bias is not None)
        weight = piece.weight.double().t() * self.gain
        layer.weight.data = (weight if self.order is None else weight[self.order]).to(self.dtype).contiguous()
        if layer.bias is not None and piece.bias is not None:
            layer.bias.data = piece.bias.to(self.dtype).clone()
        self.current, self.gain, self.order, self.shape = [layer], 1.0, None, (outputs,)

    def _convolution(self, piece: Convolution) -> None:
        self._synapse(piece.name)
        outputs, inputs, kernel = piece.weight.shape[:3]
        if len(self.shape) != 3 or self.shape[0] != inputs:
            what = f"takes images of {inputs} channels, and {list(self.shape)} arrive"
            raise refuse(piece.name, what, "give the input_shape (C, H, W)")
        if piece.padding >= kernel:
            raise refuse(
                piece.name, f"a padding of {piece.padding} around a kernel of {kernel}", "pad less than the kernel"
            )
        layer = Conv2d(inputs, outputs, kernel, piece.padding, piece.stride, bias=piece.bias is not None)
        layer.weight.data = (piece.weight.double().permute(2, 3, 1, 0) * self.gain).to(self.dtype).contiguous()
        if layer.bias is not None and piece.bias is not None:
            layer.bias.data = piece.bias.to(self.dtype).clone()
        sides = tuple((side + 2 * piece.padding - kernel) // piece.stride + 1 for side in self.shape[1:])
        self.current, self.gain, self.shape = [layer], 1.0, (outputs, *sides)

    def _norm(self, piece: Norm) -> None:
        if len(self.current) != 1:
            raise refuse(piece.name, "batch norm that stands behind no synapse", "put it right behind one")
        if len(piece.gamma) != self.shape[0]:
            raise refuse(piece.name, f"has {len(piece.gamma)} channels, {self.shape[0]} arrive", "mend the model")
        layer = BatchNorm(self.shape[0])
        norm = layer.norm
        norm.weight.data, norm.bias.data = piece.gamma.clone(), piece.shift.clone()
        norm.running_mean, norm.running_var = piece.mean.clone(), piece.variance.clone()
        norm.eps = piece.eps
        self.current.append(layer)

    def _pool(self, piece: Pool) -> None:
        if len(self.shape) != 3:
            raise refuse(piece.name, f"a pool over {list(self.shape)}", "pool before the flatten")
        size = piece.size or self.shape[1]
        if (piece.size is None and self.shape[1] != self.shape[2]) or size > min(self.shape[1:]):
            raise refuse(piece.name, f"one window of {size} over {list(self.shape)}", "pool square windows that fit")
        factor = 1 / size**2 if piece.kind == "mean" else 1.0
        self.shape = (self.shape[0], self.shape[1] // size, self.shape[2] // size)
        if piece.kind == "max":
            (self.current or self.layers).append(MaxPool2d(size))
        elif not self.current:
            self.layers.append(SumPool2d(size))
            self.gain *= factor
        else:
            self._pooled_currents(piece.name, size, factor)

    def _pooled_currents(self, name: str, size: int, factor: float) -> None:
        synapse = self.current[0]
        if len(self.current) != 1 or not isinstance(synapse, Conv2d):
            raise refuse(name, "averages currents behind a norm or a max pool", "pool right behind the convolution")
        kernel, stride = synapse.kernel + synapse.stride * (size - 1), synapse.stride
        bias = synapse.bias
        wide = Conv2d(
            synapse.in_channels, synapse.out_channels, kernel, synapse.padding, stride * size, bias=bias is not None
        )
        weight = torch.zeros(wide.weight.shape, dtype=torch.float64)
        for i in range(size):
            for j in range(size):
                rows, columns = (slice(stride * k, stride * k + synapse.kernel) for k in (i, j))
                weight[rows, columns] += synapse.weight.double() * factor
        wide.weight.data = weight.to(self.dtype)
        if wide.bias is not None and bias is not None:
            wide.bias.data = (bias.double() * (factor * size**2)).to(self.dtype)
        self.current = [wide]

    def _flat(self, piece: Flat) -> None:
        if len(self.shape) == 1:
            return
        if self.current:
            raise refuse(piece.name, "a flatten between a synapse and its neurons", "flatten behind the neurons")
        numbers = torch.arange(math.prod(self.shape)).view(self.shape)
        self.order = numbers.permute(1, 2, 0).flatten() if len(self.shape) == 3 else None
        self.layers.append(Flatten())
        self.shape = (math.prod(self.shape),)

    def _neurons(self, piece: Neurons) -> None:
        if not self.current:
            raise refuse(piece.name, "neurons that no synapse feeds", "put a Linear or Conv2d before them")
        beta, gain = self._a_channel(piece.name, "leak", piece.beta), self._a_channel(piece.name, "gain", piece.gain)
        if float(beta.min()) < 0 or float(beta.max()) > 1:
            what = f"keeps {float(beta.min()):g} to {float(beta.max()):g} of its potential each step"
            raise refuse(piece.name, what, "a share from 0 to 1 can be expressed: choose tau >= dt")
        if float(gain.min()) <= 0:
            raise refuse(piece.name, f"multiplies its input with {float(gain.min()):g}", "a factor above 0 is needed")
        self._scale(gain)
        self.layers += [*self.current, self._layer(piece, beta)]
        self.current = []

    def _layer(self, piece: Neurons, beta: Tensor) -> nn.Module:
        channels = self.shape[0]
        if piece.threshold is None:
            config = NeuronConfig(beta=float(beta.mean()), per_channel=len(beta) > 1)
            integrator = LeakyIntegrator(config, channels)
            integrator.beta = beta.to(self.dtype)
            return integrator
        threshold = self._a_channel(piece.name, "threshold", piece.threshold).to(self.dtype)
        if float(threshold.min()) <= 0:
            what = f"a threshold {float(threshold.min()):g} above its resting potential"
            raise refuse(piece.name, what, "thresholds above rest can be expressed")
        amount = None if piece.reset_by is None else self._a_channel(piece.name, "reset", piece.reset_by).to(self.dtype)
        if not piece.at_threshold:
            threshold = torch.nextafter(threshold, torch.full_like(threshold, math.inf))
        count = max(len(beta), len(threshold), 1 if amount is None else len(amount))
        beta, threshold = beta.expand(count), threshold.expand(count)
        middle = float(beta.mean()), float(threshold.mean())
        config = NeuronConfig(beta=middle[0], threshold=middle[1], reset=piece.reset, per_channel=count > 1)
        neurons = LIF(config, channels, None if amount is None else amount.expand(count).clone())
        neurons.beta, neurons.threshold = beta.to(self.dtype).clone(), threshold.clone()
        return neurons

    def _a_channel(self, name: str, what: str, values: Tensor) -> Tensor:
        """``[1]`` or ``[C]`` in float64, where an image's values are the same in all of a channel."""
        values = values.detach().double()
        if values.numel() == 1:
            return values.reshape(1)
        shape = values.shape
        while len(shape) > len(self.shape) and shape[0] == 1:
            values, shape = values[0], shape[1:]
        if tuple(shape) == (self.shape[0],):
            return values
        if tuple(shape) == self.shape or tuple(shape) == (self.shape[0], 1, 1):
            flat = values.flatten(1)
            if bool((flat == flat[:, :1]).all()):
                return flat[:, 0]
        raise refuse(
            name, f"a {what} of shape {list(shape)} that differs within a channel", "one a channel can be expressed"
        )

    def _scale(self, gain: Tensor) -> None:
        """Multiply the current that the synapse, or the norm behind it, gives."""
        if bool((gain == 1).all()):
            return
        layer: nn.Module = next(part for part in reversed(self.current) if not isinstance(part, MaxPool2d))
        if isinstance(layer, BatchNorm):
            layer = layer.norm
        assert isinstance(layer, Linear | Conv2d | nn.BatchNorm1d)
        for parameter in (layer.weight, layer.bias):
            if parameter is not None:
                parameter.data = (parameter.double() * gain).to(self.dtype)
