"""Frozen dataclasses as configuration: from TOML, JSON and ``a.b=c`` settings, and back, with a content hash.

An unknown key, a value of the wrong type and a value out of range are errors that name the key. A record
checks its own ranges in ``__post_init__`` with :func:`require`.
"""

from __future__ import annotations

import dataclasses
import difflib
import hashlib
import json
import tomllib
import types
import typing
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from leanspike.core.errors import ConfigError

R = TypeVar("R")


def require(holds: bool, key: str, value: object, remedy: str) -> None:
    """Raise :class:`ConfigError` for ``key`` unless ``holds``; ``remedy`` says which values are accepted."""
    if not holds:
        raise ConfigError(f"{value!r} is not a possible value", where=key, remedy=remedy)


def to_dict(record: Any) -> dict[str, Any]:
    """The record as nested plain dictionaries and lists, ready for JSON."""
    plain: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(record)))
    return plain


def from_dict(kind: type[R], values: Mapping[str, Any], where: str = "") -> R:
    """Build a record of type ``kind``.

    Args:
        values: nested mapping; keys that are left out take the record's defaults.
        where: dotted prefix of the keys, for messages.

    Raises:
        ConfigError: a key is unknown or a value has the wrong type.
    """
    if not isinstance(values, Mapping):
        raise ConfigError(f"expected a table of keys, found {values!r}", where=where or kind.__name__)
    hints = typing.get_type_hints(kind)
    names = [field.name for field in dataclasses.fields(kind)]  # type: ignore[arg-type]
    for key in values:
        if key not in names:
            close = difflib.get_close_matches(key, names, n=1)
            hint = f"did you mean {_join(where, close[0])}?" if close else f"known keys: {', '.join(names)}"
            raise ConfigError("unknown configuration key", where=_join(where, key), remedy=hint)
    return kind(**{key: _convert(hints[key], value, _join(where, key)) for key, value in values.items()})


def with_settings(record: R, settings: Iterable[str]) -> R:
    """Apply ``a.b=c`` settings; ``c`` is read as a TOML value, else as plain text."""
    values = to_dict(record)
    for setting in settings:
        path, equals, text = setting.partition("=")
        if not equals or not path.strip():
            raise ConfigError("expected KEY=VALUE", where=f"--set {setting}", remedy="for example train.epochs=10")
        *parents, leaf = path.strip().split(".")
        table = values
        for depth, parent in enumerate(parents):
            inner = table.get(parent)
            if not isinstance(inner, dict):
                raise ConfigError("unknown configuration key", where=".".join(parents[: depth + 1]))
            table = inner
        table[leaf] = parse_value(text)
    return from_dict(type(record), values)


def parse_value(text: str) -> Any:
    """A setting's text as a TOML value where it is one, else the text itself."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text.strip()


def load_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file; :class:`ConfigError` if it is missing or malformed."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot be read ({error.strerror})", where=path) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"is not valid TOML ({error})", where=path) from error


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """``base`` with the values of ``over`` laid upon it, table by table."""
    merged = dict(base)
    for key, value in over.items():
        inner = merged.get(key)
        both = isinstance(inner, Mapping) and isinstance(value, Mapping)
        merged[key] = merge(typing.cast(Mapping[str, Any], inner), value) if both else value
    return merged


def content_hash(record: Any) -> str:
    """First 16 hex digits of the SHA-256 of the record's canonical JSON: equal settings, equal hash."""
    values = to_dict(record) if dataclasses.is_dataclass(record) else record
    canonical = json.dumps(values, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def _join(where: str, key: str) -> str:
    return f"{where}.{key}" if where else key


def _convert(hint: Any, value: Any, where: str) -> Any:
    origin = typing.get_origin(hint)
    if origin in (types.UnionType, typing.Union):
        return _convert_union(hint, value, where)
    if origin is typing.Literal:
        choices = typing.get_args(hint)
        require(value in choices, where, value, f"one of {', '.join(map(str, choices))}")
        return value
    if origin is tuple:
        if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
            raise ConfigError(f"expected a list, found {value!r}", where=where)
        inner = typing.get_args(hint)[0]
        return tuple(_convert(inner, item, f"{where}[{i}]") for i, item in enumerate(value))
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return value if isinstance(value, hint) else from_dict(hint, value, where)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if hint in (bool, int, float, str):
        if not isinstance(value, hint) or (hint is int and isinstance(value, bool)):
            raise ConfigError(f"expected {hint.__name__}, found {value!r}", where=where)
        return value
    raise TypeError(f"{where}: records cannot hold {hint!r}")


def _convert_union(hint: Any, value: Any, where: str) -> Any:
    options = typing.get_args(hint)
    if value is None and type(None) in options:
        return None
    failure: ConfigError | None = None
    for option in options:
        if option is type(None):
            continue
        try:
            return _convert(option, value, where)
        except ConfigError as error:
            failure = error
    assert failure is not None
    raise failure
