"""A model trained in snnTorch and one trained in SpikingJelly, taken to a Cortex-M4.

Each is trained here with its own framework's neurons on MNIST (784-400-10, direct coding, T = 8), imported (spikes of
every layer compared), lowered, emitted as C, and run on an emulated Cortex-M4. Expected: imported spikes differ in no
step, and the board decides as the program on all 1,000 test samples.

    pip install 'leanspike[interop]'; gcc-arm-none-eabi and qemu-system-arm; python recipes/peer_models_on_cortex_m4.py
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from leanspike import data, ir
from leanspike.encode import EncoderConfig
from leanspike.lower import Encoded, lower
from leanspike.lower.importers import from_snntorch, from_spikingjelly, verify_import
from leanspike.measure.quality import wilson
from leanspike.targets.c.boards import measure_board

STEPS, HIDDEN, BATCH = 8, 400, 128


def snntorch_model() -> tuple[nn.Module, Callable[[nn.Module, Tensor], Tensor]]:
    """The model, and its output spikes ``[T, B, 10]`` of a batch ``[B, 784]``: step by step, as its tutorials do."""
    import snntorch as snn

    model = nn.Sequential(nn.Linear(784, HIDDEN), snn.Leaky(beta=0.9), nn.Linear(HIDDEN, 10), snn.Leaky(beta=0.9))

    def forward(model: nn.Module, x: Tensor) -> Tensor:
        first, hidden, second, output = model.children()
        v, u, spikes = hidden.init_leaky(), output.init_leaky(), []
        for _ in range(STEPS):
            s, v = hidden(first(x), v)
            s, u = output(second(s), u)
            spikes.append(s)
        return torch.stack(spikes)

    return model, forward


def spikingjelly_model() -> tuple[nn.Module, Callable[[nn.Module, Tensor], Tensor]]:
    """The same in SpikingJelly's multi-step mode; its LIF multiplies the input with 1 / tau."""
    from spikingjelly.activation_based import functional, layer, neuron

    def lif() -> nn.Module:
        return neuron.LIFNode(tau=2.0, v_reset=None, detach_reset=True)

    model = nn.Sequential(layer.Linear(784, HIDDEN), lif(), layer.Linear(HIDDEN, 10), lif())
    functional.set_step_mode(model, "m")

    def forward(model: nn.Module, x: Tensor) -> Tensor:
        functional.reset_net(model)
        spikes: Tensor = model(x.unsqueeze(0).expand(STEPS, *x.shape))
        return spikes

    return model, forward


MODELS = {"snntorch": (snntorch_model, from_snntorch), "spikingjelly": (spikingjelly_model, from_spikingjelly)}


def trained(
    model: nn.Module, forward: Callable[[nn.Module, Tensor], Tensor], x: Tensor, y: Tensor, epochs: int
) -> nn.Module:
    """Adam on the cross-entropy of spike counts."""
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    for epoch in range(epochs):
        for chosen in torch.randperm(len(x)).split(BATCH):
            loss = cross_entropy(forward(model, x[chosen]).sum(0), y[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        print(f"  epoch {epoch + 1}/{epochs}  loss {loss.item():.3f}", flush=True)
    return model.eval()


def taken_to_the_board(name: str, samples: int, training: int, epochs: int, board: str) -> int:
    """Train, import, lower, run; returns the number of decisions in which the board differs from the program."""
    torch.manual_seed(0)
    mnist = data.load("mnist")
    make, take_over = MODELS[name]
    model, forward = make()
    x = torch.from_numpy(mnist.x_train[:training]).float().flatten(1) / 255
    print(f"{name}: training on {len(x)} samples")
    trained(model, forward, x, torch.from_numpy(mnist.y_train[:training]), epochs)
    network = take_over(model, input_shape=(784,))
    steps = x[:64].unsqueeze(0).expand(STEPS, 64, 784)
    for layer in verify_import(model, network, steps, run=lambda constant: forward(model, constant[0])):
        print(f"  imported: {layer}")
    lowered = lower(network, Encoded(EncoderConfig(), (784,), STEPS), name=f"{name}-784-{HIDDEN}-10-t{STEPS}")
    program, test = lowered.program, mnist.test()
    raw, labels = ir.raw_samples(program, test.x[:samples].reshape(samples, 784)), test.y[:samples]
    expected = ir.run_fast(program, raw).predictions
    found = measure_board(program, board, raw)
    right, differing = int((found.predictions == labels).sum()), int((found.predictions != expected).sum())
    low, high = wilson(right, samples)
    print(f"  {board}: {differing} of {samples} decisions differ from the program")
    print(f"  {board}: accuracy {right / samples:.2%} ({low:.2%} to {high:.2%})")
    print(f"  {board}: {found.instructions_mean:,.0f} instructions a sample, flash {found.flash_bytes:,} bytes,")
    print(f"      RAM {found.ram_bytes:,} bytes")
    return differing


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code 1 if a board decided otherwise than the program."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--training", type=int, default=60_000, help="training samples")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--board", default="m4")
    parser.add_argument("frameworks", nargs="*", default=list(MODELS))
    args = parser.parse_args(argv)
    sizes = args.samples, args.training, args.epochs, args.board
    return int(sum(taken_to_the_board(name, *sizes) for name in args.frameworks) > 0)


if __name__ == "__main__":
    sys.exit(main())
