"""Reads every golden vector with the package `sbe` and compares what it says with the vector's JSON.

Usage: read_vectors.py docs/protocol
Version 0.4.3 of the package reads arrays of `char` alone: arrays of `uint8` are shown to it as such. Vectors hold
letters in their arrays, so that nothing is lost on the way.
"""

import json
import re
import sys
from io import BytesIO
from pathlib import Path

import sbe

ARRAY = re.compile(r'(<type name="[^"]+" primitiveType=")uint8(" length=)')


def load(path: Path) -> sbe.Schema:
    return sbe.Schema.parse(BytesIO(ARRAY.sub(r"\1char\2", path.read_text()).encode()))


def same(name: str, read, expected: dict) -> None:
    """`read` answers a field's name with its value."""
    for field, value in expected.items():
        found = read(field)
        if isinstance(found, bytes):
            found = found.decode("ascii")
        if isinstance(found, str) and isinstance(value, str) and found != value:
            found = found.encode("ascii").hex()
            value = value if found else value.replace("0", "")
        if found != value:
            sys.exit(f"{name}.{field}: read {found!r}, expected {value!r}")


def main() -> None:
    protocol = Path(sys.argv[1])
    schemas = {path.stem: load(path) for path in (protocol / "schemas").glob("*.xml")}
    vectors = sorted((protocol / "vectors").glob("*.bin"))
    for path in vectors:
        schema = schemas[path.name.split(".")[0]]
        expected = json.loads(path.with_suffix(".json").read_text())
        message = schema.wrap(path.read_bytes())
        header = {"schemaId": "schema", "version": "version", "templateId": "template", "blockLength": "block_length"}
        same(path.stem, message.header.__getitem__, {ours: expected[theirs] for ours, theirs in header.items()})
        if schema.messages[expected["template"]].name != expected["name"]:
            sys.exit(f"{path.stem}: the schema has another name for it")
        same(path.stem, message.body.__getitem__, expected["fields"])
        for name, entries in expected["groups"].items():
            group = message.body[name]
            if len(group) != len(entries):
                sys.exit(f"{path.stem}.{name}: {len(group)} entries, expected {len(entries)}")
            for read, entry in zip(group, entries):
                same(f"{path.stem}.{name}", read.__getitem__, entry)
    print(f"{len(vectors)} vectors read")


main()
