"""The front function: who should get it, what is that worth, is there anything to target."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from noholdout_shared.input import Missing

from noholdout_uplift.analysis import analyse
from noholdout_uplift.estimators.choices import LearnerOrAll
from noholdout_uplift.options import Options
from noholdout_uplift.result import UpliftEstimate

Inference = Literal["influence", "bootstrap"]


def estimate(
    data: Any,
    *,
    outcome: str,
    treatment: str,
    features: Sequence[str] = (),
    denominator: str | None = None,
    learner: LearnerOrAll | None = None,
    model: Any = "boosting",
    scores: str | None = None,
    trained_on: str | None = None,
    propensity: float | str | None = None,
    cluster: str | None = None,
    weights: str | None = None,
    cost: float | str | None = None,
    budget: float | None = None,
    current: str | None = None,
    guardrails: Sequence[str] = (),
    slices: Sequence[str] = (),
    fraction: float = 0.2,
    folds: int = 5,
    inference: Inference = "influence",
    replicates: int | None = None,
    sample: int | None = None,
    missing: Missing = "refuse",
    conf_level: float = 0.95,
    margin: float | None = None,
    seed: int = 0,
    jobs: int = 1,
) -> UpliftEstimate:
    """Rank users by predicted effect, and judge the ranking on users that didn't make it.

    Question: what does the treatment change for the ``fraction`` of users who gain most by the
    learner's prediction, and is ranking users worth anything at all?

    Assumes that the treatment was assigned at random with the probability given, that everyone
    could get either arm, and that one user's treatment doesn't change another's outcome. Nothing
    is assumed of the learner: a bad one ranks badly, and the tables say so.

    Parameters
    ----------
    data
        A frame, an Ibis table, a path or a connection URL; one row a user.
    outcome, treatment
        Columns of the outcome and of the treatment (0/1).
    features
        Columns known before the treatment (one may stand without a list); text becomes indicators.
        May be left out with ``scores``.
    denominator
        Column over which the outcome is a ratio, such as tasks completed over tasks. The average
        effect is then the difference of the ratios of all treated and of nobody treated; a user's
        effect is their part of it, which isn't the change of their own ratio. Groups, curves and
        learners are about parts, which add up; ``policy`` and ``contrasts`` hold exact ratios.
    learner
        ``s``: one model with the treatment in it; ``t``: one model an arm; ``x`` (when nothing is
        said): a model of imputed effects; ``r``: residual on residual; ``dr``: a model of doubly
        robust scores; ``class``: a model of the transformed outcome; ``all``: the answer is the
        default's, and tables ``estimators`` and ``comparisons`` hold every learner's.
    model
        ``boosting``, ``linear``, or in Python any scikit-learn regressor. Models run on one thread.
    scores
        Column of a score of your own that ranks users, highest first, in the place of a learner:
        then none is trained, and every row judges. Calibration and costs read it as a predicted
        effect in the outcome's unit. The models of the outcome, which only take noise out of the
        answer, are still fitted.
    trained_on
        Column with 1 for rows that trained ``scores``, 0 for others. Those don't judge it.
    propensity
        Probability of treatment: a number, a column, ``estimate`` (users chose: an unpenalised
        logit of the features, cross-fitted), or ``None`` for the share treated.
    cluster
        Column of groups whose rows move together; folds and errors then go by group.
    weights
        Column of sampling weights.
    cost
        What treating a user costs: a number or a column, zero or more.
    budget
        What may be spent, as a mean per user of all users, in the cost's unit.
    current
        Column with 1 for users whom the rule of today treats.
    guardrails
        Columns of further metrics (more is better) that the shipped rule must not make worse than
        ``-margin`` (0 without one).
    slices
        Columns within which the shipped rule's reach and effect are shown.
    fraction
        Share of users, highest predicted effect first, that the headline is about.
    folds
        Number of folds K; learners of folds 1 to k-1 score fold k, so K-1 folds are evaluated.
    inference
        ``influence`` (influence functions) or ``bootstrap`` (rows or clusters resampled).
    replicates
        Draws of the bootstrap (500).
    sample
        Read that many random rows only, drawn by ``seed``: for tables that neither fit into memory
        nor group. The answer says what that adds to its standard error.
    missing, conf_level, margin, seed, jobs
        As in every method.

    Returns
    -------
    UpliftEstimate
        Tables: ``metrics``, ``deciles``, ``qini``, ``toc``, ``calibration``, ``sorted_groups``,
        ``segments``, ``profile``, ``policy``, ``contrasts``, ``optimism``, and ``costs``,
        ``guardrails``, ``slices``, ``estimators``, ``comparisons`` where asked for; ``decision``;
        each user's out-of-fold score in ``scores``; the fitted ``learners``.

    Raises
    ------
    DataError
        The data can't be read as asked.
    DesignError
        No feature varies, or too few rows of an arm or clusters for the folds.

    Notes
    -----
    AIPW scores with cross-fitted outcome models; learners are trained on earlier folds and
    judged on the next (Luedtke and van der Laan 2016, Annals of Statistics 44(2), and the
    sequential validation in grf), metrics as in Yadlowsky et al. 2025, JASA 120(549). Half a
    million rows or more with few combinations of values are grouped, with the answer of the rows.
    """
    options = Options(**{name: value for name, value in locals().items() if name != "data"})
    return analyse(data, options)
