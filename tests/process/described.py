"""Checks answers against an OpenAPI 3.1 document: what of JSON Schema these documents use, and nothing silently passed over."""
from nodes import Failure, check

KNOWN = {"type", "properties", "required", "additionalProperties", "items", "enum", "minimum", "maximum", "minLength", "maxLength", "pattern",
         "format", "description", "anyOf", "oneOf", "$ref", "default", "const", "title"}
TYPES = {"object": dict, "array": list, "string": str, "boolean": bool, "null": type(None)}


def _is_type(value, name):
    if name == "integer":
        return isinstance(value, int) and not isinstance(value, bool)
    if name == "number":
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    return isinstance(value, TYPES[name])


def _resolve(document, schema):
    while "$ref" in schema:
        place = document
        for part in schema["$ref"].removeprefix("#/").split("/"):
            place = place[part]
        schema = place
    return schema


def conforms(document, schema, value, where="answer"):
    import re
    schema = _resolve(document, schema)
    unknown = set(schema) - KNOWN
    check(not unknown, f"{where}: the check does not know {unknown}")
    for key in ("anyOf", "oneOf"):
        if key in schema:
            fits = [s for s in schema[key] if _fits(document, s, value, where)]
            check(fits and (key == "anyOf" or len(fits) == 1), f"{where}: {value!r} fits {len(fits)} of {key}")
    names = schema.get("type")
    if names:
        names = [names] if isinstance(names, str) else names
        check(any(_is_type(value, n) for n in names), f"{where}: {value!r} is no {names}")
    check("enum" not in schema or value in schema["enum"], f"{where}: {value!r} is not one of {schema.get('enum')}")
    if isinstance(value, str):
        check("pattern" not in schema or re.search(schema["pattern"], value), f"{where}: {value!r} does not match {schema.get('pattern')}")
        if schema.get("format") == "date-time":
            check(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", value), f"{where}: {value!r} is no time")
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        check(value >= schema.get("minimum", value) and value <= schema.get("maximum", value), f"{where}: {value} is out of bounds")
    if isinstance(value, dict):
        properties = schema.get("properties", {})
        missing = set(schema.get("required", [])) - set(value)
        check(not missing, f"{where}: {missing} missing")
        extra = set(value) - set(properties)
        check(schema.get("additionalProperties", True) or not extra, f"{where}: {extra} not described")
        for key in set(value) & set(properties):
            conforms(document, properties[key], value[key], f"{where}.{key}")
    if isinstance(value, list) and "items" in schema:
        for i, item in enumerate(value):
            conforms(document, schema["items"], item, f"{where}[{i}]")


def _fits(document, schema, value, where):
    try:
        conforms(document, schema, value, where)
    except Failure:
        return False
    return True


def check_answer(document, method, path, status, content_type, value):
    """`path` as the document spells it; `value`: parsed JSON, or None for other content."""
    operation = document["paths"][path][method.lower()]
    responses = operation["responses"]
    check(str(status) in responses, f"{method} {path}: {status} is not described")
    content = responses[str(status)].get("content", {})
    kind = (content_type or "").split(";")[0]
    if value is not None:
        check(kind == "application/json" and kind in content, f"{method} {path} {status}: {kind} is not described")
        conforms(document, content[kind]["schema"], value, f"{method} {path} {status}")
