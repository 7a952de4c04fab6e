"""What is wrong with a value, in our words: pydantic's own speak of inputs, not of how to mend them."""

from collections.abc import Mapping
from typing import Any, Final

_UUID: Final = (
    "This is no id. Ids are UUIDs, like 01a21525-639b-74c9-add1-2f7c9106dcf1: the lists of this service give them, and "
    "the answers that name them."
)
_OBJECT: Final = "This has to be a JSON object, {{…}}."
_WHOLE: Final = "This has to be a whole number."
_NUMBER: Final = "This has to be a number."
_TRUTH: Final = "This has to be true or false."
_ONE_OF: Final = "This has to be {expected}."
_WORDS: Final = {
    "uuid_parsing": _UUID,
    "uuid_type": _UUID,
    "missing": "This is missing; it has to be given.",
    "model_attributes_type": _OBJECT,
    "model_type": _OBJECT,
    "dict_type": _OBJECT,
    "list_type": "This has to be a JSON array, […].",
    "string_type": "This has to be text.",
    "int_type": _WHOLE,
    "int_parsing": _WHOLE,
    "int_from_float": _WHOLE,
    "float_type": _NUMBER,
    "float_parsing": _NUMBER,
    "finite_number": "This has to be a finite number.",
    "bool_type": _TRUTH,
    "bool_parsing": _TRUTH,
    "literal_error": _ONE_OF,
    "enum": _ONE_OF,
    "greater_than": "This has to be more than {gt}.",
    "greater_than_equal": "This has to be at least {ge}.",
    "less_than": "This has to be less than {lt}.",
    "less_than_equal": "This has to be at most {le}.",
    "string_pattern_mismatch": "This is not written as it has to be: {pattern}.",
    "string_too_short": "This has to have at least {min_length} characters.",
    "string_too_long": "This may have at most {max_length} characters.",
    "too_short": "This has to have at least {min_length} entries; it has {actual_length}.",
    "too_long": "This may have at most {max_length} entries.",
}


def said_of(item: Mapping[str, Any]) -> str:
    """A sentence about one of pydantic's errors; pydantic's own where there is no better one."""
    form = _WORDS.get(item["type"])
    try:
        said = form.format(**item.get("ctx", {})) if form is not None else ""
    except (KeyError, IndexError):  # another version of pydantic says it with other facts
        said = ""
    return said or f"{item['msg'].removeprefix('Value error, ').rstrip('.')}."
