"""What each format looks like, for the OpenAPI document."""

from typing import Any, Final

from app.exports.formats import ENVELOPE, JSON_LD, STATEMENT, YAML
from app.exports.predicate import PREDICATE_TYPE, STATEMENT_TYPE
from app.exports.ro_crate import CONTEXT

_MODEL_INDEX: Final = """\
model-index:
- name: MoritzLaurer/DeBERTa-v3-large-mnli-fever-anli-ling-wanli
  results:
  - task:
      type: text-classification
      name: Text Classification
    dataset:
      type: MNLI
      name: MNLI (validation_matched)
      split: validation_matched
    metrics:
    - type: accuracy
      value: 91.33
      name: DeBERTa-v3-large, MNLI-m
"""
_EVAL_RESULTS: Final = """\
- dataset:
    id: nyu-mll/glue
    task_id: mnli_matched
  value: 91.33
  date: '2026-05-14T23:56:01.683Z'
  notes: 'verdict da59c566-d0cc-40b4-9fe7-2f6cdf566087: reproduced, protocol proxy, n=4998'
"""
_RO_CRATE: Final[dict[str, Any]] = {
    "@context": CONTEXT,
    "@graph": [
        {
            "@id": "ro-crate-metadata.json",
            "@type": "CreativeWork",
            "conformsTo": {"@id": "https://w3id.org/ro/crate/1.1"},
            "about": {"@id": "./"},
        }
    ],
}
_STATEMENT: Final[dict[str, Any]] = {
    "_type": STATEMENT_TYPE,
    "subject": [{"name": "predictions.jsonl", "digest": {"sha256": "ab" * 32}}],
    "predicateType": PREDICATE_TYPE,
    "predicate": {"signed": False},
}
_ENVELOPE: Final[dict[str, Any]] = {
    "payload": "eyJfdHlwZSI6…",
    "payloadType": STATEMENT,
    "signatures": [{"keyid": "cd" * 32, "sig": "MEQCIA…"}],
}
EXAMPLES: Final[dict[str, dict[str, Any]]] = {
    YAML: {
        "model-index": {"summary": "model-index", "value": _MODEL_INDEX},
        "eval-results": {"summary": "eval-results", "value": _EVAL_RESULTS},
    },
    JSON_LD: {"ro-crate": {"summary": "ro-crate, its beginning", "value": _RO_CRATE}},
    STATEMENT: {"unsigned": {"summary": "in-toto, where no key is configured", "value": _STATEMENT}},
    ENVELOPE: {"signed": {"summary": "in-toto, signed", "value": _ENVELOPE}},
}
"""By media type."""
