"""The reference of the API as Markdown, from its OpenAPI document: no viewer, no script, no other host."""

import json
from collections.abc import Iterator
from html import escape
from typing import Any

Json = dict[str, Any]
_REF = "#/components/schemas/"
_PROBLEM = "application/problem+json"


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
    yield f"### {operation['summary']} {{ #{operation['operationId']} }}\n"
    scopes = [scope for one in operation.get("security", []) for scope in one.get("apiKey", [])]
    key = f'<span class="scope">takes a key with the scope <code>{scopes[0]}</code></span>' if scopes else ""
    verb = f'<span class="verb">{method.upper()}</span> <code>{escape(path)}</code> {key}'
    yield f'<p class="operation">{verb}</p>\n\n{_plain(operation["description"])}\n'
    parameters = operation.get("parameters", [])
    if parameters:
        yield "| parameter | in | type | says |\n|---|---|---|---|"
        for one in parameters:
            needed = " **Required.**" if one.get("required") and one["in"] != "path" else ""
            kind = _type(one.get("schema", {})).removesuffix(" or null")  # left out, then
            yield f"| `{one['name']}` | {one['in']} | {kind} | {_cell(one.get('description', ''))}{needed} |"
        yield ""
    yield from _answers(operation)


def _answers(operation: Json) -> Iterator[str]:
    """The bodies of the request and of each answer; problems, which look alike, in one line."""
    yield "| body | media type | schema |\n|---|---|---|"
    for media, content in operation.get("requestBody", {}).get("content", {}).items():
        yield f"| request | `{media}` | {_type(content.get('schema', {}))} |"
    problems = []
    for status, answer in sorted(operation["responses"].items()):
        contents = answer.get("content", {})
        if _PROBLEM in contents:
            problems.append(f"{status} {answer['description']}")
        for media, content in contents.items():
            if media != _PROBLEM:
                yield f"| {status} | `{media}` | {_type(content.get('schema', {}))} |"
        if not contents:
            yield f"| {status} | | {_cell(answer['description'])} |"
    if problems:
        yield f"| problems | `{_PROBLEM}` | [Problem](#problem): {', '.join(problems)} |"
    yield ""


def _schema(name: str, schema: Json) -> Iterator[str]:
    yield f"### {name}\n\n{_plain(schema.get('description', ''))}\n"
    if "enum" in schema:
        yield "One of " + ", ".join(f"`{value}`" for value in schema["enum"]) + ".\n"
    fields = schema.get("properties", {})
    if fields:
        required = set(schema.get("required", ()))
        yield "| field | type | says |\n|---|---|---|"
        for field, one in fields.items():
            optional = "" if field in required else " Optional."
            yield f"| `{field}` | {_type(one)} | {_cell(one.get('description', ''))}{optional} |"
        yield ""
    for example in schema.get("examples", [])[:1]:
        yield f"```json\n{json.dumps(example, ensure_ascii=False, indent=1)}\n```\n"


def _type(schema: Json) -> str:
    for several in ("anyOf", "oneOf", "allOf"):
        if several in schema:
            return " or ".join(dict.fromkeys(_type(one) for one in schema[several]))
    if "prefixItems" in schema:
        return f"[{', '.join(_type(one) for one in schema['prefixItems'])}]"
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    return _plain_type(schema)


def _plain_type(schema: Json) -> str:
    """Of what is made of no other types."""
    if "$ref" in schema:
        name = schema["$ref"].removeprefix(_REF)
        return f"[{name}](#{name.lower()})"
    words = schema.get("enum", [schema["const"]] if "const" in schema else [])
    return " or ".join(f"`{one}`" for one in words) or str(schema.get("format") or schema.get("type") or "any")


def _plain(text: str) -> str:
    """No markup but the code spans, in which everything stands for itself."""
    parts = text.split("`")
    parts[::2] = [part.replace("<", "&lt;").replace("{", "&#123;") for part in parts[::2]]
    return "`".join(parts)


def _cell(text: str) -> str:
    return _plain(text).replace("|", "\\|").replace("\n", " ")
