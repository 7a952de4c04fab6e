"""Plain explanations of what the API says in one word."""

from typing import Final

STATUS: Final = {
    "reproduced": "Reproduced",
    "not_reproduced": "Not reproduced",
    "inconclusive": "Inconclusive",
    None: "No verdict",
}
STATUS_MEANING: Final = {
    "reproduced": "The re-measured value lies within the margin around the reported one.",
    "not_reproduced": "The re-measured value lies outside the margin around the reported one.",
    "inconclusive": "The measurement reaches across the edge of the margin: it decides neither way.",
    None: "Nobody has re-measured this claim yet.",
}
RECOUNT: Final = "The authors’ published predictions were scored again: no model was run."
"""Beside every verdict of them: who reads “reproduced” may take it for a run of the model."""
POSTED: Final = "An outside agent measured it; the decision was made here."
UNDER_WAY: Final = "No measurement of this claim has ended yet."
KIND: Final = {
    "POST": "after publication",
    "PRE": "before publication",
}
ORIGIN: Final = {
    "reproduction": "a run of this service",
    "posted": "evidence posted by an outside agent, decided here",
    "imported": "a paper document that was imported",
}
AXIS: Final = {
    "model": "Whose weights gave the predictions?",
    "data": "Which examples were measured?",
    "metric": "Is the metric the paper’s?",
    "inference": "Are preprocessing and inference the paper’s?",
    "slice": "How were the examples drawn?",
    "dtype": "In which arithmetic?",
    "margin": "How far off may it be, before rounding?",
}
AXIS_VALUE: Final = {
    "model": {
        "exact_weights": "The paper’s own weights were run.",
        "converted": "The paper’s own weights, converted to another format or framework.",
        "retrained": "A model trained anew after the paper’s recipe.",
        "released_predictions": "No model was run: the authors’ released predictions were scored again.",
        "proxy": "Another model that stands in for the paper’s.",
    },
    "data": {
        "full_split": "Every example of the split that the paper reports on.",
        "probability_slice": "A random slice of that split, drawn with a stored seed.",
        "other_split": "Another split of the paper’s data set.",
        "other_dataset": "Another data set than the paper’s.",
    },
    "metric": {
        "same": "The same metric.",
        "variant": "A variant of the paper’s metric.",
    },
    "inference": {
        "same": "As in the paper.",
        "differs": "It differs from the paper’s in a known way.",
        "unknown": "The paper, or the agent, does not say enough to tell.",
    },
}
FAITHFUL: Final = {"model": "exact_weights", "data": "full_split", "metric": "same", "inference": "same"}
"""The value of each axis with which a measurement is the paper's own."""
MATCH: Final = {
    "exact": "The paper’s own protocol on every axis. Confidence is not capped.",
    "proxy": "At least one axis differs from the paper’s protocol, so confidence is capped at 0.85.",
}
ESTIMAND: Final = {
    "finite_population": "the value on all items of the split",
    "superpopulation": "the value on new items like these",
}
METHOD: Final = {
    "wilson": "Wilson",
    "clopper_pearson": "Clopper–Pearson",
    "inverted_hypergeometric": "inverted hypergeometric",
    "effective_sample_wilson": "Wilson on the effective sample",
    "effective_sample_clopper_pearson": "Clopper–Pearson on the effective sample",
    "effective_sample_inverted_hypergeometric": "inverted hypergeometric on the effective sample",
    "prior_posterior_ratio": "anytime-valid, prior–posterior ratio",
    "bayesian_bootstrap": "Bayesian bootstrap",
}
METRIC: Final = {
    "f1": "F1",
    "f1_macro": "macro F1",
    "f1_micro": "micro F1",
    "f1_weighted": "weighted F1",
    "mcc": "Matthews’s correlation",
}
STATE: Final = {
    "queued": "Queued",
    "running": "Running",
    "succeeded": "Succeeded",
    "failed": "Failed",
    "cancelled": "Cancelled",
    "expired": "Expired",
}
TONE: Final = {"queued": "none", "cancelled": "none", "failed": "failed", "expired": "failed"}
"""Of the box around a run without a verdict, where it has one of its own."""
STATE_MEANING: Final = {
    "queued": "It waits for a worker.",
    "running": "A worker is measuring.",
    "succeeded": "It ended with a verdict.",
    "failed": "It ended without a verdict: the machinery failed, which says nothing about the claim.",
    "cancelled": "Somebody cancelled it.",
    "expired": "No worker took it in time.",
}


def metric(name: str) -> str:
    """A metric as prose has it; one without a name of its own as the API does."""
    return METRIC.get(name, plain(name))


def plain(word: str | None) -> str:
    """One word of the API as prose has it: `exact_weights` is `exact weights`."""
    return (word or "not stated").replace("_", " ")


def sentence(text: str) -> str:
    """The text as a sentence begins, with its other capitals as they are: `F1`, `Macro F1`."""
    return text[:1].upper() + text[1:]
