"""Spoken digits, Speech Commands and a folder of .wav files as log-mel bytes."""

from __future__ import annotations

import io
import tarfile
import wave
import zipfile
from pathlib import Path

import numpy as np
import pytest

from leanspike.core.errors import DataError
from leanspike.data import load, sounds, wav
from leanspike.data.known import find
from leanspike.data.logmel import LogMel, logmel, operations

RATE = 8000


def tone(hertz: float, seconds: float = 0.5, width: int = 2, channels: int = 1, rate: int = RATE) -> bytes:
    """A .wav of a sine."""
    t = np.arange(round(seconds * rate)) / rate
    unit = np.repeat(0.5 * np.sin(2 * np.pi * hertz * t), channels)
    if width == 1:
        data = np.round(unit * 127 + 128).astype(np.uint8).tobytes()
    else:
        whole = np.round(unit * (2 ** (8 * width - 1) - 1)).astype("<i4")
        data = whole.view(np.uint8).reshape(-1, 4)[:, :width].tobytes()
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setparams((channels, width, rate, 0, "NONE", ""))
        file.writeframes(data)
    return buffer.getvalue()


@pytest.mark.parametrize("width", [1, 2, 3, 4])
@pytest.mark.parametrize("channels", [1, 2])
def test_wav(width: int, channels: int) -> None:
    sound, rate = wav.decode(tone(100, 0.1, width, channels), "x.wav")
    assert (rate, len(sound), sound.dtype) == (RATE, 800, np.float32)
    expected = 0.5 * np.sin(2 * np.pi * 100 * np.arange(800) / RATE)
    assert np.abs(sound - expected).max() < 2.0 ** (2 - 8 * min(width, 3))


@pytest.mark.parametrize("content", [b"", b"RIFF", tone(100)[:60], tone(100, 0.0), tone(100).replace(b"WAVE", b"WAVX")])
def test_damaged_wav(content: bytes) -> None:
    with pytest.raises(DataError, match=r"x\.wav: "):
        wav.decode(content, "x.wav")


def test_a_tone_lights_the_band_of_its_frequency() -> None:
    config = LogMel(bands=16)
    for band in (2, 7, 12):
        mels = np.linspace(*(2595 * np.log10(1 + f / 700) for f in (config.low, RATE / 2)), 18)
        hertz = 700 * (10 ** (mels[band + 1] / 2595) - 1)
        sound, _ = wav.decode(tone(hertz, 0.8), "x.wav")
        found = logmel(sound, RATE, config)
        assert (found.shape, found.dtype) == ((16, 40), np.uint8)
        assert (found[:, 1:-1].argmax(0) == band).all()
        assert found.max() == 255


def test_silence_and_length() -> None:
    config = LogMel()
    assert not np.diff(logmel(np.zeros(4000), RATE, config).astype(int)).any()
    sound, _ = wav.decode(tone(500, 0.3), "x.wav")
    found = logmel(sound, RATE, config)
    assert (found[:, 16:] == 0).all(), "what comes after the sound is silent"
    assert (logmel(np.tile(sound, 9), RATE, config)[:, 20:] > 0).any()


def test_operations_of_the_front_end() -> None:
    config = LogMel(bands=4)
    n, frames = config.points(RATE), config.frames
    assert (n, frames) == (256, 40)
    found = operations(config, RATE)
    assert found.logs == frames * 4
    butterflies = 64 * 7 + 128
    assert found.adds == frames * 2 * butterflies
    assert found.macs >= frames * (n + 4 * butterflies + 2 * 129)


def test_fsdd(real_data: Path) -> None:
    dataset = load("fsdd")
    assert (dataset.x_train.shape, dataset.x_test.shape) == ((2700, 32, 40), (300, 32, 40))
    assert np.bincount(dataset.y_test).tolist() == [30] * 10
    assert dataset.x_train.dtype == np.uint8
    with zipfile.ZipFile(real_data / "fsdd" / "fsdd_recordings.zip") as archive:
        sound, rate = wav.decode(archive.read("recordings/7_jackson_3.wav"), "-")
    assert any(np.array_equal(row, logmel(sound, rate, sounds.FRONT_END)) for row in dataset.x_test[210:240])
    left_out = load("fsdd-without-jackson")
    assert (len(left_out.y_train), len(left_out.y_test)) == (2500, 500)
    assert any(np.array_equal(row, dataset.x_test[220]) for row in np.concatenate([left_out.x_train, left_out.x_test]))
    assert "jackson tests" in left_out.source


@pytest.mark.usefixtures("real_data")
def test_the_cache_gives_the_same_and_a_damaged_one_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    first = load("fsdd")
    (kept,) = (tmp_path / "leanspike" / "logmel").glob("*.npz")
    monkeypatch.setattr(sounds, "transformed", None)
    np.testing.assert_array_equal(load("fsdd").x_test, first.x_test)
    kept.write_bytes(kept.read_bytes()[:1000])
    with pytest.raises(TypeError, match="not callable"):
        load("fsdd")


def speech_archive(path: Path, files: dict[str, bytes], testing: list[str]) -> None:
    with tarfile.open(path, "w:gz") as archive:
        for name, content in {**files, "testing_list.txt": "\n".join(testing).encode()}.items():
            info = tarfile.TarInfo(f"./{name}")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))


def test_speech_commands_layout(real_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The four real recordings, and tones, in the layout of the published archive."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    real = {name: (real_data / "speech-commands-samples" / f"{name}_1000ms.wav").read_bytes() for name in ("yes", "no")}
    files = {"yes/a_nohash_0.wav": real["yes"], "no/a_nohash_0.wav": real["no"]}
    files |= {
        f"{word}/b_nohash_{i}.wav": tone(hz, 0.7, rate=16000)
        for i in (0, 1)
        for word, hz in (("yes", 300), ("no", 2000))
    }
    files["_background_noise_/hum.wav"] = tone(50, 2.0, rate=16000)
    path = tmp_path / "speech.tar.gz"
    speech_archive(path, files, ["yes/b_nohash_1.wav", "no/b_nohash_1.wav"])
    dataset = sounds.speech_commands(find("speech-commands"), path)
    assert (dataset.x_train.shape, dataset.x_test.shape) == ((4, 32, 50), (2, 32, 50))
    assert dataset.classes == ("no", "yes")
    assert dataset.y_test.tolist() == [0, 1]
    sound, rate = wav.decode(real["no"], "-")
    np.testing.assert_array_equal(dataset.x_train[0], logmel(sound, rate, sounds.SPEECH_FRONT_END))
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(DataError, match="is a damaged archive"):
        sounds.speech_commands(find("speech-commands"), path)


@pytest.mark.usefixtures("nothing_here")
def test_speech_commands_is_fetched_from_its_address() -> None:
    known = find("speech-commands")
    (file,) = known.forms[0].files
    assert file.checksum.startswith("sha256:af14739e")
    assert file.addresses[0].endswith("speech_commands_v0.02.tar.gz")


def folder_of_tones(root: Path, count: int = 5, **kwargs: int) -> Path:
    for name, hertz in (("high", 2000), ("low", 300)):
        (root / name).mkdir(parents=True)
        for i in range(count):
            (root / name / f"{i}.wav").write_bytes(tone(hertz + 10 * i, 0.2 + 0.05 * i, **kwargs))
    return root


def test_own_folder_of_wav_files(tmp_path: Path) -> None:
    dataset = load(str(folder_of_tones(tmp_path / "beeps")))
    assert (dataset.kind, dataset.classes, dataset.name) == ("series", ("high", "low"), "beeps")
    assert (len(dataset.y_train), len(dataset.y_test)) == (8, 2)
    assert dataset.shape == (32, 20), "0.4 s in frames of 20 ms"
    bands = [dataset.x_train[dataset.y_train == label].mean((0, 2)).argmax() for label in (0, 1)]
    assert bands[0] > bands[1]


def test_own_folder_with_a_test_set(tmp_path: Path) -> None:
    folder_of_tones(tmp_path / "train", 3)
    folder_of_tones(tmp_path / "test", 2)
    dataset = load(str(tmp_path))
    assert (len(dataset.y_train), len(dataset.y_test)) == (6, 4)


def test_own_folder_that_does_not_fit(tmp_path: Path) -> None:
    root = folder_of_tones(tmp_path / "beeps")
    (root / "low" / "0.wav").write_bytes(tone(300, rate=16000))
    with pytest.raises(DataError, match=r"0\.wav: has 16000 samples a second, others 8000"):
        load(str(root))
    (root / "low" / "0.wav").write_bytes(b"RIFF")
    with pytest.raises(DataError, match=r"0\.wav: is no \.wav that can be read"):
        load(str(root))
    (root / "empty").mkdir()
    with pytest.raises(DataError, match=r"empty: holds no \.wav files"):
        load(str(root))


def test_long_recordings_take_longer_frames() -> None:
    from leanspike.data.own.sounds import front_end_for

    assert front_end_for(0.5).hop == 0.02
    assert front_end_for(3.0).frames <= 100
    assert front_end_for(3600).seconds <= 4.1
