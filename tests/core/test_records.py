"""Configuration records: what goes in comes out, and every mistake names its key."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leanspike.core.errors import ConfigError
from leanspike.core.records import content_hash, from_dict, load_toml, merge, require, to_dict, with_settings


@dataclass(frozen=True)
class Inner:
    rate: float = 0.5
    kind: Literal["a", "b"] = "a"
    sizes: tuple[int, ...] = (1, 2)

    def __post_init__(self) -> None:
        require(self.rate >= 0, "inner.rate", self.rate, "0 or more")


@dataclass(frozen=True)
class Outer:
    name: str = "x"
    count: int = 3
    on: bool = False
    maybe: int | None = None
    inner: Inner = field(default_factory=Inner)


@given(
    st.builds(
        Outer,
        name=st.text(),
        count=st.integers(),
        on=st.booleans(),
        maybe=st.none() | st.integers(),
        inner=st.builds(
            Inner, rate=st.floats(0, 1e9), kind=st.sampled_from(["a", "b"]), sizes=st.lists(st.integers()).map(tuple)
        ),
    )
)
def test_a_record_survives_the_way_through_a_dictionary(record: Outer) -> None:
    assert from_dict(Outer, to_dict(record)) == record
    assert content_hash(from_dict(Outer, to_dict(record))) == content_hash(record)


def test_settings() -> None:
    record = with_settings(Outer(), ["inner.rate=1", "name=hello there", "inner.sizes=[4]", "on=true", "inner.kind=b"])
    assert record == Outer(name="hello there", on=True, inner=Inner(1.0, "b", (4,)))
    assert content_hash(record) != content_hash(Outer())


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("inner.rat=1", "inner.rat: unknown configuration key; did you mean inner.rate?"),
        ("innre.rate=1", "innre: unknown configuration key"),
        ("inner.rate=-1", "inner.rate: -1.0 is not a possible value; 0 or more"),
        ("inner.rate=fast", "inner.rate: expected float, found 'fast'"),
        ("count=1.5", "count: expected int, found 1.5"),
        ("count=true", "count: expected int, found True"),
        ("inner.kind=c", "inner.kind: 'c' is not a possible value; one of a, b"),
        ("inner.sizes=3", "inner.sizes: expected a list, found 3"),
        ("inner=3", "inner: expected a table of keys, found 3"),
        ("count", "--set count: expected KEY=VALUE; for example train.epochs=10"),
    ],
)
def test_mistakes_name_their_key(setting: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        with_settings(Outer(), [setting])
    assert caught.value.line() == message


def test_toml_files(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_text("count = 5\n[inner]\nrate = 2\n")
    values = merge(to_dict(Outer(name="kept")), load_toml(path))
    assert from_dict(Outer, values) == Outer(name="kept", count=5, inner=Inner(rate=2.0))
    path.write_text("count = = 5")
    with pytest.raises(ConfigError, match=r"a\.toml: is not valid TOML"):
        load_toml(path)
    with pytest.raises(ConfigError, match="cannot be read"):
        load_toml(tmp_path / "none.toml")
