"""The OpenAPI document made fit to read, and to generate clients from."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic import BaseModel, GetJsonSchemaHandler
from pydantic_core import CoreSchema

Json = dict[str, Any]
METHODS: Final = frozenset({"get", "put", "post", "patch", "delete"})
_PAGE: Final = re.compile(r"Page_(\w+?)(?:Read)?_")
_REF: Final = "#/components/schemas/"
_WORDS: Final = re.compile(r"[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])")


@dataclass(frozen=True, slots=True)
class Reference:
    """What is said once for the whole document: of tags, of parameters by their names, and examples by schema."""

    tags: Mapping[str, str]
    parameters: Mapping[str, str]
    examples: Mapping[str, Json]


class ShownAs:
    """Marks a JSON object that is handed on as it is stored: the document describes it as this model does."""

    def __init__(self, model: type[BaseModel]) -> None:
        self._model = model

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> Json:
        """The model's schema, in place of any object's."""
        del schema
        return handler(self._model.__pydantic_core_schema__)


def finish(document: Json, reference: Reference) -> None:
    """Add summaries, descriptions of tags and parameters, and examples to the document."""
    _name_pages(document)
    schemas = document["components"]["schemas"]
    for name, schema in list(schemas.items()):
        schemas[name] = _hoisted(schema, schemas, top=True)
    used = set()
    for operation in operations(document):
        operation["summary"] = _summary(operation["operationId"])
        used |= set(operation["tags"])
        for parameter in operation.get("parameters", []):
            if "description" not in parameter and parameter["name"] in reference.parameters:
                parameter["description"] = reference.parameters[parameter["name"]]
        for answer in operation["responses"].values():
            for content in answer.get("content", {}).values():
                content.setdefault("schema", {"type": "string", "format": "binary"})
    document["tags"] = [{"name": name, "description": words} for name, words in reference.tags.items() if name in used]
    for name, example in reference.examples.items():
        if name in schemas:
            schemas[name].setdefault("examples", [example])


def _name_pages(document: Json) -> None:
    """`Page_ClaimRead_`, as pydantic has it, is called ClaimPage: in the clients made of this, it is a class."""
    names = {name: f"{found[1]}Page" for name in document["components"]["schemas"] if (found := _PAGE.fullmatch(name))}

    def renamed(node: Any) -> Any:  # noqa: ANN401  # any JSON
        if isinstance(node, list):
            return [renamed(one) for one in node]
        if not isinstance(node, dict):
            return node
        if "$ref" in node:
            target = node["$ref"].removeprefix(_REF)
            return {**node, "$ref": _REF + names.get(target, target)}
        return {names.get(name, name): renamed(one) for name, one in node.items()}

    document |= renamed(document)
    for name in names.values():
        document["components"]["schemas"][name]["title"] = name


def _hoisted(node: Any, schemas: Json, *, top: bool = False) -> Any:  # noqa: ANN401  # any JSON
    """The schema with every model inside it referred to by its name, where it stood written out."""
    if isinstance(node, list):
        return [_hoisted(one, schemas) for one in node]
    if not isinstance(node, dict):
        return node
    inner = {name: _hoisted(one, schemas) for name, one in node.items()}
    if top or inner.get("type") != "object" or not isinstance(inner.get("properties"), dict):
        return inner
    schemas.setdefault(inner["title"], inner)  # ShownAs writes a model out where pydantic has not met it before
    return {"$ref": _REF + inner["title"]}


def operations(document: Json) -> Iterator[Json]:
    """Every operation of the document."""
    for item in document["paths"].values():
        for method, operation in item.items():
            if method in METHODS:
                yield operation


def _summary(operation_id: str) -> str:
    """`listPaperVerdicts` as "List paper verdicts"."""
    words = [word if word.isupper() else word.lower() for word in _WORDS.findall(operation_id)]
    return " ".join(words).capitalize()
