"""Input that could end in a traceback, a nonsense interval or a silent wrong answer."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from noholdout_rdd import RddEstimate, density_test, estimate
from noholdout_shared.errors import DataError, DesignError
from scipy import special

pytestmark = pytest.mark.filterwarnings("error::RuntimeWarning")

RULE = {"outcome": "y", "running": "score", "cutoff": 0.5}


@pytest.fixture
def frame() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    score = rng.uniform(0, 1, 1200)
    above = (score >= 0.5).astype(int)
    team = np.where(above == 1, 10 + rng.integers(0, 8, 1200), rng.integers(0, 8, 1200))
    return pd.DataFrame(
        {"y": score + above + rng.normal(size=1200), "score": score, "ruled": above, "team": team}
    )


def same(one: RddEstimate, other: RddEstimate, rel: float) -> None:
    for name in ("estimate", "std_error", "conf_low", "conf_high"):
        assert getattr(one, name) == pytest.approx(getattr(other, name), rel=rel)
    assert [c.status for c in one.checks] == [c.status for c in other.checks]


@pytest.mark.parametrize("scale", [1e-3, 1e-6, 1e-12, 1e6])
def test_the_unit_of_the_score_changes_nothing(frame: pd.DataFrame, scale: float) -> None:
    plain = estimate(frame, **RULE)
    scaled = estimate(frame.assign(score=frame["score"] * scale), **RULE | {"cutoff": 0.5 * scale})
    same(scaled, plain, 1e-3)  # the widest window ends 1e-8 beyond the last score, at most 0.1%


@pytest.mark.parametrize("scale", [1e-300, 1e-40, 1e40, 1e99])
def test_scores_whose_powers_are_no_numbers(frame: pd.DataFrame, scale: float) -> None:
    tiny = frame.assign(score=frame["score"] * scale)
    with pytest.raises(
        DataError, match=r"'score' lie at most .* Write the score and the cutoff in"
    ):
        estimate(tiny, **RULE | {"cutoff": 0.5 * scale})


@pytest.mark.parametrize("scale", [1e-18, 1e19])
def test_scores_whose_powers_are_numbers_yet(frame: pd.DataFrame, scale: float) -> None:
    scaled = estimate(
        frame.assign(score=frame["score"] * scale), **RULE | {"cutoff": 0.5 * scale}, degree=4
    )
    same(scaled, estimate(frame, **RULE, degree=4), 1e-3)


def test_a_code_for_missing_among_scores_that_an_engine_sums(
    frame: pd.DataFrame, tmp_path: Path
) -> None:
    frame.loc[:4, "score"] = -999.0
    for data in (frame, tmp_path / "rows.parquet"):
        if not isinstance(data, pd.DataFrame):
            frame.to_parquet(data)
        with pytest.raises(DataError, match=r"'score'.*-999"):
            estimate(data, **RULE)


def test_a_cutoff_as_a_decimal(frame: pd.DataFrame) -> None:
    decimals = frame.assign(score=[Decimal(f"{value:.4f}") for value in frame["score"]])
    found = estimate(decimals, **RULE | {"cutoff": Decimal("0.5")})
    same(found, estimate(decimals, **RULE), 1e-12)
    density = density_test(decimals, running="score", cutoff=Decimal("0.5"))
    assert density.p_value == density_test(decimals, running="score", cutoff=0.5).p_value


@pytest.mark.parametrize(
    "options", [{}, {"cluster_sums": "joint"}, {"bandwidth": 0.1}, {"selector": "msecomb2"}]
)
def test_a_side_of_one_cluster(frame: pd.DataFrame, options: dict) -> None:
    with pytest.raises(DesignError, match="all rows near it belong to one cluster"):
        estimate(frame, cluster="ruled", **RULE, **options)


def test_clusters_that_lie_side_by_side(frame: pd.DataFrame) -> None:
    # Teams by stretches of the score: those around the cutoff hold all rows near it.
    frame["team"] = (frame["score"] * 4).astype(int)
    with pytest.raises(DesignError, match="one cluster"):
        estimate(frame, cluster="team", bandwidth=0.2, **RULE)
    assert estimate(frame, cluster="team", bandwidth=0.4, **RULE).verdict == "do-not-use"


@pytest.mark.parametrize("far", [1e3, 1e6, 1e9])
def test_one_score_far_beyond_all_others_does_not_decide(frame: pd.DataFrame, far: float) -> None:
    plain = estimate(frame, **RULE)
    frame.loc[frame["score"].idxmax(), "score"] = far
    found = estimate(frame, **RULE)
    assert found.settings["selector"] == "mserd"
    assert found.estimate == pytest.approx(plain.estimate, abs=plain.std_error / 2)
    assert 0.7 < found.std_error / plain.std_error < 1.3


def test_a_bandwidth_beyond_all_scores_is_a_fit_through_all_rows(frame: pd.DataFrame) -> None:
    found = estimate(frame, **RULE, bandwidth=1e9, inference="conventional")
    gap = [
        np.polynomial.Polynomial.fit(side["score"], side["y"], 1)(0.5)
        for side in (frame[frame["score"] >= 0.5], frame[frame["score"] < 0.5])
    ]
    assert found.estimate == pytest.approx(gap[0] - gap[1], rel=1e-6)


def test_an_outcome_that_never_varies_near_the_cutoff(frame: pd.DataFrame) -> None:
    frame["y"] = 0.0
    frame.loc[frame["score"].idxmin(), "y"] = 1.0
    with pytest.raises(DesignError, match=r"'y' has no scatter around the fit.*Check the outcome"):
        estimate(frame, **RULE)


@pytest.mark.parametrize(
    ("left", "right", "status"), [(6, 6, "pass"), (6, 2, "caution"), (4, 0, "fail")]
)
def test_few_rows_with_a_rare_outcome(
    frame: pd.DataFrame, left: int, right: int, status: str
) -> None:
    frame = frame.sort_values("score", ignore_index=True)
    cut = int((frame["score"] < 0.5).sum())
    frame["y"] = 0
    frame.loc[cut - 5 * np.arange(1, left + 1), "y"] = 1
    frame.loc[cut + 5 * np.arange(right), "y"] = 1
    found = estimate(frame, bandwidth=0.2, **RULE)
    check = found.check("rare_outcome")
    assert check.status == status
    assert f"{left} rows below and {right} above the cutoff have a y other than 0" in check.message


def test_a_common_outcome_needs_no_such_check(frame: pd.DataFrame) -> None:
    names = [check.name for check in estimate(frame, **RULE).checks]
    assert "rare_outcome" not in names


def test_a_covariate_that_is_the_outcome(frame: pd.DataFrame) -> None:
    with pytest.raises(DesignError, match="no scatter"):
        estimate(frame.assign(copy=2 * frame["y"] + 1), covariates=["copy"], **RULE)


@pytest.mark.parametrize(
    "roles",
    [{role: "y"} for role in ("treatment", "cluster", "weights")]
    + [{"covariates": ["y"]}, {"other_rules": ["y"]}],
)
def test_the_outcome_plays_one_part(frame: pd.DataFrame, roles: dict) -> None:
    with pytest.raises(DataError, match="The outcome 'y' is also named as"):
        estimate(frame.assign(y=frame["ruled"]), **RULE, **roles)


def test_an_outcome_that_varies_only_where_nothing_counts(frame: pd.DataFrame) -> None:
    done = frame.assign(y=(np.arange(1200) % 2), w=(np.arange(1200) % 2) * 1.0)
    with pytest.raises(DataError, match="'y' is 1 in all 600 rows that count"):
        estimate(done, weights="w", **RULE)


@pytest.mark.parametrize("design", ["sharp", "fuzzy"])
@pytest.mark.parametrize("kept", [1.0, 0.9])
def test_a_treated_side_named_the_wrong_way_round(
    frame: pd.DataFrame, design: str, kept: float
) -> None:
    follows = np.random.default_rng(1).random(1200) < kept
    frame["got"] = np.where(follows, frame["ruled"], 1 - frame["ruled"])
    wrong = estimate(frame, treatment="got", treated_side="below", design=design, **RULE)
    assert wrong.verdict == "do-not-use"
    assert "try --treated-side above" in wrong.check("compliance").message
    right = estimate(frame, treatment="got", treated_side="above", design=design, **RULE)
    assert right.check("compliance").status != "fail"


def test_low_uptake_is_not_taken_for_the_wrong_side(frame: pd.DataFrame) -> None:
    frame["got"] = np.where(np.random.default_rng(1).random(1200) < 0.3, frame["ruled"], 0)
    found = estimate(frame, treatment="got", design="sharp", **RULE)
    assert found.check("compliance").status == "caution"


def test_scores_of_32_bits_stay_on_their_side() -> None:
    rng = np.random.default_rng(5)
    score = rng.integers(40, 100, 3000) / 100
    treated = score >= 0.7  # as 32 bits, 0.7 is less than the number 0.7
    y = score + 0.5 * treated + rng.normal(0, 0.3, 3000)
    frame = pd.DataFrame({"y": y, "score": score, "got": treated.astype(int)})
    rule = RULE | {"cutoff": 0.7}
    wide = estimate(frame, **rule, treatment="got", design="sharp")
    narrow = estimate(frame.astype({"score": "float32"}), **rule, treatment="got", design="sharp")
    assert narrow.check("compliance").status == "pass"
    assert narrow.n_treated == wide.n_treated == int(treated.sum())
    assert narrow.estimate == pytest.approx(wide.estimate, abs=wide.std_error / 10)


def test_few_clusters_widen_the_interval_and_fewer_end_it(frame: pd.DataFrame) -> None:
    found = estimate(frame, cluster="team", **RULE)
    assert found.df == 7  # eight clusters on each side, none on both
    half = special.stdtrit(7, 0.975) * found.std_error
    assert found.conf_high - found.estimate == pytest.approx(half)
    assert found.check("clusters").status == "pass"
    table = found.tables["variants"].set_index("variant")
    assert table.loc["robust", "conf_high"] == pytest.approx(found.conf_high)
    normal = table.loc["honest", "std_error"] * special.ndtri(0.975)
    assert table.loc["honest", "conf_high"] - table.loc["honest", "estimate"] > 1.2 * normal
    few = estimate(
        frame.assign(team=frame["team"] % 3 + 10 * frame["ruled"]), cluster="team", **RULE
    )
    assert few.check("clusters").status == "fail" and few.verdict == "do-not-use"
    both = estimate(frame.assign(team=np.arange(1200) % 12), cluster="team", **RULE)
    assert both.df == 11


def test_intervals_hold_with_four_clusters_on_each_side() -> None:
    """Of 150 data sets without any effect, intervals miss about 7; the normal law misses 20."""
    missed = 0
    for seed in range(150):
        rng = np.random.default_rng(seed)
        score = rng.uniform(-1, 1, 600)
        team = rng.integers(0, 4, 600) + 4 * (score >= 0)
        y = 0.7 * rng.normal(size=8)[team] + rng.normal(size=600)
        frame = pd.DataFrame({"y": y, "score": score, "team": team})
        found = estimate(frame, outcome="y", running="score", cutoff=0.0, cluster="team")
        missed += not found.conf_low < 0 < found.conf_high
    assert missed <= 12, missed


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"bandwidth": "0.1"}, "bandwidth is '0.1'"),
        ({"bandwidth": True}, "bandwidth is True"),
        ({"step": 0.0}, "step is 0.0.*a positive number"),
        ({"donut": "0.1"}, "donut is '0.1'"),
        ({"donut": float("nan")}, "donut is nan"),
        ({"seed": -1}, "seed is -1"),
    ],
)
def test_values_of_the_wrong_kind(frame: pd.DataFrame, options: dict, words: str) -> None:
    with pytest.raises(DataError, match=words):
        estimate(frame, **RULE, **options)


def test_a_degree_may_be_a_float(frame: pd.DataFrame) -> None:
    assert (
        estimate(frame, **RULE, degree=2.0).estimate == estimate(frame, **RULE, degree=2).estimate
    )


@pytest.mark.parametrize("options", [{}, {"conf_level": 0.5}, {"inference": "honest"}])
def test_what_would_overturn_the_answer_is_the_interval_s_distance_from_zero(
    frame: pd.DataFrame, options: dict
) -> None:
    found = estimate(frame, **RULE, **options)
    assert found.check("other_changes").statistic == max(found.conf_low, 0.0)
