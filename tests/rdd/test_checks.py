"""Each check fires on the violation it is for, says what to do, and is silent without it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from noholdout_rdd import RddEstimate, estimate
from noholdout_rdd.checks.stability import DONUT_SHARE
from noholdout_rdd.columns import Columns
from noholdout_rdd.inference import fit_effect, implied_bias
from noholdout_rdd.kernels.local import Spec
from noholdout_rdd.threshold_data import read_threshold
from noholdout_shared.errors import DesignError

RULE: dict[str, Any] = {
    "outcome": "y",
    "running": "score",
    "cutoff": 0.7,
    "treated_side": "below",
}


def routed(n: int = 6000, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    score = rng.beta(4, 2, n)
    treated = score < 0.7
    y = 1 + 0.8 * score + 0.5 * treated + rng.normal(0, 0.5, n)
    return pd.DataFrame(
        {
            "y": y,
            "score": score,
            "served": treated.astype(int),
            "tenure": rng.normal(10, 3, n) + 2 * score,
            "group": rng.integers(0, 40, n),
        }
    )


@pytest.fixture(scope="module")
def clean() -> RddEstimate:
    return estimate(routed(), **RULE, treatment="served", design="sharp", covariates=["tenure"])


def test_clean_data_is_sound(clean: RddEstimate) -> None:
    assert clean.verdict == "sound"
    assert {check.status for check in clean.checks} == {"pass", "cannot-be-tested"}
    assert [c.name for c in clean.checks if c.status == "cannot-be-tested"] == ["other_changes"]


def test_other_changes_names_what_overturns(clean: RddEstimate) -> None:
    # The interval's end nearest to zero is the size of the second rule that is needed.
    assert clean.check("other_changes").statistic == pytest.approx(clean.conf_low, rel=1e-3)


def test_gamed_scores() -> None:
    frame = routed()
    rng = np.random.default_rng(1)
    moved = frame["score"].between(0.7, 0.73) & (rng.random(len(frame)) < 0.5)
    frame["score"] = frame["score"].mask(moved, 1.4 - frame["score"])
    found = estimate(frame, **RULE)
    assert found.verdict == "do-not-use"
    assert found.check("density").p_value < 0.01
    assert "look moved" in found.check("density").message


def test_a_hole_beside_the_cutoff_is_seen_by_the_binomial_test() -> None:
    # Every score within 0.03 above moved: the density fit has nothing to stand on there.
    frame = routed()
    moved = frame["score"].between(0.7, 0.73)
    frame["score"] = frame["score"].mask(moved, 1.4 - frame["score"])
    assert estimate(frame, **RULE).check("binomial").status == "fail"


def test_binomial_by_hand() -> None:
    # 100 nearest rows, 40 below and 60 above: two-sided exact p = 0.0569 (tables of the binomial).
    rng = np.random.default_rng(2)
    near = np.concatenate([-rng.uniform(0, 0.01, 40), rng.uniform(0, 0.01, 60)])
    far = np.concatenate([-rng.uniform(0.02, 1, 400), rng.uniform(0.02, 1, 400)])
    score = np.concatenate([near, far])
    frame = pd.DataFrame({"score": score, "y": score + rng.normal(0, 1, score.size)})
    found = estimate(frame, outcome="y", running="score", cutoff=0.0, bandwidth=0.5)
    assert found.check("binomial").p_value == pytest.approx(0.0569, abs=1e-4)
    assert found.check("binomial").statistic == 20


def test_placebo_jump() -> None:
    frame = routed()
    at = float(frame.loc[frame["score"] < 0.7, "score"].median())
    frame["y"] += 1.0 * (frame["score"] < at)
    found = estimate(frame, **RULE)
    assert found.check("placebo_cutoffs").status == "fail"
    worst = found.tables["placebo_cutoffs"].sort_values("p_value").iloc[0]
    assert worst["cutoff"] == pytest.approx(at, abs=0.01)
    assert worst["estimate"] == pytest.approx(1.0, abs=0.2)  # on the treated side's hand


def test_covariate_that_jumps() -> None:
    frame = routed()
    frame["tenure"] += 3 * (frame["score"] < 0.7)
    frame["y"] += 0.2 * frame["tenure"]
    check = estimate(frame, **RULE, covariates=["tenure"]).check("covariates")
    assert check.status in ("caution", "fail")
    assert "'tenure'" in check.message


def test_rows_at_the_cutoff_that_behave_differently() -> None:
    frame = routed(20_000)
    frame["y"] += 1.5 * ((frame["score"] - 0.7).abs() < 0.004) * (frame["score"] < 0.7)
    check = estimate(frame, **RULE, bandwidth=0.1).check("donut")
    assert check.status in ("caution", "fail")
    assert 0 < DONUT_SHARE < 0.5


def test_a_bend_at_the_cutoff_moves_the_narrow_fit() -> None:
    frame = routed(20_000)
    frame["y"] -= 1.0 * np.exp(-(((frame["score"] - 0.7) / 0.02) ** 2)) * (frame["score"] < 0.7)
    found = estimate(frame, **RULE, bandwidth=0.2)
    flagged = {c.name for c in found.checks if c.status in ("caution", "fail")}
    assert flagged & {"polynomial", "bandwidth", "donut", "curvature"}


def test_implied_bias_is_the_bias_on_a_quintic() -> None:
    # Noiseless quintics on both sides with a jump of 2: the corrected estimate is off by what the
    # terms beyond the square do to it, and a quintic fit in any window knows those terms.
    x = np.sort(np.random.default_rng(6).uniform(-1, 1, 800))
    y = np.where(x < 0, 1 + x - 3 * x**3 + 5 * x**5, 3 - x + 2 * x**2 + 8 * x**3 - 6 * x**4)
    frame = pd.DataFrame({"x": x, "y": y})
    rows = read_threshold(frame, Columns("y", "x"), cutoff=0.0)
    effect = fit_effect(rows, (0.4, 0.4), (0.5, 0.5), Spec(), fuzzy=False)
    found = implied_bias(effect, (0.9, 0.9), 5, Spec())
    assert abs(effect.corrected - 2) > 0.01
    assert found.estimate == pytest.approx(effect.corrected - 2, rel=1e-6)


def test_a_steep_stretch_at_the_cutoff_is_seen_by_the_wider_curve() -> None:
    frame = routed(50_000)
    distance = (frame["score"] - 0.7) / 0.03
    frame["y"] += 0.3 * np.sign(distance) * distance**2 * np.exp(1 - distance**2)
    check = estimate(frame, **RULE).check("curvature")
    assert check.status in ("caution", "fail")
    assert check.implied_bias > 1
    assert "says that the estimate is off" in check.message


def test_a_smooth_bend_is_no_curvature() -> None:
    frame = routed(50_000)
    frame["y"] += 1 / (1 + np.exp(-12 * (frame["score"] - 0.65)))
    found = estimate(frame, **RULE)
    assert found.check("curvature").status == found.check("bandwidth").status == "pass"


def test_a_bandwidth_for_each_side_sees_a_bend_that_a_common_one_misses() -> None:
    frame = routed(50_000)
    distance = (frame["score"] - 0.7) / 0.03
    frame["y"] += 0.1 * np.sign(distance) * distance**2 * np.exp(1 - distance**2)
    common, own = estimate(frame, **RULE), estimate(frame, **RULE, selector="msetwo")
    check = common.check("bandwidth")
    assert check.status in ("caution", "fail") and common.check("curvature").status == "pass"
    below, above = own.tables["bandwidths"]["h"]
    assert f"({below:.3g} below, {above:.3g} above) gives {own.estimate:+.4g}" in check.message
    moved = abs(own.estimate - common.estimate) / 2 / common.std_error
    assert check.implied_bias == pytest.approx(moved, rel=1e-9)
    # The other way round where each side's own were asked for; not where the user decided.
    turned = own.check("bandwidth").message
    assert f"both sides ({common.tables['bandwidths']['h'][0]:.3g} below" in turned
    given = estimate(frame, **RULE, bandwidth=0.01).check("bandwidth")
    assert given.status == "pass" and "looks" not in given.message


@pytest.mark.parametrize("at", [0.70, 0.69])
@pytest.mark.parametrize(("share", "status"), [(0.0, "pass"), (0.4, "fail")])
def test_a_heap_on_a_score_by_the_cutoff(at: float, share: float, status: str) -> None:
    frame = routed()
    near = (frame["score"] - 0.7).abs() < 0.1
    moved = near & (np.random.default_rng(1).random(len(frame)) < share)
    frame["score"] = frame["score"].mask(moved, at + 0.005).floordiv(0.01).mul(0.01).round(2)
    found = estimate(frame, **RULE)
    check = found.check("binomial")
    assert check.status == status
    rows = frame["score"].value_counts().sort_index()
    below, above = rows[rows.index < 0.7].to_numpy()[::-1][:6], rows[rows.index >= 0.7].to_numpy()
    heap, others = (
        (above[0], [*above[1:6], *below[:5]])
        if at == 0.7
        else (below[0], [*below[1:6], *above[:5]])
    )
    if share:
        assert f"{heap:,} rows have the score {at:.4g} by the cutoff" in check.message
        assert f"at most {max(others):,} another" in check.message
        assert check.statistic == (heap - max(others)) * (1 if at == 0.7 else -1)


def test_sharp_with_overrides_says_so_and_fuzzy_undoes_it() -> None:
    frame = routed(20_000)
    rng = np.random.default_rng(3)
    flipped = rng.random(len(frame)) < 0.2
    frame["served"] = np.where(flipped, 1 - frame["served"], frame["served"])
    frame["y"] = 1 + 0.8 * frame["score"] + 0.5 * frame["served"] + rng.normal(0, 0.5, len(frame))
    sharp = estimate(frame, **RULE, treatment="served", design="sharp")
    fuzzy = estimate(frame, **RULE, treatment="served")
    assert sharp.check("compliance").status == "caution"
    assert "--design fuzzy" in sharp.check("compliance").message
    # 20% flipped either way: the sharp jump is 0.6 of the effect. Four standard errors, one draw.
    assert abs(sharp.estimate - 0.3) < 4 * sharp.std_error < 0.2
    assert abs(fuzzy.estimate - 0.5) < 4 * fuzzy.std_error < 0.4
    assert fuzzy.check("compliance").status == "pass"
    assert fuzzy.settings["design"] == "fuzzy" and sharp.settings["design"] == "sharp"


def test_a_rule_that_hardly_moves_the_treatment() -> None:
    frame = routed()
    rng = np.random.default_rng(4)
    frame["served"] = (rng.random(len(frame)) < 0.5 + 0.02 * (frame["score"] < 0.7)).astype(int)
    check = estimate(frame, **RULE, treatment="served").check("compliance")
    assert check.status == "fail" and "weak" in check.message


def test_second_rule() -> None:
    frame = routed()
    frame["banner"] = frame["served"]
    frame["noise"] = np.random.default_rng(5).integers(0, 2, len(frame))
    found = estimate(frame, **RULE, other_rules=["banner", "noise"])
    assert found.check("second_rule").status == "fail"
    assert "'banner' jumps by 100.0 points" in found.check("second_rule").message
    alone = estimate(frame, **RULE, other_rules=["noise"])
    assert alone.check("second_rule").status == "pass"
    part = frame.assign(banner=frame["banner"] * (np.arange(len(frame)) % 4 == 0))
    assert estimate(part, **RULE, other_rules=["banner"]).check("second_rule").status == "caution"


def rounded(decided_on: str) -> pd.DataFrame:
    frame = routed(20_000)
    stored = frame["score"].round(2)
    if decided_on == "stored":
        frame["served"] = (stored < 0.7).astype(int)
    return frame.assign(score=stored)


def test_rounded_after_the_decision() -> None:
    kept = estimate(rounded("exact"), **RULE, treatment="served")
    check = kept.check("rounded_scores")
    assert check.status == "caution"
    assert "the bin 0.7 at the cutoff" in check.message and "called fuzzy" in check.message
    sharp = estimate(rounded("exact"), **RULE, treatment="served", design="sharp")
    assert "pulled towards zero" in sharp.check("rounded_scores").message
    left_out = estimate(rounded("exact"), **RULE, treatment="served", mixed_bin="drop")
    bin_rows = int((rounded("exact")["score"] == 0.7).sum())
    assert left_out.settings["rows_left_out_of_mixed_bin"] == bin_rows > 0
    assert left_out.n_obs == 20_000 - bin_rows
    assert "were left out" in left_out.check("rounded_scores").message
    assert left_out.check("compliance").statistic == 0


def test_rounded_before_the_decision_is_no_mix() -> None:
    found = estimate(rounded("stored"), **RULE, treatment="served")
    assert found.check("rounded_scores").status == "pass"
    blind = estimate(rounded("stored"), **RULE)
    assert blind.check("rounded_scores").status == "cannot-be-tested"


def test_few_scores_get_a_verdict_not_an_error() -> None:
    frame = routed()
    coarse = frame.assign(score=np.floor(frame["score"] * 10) / 10 + 0.05)
    found = estimate(coarse, **RULE)
    assert found.check("distinct_scores").status == "fail"
    assert "too few for mserd" in found.settings["selector"]
    # On a coarse grid the density fit would call a bend a jump; it isn't run.
    assert found.check("density").status == "cannot-be-tested"
    with pytest.raises(DesignError, match="too few different scores"):
        estimate(frame.assign(score=np.where(frame["score"] < 0.7, 0.6, 0.8)), **RULE)


def test_joint_cluster_sums_against_a_plain_sandwich() -> None:
    import statsmodels.api as sm

    frame = routed(1500)
    h = 0.15
    found = estimate(
        frame, **RULE, bandwidth=h, cluster="group", cluster_sums="joint", inference="conventional"
    )
    near = frame[(frame["score"] - 0.7).abs() < h]
    x = near["score"].to_numpy() - 0.7
    above = (x >= 0).astype(float)
    design = np.column_stack([np.ones_like(x), x, above, above * x])
    fit = sm.WLS(near["y"], design, weights=1 - np.abs(x) / h).fit(
        cov_type="cluster", cov_kwds={"groups": near["group"], "use_correction": True}
    )
    assert found.estimate == pytest.approx(-fit.params.iloc[2], rel=1e-9)
    assert found.std_error == pytest.approx(fit.bse.iloc[2], rel=1e-9)
    apart = estimate(frame, **RULE, bandwidth=h, cluster="group")
    assert "on both sides but summed apart" in apart.inference
