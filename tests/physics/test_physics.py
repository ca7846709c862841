"""One neuron: closed form against an independent solver, methods against the closed form, orders of convergence."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

from leanspike.core.errors import ConfigError
from leanspike.physics import Drive, NeuronPhysics, beta, rheobase, simulate, solve, spike_rate
from leanspike.physics.experiments import measured_rate, membrane_convergence, rate_curve, spike_convergence, summary

NEURON = NeuronPhysics()
PIECES = Drive((0.0, 0.03, 0.055), (2.4e-9, 0.5e-9, 3.1e-9))


def solver_spikes(neuron: NeuronPhysics, drive: Drive) -> list[float]:
    """Spike times by scipy's adaptive solver with event location: shares no code with ours."""
    v, t, silent, spikes = neuron.rest, 0.0, 0.0, []

    def crossing(_: float, y: np.ndarray) -> float:
        return float(y[0] - neuron.threshold)

    crossing.terminal, crossing.direction = True, 1  # type: ignore[attr-defined]
    for start, end, amperes in drive.until(neuron.duration):
        t = max(start, min(silent, end))
        while t < end:

            def slope(_: float, y: np.ndarray, amperes: float = amperes) -> np.ndarray:
                return (-(y - neuron.rest) + neuron.resistance * amperes) / neuron.tau

            found = solve_ivp(slope, (t, end), [v], events=crossing, rtol=1e-11, atol=1e-14, max_step=1e-3)
            v = float(found.y[0, -1])
            if found.status != 1:
                break
            spikes.append(float(found.t[-1]))
            v, silent = neuron.reset, spikes[-1] + neuron.refractory
            t = min(silent, end)
    return spikes


@pytest.mark.parametrize("refractory", [0.0, 2e-3, 7e-3])
def test_closed_form_agrees_with_an_independent_solver(refractory: float) -> None:
    neuron = dataclasses.replace(NEURON, refractory=refractory, reset=-62e-3, duration=0.2)
    spikes = solve(neuron, PIECES).spikes
    assert len(spikes) >= 5
    np.testing.assert_allclose(spikes, solver_spikes(neuron, PIECES), rtol=0, atol=1e-9)


def test_trajectory_agrees_with_an_independent_solver() -> None:
    drive = Drive((0.0, 0.04, 0.09), (1.2e-9, -0.4e-9, 1.4e-9))
    times, begin = np.linspace(0, NEURON.duration, 301), NEURON.rest
    expected = np.empty_like(times)
    for start, end, amperes in drive.until(NEURON.duration):
        inside = (times >= start) & (times <= end)
        limit = NEURON.rest + NEURON.resistance * amperes
        found = solve_ivp(lambda _, y, limit=limit: (limit - y) / NEURON.tau, (start, end), [begin],
                          dense_output=True, rtol=1e-12, atol=1e-15)  # fmt: skip
        expected[inside], begin = found.sol(times[inside])[0], float(found.y[0, -1])
    np.testing.assert_allclose(solve(NEURON, drive).at(times), expected, rtol=0, atol=1e-11)


def test_orders_of_the_membrane_error() -> None:
    curves = {curve.method: curve for curve in membrane_convergence(NEURON)}
    assert curves["euler"].order == pytest.approx(1, abs=0.1)
    assert curves["rk4"].order == pytest.approx(4, abs=0.15)
    assert curves["exponential"].order is None
    assert max(curves["exponential"].error) < 1e-15  # volts: rounding of 65 mV


def test_orders_of_the_spike_time_error() -> None:
    curves = {curve.method: curve for curve in spike_convergence(NEURON)}
    for method in ("euler, grid", "rk4, grid", "euler, linear"):
        assert curves[method].order == pytest.approx(1, abs=0.15)
    assert curves["rk4, linear"].order == pytest.approx(2, abs=0.1)
    assert max(curves["exponential, exact"].error) < 1e-15  # seconds


def test_coarse_exact_simulation_is_the_closed_form() -> None:
    coarse = dataclasses.replace(NEURON, dt=5e-3)
    trace, exact = simulate(coarse, PIECES, "exponential", "exact"), solve(coarse, PIECES)
    np.testing.assert_allclose(trace.spikes, exact.spikes, rtol=0, atol=1e-15)
    np.testing.assert_allclose(trace.potential, exact.at(trace.times), rtol=0, atol=1e-15)


@pytest.mark.parametrize("refractory", [0.0, 2e-3])
def test_rate_against_the_textbook_formula(refractory: float) -> None:
    curve = rate_curve(NEURON, refractory, "exact")
    theta = NEURON.threshold - NEURON.rest
    for current, measured in zip(curve.current, curve.simulated, strict=True):
        drive = NEURON.resistance * current
        textbook = 1 / (refractory + NEURON.tau * math.log(drive / (drive - theta))) if drive > theta else 0.0
        assert measured == pytest.approx(textbook, rel=1e-9, abs=0)
    assert sum(rate > 0 for rate in curve.simulated) > 12


def test_rate_on_a_grid_is_at_most_one_step_a_period_too_slow() -> None:
    curve = rate_curve(NEURON, NEURON.refractory, "grid")
    for exact, grid in zip(curve.exact, curve.simulated, strict=True):
        if exact > 0:
            assert 1 / (1 / exact + curve.dt) - 1e-9 <= grid <= exact + 1e-9


def test_rheobase_divides_silence_from_firing() -> None:
    quiet = dataclasses.replace(NEURON, current=0.0)
    edge = rheobase(NEURON)
    assert edge == pytest.approx(1.5e-9)
    assert spike_rate(quiet, edge) == 0 == measured_rate(quiet, edge * 0.999, "exact")
    assert measured_rate(quiet, edge * 1.001, "exact") > 0


def test_rate_saturates_at_the_refractory_period() -> None:
    assert spike_rate(NEURON, 1.0) == pytest.approx(1 / NEURON.refractory, rel=1e-4)


def test_beta_exact_and_euler() -> None:
    assert beta(20e-3, 2e-3) == pytest.approx(0.904837418, abs=1e-9)
    assert beta(20e-3, 2e-3, "euler") == pytest.approx(0.9)
    trace = simulate(dataclasses.replace(NEURON, dt=2e-3, current=0.0, rest=0.0, reset=0.0, threshold=1.0),
                     Drive((0.0, 2e-3), (1e-9, 0.0)))  # fmt: skip
    np.testing.assert_allclose(trace.potential[2:] / trace.potential[1:-1], beta(20e-3, 2e-3), rtol=1e-12)
    small = [beta(1.0, h) - beta(1.0, h, "euler") for h in (1e-2, 5e-3)]
    assert small[0] / small[1] == pytest.approx(4, rel=0.01)  # the difference is (dt/tau)^2/2


@settings(max_examples=10, deadline=None)
@given(
    tau=st.floats(1e-3, 0.1), refractory=st.floats(0, 0.005), gap=st.floats(1e-3, 0.05), back=st.floats(-0.02, 0.02),
    drive=st.floats(-3, 6), ratio=st.floats(0.1, 1),
)  # fmt: skip
def test_any_neuron_in_range_can_be_summarised(
    tau: float, refractory: float, gap: float, back: float, drive: float, ratio: float
) -> None:
    threshold, reset = -65e-3 + gap, min(-65e-3 + back, -65e-3 + gap * 0.9)
    neuron = NeuronPhysics(tau=tau, refractory=refractory, threshold=threshold, reset=reset, dt=ratio * tau,
                           duration=5 * tau, current=drive * gap / 10e6)  # fmt: skip
    numbers = summary(neuron)
    exact = [curve for curve in numbers["fi"] if curve["crossing"] == "exact"]
    assert all(a == pytest.approx(b, rel=1e-6) for curve in exact
               for a, b in zip(curve["simulated"], curve["exact"], strict=True))  # fmt: skip


@pytest.mark.parametrize(
    ("values", "key"),
    [
        ({"tau": 0.0}, "tau"), ({"tau": -1.0}, "tau"), ({"resistance": 0.0}, "resistance"),
        ({"threshold": -70e-3}, "threshold"), ({"reset": -50e-3}, "reset"), ({"refractory": -1e-3}, "refractory"),
        ({"dt": 0.0}, "dt"), ({"dt": 21e-3}, "dt"), ({"dt": 1e-9}, "dt"), ({"duration": 0.0}, "duration"),
        ({"current": math.nan}, "current"), ({"current": math.inf}, "current"),
        ({"current": 1e3, "refractory": 0.0}, "current"),
    ],
)  # fmt: skip
def test_values_out_of_range_name_the_key(values: dict[str, float], key: str) -> None:
    with pytest.raises(ConfigError, match=rf"^{key}: "):
        NeuronPhysics(**values)


@pytest.mark.parametrize(
    ("starts", "amperes"), [((0.1,), (1.0,)), ((0.0, 0.0), (1.0, 2.0)), ((0.0,), (1.0, 2.0)), ((), ())]
)
def test_a_drive_must_ascend_from_zero(starts: tuple[float, ...], amperes: tuple[float, ...]) -> None:
    with pytest.raises(ConfigError, match="drive"):
        Drive(starts, amperes)


@pytest.mark.parametrize("wrong", [{"method": "heun"}, {"crossing": "none"}])
def test_unknown_method(wrong: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="one of"):
        simulate(NEURON, PIECES, **wrong)
