"""Matching where rows move together: Abadie and Imbens' parts summed within clusters."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from noholdout_propensity import audit_page, estimate
from noholdout_propensity.estimators.matching import MatchOptions, fit_matching
from noholdout_propensity.inference import spread_of
from noholdout_propensity.kernels.matching import local_means, matching_influence
from noholdout_propensity.options import Options
from noholdout_propensity.problem import prepare
from noholdout_shared.inference import critical_value
from propensity.samples import match, simulate

COLUMNS = {"outcome": "y", "treatment": "d", "covariates": ["a", "b", "tier"]}
HOWS = (
    {"estimand": "ate"},
    {"estimand": "att"},
    {"estimand": "att", "replace": False},
    {"estimand": "att", "distance": "mahalanobis"},
    {"estimand": "att", "exact": ["tier"], "ratio": 2},
)


@pytest.mark.parametrize("how", HOWS)
def test_clusters_of_one_row_agree_with_abadie_and_imbens(how: dict) -> None:
    # Two estimators of one variance: local variances of two rows against residuals from local
    # means; they agree as the sample grows.
    frame = simulate(4000).assign(c=np.arange(4000))
    rows = estimate(frame, estimator="matching", **how, **COLUMNS)
    clusters = estimate(frame, estimator="matching", cluster="c", **how, **COLUMNS)
    assert clusters.estimate == rows.estimate
    assert clusters.std_error == pytest.approx(rows.std_error, rel=0.06)
    assert clusters.n_clusters == 4000


@pytest.mark.parametrize("how", [HOWS[1], HOWS[3]])
def test_copied_rows_need_their_cluster(how: dict) -> None:
    frame = simulate(1500).assign(c=np.arange(1500))
    copied = frame.loc[np.repeat(frame.index, 4)]
    truth = estimate(frame, estimator="matching", cluster="c", **how, **COLUMNS)
    aware = estimate(copied, estimator="matching", cluster="c", **how, **COLUMNS)
    blind = estimate(copied, estimator="matching", **how, **COLUMNS)
    assert aware.estimate == pytest.approx(truth.estimate, rel=1e-8)
    assert aware.std_error == pytest.approx(truth.std_error, rel=0.1)
    assert blind.std_error < 0.7 * aware.std_error


def test_influence_by_a_loop() -> None:
    rng = np.random.default_rng(0)
    score = rng.choice(np.linspace(0.1, 0.9, 25), 60)
    y, d = rng.normal(size=60), rng.integers(0, 2, 60).astype(float)
    effect = match(y, d, score, (True, False), 1)
    means = local_means(y, d, score, 5)
    served = np.zeros(60)
    for i in np.flatnonzero(d == 1):
        others = np.flatnonzero(d == 0)
        gaps = np.abs(score[others] - score[i])
        matches = others[gaps <= gaps.min() + 1e-10]
        served[matches] += 1 / matches.size
    psi = np.empty(60)
    for i in range(60):
        for arm, mean in ((1, means[0]), (0, means[1])):
            pool = np.flatnonzero(d == arm)
            gaps = np.abs(score[pool] - score[i])
            assert mean[i] == pytest.approx(y[pool[gaps <= np.sort(gaps)[4] + 1e-10]].mean())
        if d[i] == 1:
            psi[i] = means[0][i] - means[1][i] - effect.estimate + y[i] - means[0][i]
        else:
            psi[i] = -served[i] * (y[i] - means[1][i])
    ours = matching_influence(y, d, effect, means)
    assert ours == pytest.approx(60 * psi / d.sum())


def test_clustered_opt_in_is_covered() -> None:
    # Opt-in and outcome share a workspace's push: rows as independent would cover too rarely.
    held, blind = 0, 0
    for seed in range(80):
        rng = np.random.default_rng(seed)
        frame = simulate(1000, seed).assign(c=np.arange(1000) % 40)
        push = rng.normal(size=40)[frame["c"]]
        index = 0.7 * frame["a"] + 0.8 * rng.normal(size=40)[frame["c"]] - 0.2
        frame["d"] = (rng.random(1000) < 1 / (1 + np.exp(-index))).astype(int)
        frame["y"] = frame["d"] + frame["a"] + 0.8 * push + rng.normal(size=1000)
        problem = prepare(Options(frame, "y", "d", ["a"], "att", cluster="c"))
        fit = fit_matching(problem, "logit", MatchOptions())
        spread = spread_of(problem, fit)
        held += abs(fit.estimate - 1) < critical_value(0.95, spread.df) * spread.std_error
        blind += abs(fit.estimate - 1) < 1.96 * fit.std_error
    # 99.9% range of 80 draws at 95%.
    assert held >= 80 * (0.95 - 3.29 * np.sqrt(0.95 * 0.05 / 80))
    assert blind < held


def workspaces(count: int, opted_in: int | None = None) -> pd.DataFrame:
    """Rows dealt over workspaces; the first ``opted_in`` of them as a whole, else user by user."""
    frame = simulate(2000).assign(c=np.arange(2000) % count)
    return frame if opted_in is None else frame.assign(d=(frame["c"] < opted_in).astype(int))


@pytest.mark.parametrize(
    "frame, status, fewest",
    [
        (workspaces(20), "pass", 20),
        (workspaces(19), "caution", 19),
        (workspaces(40, 12), "pass", 12),
        (workspaces(40, 11), "caution", 11),
        (workspaces(40, 29), "caution", 11),
        (workspaces(40, 4), "caution", 4),
        (workspaces(40, 3), "fail", 3),
        (workspaces(3), "fail", 3),
    ],
)
def test_few_clusters_are_said(frame: pd.DataFrame, status: str, fewest: int) -> None:
    answer = estimate(frame, estimator="regression", cluster="c", **COLUMNS)
    check = answer.check("clusters")
    assert (check.status, check.statistic) == (status, fewest)
    assert f"Of {frame['c'].nunique()} clusters of 'c' " in check.message
    if status != "pass":
        assert answer.verdict != "sound" and "Add groups" in check.message


def test_clusters_count_where_they_have_a_weight() -> None:
    frame = workspaces(40, 12).assign(w=lambda f: (f["c"] != 0).astype(float))
    weighed = estimate(frame, estimator="ipw", cluster="c", weights="w", **COLUMNS)
    assert weighed.check("clusters").status == "caution"
    assert "Of 39 clusters of 'c' 11 hold" in weighed.check("clusters").message
    rows = estimate(frame, estimator="ipw", **COLUMNS)
    assert "clusters" not in [check.name for check in rows.checks]


def test_a_trimmed_cluster_does_not_count() -> None:
    # Two workspaces so far out that each row of theirs is trimmed.
    frame = workspaces(21)
    frame.loc[frame["c"] < 2, "a"] += 12
    frame.loc[frame["c"] < 2, "d"] = (np.arange((frame["c"] < 2).sum()) % 25 > 0).astype(int)
    trimmed = estimate(frame, estimator="ipw", trim="crump", trim_at=0.1, cluster="c", **COLUMNS)
    assert trimmed.check("clusters").statistic == 19


def test_the_audit_says_why_clusters_raise_its_verdict() -> None:
    answer = estimate(workspaces(12), audit=True, cluster="c", **COLUMNS)
    page = " ".join(audit_page(answer).split())
    assert "Raised by clusters." in page and answer.check("clusters").message in page
