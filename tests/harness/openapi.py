# SPDX-License-Identifier: MIT
"""proto/openapi.yaml as a judge: does a value have the shape that a schema describes, and nothing besides?"""

import math
import re

import yaml

from harness.studyd import ROOT

DOCUMENT = yaml.safe_load((ROOT / "proto" / "openapi.yaml").read_text())
TYPES = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": lambda value: isinstance(value, (int, float)) and not isinstance(value, bool),
    "null": lambda value: value is None,
}


def resolve(schema):
    while "$ref" in schema:
        found = DOCUMENT
        for key in schema["$ref"].removeprefix("#/").split("/"):
            found = found[key]
        schema = found
    return schema


def schema_named(name):
    return DOCUMENT["components"]["schemas"][name]


def operations():
    """(method, path, operation) for each."""
    for path, item in DOCUMENT["paths"].items():
        for method, operation in item.items():
            if method != "parameters":
                yield method.upper(), path, operation


def request_schema(operation):
    return resolve(operation["requestBody"]["content"]["application/json"]["schema"])


def response_schema(operation, status):
    """(content type, schema) of what is answered; (None, None) for no content."""
    response = resolve(operation["responses"].get(str(status), operation["responses"]["default"]))
    for kind, content in response.get("content", {}).items():
        return kind, content["schema"]
    return None, None


def problem_types(operation, status):
    """The types of problems that its description names for a status."""
    response = operation["responses"].get(str(status), operation["responses"]["default"])
    known = [name.removeprefix("urn:studyd:") for name in schema_named("Problem")["properties"]["type"]["enum"]]
    words = re.findall(r"[a-z]+(?:-[a-z]+)*", response.get("description") or resolve(response)["description"])
    return set(words) & set(known)


def errors(value, schema, where="$"):
    """What is wrong with a value, in words; nothing where all is right. Members that the schema does not name are wrong."""
    schema = resolve(schema)
    if "oneOf" in schema:
        tries = [list(errors(value, choice, where)) for choice in schema["oneOf"]]
        if sum(not wrong for wrong in tries) != 1:
            yield f"{where}: {value!r} is not exactly one of {len(tries)} shapes: {tries}"
        return
    if "const" in schema and value != schema["const"]:
        yield f"{where}: {value!r} is not {schema['const']!r}"
    if "enum" in schema and value not in schema["enum"]:
        yield f"{where}: {value!r} is none of {schema['enum']}"
    kinds = schema.get("type", [])
    kinds = kinds if isinstance(kinds, list) else [kinds]
    if kinds and not any(TYPES[kind](value) for kind in kinds):
        yield f"{where}: {value!r} is no {kinds}"
        return
    if isinstance(value, dict):
        yield from object_errors(value, schema, where)
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from errors(item, schema.get("items", {}), f"{where}[{index}]")
    if isinstance(value, str) and "pattern" in schema and not re.search(schema["pattern"], value):
        yield f"{where}: {value!r} does not match {schema['pattern']}"


def object_errors(value, schema, where):
    properties = schema.get("properties")
    for key in schema.get("required", []):
        if key not in value:
            yield f"{where}: {key} is missing"
    for key, member in value.items():
        if properties and key in properties:
            yield from errors(member, properties[key], f"{where}.{key}")
        elif isinstance(schema.get("additionalProperties"), dict):
            yield from errors(member, schema["additionalProperties"], f"{where}.{key}")
        elif properties and not schema.get("additionalProperties"):
            yield f"{where}: {key} is not described"


def sample(schema, index=0):
    """Something small that a schema allows; another one for each index where that can be."""
    schema = resolve(schema)
    if "oneOf" in schema:
        return sample(schema["oneOf"][-1], index)
    if "const" in schema or "enum" in schema:
        return schema["const"] if "const" in schema else schema["enum"][0]
    kinds = schema["type"]
    kind = kinds[0] if isinstance(kinds, list) else kinds
    if kind == "object":
        return {key: sample(schema["properties"][key]) for key in schema.get("required", [])}
    if kind == "array":
        return [sample(schema["items"], place) for place in range(schema.get("minItems", 0))]
    return str(index) if kind == "string" else index


def of_size(schema, what, size):
    """A string, array or object of this size."""
    if what == "Length":
        return "x" * size
    if what == "Items":
        return [sample(schema["items"], index) for index in range(size)]
    return {str(index): sample(schema["additionalProperties"], index) for index in range(size)}


def edges(schema):
    """(value, is it allowed) around everything that bounds a schema: at the bound and one beyond, each word and another."""
    schema = resolve(schema)
    if "exclusiveMinimum" in schema:
        yield schema["exclusiveMinimum"], False
    for side, away in (("min", -1), ("max", 1)):
        if side + "imum" in schema:
            bound = schema[side + "imum"]
            yield bound, True
            yield bound + away if "integer" in schema["type"] else math.nextafter(bound, away * math.inf), False
        for what in ("Length", "Items", "Properties"):
            if side + what in schema:
                yield of_size(schema, what, schema[side + what]), True
                yield of_size(schema, what, schema[side + what] + away), False
    if "enum" in schema:
        yield from ((word, True) for word in schema["enum"])
        yield from ((word, False) for word in ("zzz", "NaN") if word not in schema["enum"])
    for choice in schema.get("oneOf", []):
        yield from edges(choice)
    if "items" in schema:
        yield from (([value], allowed) for value, allowed in edges(schema["items"]))
    if "propertyNames" in schema:
        yield from (({name: 1}, allowed) for name, allowed in edges(schema["propertyNames"]))
    if isinstance(schema.get("additionalProperties"), dict):
        yield from (({"1": value}, allowed) for value, allowed in edges(schema["additionalProperties"]))
