"""The Triton kernels against their definition: on a GPU where there is one, else in Triton's interpreter.

Without a GPU the same kernels are also compiled down to machine code, which needs Triton but no device.
"""

from __future__ import annotations

import importlib.util
import itertools
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from leanspike.nn import NeuronConfig, lif, lif_scan
from leanspike.nn.functional import LIFState
from leanspike.nn.kernels import cuda, reference
from leanspike.nn.surrogate import NAMES

HAS_TRITON = importlib.util.find_spec("triton") is not None
HAS_GPU = torch.cuda.is_available()
INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
DEVICE = "cuda" if HAS_GPU and not INTERPRETED else "cpu"

needs_triton = pytest.mark.skipif(not HAS_TRITON, reason="Triton is not installed")
needs_gpu = pytest.mark.skipif(not HAS_GPU or INTERPRETED, reason="no CUDA device")
NEURONS = [
    NeuronConfig(reset=reset, detach_reset=detach, surrogate=name, surrogate_scale=scale, refractory=refractory)
    for reset, detach, (name, scale), refractory in itertools.product(
        ("subtract", "zero"), (True, False), zip(NAMES, (2.0, 4.0, 5.0, 1.0, 0.5, 1.0), strict=True), (0, 2)
    )
]
STEPS, SAMPLE = 5, (3, 4, 30)  # 360 elements: a whole block and a part of one


def name_of(config: NeuronConfig) -> str:
    detached = "detached" if config.detach_reset else "through"
    return f"{config.reset}-{detached}-{config.surrogate}-{config.refractory}"


def noise(generator: torch.Generator, *shape: int) -> Tensor:
    return torch.randn(shape, generator=generator).to(DEVICE)


def start_state(generator: torch.Generator, refractory: int) -> LIFState:
    hold = torch.randint(0, refractory + 1, SAMPLE, generator=generator, dtype=torch.int32).to(DEVICE)
    return LIFState(noise(generator, *SAMPLE), hold if refractory else None)


def parameters(generator: torch.Generator) -> tuple[Tensor, Tensor]:
    beta, threshold = torch.rand((2, *SAMPLE[1:]), generator=generator).to(DEVICE)
    return beta, 0.3 + threshold


def assert_close(got: reference.Gradients, wanted: reference.Gradients, tolerance: float = 1e-4) -> None:
    for name in ("current", "beta", "threshold", "potential"):
        a, b = getattr(got, name), getattr(wanted, name)
        if b is None:
            assert a is None, name
            continue
        torch.testing.assert_close(a.to(b.dtype), b, rtol=tolerance, atol=tolerance, msg=lambda m, n=name: f"{n}: {m}")


@needs_triton
@pytest.mark.gpu
@pytest.mark.skipif(not (HAS_GPU or INTERPRETED), reason="no CUDA device; TRITON_INTERPRET=1 interprets the kernels")
class TestAgainstReference:
    """Runs on a GPU, or with TRITON_INTERPRET=1 on the CPU."""

    @pytest.mark.parametrize("config", NEURONS, ids=name_of)
    @pytest.mark.parametrize("constant", [False, True], ids=["sequence", "constant"])
    def test_values_to_the_last_bit_and_gradients(self, config: NeuronConfig, constant: bool) -> None:
        generator = torch.Generator().manual_seed(1)
        source = noise(generator, *(SAMPLE if constant else (STEPS, *SAMPLE)))
        (beta, threshold), state = parameters(generator), start_state(generator, config.refractory)
        got = cuda.forward(source, STEPS, beta, threshold, state, config, False)
        wanted = reference.forward(source, STEPS, beta, threshold, state, config, False)
        assert 0.05 < float(wanted.spikes.mean()) < 0.6
        for a, b in (
            (got.spikes, wanted.spikes),
            (got.potential, wanted.potential),
            (got.state.potential, wanted.state.potential),
        ):
            assert torch.equal(a, b)
        if config.refractory:
            assert torch.equal(got.held, wanted.held)
            assert torch.equal(got.state.hold, wanted.state.hold)

        arriving = noise(generator, STEPS, *SAMPLE), noise(generator, STEPS, *SAMPLE), noise(generator, *SAMPLE)
        args = (state.potential, beta, threshold, config, constant, *arriving, True)
        assert_close(cuda.backward(got, *args), reference.backward(wanted, *args))

    @pytest.mark.parametrize("absent", [0, 1, 2, None], ids=["spikes", "potential", "end", "learn"])
    def test_gradients_that_do_not_arrive(self, absent: int | None) -> None:
        generator, config = torch.Generator().manual_seed(2), NeuronConfig(detach_reset=False)
        (beta, threshold), state = parameters(generator), start_state(generator, 0)
        scanned = reference.forward(noise(generator, STEPS, *SAMPLE), STEPS, beta, threshold, state, config, False)
        arriving: list[Tensor | None] = [noise(generator, *shape) for shape in [(STEPS, *SAMPLE)] * 2 + [SAMPLE]]
        if absent is not None:
            arriving[absent] = None
        args = (state.potential, beta, threshold, config, False, *arriving, absent is not None)
        assert_close(cuda.backward(scanned, *args), reference.backward(scanned, *args))

    def test_views_of_any_stride(self) -> None:
        generator, config = torch.Generator().manual_seed(3), NeuronConfig(detach_reset=False)
        steps, batch, features = 4, 7, 50
        source = noise(generator, features, batch, steps).permute(2, 1, 0)
        start = noise(generator, features, batch).t()
        beta, threshold = torch.tensor(0.8, device=DEVICE).expand(features), noise(generator, 2 * features)[::2].abs()
        got = cuda.forward(source, steps, beta, threshold, LIFState(start), config, False)
        wanted = reference.forward(source, steps, beta, threshold, LIFState(start), config, False)
        assert torch.equal(got.spikes, wanted.spikes)
        assert torch.equal(got.potential, wanted.potential)
        same_each_step = noise(generator, features, batch).t().expand(steps, batch, features)
        one_number = noise(generator, 1)[0].expand(steps, batch, features)
        for ds, du in ((same_each_step, source), (source, same_each_step), (one_number, one_number)):
            args = (start, beta, threshold, config, False, ds, du, source[0], True)
            assert_close(cuda.backward(got, *args), reference.backward(wanted, *args))

    @pytest.mark.parametrize("reset", ["subtract", "zero"])
    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
    def test_half_precision_where_it_is_exact(self, dtype: torch.dtype, reset: Any) -> None:
        generator = torch.Generator().manual_seed(4)
        config = NeuronConfig(reset=reset, detach_reset=False, surrogate="sigmoid", surrogate_scale=4.0)
        quarters = torch.randint(-4, 5, (4, *SAMPLE), generator=generator).to(DEVICE) / 4
        beta, threshold = torch.full((2, *SAMPLE[1:]), 0.5, device=DEVICE)
        threshold = threshold + 0.25
        state = LIFState(torch.zeros(SAMPLE, device=DEVICE))
        wanted = reference.forward(quarters, 4, beta, threshold, state, config, False)
        got = cuda.forward(quarters.to(dtype), 4, beta, threshold, LIFState(state.potential.to(dtype)), config, False)
        assert got.spikes.dtype == got.potential.dtype == got.state.potential.dtype == dtype
        assert torch.equal(got.spikes.float(), wanted.spikes)
        assert torch.equal(got.potential.float(), wanted.potential)

        arriving = [noise(generator, *shape).to(dtype) for shape in [(4, *SAMPLE)] * 2 + [SAMPLE]]
        rest = (beta, threshold, config, False)
        found = cuda.backward(got, state.potential.to(dtype), *rest, *arriving, True)
        assert found.current.dtype == found.potential.dtype == dtype
        expected = reference.backward(wanted, state.potential, *rest, *(g.float() for g in arriving), True)
        assert_close(found, expected, 2e-2)

    def test_bfloat16_does_not_lose_a_small_current(self) -> None:
        """Rounding u at every step would stop it near 0.064; it must settle at I / (1 - beta) = 0.1."""
        source = torch.full((1, 8), 0.001, device=DEVICE).bfloat16()
        beta, threshold = torch.full((8,), 0.99, device=DEVICE), torch.ones(8, device=DEVICE)
        scanned = cuda.forward(source, 600, beta, threshold, LIFState(torch.zeros_like(source)), NeuronConfig(), False)
        settled = scanned.potential[-1].float()
        torch.testing.assert_close(settled, torch.full_like(settled, 0.1), rtol=0.01, atol=0)


@needs_triton
@pytest.mark.skipif(INTERPRETED, reason="this is the interpreted run")
def test_the_kernels_in_tritons_interpreter() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "pytest", f"{__file__}::TestAgainstReference", "-p", "no:cacheprovider"],
        env=os.environ | {"TRITON_INTERPRET": "1", "OMP_NUM_THREADS": "1"},
        cwd=Path(__file__).resolve().parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert "passed" in run.stdout
    assert "skipped" not in run.stdout


def compile_kernel(kernel: Any, values: dict[str, Any]) -> Any:
    """Machine code for compute capability 8.0; a value that is a string like ``*fp16`` is an argument's type."""
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    names = {"i32", "i64", "fp32"}
    is_type = {k: isinstance(v, str) and (v in names or v.startswith("*")) for k, v in values.items()}
    signature = {name: values[name] if is_type[name] else "constexpr" for name in kernel.arg_names}
    fixed = {(i,): values[name] for i, name in enumerate(kernel.arg_names) if not is_type[name]}
    options = {"num_warps": 4, "enable_fp_fusion": False}
    return triton.compile(ASTSource(kernel, signature, fixed), target=GPUTarget("cuda", 80, 32), options=options)


@needs_triton
@pytest.mark.skipif(INTERPRETED, reason="an interpreted kernel is not compiled")
class TestCompiles:
    @pytest.fixture(autouse=True)
    def _own_cache(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))

    @pytest.mark.parametrize("dtype", ["*fp32", "*fp16", "*bf16"])
    @pytest.mark.parametrize("refractory", [False, True])
    def test_forward(self, dtype: str, refractory: bool) -> None:
        from leanspike.nn.kernels.triton_lif import lif_forward

        values = dict.fromkeys(("current", "start", "spikes", "potential", "end"), dtype)
        values |= dict.fromkeys(("beta", "threshold"), "*fp32")
        values |= dict.fromkeys(("elements", "features", "steps", "refractory"), "i32")
        holding = {"hold": "*i32", "held": "*u8", "end_hold": "*i32"} if refractory else {}
        absent = dict.fromkeys(("hold", "held", "end_hold"))
        fixed = {"CONSTANT": not refractory, "ZERO": refractory, "BLOCK": 256}
        compiled = compile_kernel(lif_forward, values | absent | holding | fixed)
        assert compiled.asm["cubin"]
        assert "fma." not in compiled.asm["ptx"], "fused multiply-add: not the reference's last bit"

    @pytest.mark.parametrize("surrogate", NAMES)
    @pytest.mark.parametrize(
        ("dtype", "everything"), [("*fp32", False), ("*fp32", True), ("*bf16", True)], ids=["least", "fp32", "bf16"]
    )
    def test_backward(self, dtype: str, surrogate: str, everything: bool) -> None:
        from leanspike.nn.kernels.triton_lif import lif_backward

        values = dict.fromkeys(("potential", "start", "grad_current", "grad_start"), dtype)
        values |= dict.fromkeys(("beta", "threshold"), "*fp32") | {"scale": "fp32"}
        values |= dict.fromkeys(("elements", "features", "steps", "spikes_step", "potential_step"), "i32")
        arriving = ("spikes", "grad_spikes", "grad_potential", "grad_end")
        values |= dict.fromkeys(arriving, dtype if everything else None)
        values |= dict.fromkeys(("grad_beta", "grad_threshold"), "*fp32" if everything else None)
        values["held"] = "*u8" if everything else None
        flags = dict.fromkeys(("CONSTANT", "ZERO", "THROUGH"), everything)
        compiled = compile_kernel(lif_backward, values | flags | {"SURROGATE": surrogate, "BLOCK": 256})
        assert compiled.asm["cubin"]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16], ids=str)
def test_a_tensor_on_the_cpu_is_not_served(dtype: torch.dtype) -> None:
    assert not cuda.serves(torch.zeros(3, dtype=dtype))


@needs_triton
@needs_gpu
@pytest.mark.gpu
class TestOnTheDevice:
    def test_what_is_served(self) -> None:
        served = [cuda.serves(torch.zeros(1, device="cuda", dtype=t)) for t in (*cuda.DTYPES, torch.float64)]
        assert served == [True, True, True, False]

    @pytest.mark.parametrize("constant", [False, True])
    def test_scan_under_autograd(self, constant: bool) -> None:
        generator, config = torch.Generator().manual_seed(5), NeuronConfig(detach_reset=False)
        source = noise(generator, *(SAMPLE if constant else (STEPS, *SAMPLE))).requires_grad_()
        beta, threshold = (p.requires_grad_() for p in parameters(generator))
        weight = noise(generator, STEPS, *SAMPLE)
        current = source.expand(STEPS, *SAMPLE)
        expected, potential, _ = lif(current, beta, threshold, config)
        spikes, u, _ = lif_scan(current, beta, threshold, config)
        assert torch.equal(spikes.dense(), expected)
        assert torch.equal(u, potential)
        leaves = (source, beta, threshold)
        wanted = torch.autograd.grad((expected * weight).sum() + potential.sum(), leaves)
        for a, b in zip(torch.autograd.grad((spikes.dense() * weight).sum() + u.sum(), leaves), wanted, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)
