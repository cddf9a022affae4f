"""How a table of the config file becomes a struct of settings, with every mistake kept instead of the first one raised.

A struct is a frozen msgspec struct that forbids unknown fields. Its fields may be `Duration`, `Size`, `Secret`, `Path`
(relative ones start at the config file's folder), texts, numbers, booleans, `Literal`s, lists, tables, further structs,
`X | None` for a setting without default value, and `Annotated` with `Between`, `Fits` or `msgspec.Meta`.
"""

import difflib
import functools
import types
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, Union, cast, get_args, get_origin

import msgspec

from failgate.base.secret import Secret
from failgate.config.bounds import Between, Fits
from failgate.config.errors import Mistake, SettingRefused
from failgate.config.positions import KeyPath
from failgate.config.secret_sources import secret_from
from failgate.config.source import Source, dotted_path
from failgate.config.units import Duration, Size

StructT = TypeVar("StructT", bound=msgspec.Struct)
_WRAPPERS = {Annotated, Union, types.UnionType}


class _Unreadable(Exception):
    """A mistake was kept; there is no value. Of a struct, `readable` has what could be read."""

    def __init__(self, readable: dict[str, Any] | None = None) -> None:
        super().__init__()
        self.readable = readable or {}


@dataclass(slots=True)
class Reader:
    """Reads tables of one source; `mistakes` grows. `homes` says in which section a key belongs, for the misplaced."""

    source: Source
    mistakes: list[Mistake] = field(default_factory=list[Mistake])
    homes: Mapping[str, str] = field(default_factory=dict[str, str])

    def read(self, struct: type[StructT], table: object, path: KeyPath, owner: str) -> StructT | None:
        """Return `table` as a `struct`, or None when it holds a mistake; `owner` names who takes the settings."""
        try:
            return self._struct(struct, table, path, owner)
        except _Unreadable:
            return None

    def read_partly(self, struct: type[StructT], table: object, path: KeyPath, owner: str) -> StructT:
        """Return `table` as a `struct`; what holds a mistake stands at its default, so that the rest can be checked."""
        try:
            return self._struct(struct, table, path, owner)
        except _Unreadable as stopped:
            try:
                return struct(**stopped.readable)
            except (ValueError, TypeError):
                return struct()

    def refuse_unknown(self, table: Mapping[str, object], known: Iterable[str], path: KeyPath, owner: str) -> None:
        """Keep a mistake for each key of `table` that is not `known`."""
        names = sorted(known)
        for key in table:
            if key not in names:
                meant = nearest(key, names)
                hint = f'did you mean "{meant}"? ' if meant else ""
                hint = f"{key} belongs in {self.homes[key]}; " if key in self.homes else hint
                takes = ", ".join(names) if names else "no settings"
                self.keep((*path, key), "no such setting", hint=f"{hint}{owner} takes: {takes}")

    def _struct(self, struct: type[StructT], table: object, path: KeyPath, owner: str) -> StructT:
        if not isinstance(table, dict):
            self.keep(path, f"takes a table, not {_kind(table)}", at="value")
            raise _Unreadable
        given = cast("dict[str, object]", table)
        fields = {each.encode_name: each for each in msgspec.structs.fields(struct)}
        count = len(self.mistakes)
        self.refuse_unknown(given, fields, path, owner)
        values: dict[str, Any] = {}
        for name, each in fields.items():
            here = (*path, name)
            if name in given:
                try:
                    values[each.name] = self._value(each.type, given[name], here, owner)
                except _Unreadable:
                    continue
            elif each.required:
                self.keep(here, "this setting is needed and has no default", hint=f"{owner} takes: {_listed(fields)}")
        if len(self.mistakes) > count:
            raise _Unreadable(values)
        return self._construct(struct, values, path)

    def _construct(self, struct: type[StructT], values: dict[str, Any], path: KeyPath) -> StructT:
        try:
            return struct(**values)
        except SettingRefused as refusal:
            self.keep((*path, *refusal.key.split(".")), refusal.sentence, at="value")
        except (ValueError, TypeError) as error:
            self.keep(path, str(error))
        raise _Unreadable

    def _value(self, wanted: Any, value: object, path: KeyPath, owner: str) -> Any:
        bounds: list[Between | Fits] = []
        extras: list[Any] = []
        while get_origin(wanted) in _WRAPPERS:
            if get_origin(wanted) is Annotated:
                wanted, *more = get_args(wanted)
                bounds += [each for each in more if isinstance(each, (Between, Fits))]
                extras += [each for each in more if isinstance(each, msgspec.Meta)]
                continue
            chosen = self._choose(get_args(wanted), value)
            if chosen == wanted:
                break
            wanted = chosen
        result = self._plain(wanted, extras, value, path, owner)
        for bound in bounds:
            self._check(bound, result, path)
        return result

    @staticmethod
    def _choose(members: tuple[Any, ...], value: object) -> Any:
        """Return the member of a union that `value` is meant for; TOML has no null, so None is never meant."""
        real = [member for member in members if member is not type(None)]
        for member in real:
            if member is Secret and isinstance(value, dict):
                return member
        plain = [member for member in real if member is not Secret] or real
        return plain[0] if len(plain) == 1 else Union[tuple(plain)]  # noqa: UP007 - built from a list

    def _plain(self, wanted: Any, extras: list[Any], value: object, path: KeyPath, owner: str) -> Any:
        if wanted in {Duration, Size}:
            return self._united(wanted, value, path)
        if wanted is Secret:
            return self._secret(value, path)
        if wanted is Path:
            return self.source.folder / Path(self._text(value, path, "a path")).expanduser()
        if isinstance(wanted, type) and issubclass(wanted, msgspec.Struct):
            inner = f"[{'.'.join(map(str, path))}]" if owner.startswith("[") else owner  # a section's own table
            return self._struct(wanted, value, path, inner)
        origin, members = get_origin(wanted), get_args(wanted)
        if origin in {list, tuple, frozenset, set} and (origin is not tuple or members[1:] == (...,)):
            return self._items(origin, members[0], value, path, owner)
        if origin is dict:
            return self._table(members[1], value, path, owner)
        return self._converted(wanted, extras, value, path)

    def _items(self, make: Callable[[Any], Any], member: Any, value: object, path: KeyPath, owner: str) -> Any:
        if not isinstance(value, list):
            self.keep(path, f"takes a list, not {_kind(value)}: put it in brackets", at="value")
            raise _Unreadable
        return make(self._each(member, enumerate(cast("list[object]", value)), path, owner).values())

    def _table(self, member: Any, value: object, path: KeyPath, owner: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            self.keep(path, f"takes a table, not {_kind(value)}", at="value")
            raise _Unreadable
        return self._each(member, cast("dict[str, object]", value).items(), path, owner)

    def _each(self, member: Any, pairs: Iterable[tuple[Any, object]], path: KeyPath, owner: str) -> dict[Any, Any]:
        count = len(self.mistakes)
        values: dict[Any, Any] = {}
        for key, value in pairs:
            try:
                values[key] = self._value(member, value, (*path, key), owner)
            except _Unreadable:
                continue
        if len(self.mistakes) > count:
            raise _Unreadable
        return values

    def _united(self, unit: type[Duration] | type[Size], value: object, path: KeyPath) -> Duration | Size:
        text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
        try:
            return unit(self._text(text, path, f"a {unit.__name__.lower()} like {_EXAMPLES[unit]}"))
        except ValueError as error:
            self.keep(path, str(error), at="value")
            raise _Unreadable from None

    def _text(self, value: object, path: KeyPath, what: str) -> str:
        if not isinstance(value, str):
            self.keep(path, f"takes {what}, not {_kind(value)}", at="value")
            raise _Unreadable
        return value

    def _secret(self, value: object, path: KeyPath) -> Secret:
        read = functools.partial(secret_from, value, self.source.env, self.source.folder)
        try:
            return Secret(read(), read)
        except ValueError as error:
            self.mistakes.append(self.source.mistake(path, str(error), at="value", hides_value=True))
            raise _Unreadable from None

    def _converted(self, wanted: Any, extras: list[Any], value: object, path: KeyPath) -> Any:
        if get_origin(wanted) is Literal and value not in get_args(wanted):
            choices = [str(choice) for choice in get_args(wanted)]
            meant = nearest(str(value), choices)
            hint = f'did you mean "{meant}"?' if meant else ""
            self.keep(path, "takes " + " or ".join(f'"{choice}"' for choice in choices), at="value", hint=hint)
            raise _Unreadable
        if wanted in _KINDS and not _is_kind(value, wanted):
            self.keep(path, f"takes {_KINDS[wanted]}, not {_kind(value)}", at="value")
            raise _Unreadable
        try:
            return msgspec.convert(value, Annotated[wanted, *extras] if extras else wanted)
        except msgspec.ValidationError as error:
            self.keep(path, _lowered(str(error)), at="value")
            raise _Unreadable from None

    def _check(self, bound: Between | Fits, value: Any, path: KeyPath) -> None:
        try:
            bound.check(value)
        except ValueError as error:
            self.keep(path, str(error), at="value")
            raise _Unreadable from None

    def keep(self, path: KeyPath, sentence: str, *, at: Literal["key", "value"] = "key", hint: str = "") -> None:
        """Keep the mistake at `path`."""
        self.mistakes.append(self.source.mistake(path, sentence, at=at, hint=hint))


def nearest(name: str, names: Iterable[str]) -> str | None:
    """Return the one of `names` that `name` most likely stands for, or None."""
    found = difflib.get_close_matches(name.lower().replace("_", "-"), [each.replace("_", "-") for each in names], n=1)
    return next((each for each in names if found and each.replace("_", "-") == found[0]), None)


_EXAMPLES: dict[object, str] = {Duration: '"15m"', Size: '"20GiB"'}
_KINDS: dict[object, str] = {str: "a text in quotes", bool: "true or false", int: "a whole number", float: "a number"}


def _is_kind(value: object, wanted: type) -> bool:
    if isinstance(value, bool):
        return wanted is bool
    return isinstance(value, (int, float) if wanted is float else wanted)


def _kind(value: object) -> str:
    for kinds, word in (
        (bool, "a true or false"),
        (str, "a text"),
        (int, "a whole number"),
        (float, "a number"),
        (dict, "a table"),
        (list, "a list"),
    ):
        if isinstance(value, kinds):
            return word
    return "a date or time"


def _listed(fields: Iterable[str]) -> str:
    return ", ".join(sorted(fields))


def _lowered(message: str) -> str:
    text = message.partition(" - at `$")[0]
    return text[:1].lower() + text[1:]


__all__ = ["Reader", "dotted_path", "nearest"]
