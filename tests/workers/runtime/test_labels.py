import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.protocol.errors import DriverError
from tests.workers.split_files import NLI
from workers.runtime.labels import label_columns

pytestmark = pytest.mark.worker


@given(st.permutations(NLI))
def test_columns_are_found_by_name_whatever_their_order_and_case(names: list[str]) -> None:
    columns = label_columns([name.upper() for name in names], NLI, {})
    assert [names[column] for column in columns] == list(NLI)


def test_renames_are_applied() -> None:
    renames = {"LABEL_0": "contradiction", "label_1": "Entailment", "yes": "neutral"}
    columns = label_columns(["LABEL_0", "LABEL_1", "Yes"], NLI, renames)
    np.testing.assert_array_equal(columns, [1, 2, 0])


@pytest.mark.parametrize(
    ("names", "renames", "code"),
    [
        (["entailment", "neutral"], {}, "checkpoint_labels_mismatch"),
        ([*NLI, "other"], {}, "checkpoint_labels_mismatch"),
        (["LABEL_0", "LABEL_1", "LABEL_2"], {}, "label_names_unknown"),
        (["LABEL_0", "neutral", "contradiction"], {}, "label_names_unknown"),
        (["entailment", "neutral", "contradicts"], {}, "label_names_unknown"),
        (["entailment", "entailment", "contradiction"], {}, "label_names_unknown"),
        (NLI, {"neutral": "entailment"}, "label_names_unknown"),
        (NLI, {"neutral": "maybe"}, "label_names_unknown"),
    ],
)
def test_names_that_do_not_match_are_refused(names: list[str], renames: dict[str, str], code: str) -> None:
    with pytest.raises(DriverError) as caught:
        label_columns(names, NLI, renames)
    assert caught.value.code == code
