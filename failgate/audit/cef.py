"""An exported record as a line of the Common Event Format. Pure; the table is `cef.json`.

Source: Micro Focus "ArcSight Common Event Format", version 25, "Header Field" and "Character Encoding": in the header
backslash and pipe are escaped, in the extension backslash, equals sign and line breaks.
"""

import hashlib
import ipaddress
from datetime import datetime
from functools import lru_cache
from importlib.resources import files

import msgspec

from failgate import __version__
from failgate.audit.bodies import address_in
from failgate.audit.encoding import record_of
from failgate.audit.exporter import ExportedRecord
from failgate.base.canonical import base64url

_LONGEST_MESSAGE = 1023  # of the key `msg`, in characters


class _Table(msgspec.Struct, frozen=True):
    device_vendor: str
    device_product: str
    severities: dict[str, int]
    outcomes: dict[str, str]


@lru_cache(maxsize=1)
def _table() -> _Table:
    return msgspec.json.decode(files("failgate.audit").joinpath("cef.json").read_bytes(), type=_Table)


def cef_of(record: ExportedRecord) -> bytes:
    """Return the line, without a line break.

    `externalId` is `log:seq` and never changes; `leafHash` (RFC 6962) says which bytes of the log it stands for.

    Raises: msgspec.DecodeError, KeyError (the record is none of this version).
    """
    leaf, table = record_of(record.leaf), _table()
    act, out, actor, thing = str(leaf["act"]), str(leaf["out"]), leaf["actor"], leaf["obj"]
    head = [
        "CEF:0", table.device_vendor, table.device_product, __version__, act, act.replace(".", " "),
        str(table.severities.get(out, 5)),
    ]  # fmt: skip
    moment = datetime.fromisoformat(str(leaf["ts"]))
    said: dict[str, object] = {
        "rt": int(moment.timestamp()) * 1000 + moment.microsecond // 1000,
        "externalId": f"{record.log}:{record.seq}",
        "act": act,
        "outcome": table.outcomes.get(out, out),
        "suid": actor["id"],
        "suser": f"{actor['t']}:{actor['id']}",
        **_address(address_in(leaf, record.body)),
        "reason": leaf["data"].get("reason"),
        "cs1Label": "log", "cs1": record.log,
        "cs2Label": "request", "cs2": leaf["req"],
        "cs3Label": "object", "cs3": f"{thing['t']}:{thing['id']}",
        "cs4Label": "leafHash", "cs4": base64url(hashlib.sha256(b"\0" + record.leaf).digest()),
        "cn1Label": "seq", "cn1": record.seq,
        "msg": msgspec.json.encode(leaf["data"]).decode()[:_LONGEST_MESSAGE],
    }  # fmt: skip
    extension = " ".join(f"{key}={_in_extension(str(value))}" for key, value in said.items() if value is not None)
    return ("|".join([head[0], *map(_in_header, head[1:])]) + "|" + extension).encode()


def _address(ip: object) -> dict[str, object]:
    try:
        found = ipaddress.ip_address(str(ip))
    except ValueError:
        return {}
    return {"src": str(found)} if found.version == 4 else {"c6a2Label": "Source IPv6 Address", "c6a2": str(found)}


def _in_header(text: str) -> str:
    """Return `text` as a field of the header takes it: on one line, its pipes escaped."""
    return " ".join(text.splitlines()).replace("\\", "\\\\").replace("|", "\\|")


def _in_extension(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("=", "\\=")
    return escaped.replace("\r", "\\r").replace("\n", "\\n")
