"""The formats that a verdict is exported in."""

from enum import StrEnum
from typing import Final


class ExportFormat(StrEnum):
    """A format, as it stands in the address."""

    model_index = "model-index"
    eval_results = "eval-results"
    ro_crate = "ro-crate"
    in_toto = "in-toto"


YAML: Final = "application/yaml"
JSON_LD: Final = "application/ld+json"
STATEMENT: Final = "application/vnd.in-toto+json"
"""An in-toto statement; also what an envelope says it carries."""
ENVELOPE: Final = "application/vnd.dsse.envelope.v1+json"
FILE_NAMES: Final = {
    ExportFormat.model_index: "model-index.yaml",
    ExportFormat.eval_results: "paper-verdicts.yaml",
    ExportFormat.ro_crate: "ro-crate-metadata.json",
    ExportFormat.in_toto: "verdict.intoto.json",
}
"""What a browser saves each as."""
