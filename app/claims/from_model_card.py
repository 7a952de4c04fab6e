"""Claims out of the `model-index` of a model card: its front matter, or the bare YAML.

The YAML is anybody's: read with the loader that makes texts alone (so that a number keeps its printed digits, and no
tag makes an object), without aliases (a few of which can stand for billions of nodes), and not nested deeply.
"""

import re
from collections.abc import Iterator
from typing import Annotated, Any, Final

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from app.claims.candidates import Candidate, refuse_file
from app.core.errors import MOST_FIELDS, FieldError

LARGEST: Final = 256 * 1024
"""Characters of YAML."""
DEEPEST: Final = 20
_FRONT_MATTER: Final = re.compile(r"\ufeff?---[ \t]*\r?\n(.*?)^---[ \t]*(?:\r?\n|\Z)", re.DOTALL | re.MULTILINE)
_LOADER: Final = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
_SECTION: Final = "Model card"
_Items = Field(min_length=1, max_length=1000)


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore")


class _Metric(_Part):
    type: str
    value: str
    name: str | None = None


class _Dataset(_Part):
    name: str
    config: str | None = None
    split: str | None = None


class _Result(_Part):
    dataset: _Dataset
    metrics: Annotated[list[_Metric], _Items]


class _Model(_Part):
    name: str
    results: Annotated[list[_Result], _Items]


class _Card(_Part):
    model_index: Annotated[list[_Model], _Items, Field(alias="model-index")]


def claims_of_model_card(text: str, *, unit: str | None, metric: str | None, bare: bool) -> Iterator[Candidate]:
    """A claim a metric: the model's name is its row, the data set with its split its column.

    `unit` says in which unit the values are; else a value above 1 is a percentage, and any other a fraction. `metric`
    leaves out all other metrics. `bare` takes YAML without front matter. Raises ClaimsFileError.
    """
    front = _FRONT_MATTER.match(text)
    if front is None and not bare:
        refuse_file("The model card has no front matter: YAML between two lines of three dashes, at its beginning.")
    card = _card(_load(front[1] if front else text))
    for i, model in enumerate(card.model_index):
        for j, result in enumerate(model.results):
            for k, one in enumerate(result.metrics):
                name = _metric_name(one.type)
                if metric is None or metric == name:
                    place = f"model-index.{i}.results.{j}.metrics.{k}"
                    yield Candidate(place, _fields(model, result.dataset, one, name, unit))


def _fields(model: _Model, dataset: _Dataset, metric: _Metric, name: str, unit: str | None) -> dict[str, Any]:
    parts = [part for part in (dataset.config, dataset.split) if part and part not in dataset.name]
    return {
        "section": _SECTION,
        "row": model.name,
        "column": ", ".join([dataset.name, *parts]),
        "reported_value": metric.value.strip(),
        "unit": unit or _unit(metric.value),
        "reported_metric": name,
        "quoted_text": f"{metric.name or metric.type}: {metric.value}",
        "notes": "Cited from the model-index of the model's card.",
    }


def _metric_name(kind: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", kind.lower()).strip("_")


def _unit(value: str) -> str:
    try:
        return "percent" if float(value) > 1 else "fraction"
    except ValueError:  # the schema says what is wrong with it
        return "fraction"


def _card(document: Any) -> _Card:  # noqa: ANN401  # any YAML
    try:
        return _Card.model_validate(document)
    except ValidationError as error:
        errors = tuple(
            FieldError(field=".".join(map(str, ("body", *one["loc"])))[:200], detail=one["msg"], code=one["type"])
            for one in error.errors()[:MOST_FIELDS]
        )
        refuse_file(f"It is no model-index: {errors[0].field}: {errors[0].detail}.", errors)


def _load(text: str) -> Any:  # noqa: ANN401  # any YAML
    if len(text) > LARGEST:
        refuse_file(f"It has more than {LARGEST:,} characters of YAML.")
    try:
        _refuse_bombs(text)
        return yaml.load(text, Loader=_LOADER)  # noqa: S506  # the base loader makes nothing but texts
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        refuse_file(f"line {line} of the YAML: {error.problem or 'it cannot be read'}.")
    except (yaml.YAMLError, ValueError) as error:
        refuse_file(f"It is no YAML: {str(error).splitlines()[0][:200]}.")


def _refuse_bombs(text: str) -> None:
    """Look at the events, one by one, before anything is built of them."""
    depth = documents = 0
    for event in yaml.parse(text, Loader=_LOADER):
        if isinstance(event, yaml.AliasEvent):
            refuse_file("The YAML has aliases, which are not read; write out what they stand for.")
        documents += isinstance(event, yaml.DocumentStartEvent)
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST or documents > 1:
            refuse_file(f"The YAML is nested more than {DEEPEST} deep, or holds several documents.")
