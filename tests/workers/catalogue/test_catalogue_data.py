"""What the drivers pin is what is shipped."""

import tomllib
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from app.protocol.driver import AdapterModel, DataSpec, DriverSpec, FolderSource, ReleasedPredictions
from workers.datasets.load import load_split
from workers.runtime.classifier import check_model

pytestmark = pytest.mark.worker


@pytest.fixture(scope="module")
def drivers(catalogue: Path) -> list[DriverSpec]:
    paths = sorted((catalogue / "drivers").glob("*.toml"))
    return [DriverSpec.model_validate(tomllib.loads(path.read_text("utf-8"))) for path in paths]


def _distinct(drivers: list[DriverSpec]) -> Iterator[DataSpec]:
    yield from {one.data.model_dump_json(): one.data for one in drivers}.values()


def test_every_pinned_split_is_the_shipped_one(drivers: list[DriverSpec], catalogue: Path, tmp_path: Path) -> None:
    splits = [load_split(data, root=catalogue, cache=tmp_path) for data in _distinct(drivers)]
    assert {split.label_counts for split in splits} == {(3479, 3123, 3213), (3463, 3129, 3240)}


def test_every_pinned_file_of_predictions_is_the_shipped_one(drivers: list[DriverSpec], catalogue: Path) -> None:
    released = [one.model for one in drivers if isinstance(one.model, ReleasedPredictions)]
    files = {(model.source.path, model.sha256) for model in released if isinstance(model.source, FolderSource)}
    assert len(released) == 20
    for path, digest in files:
        assert sha256((catalogue / path).read_bytes()).hexdigest() == digest


def test_every_adapter_and_base_has_the_pinned_digests(
    drivers: list[DriverSpec], catalogue: Path, tmp_path: Path
) -> None:
    adapters = [one.model for one in drivers if isinstance(one.model, AdapterModel)]
    assert len(adapters) == 2
    for model in adapters:
        checked = check_model(model, root=catalogue, cache=tmp_path)
        assert checked.own.weights_sha256 == model.weights_sha256
        assert checked.base is not None
        assert checked.base.weights_sha256 == model.base_weights_sha256
