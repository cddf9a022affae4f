"""Stand-ins for parts of the standard library that are slow to load, for what a hook or an agent's command starts with.

`typing`, `json`, `hashlib`, `socket` and `signal` cost twice what a bare interpreter does, most of it for regular
expressions, enumerations and OpenSSL. Each name here is the C part below the library's own, or as much
of the library as its users need; type checkers see the library's.
"""
# ruff: noqa: ANN001, ANN002, ANN003, ANN201, ANN202, ANN204, RUF012 -- what runs here is annotated in the library, whose names type checkers see

__all__ = ["NamedTuple", "cast", "datetime", "loads", "sha256", "sha256_of_much", "signal", "socket"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    import socket
    from datetime import datetime
    from hashlib import sha256
    from json import loads
    from typing import NamedTuple, Protocol, cast

    class Digest(Protocol):
        """As much of hashlib's as is used here."""

        def update(self, octets: bytes, /) -> None:
            """Take `octets` in."""
            ...

        def hexdigest(self) -> str:
            """Return the digest in hex."""
            ...

    def sha256_of_much(size_bytes: int) -> Digest:
        """Return a digest for so much; from half a megabyte on OpenSSL's, which then has made up for its loading."""
        ...
else:
    import _signal as signal
    import _socket as socket
    from sys import modules

    try:
        from _datetime import datetime  # the library's own, without its copy in Python
    except ImportError:  # an interpreter without it
        from datetime import datetime

    def cast(_, value):
        """Return `value`."""
        return value

    try:
        from _sha256 import sha256 as _sha256
    except ImportError:  # Python 3.12 and later
        from _sha2 import sha256 as _sha256

    def sha256(octets=b""):
        """Return a digest of `octets`: OpenSSL's where it is loaded, which takes longer than to digest a command."""
        openssl = modules.get("_hashlib")
        return openssl.openssl_sha256(octets) if openssl else _sha256(octets)

    def sha256_of_much(size_bytes):
        """Return a digest for so much; from half a megabyte on OpenSSL's, which then has made up for its loading."""
        if size_bytes < 1 << 19 and "_hashlib" not in modules:
            return _sha256()
        try:
            from _hashlib import openssl_sha256
        except ImportError:  # an interpreter without OpenSSL
            return _sha256()
        return openssl_sha256()

    try:
        from _collections import _tuplegetter as _member
        from _json import make_scanner as _make_scanner
    except ImportError:  # another interpreter than CPython
        from json import loads
        from typing import NamedTuple
    else:

        class _Fields(type):
            """Makes of a class with annotated members a tuple with names, as typing's does."""

            def __new__(cls, name, bases, namespace):
                if not bases:
                    return super().__new__(cls, name, (), namespace)
                fields = tuple(namespace.get("__annotations__", ()))
                defaults = {field: namespace.pop(field) for field in fields if field in namespace}
                places = {field: _member(place, field) for place, field in enumerate(fields)}
                body = {"__slots__": (), **namespace, **places, "_fields": fields, "_field_defaults": defaults}
                body |= {"__match_args__": fields, "__new__": _new, "__repr__": _repr, "_replace": _replace}
                body |= {"_asdict": _asdict, "__getnewargs__": tuple}
                return type(name, (tuple,), body)

        class NamedTuple(metaclass=_Fields):
            """A tuple whose members have names. What stands here serves neither generics nor other bases."""

        def _new(cls, *given, **named):
            fields, defaults = cls._fields, cls._field_defaults
            members = list(given)
            for field in fields[len(given) :]:
                if field in named:
                    members.append(named.pop(field))
                elif field in defaults:
                    members.append(defaults[field])
                else:
                    raise TypeError(f"{cls.__name__} lacks {field}")
            if named or len(members) != len(fields):
                raise TypeError(f"{cls.__name__} has the members {', '.join(fields)}")
            return tuple.__new__(cls, members)

        def _repr(self):
            members = ", ".join(f"{field}={member!r}" for field, member in zip(self._fields, self, strict=True))
            return f"{type(self).__name__}({members})"

        def _asdict(self):
            return dict(zip(self._fields, self, strict=True))

        def _replace(self, **changes):
            return type(self)(**(dict(zip(self._fields, self, strict=True)) | changes))

        class _Reading:
            """What the scanner of json is told: the defaults of json."""

            strict = True
            object_hook = object_pairs_hook = None
            parse_float, parse_int = float, int
            memo: dict = {}
            parse_constant = {name: float(name) for name in ("NaN", "Infinity", "-Infinity")}.__getitem__

        _scan = _make_scanner(_Reading)

        def loads(text):
            """Return the value of a JSON text. Raises: ValueError (also json's own), RecursionError."""
            if not isinstance(text, str):
                text = bytes(text).decode()
            start = len(text) - len(text.lstrip(" \t\n\r"))
            try:
                value, end = _scan(text, start)
            except (StopIteration, SystemError, ValueError):  # the scanner alone cannot say what is wrong
                from json import loads as read

                return read(text)
            if text[end:].strip(" \t\n\r"):
                raise ValueError("more than one JSON value")
            return value
