"""Whether a bad score is a bad label map: another assignment of the model's labels would score far better."""

from dataclasses import dataclass
from math import lgamma, log
from typing import Final

import numpy as np
import scipy
from numpy.typing import ArrayLike

from app.statistics.counts import check_confusion

FAR_BETTER: Final = 0.5
"""The share of the way from chance to perfect that the other map has to cover. Half: data sets built to fool a model
reach a third of it by chance of construction, and a working model with its labels swapped goes well past half."""
LUCK: Final = 0.001
"""The probability, over all label maps together, that guessing would do as well as the best of them."""


class LabelMapSuspectError(ValueError):
    """The score is at or below chance, and another label map would score far better: nothing was measured."""

    code = "label_map_suspect"

    def __init__(self, finding: "LabelMapFinding") -> None:
        self.finding = finding
        super().__init__(
            f"With the label map as given {finding.identity_accuracy:.4f} are correct, no better than chance "
            f"({finding.chance:.4f}); with predicted labels mapped to {list(finding.best_map)} it would be "
            f"{finding.best_accuracy:.4f}. Check the driver's label names."
        )


@dataclass(frozen=True, slots=True)
class LabelMapFinding:
    """`best_map[i]`: the gold label that predicted label i should mean, in the best one-to-one map. Shares of n."""

    suspect: bool
    identity_accuracy: float
    best_accuracy: float
    chance: float
    best_map: tuple[int, ...]


def examine_label_map(confusion: ArrayLike) -> LabelMapFinding:
    """Examine a confusion matrix [gold, predicted], integers [L, L].

    Chance is the share of the most frequent gold label: what the best guesser reaches that reads no item. Suspect means
    all of: the identity is at or below chance; the best map is at least FAR_BETTER of the way from chance to 1; and it
    is no luck: the Chernoff bound on the probability that n guesses at chance are as often right, exp(-n KL(best ||
    chance)), times the number of maps, L!, is at most LUCK. The best map is the maximal assignment (Kuhn 1955).
    Raises ImpossibleCountsError.
    """
    matrix = check_confusion(confusion)
    n = int(matrix.sum())
    gold, predicted = scipy.optimize.linear_sum_assignment(matrix, maximize=True)
    identity, best = np.trace(matrix) / n, matrix[gold, predicted].sum() / n
    chance = matrix.sum(axis=1).max() / n
    suspect = identity <= chance < 1 and best - chance >= FAR_BETTER * (1 - chance)
    return LabelMapFinding(
        suspect=bool(suspect and _log_luck(n, best, chance, len(matrix)) <= log(LUCK)),
        identity_accuracy=float(identity),
        best_accuracy=float(best),
        chance=float(chance),
        best_map=tuple(int(gold[at]) for at in np.argsort(predicted)),
    )


def _log_luck(n: int, best: float, chance: float, labels: int) -> float:
    wrong = (1 - best) * log((1 - best) / (1 - chance)) if best < 1 else 0.0
    return lgamma(labels + 1) - n * (best * log(best / chance) + wrong)


def refuse_suspect_labels(confusion: ArrayLike) -> None:
    """Raises LabelMapSuspectError (`finding`, `code`) where the matrix is suspect, ImpossibleCountsError where bad."""
    finding = examine_label_map(confusion)
    if finding.suspect:
        raise LabelMapSuspectError(finding)
