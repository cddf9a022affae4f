import json
from pathlib import Path

from failgate.config.schema import config_schema, write_schema

ROOT = Path(__file__).parents[2]


def test_the_schema_in_the_tree_is_the_one_of_the_code(tmp_path: Path) -> None:
    """When this fails: python -m failgate.config.schema."""
    write_schema(tmp_path / "schema.json")
    assert (ROOT / "config" / "schema.json").read_text() == (tmp_path / "schema.json").read_text()


def test_the_schema_forbids_what_the_reader_forbids() -> None:
    schema = json.loads(json.dumps(config_schema()))
    assert schema["additionalProperties"] is False
    sections = schema["properties"]
    assert all(section["additionalProperties"] is False for name, section in sections.items() if name != "plugins")
    assert sections["gate"]["properties"]["default_ttl"]["type"] == "string"
    assert sections["server"]["properties"]["public_url"] == {"type": "string"}
    assert {"type": "string"} in sections["database"]["properties"]["url"]["anyOf"]
