"""The simulated camera: its C is its NumPy, and its pixels do what the equations say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from leanspike.core import native
from leanspike.core.errors import ConfigError
from leanspike.data.events import Events
from leanspike.data.generated import CameraConfig, camera, film, kernel, motion

QUIET = CameraConfig(leak_hz=0, noise_hz=0, mismatch=0)
NOISY = CameraConfig(threshold=0.15, mismatch=0.05, leak_hz=20, noise_hz=5)


def pictures(count: int = 6, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    images = np.zeros((count, 11, 9), dtype=np.uint8)
    images[:, 2:9, 2:7] = random.integers(0, 256, (count, 7, 5))
    return images


def same(one: list[Events], other: list[Events]) -> bool:
    return all(np.array_equal(getattr(a, k), getattr(b, k)) for a, b in zip(one, other, strict=True) for k in "txyp")


@pytest.fixture
def choose(monkeypatch: pytest.MonkeyPatch) -> object:
    def choose(level: str) -> None:
        monkeypatch.setenv(kernel.CHOICE, level)
        kernel.library.cache_clear()

    yield choose
    monkeypatch.undo()
    kernel.library.cache_clear()


@pytest.mark.parametrize(
    "config",
    [QUIET, NOISY, replace(NOISY, motion="drift"), replace(NOISY, refractory_us=0), replace(QUIET, refractory_us=9000)],
)
def test_every_level_of_the_kernel_finds_the_events_of_numpy(config: CameraConfig, choose) -> None:
    choose("numpy")
    expected = film(pictures(), range(6), config)
    assert sum(map(len, expected)) > 1000
    if kernel.native.load(kernel.FOLDER, "camera", None, "") is None:
        pytest.skip("the camera's C was not built")
    for level in native.LEVELS:
        try:
            choose(level)
            assert same(film(pictures(), range(6), config), expected), level
        except ConfigError:
            assert level != "plain"


def test_more_events_than_there_was_room_for_are_found_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = film(pictures(2), range(2), NOISY)
    monkeypatch.setattr(kernel, "_ROOM", 7)
    assert same(film(pictures(2), range(2), NOISY), expected)


@pytest.mark.parametrize("config", [NOISY, replace(NOISY, motion="drift")])
def test_a_recording_depends_on_its_number_and_the_seed_alone(config: CameraConfig) -> None:
    together, apart = film(pictures(), range(6), config), []
    for number, image in enumerate(pictures()):
        apart += film(image[None], [number], config)
    assert same(together, apart)
    assert not same(together, film(pictures(), range(10, 16), config))
    assert not same(together, film(pictures(), range(6), replace(config, seed=1)))


def test_recordings_are_ordered_and_inside_sensor_and_time() -> None:
    for events in film(pictures(), range(6), NOISY):
        assert (events.width, events.height) == (9 + 6, 11 + 6)
        assert events.t[0] >= 0
        assert events.t[-1] < NOISY.duration_us


def test_a_black_picture_is_seen_by_noise_and_leak_alone() -> None:
    black = np.zeros((20, 11, 9), dtype=np.uint8)
    assert not sum(map(len, film(black, range(20), QUIET)))
    pixel_seconds = 20 * 15 * 17 * QUIET.duration_us / 1e6
    noise = sum(map(len, film(black, range(20), replace(QUIET, noise_hz=2.0))))
    assert noise / pixel_seconds == pytest.approx(2.0, rel=0.1)
    leak = film(black, range(20), replace(QUIET, leak_hz=100.0, refractory_us=0))
    assert all(events.p.all() for events in leak)
    assert sum(map(len, leak)) / pixel_seconds == pytest.approx(100, rel=0.05)


def test_an_edge_makes_as_many_events_as_its_contrast_holds_thresholds() -> None:
    white = np.full((1, 40, 40), 255, dtype=np.uint8)
    config = replace(QUIET, refractory_us=0, motion="drift", margin=8, threshold=0.25, dark=0.1)
    number = next(n for n in range(100) if camera.derive(0, camera._DIRECTION, n) % motion.DIRECTIONS == 0)
    (events,) = film(white, [number], config)
    whole = int(np.log(1.1 / 0.1) / 0.25)
    left, right = events[(events.x == 6) & (events.y == 28)], events[(events.x == 50) & (events.y == 28)]
    assert (len(left), left.p.any()) == (whole, False), "white leaves the left border: OFF"
    assert (len(right), right.p.all()) == (whole, True), "and comes to the right one: ON"


def test_a_pixel_is_silent_for_its_refractory_time() -> None:
    config = replace(QUIET, threshold=0.05, refractory_us=4000)
    for events in film(pictures(), range(6), config):
        pixel = events.y.astype(int) * events.width + events.x
        for one in np.unique(pixel):
            assert np.diff(events.t[pixel == one]).min(initial=4000) >= 4000
    free = replace(config, refractory_us=0)
    assert sum(map(len, film(pictures(), range(6), free))) > sum(map(len, film(pictures(), range(6), config)))


def test_mismatch_is_the_cameras_own() -> None:
    on, off = camera.thresholds(20_000, replace(QUIET, mismatch=0.04))
    for theta in (on, off):
        assert theta.mean() / camera.UNIT == pytest.approx(QUIET.threshold, rel=0.01)
        assert theta.std() / camera.UNIT == pytest.approx(0.04, rel=0.03)
    assert abs(np.corrcoef(on, off)[0, 1]) < 0.03


def test_paths_stay_within_the_field() -> None:
    for direction in range(motion.DIRECTIONS):
        places = motion.path("drift", 5, 120, direction)
        assert places.min() >= 0
        assert places.max() <= 10 * motion.FRACTION
        assert np.hypot(*(places[-1] - places[0])) == pytest.approx(10 * motion.FRACTION, rel=0.01)
    saccades = motion.path("saccades", 3, 120) / motion.FRACTION
    np.testing.assert_array_equal(saccades[[0, 40, 80, 120]], [[0, 0], [3, 6], [6, 0], [0, 0]])


@pytest.mark.parametrize("wrong", [{"threshold": 0}, {"margin": 0}, {"dark": 0}, {"leak_hz": -1}, {"motion": "jump"}])
def test_cameras_that_cannot_be_are_told(wrong: dict) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        CameraConfig(**wrong)
