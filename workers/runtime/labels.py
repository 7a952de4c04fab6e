"""Bring a checkpoint's columns into the data set's label order, by name and never by position."""

import re
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from app.protocol.errors import DriverError

_ANONYMOUS: Final = re.compile(r"label_\d+")
"""What transformers calls labels that nobody named: it says nothing about their meaning."""


def label_columns(
    checkpoint: Sequence[str], dataset: Sequence[str], renames: Mapping[str, str], *, code_prefix: str = "checkpoint"
) -> NDArray[np.int64]:
    """For each label of the data set, the column of the checkpoint that scores it: int64 [C], a permutation.

    Names are compared whatever their case, after `renames` (the driver's `label_names`: checkpoint name -> data set
    name). Raises DriverError: `<code_prefix>_labels_mismatch` where the numbers of labels differ,
    `label_names_unknown` where a name is not the data set's, or says nothing (LABEL_0), or two are the same.
    """
    if len(checkpoint) != len(dataset):
        raise DriverError(
            code=f"{code_prefix}_labels_mismatch",
            message=f"There are {len(checkpoint)} labels ({', '.join(checkpoint)}) "
            f"where the data set has {len(dataset)} ({', '.join(dataset)}).",
        )
    meant = {name.casefold(): target.casefold() for name, target in renames.items()}
    for name in checkpoint:
        if _ANONYMOUS.fullmatch(name.casefold()) and name.casefold() not in meant:
            raise _unknown(problem=f"{name} says nothing about what it means", dataset=dataset)
    columns = {meant.get(name.casefold(), name.casefold()): column for column, name in enumerate(checkpoint)}
    missing = [name for name in dataset if name.casefold() not in columns]
    if missing:
        raise _unknown(
            problem=f"none of {', '.join(checkpoint)} is the data set's {', '.join(missing)}", dataset=dataset
        )
    return np.array([columns[name.casefold()] for name in dataset], dtype=np.int64)


def _unknown(*, problem: str, dataset: Sequence[str]) -> DriverError:
    return DriverError(
        code="label_names_unknown",
        message=f"The labels cannot be matched by name: {problem}. "
        f"Map each to one of {', '.join(dataset)} in the driver's model.label_names.",
    )
