"""Read the files of a catalogue: `papers/*.toml` and `drivers/*.toml`."""

import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, TypeVar
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from app.catalogue.errors import CatalogueError
from app.core.errors import AppError
from app.papers.errors import PaperIdError
from app.papers.ids import PaperRef
from app.papers.schemas import PaperPut, VersionPost
from app.protocol.driver import DriverSpec


def _paper_id(text: str) -> str:
    try:
        ref = PaperRef.parse(text)
    except PaperIdError as error:
        raise ValueError(error.detail) from error
    if ref.version is not None:
        raise ValueError(f"{text} names a version; leave out the v{ref.version}")
    return text


PaperId = Annotated[str, AfterValidator(_paper_id)]
"""The id of a paper as files name it: without `vN`."""


class VersionFile(VersionPost):
    """A version in a paper's file. `id` pins it, so that documents from elsewhere agree with ours."""

    version: Annotated[int, Field(ge=1)]
    id: UUID | None = None


class PaperFile(PaperPut):
    """A paper's file."""

    model_config = ConfigDict(extra="forbid")

    arxiv_id: PaperId
    versions: Annotated[list[VersionFile], Field(min_length=1)]


File = TypeVar("File", bound=BaseModel)


def read_papers(directory: Path) -> Iterator[tuple[str, PaperFile]]:
    """The papers of a catalogue with their file names, in the order of these. Raises CatalogueError."""
    for path in sorted((directory / "papers").glob("*.toml")):
        paper = _validated(path, PaperFile)
        if [one.version for one in paper.versions] != list(range(1, len(paper.versions) + 1)):
            raise CatalogueError(f"{path.name}: versions have to be numbered 1, 2, ... in order")
        yield path.name, paper


def read_drivers(directory: Path) -> Iterator[tuple[str, DriverSpec]]:
    """The drivers of a catalogue with their file names, in the order of these. Raises CatalogueError."""
    for path in sorted((directory / "drivers").glob("*.toml")):
        spec = _validated(path, DriverSpec)
        if spec.slug != path.stem:
            raise CatalogueError(f"{path.name}: the slug is {spec.slug!r}; name the file {spec.slug}.toml")
        with blaming(path.name, "paper"):
            _paper_id(spec.paper)
        yield path.name, spec


@contextmanager
def blaming(file_name: str, field: str = "the file") -> Iterator[None]:
    """Whatever is refused inside is refused as this file's fault, with the field at fault. Raises CatalogueError."""
    try:
        yield
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or field
        raise CatalogueError(f"{file_name}: {where}: {first['msg']}") from error
    except AppError as error:
        raise CatalogueError(f"{file_name}: {error.detail}") from error
    except ValueError as error:
        raise CatalogueError(f"{file_name}: {field}: {error}") from error


def _validated(path: Path, model: type[File]) -> File:
    content = _toml(path)
    with blaming(path.name):
        return model.model_validate(content)


def _toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise CatalogueError(f"{path.name}: {error}") from error
