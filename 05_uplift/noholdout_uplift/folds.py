"""Who is scored by a model that never saw them: folds, cross-fitted means, sequential scores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from noholdout_shared.errors import DesignError

from noholdout_uplift.kernels.logit import fit_logit

MIN_ARM_ROWS = 10


def assign_folds(
    treatment: np.ndarray,
    clusters: np.ndarray | None,
    folds: int,
    rng: np.random.Generator,
    fewest: int = 1,
) -> np.ndarray:
    """Fold of each row, 0 to ``folds - 1``, shape ``(n,)``.

    Rows are split at random within each arm; with clusters, whole clusters are split.

    Raises
    ------
    DesignError
        Fewer than ``fewest`` clusters in a fold.
    """
    if clusters is None:
        fold = np.empty(treatment.size, dtype=np.int64)
        for arm in (0, 1):
            rows = np.flatnonzero(treatment == arm)
            fold[rng.permutation(rows)] = np.arange(rows.size) % folds
    else:
        count = int(clusters.max()) + 1
        if count < fewest * folds:
            most = max(count // fewest, 2)
            raise DesignError(
                f"There are {count} clusters for {folds} folds.",
                "A cluster's rows move together, so they must stay in one fold"
                + (", and one cluster alone shows no error." if fewest > 1 else "."),
                (f"Use --folds {most} or fewer, or a" if count >= 2 * fewest else "A")
                + " column with more groups"
                + ("." if count >= 2 * fewest else f" is needed: at least {2 * fewest}."),
            )
        fold_of_cluster = np.empty(count, dtype=np.int64)
        fold_of_cluster[rng.permutation(count)] = np.arange(count) % folds
        fold = fold_of_cluster[clusters]
    return fold


def split_cells(
    copies: np.ndarray, folds: int | None, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Equal rows drawn into folds, and each fold's into two halves: entries.

    Equal rows can't be told apart, so how many of a cell's ``copies`` rows fall into each part is
    all there is to draw: multinomial, as if each row drew its own part.

    Parameters
    ----------
    copies
        Rows of each cell, shape ``(k,)``.
    folds
        Number of folds, or ``None`` when folds aren't drawn by row.
    seed
        Of the draw.

    Returns
    -------
    Four arrays, an element for each part that isn't empty: cell, fold, half, rows.
    """
    rng = np.random.default_rng(seed)
    count = 1 if folds is None else folds
    by_fold = rng.multinomial(copies, np.full(count, 1 / count))
    first = rng.binomial(by_fold, 0.5)
    parts = np.stack([first, by_fold - first], axis=2)
    cell, fold, half = np.nonzero(parts)
    return cell, fold, half, parts[cell, fold, half]


def require_arms(
    treatment: np.ndarray, fold: np.ndarray, folds: int, copies: np.ndarray | None = None
) -> None:
    """Raise a DesignError when a fold holds fewer than 10 rows of an arm."""
    for arm, name in ((1, "treated"), (0, "control")):
        inside = treatment == arm
        each = None if copies is None else copies[inside]
        counts = np.bincount(fold[inside], weights=each, minlength=folds)
        if counts.min() < MIN_ARM_ROWS:
            raise DesignError(
                f"There are {int(counts.sum()):,} {name} rows, and one of the {folds} folds would "
                f"hold only {int(counts.min())} of them.",
                "Each fold must train a model and be judged by another; with fewer than "
                f"{MIN_ARM_ROWS} rows of an arm neither works.",
                "Collect more rows, or use fewer folds (--folds).",
            )


@dataclass(frozen=True)
class CrossFitted:
    """Each row's predicted outcome without and with treatment, by models of the other folds.

    ``control`` and ``treated`` have shape ``(n,)``; ``models[k]`` are those of all folds but ``k``.
    """

    control: np.ndarray
    treated: np.ndarray
    models: tuple[tuple[Any, Any], ...]


def cross_fitted_means(
    features: np.ndarray,
    outcome: np.ndarray,
    treatment: np.ndarray,
    fold: np.ndarray,
    learner: Any,
    weight: np.ndarray | None = None,
) -> CrossFitted:
    """Predicted outcomes; ``learner`` is a T-learner, of which one is fitted for each fold."""
    from sklearn.base import clone

    models = []
    control, treated = np.empty(outcome.size), np.empty(outcome.size)
    for k in range(int(fold.max()) + 1):
        inside, others = fold == k, fold != k
        fitted = clone(learner).fit(
            features[others],
            outcome[others],
            treatment[others],
            sample_weight=None if weight is None else weight[others],
        )
        control[inside], treated[inside] = fitted.predict_means(features[inside])
        models.append(fitted.arm_models)
    return CrossFitted(control, treated, tuple(models))


def cross_fitted_propensity(
    features: np.ndarray,
    treatment: np.ndarray,
    fold: np.ndarray,
    weight: np.ndarray | None = None,
) -> np.ndarray:
    """Each row's probability of treatment by an unpenalised logit of the other folds, ``(n,)``.

    Raises
    ------
    DesignError
        The features predict the treatment perfectly, so there is no overlap.
    """
    probability = np.empty(treatment.size)
    for k in range(int(fold.max()) + 1):
        inside, others = fold == k, fold != k
        fit = fit_logit(
            features[others],
            treatment[others],
            weight=None if weight is None else weight[others],
        )
        if not fit.converged:
            raise DesignError(
                "The features predict the treatment perfectly in part of the data.",
                "Users who were certain to be treated, or not to be, have no comparison.",
                "Leave out the feature that decides, or those users.",
            )
        probability[inside] = fit.predict(features[inside])
    return probability


def sequential_scores(
    features: np.ndarray,
    outcome: np.ndarray,
    treatment: np.ndarray,
    propensity: np.ndarray,
    fold: np.ndarray,
    learner: Any,
    weight: np.ndarray | None = None,
    judges: tuple[tuple[Any, Any], ...] | None = None,
    half: np.ndarray | None = None,
) -> tuple[np.ndarray, tuple[Any, ...]]:
    """Each row's predicted effect by a learner of the earlier folds, shape ``(n,)``; the learners.

    A fold's scores depend on earlier folds only, so that the folds' errors are martingale
    differences and add up as if independent; pooled cross-fitted scores don't have this, and
    their tests reject far too often when there is no heterogeneity. The first fold has no
    earlier one: its rows are scored by the later folds and take no part in any interval.

    ``judges`` are the ``models`` of :class:`CrossFitted`: the first fold's and the last one's stand
    on the rows that train the ranking of these folds, and aren't fitted again. ``half`` is what
    learners that cross-fit within their training rows go by; drawn by them when ``None``.
    """
    from sklearn.base import clone

    scores = np.empty(outcome.size)
    learners = []
    last = int(fold.max())
    for k in range(last + 1):
        inside = fold == k
        train = fold < k if k else fold > 0
        fitted = clone(learner).fit(
            features[train],
            outcome[train],
            treatment[train],
            propensity=propensity[train],
            sample_weight=None if weight is None else weight[train],
            arm_models=judges[k] if judges is not None and k in (0, last) else None,
            half=None if half is None else half[train],
        )
        scores[inside] = fitted.predict(features[inside])
        learners.append(fitted)
    return scores, tuple(learners)
