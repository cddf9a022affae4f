"""An exported record as an event of the Open Cybersecurity Schema Framework. Pure; the table is `ocsf.json`.

`metadata.uid` is `log:seq` and never changes, `raw_data` holds the bytes that are hashed, so what was mapped can be
proven.

Source: schema.ocsf.io, version 1.3.0: classes account_change (3001), authentication (3002), entity_management (3004),
group_management (3006), application_lifecycle (6002), api_activity (6003).
"""

import ipaddress
from datetime import datetime
from functools import lru_cache
from importlib.resources import files
from typing import Any, Final

import msgspec

from failgate import __version__
from failgate.audit.bodies import address_in
from failgate.audit.encoding import record_of
from failgate.audit.exporter import ExportedRecord

_OTHER: Final = 99


class _Class(msgspec.Struct, frozen=True):
    category: int
    activities: dict[str, str]


class _Table(msgspec.Struct, frozen=True):
    version: str
    classes: dict[str, _Class]
    acts: dict[str, tuple[int, int]]
    entities: frozenset[str]
    verbs: dict[str, int]
    severities: dict[str, int]
    users: dict[str, int]


@lru_cache(maxsize=1)
def _table() -> _Table:
    return msgspec.json.decode(files("failgate.audit").joinpath("ocsf.json").read_bytes(), type=_Table)


_encode = msgspec.json.Encoder(order="deterministic").encode


def ocsf_of(record: ExportedRecord) -> bytes:
    """Return the event as one line of JSON.

    Raises: msgspec.DecodeError, KeyError (the record is none of this version).
    """
    return _encode(event_of(record))


def event_of(record: ExportedRecord) -> dict[str, Any]:
    """Return the event as JSON values. Raises: as `ocsf_of`."""
    leaf, table = record_of(record.leaf), _table()
    act, out = str(leaf["act"]), str(leaf["out"])
    class_uid, activity = _class_of(act, table)
    kind = table.classes[str(class_uid)]
    reason = leaf["data"].get("reason")
    event: dict[str, Any] = {
        "activity_id": activity,
        "activity_name": kind.activities.get(str(activity), act),
        "category_uid": kind.category,
        "class_uid": class_uid,
        "type_uid": class_uid * 100 + activity,
        "time": _milliseconds(str(leaf["ts"])),
        "severity_id": table.severities.get(out, 0),
        "status_id": 1 if out == "ok" else 2,
        "message": act,
        "metadata": {
            "version": table.version,
            "product": {"name": "Failgate", "vendor_name": "Failgate", "version": __version__},
            "uid": f"{record.log}:{record.seq}",
            "log_name": record.log,
            "sequence": record.seq,
            "event_code": act,
            "correlation_uid": leaf["req"],
        },
        "actor": _actor(leaf["actor"], table),
        "raw_data": record.leaf.decode(),
        "unmapped": {"data": leaf["data"], "object": leaf["obj"]},
    }
    event["metadata"] = {name: value for name, value in event["metadata"].items() if value is not None}
    if isinstance(reason, str):
        event["status_detail"] = reason
    return event | _of_class(class_uid, leaf, address_in(leaf, record.body), table)


def _class_of(act: str, table: _Table) -> tuple[int, int]:
    found = table.acts.get(act)
    if found is not None:
        return found
    noun, _, verb = act.partition(".")
    return 3004 if noun in table.entities else 6003, table.verbs.get(verb, _OTHER)


def _of_class(class_uid: int, leaf: dict[str, Any], ip: object, table: _Table) -> dict[str, Any]:
    """Return the members that the class asks for."""
    actor, thing, data = leaf["actor"], leaf["obj"], leaf["data"]
    is_withheld = ip is None and leaf.get("pd") is not None  # it came from somewhere, and bodies stay here
    where = {"src_endpoint": {"name": "withheld"} if is_withheld else _endpoint(ip)}
    subject = str(data.get("account") or (thing["id"] if thing["t"] in {"account", "user"} else actor["id"]))
    match class_uid:
        case 3001:
            return where | {"user": {"uid": subject, "type_id": 1}}
        case 3002:
            return where | {
                "user": {"uid": subject, "type_id": table.users.get(actor["t"], 0)},
                "service": {"name": "Failgate"},
                "is_mfa": len(actor["auth"] or ()) > 1,
                "is_remote": is_withheld or ip is not None,
            }
        case 3004:
            return where | {"entity": {"uid": thing["id"], "type": thing["t"]}}
        case 3006:
            return where | {
                "group": {"uid": str(leaf["ws"]), "type": "workspace"},
                "user": {"uid": subject, "type_id": 1},
            }
        case 6002:
            return {"app": {"name": thing["id"], "vendor_name": "Failgate", "version": __version__}}
        case _:
            api = {"operation": leaf["act"], "service": {"name": "Failgate"}}
            return where | {"api": api, "resources": [{"uid": thing["id"], "type": thing["t"]}]}


def _actor(actor: dict[str, Any], table: _Table) -> dict[str, Any]:
    kind = table.users.get(actor["t"], 0)
    said: dict[str, Any] = {"user": {"uid": actor["id"], "type_id": kind, "type": actor["t"]}}
    if actor["sid_h"] is not None:
        said["session"] = {"uid": actor["sid_h"]}
    return said


def _endpoint(ip: object) -> dict[str, str]:
    """Return where a request came from; what the server did by itself came from the service."""
    try:
        return {"ip": str(ipaddress.ip_address(str(ip)))}
    except ValueError:
        return {"svc_name": "failgate"}


def _milliseconds(text: str) -> int:
    moment = datetime.fromisoformat(text)
    return int(moment.timestamp()) * 1000 + moment.microsecond // 1000
