"""Counter-based random numbers: every draw is a pure function of (seed, stream, counter).

    mix(x)      : x ^= x>>16; x *= 0x21F0AAAD; x ^= x>>15; x *= 0xD35A2D97; x ^= x>>15     (mod 2^32)
    key         = mix(mix(mix(seed + 0x9E3779B9) + stream) + step)      (mix(0) = 0: the sum leaves it)
    word(i)     = mix(key + i * 0x9E3779B9)
    draw16(j)   = j even: low half of word(j/2); j odd: high half of word(j/2)
    normal(2i)  = sqrt(-2 ln a) cos(2 pi b), normal(2i+1) with sin      a = (word(2i) + 1) / 2^32, b = word(2i+1) / 2^32

Nothing has to be stored or advanced, draws can be made in any order and on any number of threads, and a
microcontroller replays them with two 32-bit multiplications a pair of inputs. ``mix`` is the bijection with
the lowest published bias of its shape (C. Wellons, "Prospecting for hash functions", 2018, public domain;
constants by TheIronBorn).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

U32 = npt.NDArray[np.uint32]
GOLDEN = 0x9E3779B9


def mix(values: npt.ArrayLike) -> U32:
    """Mix 32-bit words; shape is kept."""
    x = np.asarray(values, dtype=np.uint32).copy()
    x ^= x >> np.uint32(16)
    x *= np.uint32(0x21F0AAAD)
    x ^= x >> np.uint32(15)
    x *= np.uint32(0xD35A2D97)
    x ^= x >> np.uint32(15)
    return x


def key(seed: int, streams: npt.ArrayLike, steps: npt.ArrayLike) -> U32:
    """Keys for every pair of stream (a sample's number) and step.

    Args:
        seed: any integer; its low 32 bits count.
        streams: ``[B]`` stream numbers.
        steps: ``[T]`` step numbers.

    Returns:
        ``[T, B]`` keys.
    """
    base = mix([(seed + GOLDEN) & 0xFFFFFFFF])
    stream = mix(base + np.asarray(streams).astype(np.uint32))
    return mix(stream[None, :] + np.asarray(steps).astype(np.uint32)[:, None])


def draws16(keys: U32, count: int) -> npt.NDArray[np.uint16]:
    """``count`` 16-bit draws for every key: shape ``keys.shape + (count,)``, uniform on 0..65535."""
    pairs = np.arange((count + 1) // 2, dtype=np.uint32) * np.uint32(GOLDEN)
    words = mix(keys[..., None] + pairs)
    halves = np.stack([words & np.uint32(0xFFFF), words >> np.uint32(16)], axis=-1).astype(np.uint16)
    return halves.reshape(*keys.shape, 2 * len(pairs))[..., :count]


def normals(seed: int, count: int) -> npt.NDArray[np.float64]:
    """``count`` standard normal numbers ``[count]``, by Box and Muller from pairs of words; none beyond 6.7 sigma."""
    start = mix([(seed + GOLDEN) & 0xFFFFFFFF])
    words = mix(start + np.arange(2 * ((count + 1) // 2), dtype=np.uint32) * np.uint32(GOLDEN)).reshape(-1, 2)
    radius = np.sqrt(-2 * np.log((words[:, 0] + 1.0) / 2**32))
    angle = words[:, 1] * (2 * np.pi / 2**32)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=-1).reshape(-1)[:count]


def derive(seed: int, *labels: int) -> int:
    """A seed for a sub-task (an epoch, a split, a worker): independent for different labels, 31 bits."""
    word = mix([(seed + GOLDEN) & 0xFFFFFFFF])
    for label in labels:
        word = mix(word + np.uint32((label + GOLDEN) & 0xFFFFFFFF))
    return int(word[0] >> np.uint32(1))
