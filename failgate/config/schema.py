"""The JSON schema of the config file, for editors: `python -m failgate.config.schema` writes `config/schema.json`.

It describes the sections of the core; what a plugin takes only the plugin knows, so `[plugins.<instance>]` is open.
"""

import json
from pathlib import Path
from typing import Any, get_args, get_origin

import msgspec

from failgate.base.secret import Secret
from failgate.config.audit import INSTANCE_PATTERN
from failgate.config.model import SECTIONS
from failgate.config.units import DURATION_PATTERN, SIZE_PATTERN, Duration, Size

_SECRET = {
    "type": "object",
    "properties": {
        "env": {"type": "string"},
        "file": {"type": "string"},
        "credential": {"type": "string"},
        "command": {"type": "array", "items": {"type": "string"}, "minItems": 1},
    },
    "minProperties": 1,
    "maxProperties": 1,
    "additionalProperties": False,
}
_UNITED: dict[object, dict[str, Any]] = {
    Duration: {"type": "string", "pattern": DURATION_PATTERN},
    Size: {"type": "string", "pattern": SIZE_PATTERN},
    Secret: _SECRET,
}


class _TextOrSecret:
    """Stands for `str | Secret`, which msgspec does not describe by itself."""


def config_schema() -> dict[str, Any]:
    """Return the schema (JSON Schema 2020-12) of a whole config file."""
    structs: dict[str, Any] = {}
    sections = {name: _section_schema(name, struct, structs) for name, struct in SECTIONS.items()}
    instance = {"type": "object", "properties": {"use": {"type": "string", "pattern": INSTANCE_PATTERN}}}
    plugins = {
        "type": "object",
        "description": "One table for each plugin instance; its settings are the plugin's own.",
        "propertyNames": {"pattern": INSTANCE_PATTERN},
        "additionalProperties": instance,
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "failgate.toml",
        "type": "object",
        "properties": {**sections, "plugins": plugins},
        "additionalProperties": False,
        "$defs": structs,
    }


def write_schema(path: Path) -> None:
    """Write the schema to `path`, so that two runs give the same bytes."""
    path.write_text(json.dumps(config_schema(), indent=2, sort_keys=True) + "\n", encoding="utf-8")


def _section_schema(name: str, struct: type[msgspec.Struct], structs: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a section; structs in its lists and tables are described in `structs`."""
    properties: dict[str, Any] = {}
    required: list[str] = []
    for each in msgspec.structs.fields(struct):
        inner = _section_in(each.type)
        if inner is not None:
            properties[each.encode_name] = _section_schema(f"{name}.{each.encode_name}", inner, structs)
            continue
        if each.required:
            required.append(each.encode_name)
        wanted = _described(each.type)
        (schema,), components = msgspec.json.schema_components(
            [wanted], schema_hook=_describe, ref_template="#/$defs/{name}"
        )
        structs |= {found: _struct_schema(component) for found, component in components.items()}
        schema = _without_null(schema)
        default = each.default if each.default is not msgspec.NODEFAULT else None
        if default is not None:
            schema["default"] = msgspec.to_builtins(default, enc_hook=str)
        properties[each.encode_name] = schema
    return {
        "type": "object",
        "description": (struct.__doc__ or "").partition("\n")[0],
        "properties": properties,
        "additionalProperties": False,
        **({"required": sorted(required)} if required else {}),
    }


def _section_in(wanted: Any) -> type[msgspec.Struct] | None:
    """Return the section that a setting of this type holds, or None."""
    members = (wanted,) if get_origin(wanted) in {dict, tuple} else get_args(wanted) or (wanted,)
    return next((one for one in members if isinstance(one, type) and issubclass(one, msgspec.Struct)), None)


def _struct_schema(component: dict[str, Any]) -> dict[str, Any]:
    members = {name: _without_null(member) for name, member in component.get("properties", {}).items()}
    for member in members.values():
        if member.get("default", 0) is None:
            del member["default"]
    return {**component, "properties": members}


def _described(wanted: Any) -> Any:
    return _TextOrSecret if "Secret" in str(wanted) and "str" in str(wanted) else wanted


def _describe(kind: type) -> dict[str, Any]:
    if kind is _TextOrSecret:
        return {"anyOf": [{"type": "string"}, _SECRET]}
    if kind is Path:
        return {"type": "string"}
    if kind in _UNITED:
        return dict(_UNITED[kind])
    raise TypeError(f"no schema for {kind}")


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """Return `schema` without the null that TOML does not have."""
    choices = [choice for choice in schema.get("anyOf", []) if choice != {"type": "null"}]
    if "anyOf" not in schema or len(choices) > 1:
        return schema
    return {**{key: value for key, value in schema.items() if key != "anyOf"}, **choices[0]}


if __name__ == "__main__":
    write_schema(Path(__file__).parents[2] / "config" / "schema.json")
