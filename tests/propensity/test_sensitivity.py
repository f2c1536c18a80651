"""Sensitivity to a hidden cause, and the outcomes that the feature can't have changed."""

from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest
from noholdout_propensity import audit_page, estimate
from noholdout_propensity.kernels.sensitivity import (
    LinearEffect,
    mid_ranks,
    robustness_value,
    rosenbaum_gamma,
    rosenbaum_p,
)
from noholdout_propensity.options import Options
from noholdout_propensity.problem import prepare
from noholdout_propensity.sensitivity import robustness
from noholdout_shared.errors import DataError
from propensity.samples import simulate
from reference import expected, reference_file
from scipy import stats

COLUMNS = {"outcome": "y", "treatment": "d", "covariates": ["a", "b", "tier"]}


@pytest.fixture(scope="module")
def darfur():
    frame = pd.read_csv(reference_file("darfur.csv"))
    covariates = ["age", "farmer_dar", "herder_dar", "pastvoted", "hhsize_darfur", "female"]
    problem = prepare(
        Options(
            data=frame.assign(village=frame["village"].astype(str)),
            outcome="peacefactor",
            treatment="directlyharmed",
            covariates=[*covariates, "village"],
        )
    )
    return robustness(problem, 0.95)


def test_darfur_regression_and_robustness_values(darfur) -> None:
    values = expected("darfur")
    effect = darfur.effect
    # The digits that the package of the paper's authors prints.
    assert effect.estimate == pytest.approx(0.09731582, rel=1e-7)
    assert effect.std_error == pytest.approx(0.02325654, rel=1e-7)
    assert [effect.estimate, effect.std_error, effect.t, effect.df] == pytest.approx(
        values["estimate_se_t_df"]["value"], abs=1e-6
    )
    partial = effect.t**2 / (effect.t**2 + effect.df)
    assert [partial, darfur.to_zero, darfur.to_interval] == pytest.approx(
        values["partial_r2_RV_RVa05"]["value"], abs=1e-6
    )


def test_darfur_bounds_by_female(darfur) -> None:
    female = darfur.bounds[darfur.bounds["covariate"] == "female"].set_index("times")
    for times, row in expected("darfur")["bounds_female_1_2_3x"]["value"].items():
        ours = female.loc[float(times)]
        names = ["r2_treatment", "r2_outcome", "estimate", "std_error", "t"]
        published = [row[name] for name in ("r2dz", "r2yz", "adj", "se", "t")]
        assert ours[names].tolist() == pytest.approx(published, abs=1e-6)


def test_a_confounder_of_the_robustness_value_brings_zero() -> None:
    from noholdout_propensity.kernels.sensitivity import adjusted

    effect = LinearEffect(2.0, 0.5, 200)
    value = robustness_value(effect)
    assert adjusted(effect, value, value)[0] == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("true_effect", [0.4, -0.4])  # short of zero, and beyond it
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_adjusting_for_a_known_cause_is_the_regression_with_it(
    true_effect: float, sign: float
) -> None:
    # The bounds rest on an identity: from the regression without a cause and its two partial R2s
    # follow the estimate and the error of the regression with it.
    import statsmodels.api as sm
    from noholdout_propensity.kernels.sensitivity import adjusted

    rng = np.random.default_rng(4)
    cause, x, noise, other = rng.normal(size=(4, 500))
    d = 0.5 * x + cause + other
    y = sign * (true_effect * d + 3 * cause + x + noise)
    short = sm.OLS(y, np.column_stack([np.ones(500), x, d])).fit()
    long = sm.OLS(y, np.column_stack([np.ones(500), x, d, cause])).fit()
    of_d = sm.OLS(d, np.column_stack([np.ones(500), x, cause])).fit()
    # A partial R2 is t^2 / (t^2 + df).
    shares = [fit.tvalues[-1] ** 2 / (fit.tvalues[-1] ** 2 + fit.df_resid) for fit in (of_d, long)]
    effect = LinearEffect(short.params[2], short.bse[2], int(short.df_resid))
    value, error = adjusted(effect, *shares)
    assert value == pytest.approx(long.params[2], rel=1e-9)
    assert error == pytest.approx(long.bse[2], rel=1e-9)


def test_a_cause_stronger_than_the_effect_turns_its_sign() -> None:
    # The category alone is worth several times the effect that is left: what a cause as strong
    # would leave lies beyond zero, in the table, in words and on the audit's page.
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 3000))
    d = (rng.random(3000) < 1 / (1 + np.exp(-0.8 * a))).astype(int)
    for sign in (1, -1):
        y = sign * (0.3 * d + 3 * a) + 0.3 * b + rng.normal(size=3000)
        frame = pd.DataFrame({"y": y, "d": d, "a": a, "b": b})
        answer = estimate(frame, outcome="y", treatment="d", covariates=["a", "b"], audit=True)
        bounds = answer.tables["sensitivity"].set_index(["covariate", "times"])
        left = sign * bounds.loc["a", "estimate"]
        assert left.is_monotonic_decreasing and left.iloc[0] < -0.5
        text = answer.check("hidden_confounder").message
        assert f"to {bounds.loc[('a', 1.0), 'estimate']:+.3g}" in text
        page = audit_page(answer)
        assert "as strong as a: would erase the effect" in page
        assert "3 times as strong as b: would not erase the effect" in page


def test_rosenbaum_bounds_of_signs_by_hand() -> None:
    # Ten pairs with a difference, nine of them up. Without hidden bias the chance of nine or more
    # is 11/1024; with Gamma 2 a pair goes up with chance 2/3: 10 (2/3)^9 / 3 + (2/3)^10.
    pairs = np.array([1.0] * 9 + [-1.0] + [0.0] * 5)
    assert rosenbaum_p(pairs, 1.0) == pytest.approx(11 / 1024)
    assert rosenbaum_p(pairs, 2.0) == pytest.approx(10 * (2 / 3) ** 9 / 3 + (2 / 3) ** 10)


def test_rosenbaum_without_bias_is_wilcoxon() -> None:
    differences = np.random.default_rng(0).normal(0.4, 1, 60)
    slow = stats.wilcoxon(differences, alternative="greater", correction=False, method="asymptotic")
    assert rosenbaum_p(differences, 1.0) == pytest.approx(slow.pvalue, rel=1e-9)
    assert mid_ranks(np.array([2.0, 1.0, 2.0, 5.0])).tolist() == [2.5, 1.0, 2.5, 4.0]


def test_rosenbaum_gamma_is_where_the_p_value_crosses() -> None:
    differences = np.random.default_rng(0).normal(0.8, 1, 100)
    gamma = rosenbaum_gamma(differences)
    assert gamma > 1
    assert rosenbaum_p(differences, gamma) == pytest.approx(0.025, abs=1e-5)
    assert rosenbaum_gamma(np.random.default_rng(0).normal(0, 1, 50)) == 1.0


def hidden(n: int = 4000, seed: int = 0) -> pd.DataFrame:
    """A hidden habit drives the opt-in, the outcome, and last month's activity."""
    rng = np.random.default_rng(1000 + seed)
    frame = simulate(n, seed)
    habit = rng.normal(size=n)
    d = (rng.random(n) < 1 / (1 + np.exp(-(0.7 * frame["a"] + habit)))).astype(int)
    return frame.assign(
        d=d,
        y=frame["y"] - frame["d"] + d + habit,
        before=frame["a"] + habit + rng.normal(size=n),
        noise=rng.normal(size=n),
    )


@pytest.mark.parametrize("estimator", ["aipw", "ipw", "matching", "entropy-balancing"])
def test_a_negative_control_reveals_a_hidden_cause(estimator: str) -> None:
    frame = hidden()
    estimand = {"estimand": "att"}
    blind = estimate(frame, estimator=estimator, **estimand, **COLUMNS)
    assert abs(blind.estimate - 1) > 5 * blind.std_error and blind.verdict == "sound"
    told = estimate(
        frame, estimator=estimator, negative_controls=["before", "noise"], **estimand, **COLUMNS
    )
    assert told.check("negative_controls").status == "fail"
    assert told.tables["negative_controls"]["outcome"].tolist() == ["before", "noise"]
    assert told.tables["negative_controls"]["p_value"].iloc[1] > 0.001


def test_negative_controls_stay_quiet_on_clean_data() -> None:
    frame = simulate(4000).assign(
        before=lambda f: f["a"] + np.random.default_rng(1).normal(size=4000)
    )
    answer = estimate(frame, negative_controls=["before"], **COLUMNS)
    assert answer.check("negative_controls").status == "pass"
    assert answer.verdict == "sound"


def test_a_control_that_is_a_covariate_is_refused() -> None:
    with pytest.raises(DataError, match="also the outcome, the treatment or a covariate"):
        estimate(simulate(300), negative_controls=["a"], **COLUMNS)


def test_all_estimators_side_by_side() -> None:
    answer = estimate(simulate(3000), estimator="all", **COLUMNS)
    table = answer.tables["estimators"].set_index("estimator")
    assert list(table.index) == [
        "naive", "aipw", "ipw", "matching", "regression", "entropy-balancing",
    ]  # fmt: skip
    alone = estimate(simulate(3000), estimator="ipw", **COLUMNS)
    assert table.loc["ipw", "estimate"] == alone.estimate
    assert table.loc["ipw", "std_error"] == alone.std_error
    assert math.isnan(table.loc["naive", "conf_low"])


def test_an_audit_of_trimmed_rows_says_which_estimators_cover_others() -> None:
    frame = simulate(2000, strength=2.0)
    answer = estimate(frame, trim="crump", trim_at=0.1, audit=True, **COLUMNS)
    rows = answer.tables["estimators"].set_index("estimator")["n_obs"]
    assert rows["aipw"] == rows["ipw"] == answer.n_obs < 2000
    assert (rows[["naive", "matching", "regression", "entropy-balancing"]] == 2000).all()
    page = " ".join(audit_page(answer).split())
    assert f"entropy-balancing: of 2,000 rows, not of the answer's {answer.n_obs:,}" in page
    labels = [label.get_text() for label in answer.plot_estimators().get_yticklabels()]
    assert "regression\n(2,000 rows)" in labels and "ipw" in labels
    whole = estimate(frame, estimator="all", estimand="ato", **COLUMNS)
    assert "not of the answer's" not in audit_page(whole)


def test_the_naive_difference_counts_sampling_weights() -> None:
    frame = simulate(600).assign(w=np.arange(600) % 3 + 1.0)
    answer = estimate(frame, estimator="all", weights="w", **COLUMNS)
    means = [np.average(arm["y"], weights=arm["w"]) for _, arm in frame.groupby("d")]
    naive = answer.tables["estimators"].set_index("estimator").loc["naive"]
    assert naive["estimate"] == pytest.approx(means[1] - means[0], rel=1e-10)
    copies = frame.loc[np.repeat(frame.index, frame["w"].astype(int))].assign(c=lambda f: f.index)
    told = estimate(copies, estimator="all", cluster="c", **COLUMNS).tables["estimators"]
    # A weight is a row counted several times, all of it one observation.
    assert naive["std_error"] == pytest.approx(told["std_error"].iloc[0], rel=5e-3)


def test_what_cant_run_says_why() -> None:
    frame = simulate(1000).assign(c=np.arange(1000) % 40)
    answer = estimate(frame, estimator="all", estimand="ato", cluster="c", **COLUMNS)
    skipped = answer.settings["estimators_not_run"]
    assert set(skipped) == {"matching", "regression", "entropy-balancing"}


def test_the_audit_is_one_page_of_80_columns() -> None:
    answer = estimate(hidden(), audit=True, negative_controls=["before"], **COLUMNS)
    page = audit_page(answer)
    assert max(len(line) for line in page.splitlines()) <= 80
    for part in (
        "1. Overlap",
        "2. Balance",
        "3. All estimators",
        "4. What",
        "5. A hidden",
        "Verdict",
    ):
        assert part in page
    assert "as strong as tier: would" in page
    assert "standardised by the pooled SD" in page
    treated = estimate(hidden(), audit=True, estimand="att", **COLUMNS)
    assert "standardised by the treated SD" in audit_page(treated)


def test_the_audit_abstains_without_overlap() -> None:
    frame = simulate(2000)
    frame.loc[frame["tier"] == "heavy", "d"] = 1
    page = audit_page(estimate(frame, audit=True, **COLUMNS))
    assert "No answer" in page and "All estimators" not in page
    assert "overlap population" not in page


def test_an_audit_that_abstains_withholds_the_effect_everywhere() -> None:
    # Scores exist, but hardly any of the two arms meet: the models have a number, made up.
    frame = simulate(2000, strength=6)
    plain = estimate(frame, **COLUMNS)
    assert not math.isnan(plain.estimate) and plain.verdict == "do-not-use"
    for estimator in ("aipw", "all"):
        audit = estimate(frame, estimator=estimator, audit=True, **COLUMNS)
        assert math.isnan(audit.estimate) and math.isnan(audit.conf_low)
        assert audit.inference == "withheld: overlap fails" and audit.verdict == "do-not-use"
        assert set(audit.tables) == {"balance", "weights", "distributions"}
        shown = json.dumps(audit.to_dict()) + audit.summary() + audit_page(audit)
        assert f"{plain.estimate:.3g}" not in shown and "withheld" in audit.summary()
        assert "overlap population" in audit_page(audit)
        assert audit.plot().figure is not None


def test_a_covariate_that_explains_the_outcome_exactly() -> None:
    frame = simulate(500)
    frame["y"] = 2 * frame["d"] + frame["a"]
    answer = estimate(frame, outcome="y", treatment="d", covariates=["a", "b"], audit=True)
    assert answer.estimate == pytest.approx(2)
    assert "a" not in set(answer.tables["sensitivity"]["covariate"])
    assert answer.settings["robustness_value"] == 1.0
    # What is left is rounding, which is no standard error.
    assert math.isnan(answer.std_error) and "but for rounding" in answer.inference
    assert answer.verdict != "sound"
