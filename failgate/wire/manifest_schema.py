"""The JSON Schema of `manifest.json`, made of the structs that read it.

`python -m failgate.wire.manifest_schema` writes `docs/manifest-v1.schema.json`; `failgate report schema` prints it.
"""

import json
from pathlib import Path
from typing import Any

import msgspec

from failgate.wire.reports import Manifest

ID = "urn:failgate:manifest:1"


def manifest_schema() -> dict[str, Any]:
    """Return the schema (JSON Schema 2020-12) of a manifest, version 1."""
    (schema,), components = msgspec.json.schema_components([Manifest], ref_template="#/$defs/{name}")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": ID, **schema, "$defs": components}


def schema_text() -> str:
    """Return the schema as it is published, so that two runs give the same bytes."""
    return json.dumps(manifest_schema(), indent=2, sort_keys=True) + "\n"


if __name__ == "__main__":
    path = Path(__file__).parents[2] / "docs" / "manifest-v1.schema.json"
    path.write_text(schema_text(), encoding="utf-8")
