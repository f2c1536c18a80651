"""Hillstrom's men's e-mail: the reference numbers at their tolerances."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from noholdout_uplift import (
    bootstrap_errors,
    estimate,
    least_squares_effect,
    normalised_auuc,
    normalised_qini,
    raw_uplift_at,
)
from noholdout_uplift.kernels.ranking import rank, tops_of
from reference import expected, reference_file
from sklearn.linear_model import LinearRegression, LogisticRegression


@pytest.fixture(scope="module")
def mail() -> pd.DataFrame:
    return pd.read_csv(reference_file("hillstrom_mens.csv.gz"))


@pytest.fixture(scope="module")
def checks() -> dict[str, dict[str, Any]]:
    return expected("hillstrom_mens")


@pytest.fixture(scope="module")
def design(mail: pd.DataFrame) -> np.ndarray:
    columns = [
        mail["recency"],
        mail["history"] / 100,
        mail["mens"],
        mail["womens"],
        mail["newbie"],
        mail["zip_code"] == "Surburban",
        mail["zip_code"] == "Urban",
        mail["channel"] == "Phone",
        mail["channel"] == "Web",
    ]
    return np.column_stack(columns).astype(float)


@pytest.fixture(scope="module")
def score(mail: pd.DataFrame, design: np.ndarray) -> np.ndarray:
    """The reference score: two unregularised logits of visit, one an arm."""
    parts = []
    for arm in (1, 0):
        rows = (mail["treatment"] == arm).to_numpy()
        fit = LogisticRegression(C=np.inf, solver="newton-cholesky", tol=1e-10, max_iter=200)
        parts.append(fit.fit(design[rows], mail["visit"][rows]).predict_proba(design)[:, 1])
    return parts[0] - parts[1]


def close(found: Any, check: dict[str, Any]) -> None:
    np.testing.assert_allclose(found, check["value"], rtol=0, atol=check["tolerance"])


def test_the_average_effects(mail: pd.DataFrame, checks: dict[str, dict[str, Any]]) -> None:
    # With the treated share as propensity and no outcome model (a constant in each arm), AIPW is
    # the difference of means; a mean without features isn't offered, so arms are compared here.
    means = mail.groupby("treatment")[["visit", "conversion", "spend"]].mean()
    close(means.loc[1], checks["treated_rates_visit_conv_spend"])
    close(means.loc[0], checks["control_rates_visit_conv_spend"])
    # With arms of nearly one size HC1 is the error of two unequal variances, to 1e-8.
    plain = [least_squares_effect(mail[y], mail["treatment"]) for y in means]
    close([one[0] for one in plain], checks["ate_visit_conv_spend"])
    close([one[1] for one in plain], checks["ate_se_unequal_var"])
    everyone = [
        raw_uplift_at(mail[y], mail["treatment"], np.zeros(len(mail)), 0.999999999)
        for y in ("visit", "conversion", "spend")
    ]
    close(everyone, checks["ate_visit_conv_spend"])


def test_the_adjusted_average_effect(
    mail: pd.DataFrame, design: np.ndarray, checks: dict[str, dict[str, Any]]
) -> None:
    columns = [f"x{j}" for j in range(design.shape[1])]
    frame = pd.DataFrame(design, columns=columns).assign(
        w=mail["treatment"], visit=mail["visit"], spend=mail["spend"]
    )
    for outcome in ("visit", "spend"):
        check = checks[f"adjusted_ate_{outcome}_est_se"]
        # The reference: least squares without interactions, HC1.
        close(least_squares_effect(mail[outcome], mail["treatment"], design), check)
        found = estimate(
            frame, outcome=outcome, treatment="w", features=columns, model=LinearRegression()
        )
        aipw = found.scores["aipw"]
        # Cross-fitted AIPW and least squares with the same covariates estimate the same effect;
        # on 42,613 rows they differ by far less than their standard error, and the errors agree.
        assert aipw.mean() == pytest.approx(check["value"][0], abs=0.05 * check["value"][1])
        assert aipw.std() / np.sqrt(len(aipw)) == pytest.approx(check["value"][1], rel=0.01)


def test_by_how_much_buyers_of_womens_goods_differ(
    mail: pd.DataFrame, checks: dict[str, dict[str, Any]]
) -> None:
    check = checks["interaction_T_womens_visit_est_se"]
    found = least_squares_effect(mail["visit"], mail["treatment"], modifier=mail["womens"])
    close(found, check)
    # The same number from segments that no data chose: the effects with and without.
    segments = estimate(mail, outcome="visit", treatment="treatment", features=["womens"])
    effect = segments.tables["segments"].set_index("segment")["estimate"]
    # Cross-fitting leaves each fold's own mean out, a difference of the order of 1/n.
    assert effect["1"] - effect["0"] == pytest.approx(check["value"][0], abs=0.02 * found[1])


def test_every_number_of_the_reference_is_held_here(checks: dict[str, dict[str, Any]]) -> None:
    source = Path(__file__).read_text("utf-8")
    built = {f"adjusted_ate_{outcome}_est_se" for outcome in ("visit", "spend")}
    assert [name for name in checks if f'"{name}"' not in source and name not in built] == []


def test_segment_effects(mail: pd.DataFrame, checks: dict[str, dict[str, Any]]) -> None:
    for name, value in checks["subgroup_cate_visit"]["value"].items():
        column, level = name.split("=")
        rows = mail[mail[column] == int(level)]
        found = raw_uplift_at(rows["visit"], rows["treatment"], np.zeros(len(rows)), 0.999999999)
        assert found == pytest.approx(value, abs=checks["subgroup_cate_visit"]["tolerance"])


def test_the_reference_score(score: np.ndarray, checks: dict[str, dict[str, Any]]) -> None:
    close([score.mean(), score.std(ddof=1)], checks["tlearner_logit_mean_sd"])


def test_normalised_scores_of_another_package(
    mail: pd.DataFrame, score: np.ndarray, checks: dict[str, dict[str, Any]]
) -> None:
    y, w = mail["visit"].to_numpy(), mail["treatment"].to_numpy()
    close(normalised_auuc(y, w, score), checks["tlearner_uplift_auc_sklift"])
    close(normalised_qini(y, w, score), checks["tlearner_qini_sklift"])
    history = mail["history"].to_numpy()
    found = [normalised_auuc(y, w, history), normalised_qini(y, w, history)]
    close(found, checks["score_history_uplift_auc_qini_sklift"])
    at = [raw_uplift_at(y, w, score, fraction) for fraction in (0.3, 0.1)]
    close(at, checks["tlearner_uplift_at_30_10_overall"])


def test_observed_uplift_by_decile(
    mail: pd.DataFrame, score: np.ndarray, checks: dict[str, dict[str, Any]]
) -> None:
    tops = np.diff(tops_of(rank(score), np.linspace(0, 1, 11)), axis=1)
    y, w = mail["visit"].to_numpy(), mail["treatment"].to_numpy()
    means = [(tops * arm[:, None]).T @ y / (arm @ tops) for arm in (w, 1 - w)]
    close(means[0] - means[1], checks["tlearner_decile_observed_uplift"])


def test_held_out_the_mail_has_a_ranking_and_everybody_gains(mail: pd.DataFrame) -> None:
    features = ["recency", "history", "mens", "womens", "newbie", "zip_code", "channel"]
    found = estimate(mail, outcome="visit", treatment="treatment", features=features)
    metrics = found.tables["metrics"].set_index("name")
    assert found.check("randomised_assignment").status == "pass"
    assert metrics.loc["ate", "conf_low"] < 0.0766 < metrics.loc["ate", "conf_high"]
    assert found.settings["indicators"] == ["zip_code", "channel"]
    errors = bootstrap_errors(found, replicates=200)
    np.testing.assert_allclose(errors[1:], metrics["std_error"], rtol=0.2)
