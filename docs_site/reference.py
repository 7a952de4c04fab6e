"""The reference of the API as Markdown, from its OpenAPI document: no viewer, no script, no other host."""

import json
from collections.abc import Iterator
from typing import Any

Json = dict[str, Any]
_REF = "#/components/schemas/"


def reference_page(document: Json) -> str:
    """All operations by tag, then all schemas."""
    return "\n".join(_page(document)) + "\n"


def _page(document: Json) -> Iterator[str]:
    yield f"# API reference\n\nVersion {document['info']['version']}. {document['info']['description']}\n"
    yield "The same, for machines: `GET /openapi.json`. Errors are problem documents with the schema `Problem`.\n"
    for tag in document["tags"]:
        yield f"## {tag['name'].capitalize()}\n\n{tag['description']}\n"
        for path, item in document["paths"].items():
            for method, operation in item.items():
                if tag["name"] in operation["tags"]:
                    yield from _operation(method, path, operation)
    yield "## Schemas\n"
    for name, schema in sorted(document["components"]["schemas"].items()):
        yield from _schema(name, schema)


def _operation(method: str, path: str, operation: Json) -> Iterator[str]:
    yield f"### {operation['summary']}\n\n`{method.upper()} {path}`\n\n{_plain(operation['description'])}\n"
    scopes = [scope for one in operation.get("security", []) for scope in one.get("apiKey", [])]
    if scopes:
        yield f"Takes a key with the scope `{scopes[0]}`.\n"
    parameters = operation.get("parameters", [])
    if parameters:
        yield "| parameter | in | |\n|---|---|---|"
        for one in parameters:
            needed = " **Required.**" if one.get("required") and one["in"] != "path" else ""
            yield f"| `{one['name']}` | {one['in']} | {_cell(one.get('description', ''))}{needed} |"
        yield ""
    for media, content in operation.get("requestBody", {}).get("content", {}).items():
        yield f"Body: `{media}`, {_type(content.get('schema', {}))}.\n"
    yield "| answer | |\n|---|---|"
    for status, answer in sorted(operation["responses"].items()):
        kinds = {_type(content.get("schema", {})) for content in answer.get("content", {}).values()}
        yield f"| {status} | {_cell(answer['description'])}: {', '.join(sorted(kinds)) or 'no body'} |"
    yield ""


def _schema(name: str, schema: Json) -> Iterator[str]:
    yield f"### {name}\n\n{_plain(schema.get('description', ''))}\n"
    if "enum" in schema:
        yield "One of " + ", ".join(f"`{value}`" for value in schema["enum"]) + ".\n"
    fields = schema.get("properties", {})
    if fields:
        required = set(schema.get("required", ()))
        yield "| field | type | |\n|---|---|---|"
        for field, one in fields.items():
            optional = "" if field in required else " Optional."
            yield f"| `{field}` | {_type(one)} | {_cell(one.get('description', ''))}{optional} |"
        yield ""
    for example in schema.get("examples", [])[:1]:
        yield f"```json\n{json.dumps(example, ensure_ascii=False, indent=1)}\n```\n"


def _type(schema: Json) -> str:
    if "$ref" in schema:
        name = schema["$ref"].removeprefix(_REF)
        return f"[{name}](#{name.lower()})"
    for several in ("anyOf", "oneOf", "allOf"):
        if several in schema:
            return " or ".join(dict.fromkeys(_type(one) for one in schema[several]))
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    return str(schema.get("format") or schema.get("type") or "any")


def _plain(text: str) -> str:
    return text.replace("<", "&lt;").replace("{", "&#123;")


def _cell(text: str) -> str:
    return _plain(text).replace("|", "\\|").replace("\n", " ")
