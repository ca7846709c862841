"""What is compared, and what the project promises of it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from leanspike.bench.candidates import CANDIDATES, ONCE, OURS, PACKING, RECOMPUTE, Candidate
from leanspike.bench.workloads import Workload

PEERS = ("torch", "jax")


@dataclass(frozen=True)
class Settings:
    """How to run.

    Attributes:
        only: groups or names of tables; empty for all.
        rounds: turns of every candidate.
        quick: a few steps and samples, without torch.compile: to see that everything runs and agrees.
        compiling: let the candidates take part that use torch.compile.
    """

    only: tuple[str, ...] = ()
    rounds: int = 12
    threads: int = 2
    quick: bool = False
    compiling: bool = True


@dataclass(frozen=True)
class Promise:
    """At least ``ratio`` times as fast as the fastest candidate of these families; None: shown, nothing promised."""

    families: tuple[str, ...]
    ratio: float | None


@dataclass(frozen=True)
class Table:
    """One table.

    Attributes:
        group: what ``--only`` selects.
        kind: ``steps`` (training steps), ``passes`` (forward and backward apart), ``epoch`` or ``coding``.
        skipped: candidates left out, each with the reason.
    """

    name: str
    group: str
    title: str
    work: Workload
    candidates: tuple[Candidate, ...] = CANDIDATES
    kind: str = "steps"
    promises: tuple[Promise, ...] = ()
    skipped: dict[str, str] = field(default_factory=dict)


def _mlp(percent: int, timesteps: int, promises: tuple[Promise, ...]) -> Table:
    name = f"mlp-{percent}-T{timesteps}"
    title = f"Training step, 784-400-10, B=128, T={timesteps}, binary input with {percent} % ones"
    work = Workload(name, timesteps, 128, density=percent / 100)
    return Table(name, "mlp", title, work, (*CANDIDATES, RECOMPUTE, PACKING), promises=promises)


_CODERS = tuple(
    Candidate(name, "leanspike.bench.coding", name, needs, "ours" if needs is None else "torch", "no", how)
    for name, needs, how in (
        ("leanspike", None, "a counter-based hash against 16-bit thresholds, straight to bits"),
        ("torch.rand < p", "torch", "float32 spikes"),
        ("torch.bernoulli", "torch", "float32 spikes"),
        ("snntorch.spikegen.rate", "snntorch", "float32 spikes"),
        ("spikingjelly PoissonEncoder", "spikingjelly", "float32 spikes"),
        ("norse poisson_encode", "norse", "float32 spikes"),
    )
)

_EPOCH_NAMES = ("leanspike", "torch", "torch + compile", "spikingjelly + compile", "spyx", "jaxpike")
_LONG = "compiling 500 unrolled steps takes minutes, and spikingjelly + compile shows what it brings"

TABLES: tuple[Table, ...] = (
    _mlp(9, 25, (Promise(("torch",), 6), Promise(("jax",), 4))),
    _mlp(9, 100, (Promise(("torch",), 6), Promise(("jax",), 4))),
    _mlp(3, 25, (Promise(("torch",), 12), Promise(("jax",), None))),
    _mlp(3, 100, (Promise(("torch",), 12), Promise(("jax",), None))),
    Table(
        "direct-T5",
        "direct",
        "Training step, 784-400-10, B=128, T=5, direct coding (the same values in [0, 1] at every step)",
        Workload("direct-T5", 5, 128, coding="direct"),
        (*CANDIDATES, *ONCE),
        promises=(Promise(("torch",), 3), Promise(("jax",), None)),
    ),
    Table(
        "dense-T25",
        "dense",
        "Training step, 784-400-10, B=128, T=25, Gaussian input at every step",
        Workload("dense-T25", 25, 128, coding="gaussian"),
        promises=(Promise(("torch",), 1.7), Promise(("jax",), None)),
    ),
    Table(
        "epoch-T25",
        "epoch",
        "A whole MNIST epoch, 784-400-10, B=128, T=25, rate coding included",
        Workload("epoch-T25", 25, 128),
        tuple(candidate for candidate in CANDIDATES if candidate.name in _EPOCH_NAMES),
        "epoch",
        (Promise(PEERS, 5),),
    ),
    Table(
        "coding-T25",
        "coding",
        "Rate coding of one batch, 784 inputs, B=128, T=25",
        Workload("coding-T25", 25, 128, coding="direct"),
        _CODERS,
        "coding",
        (Promise(PEERS, 10),),
    ),
    Table(
        "convnet-T10",
        "convnet",
        "Training step, 28x28 - conv 32 - LIF - max pool - conv 64 - LIF - max pool - 10, B=32, T=10, 9 % ones",
        Workload("convnet-T10", 10, 32, network="convnet"),
        promises=(Promise(PEERS, 1.5),),
    ),
    Table(
        "sequence-T500",
        "sequence",
        "Linear + LIF 512 -> 512, T=500, B=16, Gaussian input, sum of spikes (the Open Neuromorphic workload)",
        Workload("sequence-T500", 500, 16, coding="gaussian", sizes=(512, 512), loss="sum"),
        kind="passes",
        promises=(Promise(PEERS, 2),),
        skipped={"snntorch layered + compile": _LONG, "torch + compile": _LONG, "jaxpike unrolled": _LONG},
    ),
)

MEMORY_STEPS: dict[str, tuple[int, ...]] = {"as it is": (5, 10, 25, 50, 100), "giving back": (25, 100)}
MEMORY_PROMISES = {25: 4.0, 100: 10.0}
MEMORY_CANDIDATES = (OURS, RECOMPUTE, *(c for c in CANDIDATES if c.family != "ours" and c.mode != "unrolled"))
GROUPS = (*dict.fromkeys(table.group for table in TABLES), "memory", "inference", "kernels")


def ours_name(table: Table) -> str:
    """The row that the others are compared with."""
    return next(candidate.name for candidate in table.candidates if candidate.family == OURS.family)


def left_out(candidate: Candidate, quick: bool, compiling: bool) -> str | None:
    """Why this candidate takes no part; None where it does."""
    if not candidate.installed():
        return "not installed"
    if quick and (candidate.compiled or candidate.mode == "unrolled"):
        return "left out by --quick"
    return "left out by --no-compile" if candidate.compiled and not compiling else None


def quick(table: Table) -> Table:
    """The same table on a few steps and samples: to see that everything runs and agrees."""
    return replace(table, title=f"{table.title} [--quick: T=3, B=8]", work=table.work.resized(3, 8), promises=())
