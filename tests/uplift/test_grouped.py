"""Many equal rows as one cell: the same answer as row by row, from every source."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from noholdout_shared import engine
from noholdout_shared.errors import DataError, DesignError
from noholdout_uplift import bootstrap_errors, compare_learners, estimate, ranking_steps
from noholdout_uplift.estimators.on_cells import OnCells, cells_model
from noholdout_uplift.folds import split_cells
from noholdout_uplift.options import Options
from noholdout_uplift.preparation import Prepared, prepare
from noholdout_uplift.pushdown import MOST_CELLS, ROWS_A_CELL
from pandas.testing import assert_frame_equal
from sklearn.ensemble import GradientBoostingRegressor, HistGradientBoostingRegressor

ASKED: dict[str, Any] = {
    "outcome": "done",
    "treatment": "prompt",
    "features": ["tier", "week", "beta"],
}
TIERS = ["heavy", "light", "medium"]


def users(n: int = 8_000, seed: int = 0) -> pd.DataFrame:
    """A coin, three discrete features, an effect that differs by tier and week, 0/1 outcomes."""
    rng = np.random.default_rng(seed)
    tier, week = rng.integers(0, 3, n), rng.integers(0, 12, n)
    prompt = (rng.random(n) < 0.4).astype(int)
    chance = 0.3 + 0.05 * tier + prompt * (0.02 * week - 0.06 * tier)
    return pd.DataFrame(
        {
            "tier": np.array(TIERS)[tier],
            "week": week,
            "beta": rng.random(n) < 0.3,
            "prompt": prompt,
            "done": (rng.random(n) < chance).astype(int),
            "liked": (rng.random(n) < 0.5 + 0.1 * prompt).astype(int),
            "price": rng.integers(1, 4, n),
            "team": rng.integers(0, 15, n),
            "odds": np.where(week < 6, 0.4, 0.35),
        }
    )


@pytest.fixture
def grouping(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """Any number of rows is grouped; few rows a cell are enough."""
    monkeypatch.setattr(engine, "WHOLE_BELOW", 0)
    monkeypatch.setattr("noholdout_uplift.pushdown.ROWS_A_CELL", 1)
    yield monkeypatch


def by_row(ready: Prepared, patch: pytest.MonkeyPatch, **asked: Any) -> Any:
    """The estimate of the same rows one by one, parted into the same folds and halves."""
    rows = np.repeat(np.arange(ready.each.size), ready.each)
    fold, half = ready.fold, ready.half
    assert half is not None
    patch.setattr(engine, "WHOLE_BELOW", 10**9)
    if fold is not None:
        patch.setattr(ranking_steps, "assign_folds", lambda *_, **__: fold[rows])
    told = half[rows]

    def prepared(data: Any, options: Options) -> Prepared:
        from dataclasses import replace

        return replace(prepare(data, options), half=told)

    patch.setattr("noholdout_uplift.analysis.prepare", prepared)
    return estimate(ready.frame.iloc[rows].reset_index(drop=True), **asked)


def assert_same(found: Any, expected: Any, tolerance: float = 1e-9) -> None:
    for name in ("estimate", "std_error", "conf_low", "conf_high", "p_value"):
        wanted = getattr(expected, name)
        assert getattr(found, name) == pytest.approx(wanted, rel=tolerance, abs=1e-12, nan_ok=True)
    for name in ("n_obs", "n_treated", "n_control", "n_clusters", "verdict", "decision"):
        assert getattr(found, name) == getattr(expected, name)
    for mine, theirs in zip(found.checks, expected.checks, strict=True):
        assert (mine.name, mine.status) == (theirs.name, theirs.status)
        assert mine.statistic == pytest.approx(theirs.statistic, rel=1e-6, abs=1e-9, nan_ok=True)
        assert mine.message == theirs.message
    assert found.tables.keys() == expected.tables.keys()
    # Bands are simulated from a covariance without full rank, whose roots keep half the digits.
    simulated = ["band_low", "band_high", "lower_bound"]
    for name, table in found.tables.items():
        wanted = expected.tables[name]
        for columns, close in (
            (table.columns.difference(simulated, sort=False), tolerance),
            (table.columns.intersection(simulated, sort=False), 1e-6),
        ):
            assert_frame_equal(
                table[columns], wanted[columns], rtol=close, atol=close, check_dtype=False
            )
    told = {"grouped", "model", "summed_by_engine"}
    mine, theirs = (
        {k: v for k, v in one.settings.items() if k not in told and not isinstance(v, float)}
        for one in (found, expected)
    )
    assert mine == theirs


QUESTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "clusters": {"cluster": "team"},
    "chosen": {"propensity": "estimate"},
    "given": {"propensity": "odds", "margin": 0.01},
    "priced": {"cost": "price", "budget": 0.7, "guardrails": ["liked"], "slices": ["week"]},
    "residuals": {"learner": "r"},
    "doubly robust": {"learner": "dr"},
    "transformed": {"learner": "class"},
    "ratio": {"denominator": "price"},
}
TREES = GradientBoostingRegressor(  # the default's trees, each split tried
    n_estimators=30,
    learning_rate=0.15,
    max_leaf_nodes=4,
    min_weight_fraction_leaf=0.02,
    random_state=0,
)


@pytest.mark.parametrize("question", QUESTIONS)
def test_cells_answer_as_their_rows_do(question: str, grouping: pytest.MonkeyPatch) -> None:
    asked = ASKED | {"model": "linear"} | QUESTIONS[question]
    frame = users()
    found = estimate(frame, **asked)
    assert found.settings["grouped"].startswith("8,000 rows in ")
    expected = by_row(prepare(frame, Options(**asked)), grouping, **asked)
    assert "grouped" not in expected.settings
    assert_same(found, expected)


@pytest.mark.parametrize("learner", ["x", "r"])
def test_trees_on_cells_are_trees_on_rows(learner: str, grouping: pytest.MonkeyPatch) -> None:
    asked = ASKED | {"learner": learner, "folds": 3}
    frame = users(3_000)
    found = estimate(frame, **asked)
    ready = prepare(frame, Options(**asked))
    assert_same(found, by_row(ready, grouping, **(asked | {"model": TREES})))


def test_a_cell_of_three_rows_falls_into_two_folds_by_hand() -> None:
    # Each row draws fold 0 or 1: 0, 1, 2, 3 of three in fold 0 with 1/8, 3/8, 3/8, 1/8.
    # Each row draws a half too, so three rows in fold 0 stand in half 0 with the same chances.
    cells = 40_000
    cell, fold, half, rows = split_cells(np.full(cells, 3), 2, seed=1)
    assert rows.min() > 0
    in_first = np.bincount(cell[fold == 0], weights=rows[fold == 0], minlength=cells)
    expected = np.array([1, 3, 3, 1]) / 8
    error = np.sqrt(expected * (1 - expected) / cells)
    shares = np.bincount(in_first.astype(int), minlength=4) / cells
    assert (np.abs(shares - expected) < 4 * error).all()
    inside = (fold == 0) & (half == 0) & (in_first == 3)[cell]
    in_half = np.bincount(cell[inside], weights=rows[inside], minlength=cells)[in_first == 3]
    shares = np.bincount(in_half.astype(int), minlength=4) / in_half.size
    assert (np.abs(shares - expected) < 4 * error * np.sqrt(8)).all()
    assert (np.bincount(cell, weights=rows, minlength=cells) == 3).all()


def test_clusters_are_never_parted_by_fold() -> None:
    cell, fold, half, rows = split_cells(np.array([1, 1_000]), None, seed=0)
    assert set(fold) == {0}
    assert np.bincount(cell, weights=rows).tolist() == [1, 1_000]
    assert set(half) == {0, 1}


def test_model_on_cells_by_hand() -> None:
    # Weighted mean where x = 0: (1 * 1 + 3 * 3) / 4 = 2.5; where x = 1: 5.
    model = cells_model("linear", 0).fit(
        np.array([[0.0], [1], [0]]), np.array([1.0, 5, 3]), np.array([1.0, 1, 3])
    )
    np.testing.assert_allclose(model.predict(np.array([[1.0], [0], [1]])), [5, 2.5, 5])


def test_trees_on_cells_are_the_default_trees() -> None:
    rng = np.random.default_rng(3)
    x = rng.integers(0, 8, (4_000, 3)).astype(float)
    y = np.sin(x[:, 0]) + 0.2 * x[:, 1] + rng.normal(size=len(x))
    rows = HistGradientBoostingRegressor(
        max_iter=30, learning_rate=0.15, max_leaf_nodes=4, min_samples_leaf=80, early_stopping=False
    ).fit(x, y)
    cells = cells_model("boosting", 0).fit(x, y, np.ones(len(x)))
    assert isinstance(cells, OnCells)
    # Its sums are of 32 bits.
    np.testing.assert_allclose(cells.predict(x), rows.predict(x), atol=1e-4)


SOURCES = ("csv", "parquet", "lazy polars", "polars", "arrow", "categories")


@pytest.mark.parametrize("kind", SOURCES)
def test_every_source_gives_the_same_cells(
    kind: str, tmp_path: Path, grouping: pytest.MonkeyPatch
) -> None:
    frame = users(3_000)
    expected = estimate(frame, **ASKED, model="linear")
    found = estimate(_in(kind, frame, tmp_path), **ASKED, model="linear")
    said = found.settings.get("summed_by_engine")
    assert said == (expected.settings["grouped"] if kind in SOURCES[:3] else None)
    mine, theirs = found.to_dict(), expected.to_dict()
    mine["settings"].pop("summed_by_engine", None)
    assert mine == theirs  # to the last bit: the same cells in the same order


def _in(kind: str, frame: pd.DataFrame, folder: Path) -> Any:
    import polars
    import pyarrow

    shuffled = frame.sample(frac=1, random_state=1)
    if kind == "csv":
        shuffled.to_csv(folder / "users.csv", index=False)
        return folder / "users.csv"
    if kind == "parquet":
        shuffled.to_parquet(folder / "users.parquet", index=False)
        return folder / "users.parquet"
    if kind == "categories":
        return shuffled.assign(tier=pd.Categorical(shuffled["tier"], TIERS))
    if kind == "arrow":
        return pyarrow.Table.from_pandas(shuffled, preserve_index=False)
    eager = polars.from_pandas(shuffled)
    return eager.lazy() if kind == "lazy polars" else eager


def test_what_is_grouped(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    frame = users(2_000)[["tier", "beta", "prompt", "done", "liked"]]
    asked = ASKED | {"features": ["tier", "beta"], "model": "linear"}
    monkeypatch.setattr(engine, "WHOLE_BELOW", 2_001)
    assert "grouped" not in estimate(frame, **asked).settings
    monkeypatch.setattr(engine, "WHOLE_BELOW", 2_000)
    # 3 tiers x 2 x 2 arms x 2 outcomes
    assert estimate(frame, **asked).settings["grouped"] == "2,000 rows in 24 cells"
    monkeypatch.setattr("noholdout_uplift.pushdown.ROWS_A_CELL", 2_000 // 24)
    assert "grouped" in estimate(frame, **asked).settings
    monkeypatch.setattr("noholdout_uplift.pushdown.ROWS_A_CELL", 2_000 // 24 + 1)
    assert "grouped" not in estimate(frame, **asked).settings
    monkeypatch.setattr("noholdout_uplift.pushdown.ROWS_A_CELL", ROWS_A_CELL)
    for other in ({"model": TREES}, {"weights": "liked"}, {"scores": "liked", "folds": 2}):
        assert "grouped" not in estimate(frame, **(asked | other)).settings
    frame.to_parquet(tmp_path / "users.parquet")
    drawn = estimate(tmp_path / "users.parquet", **asked, sample=1_999)
    assert "grouped" not in drawn.settings
    monkeypatch.setattr(engine, "WHOLE_BELOW", 1_999)
    drawn = estimate(tmp_path / "users.parquet", **asked, sample=1_999)
    assert drawn.settings["grouped"] == "1,999 rows in 24 cells"


def test_limits_hold_memory() -> None:
    assert MOST_CELLS * 5 * 2 <= engine.WHOLE_BELOW


def test_messages_count_rows(tmp_path: Path, grouping: pytest.MonkeyPatch) -> None:
    frame = users(1_000)
    frame["prompt"] = frame["prompt"].mask(frame.index < 5, 2)
    frame.to_parquet(tmp_path / "odd.parquet")
    with pytest.raises(DataError, match=r"isn't 0/1: 5 of 1,000 rows"):
        estimate(tmp_path / "odd.parquet", **ASKED)
    missing = users(1_000)
    missing["week"] = missing["week"].mask(missing.index < 7)
    missing.to_parquet(tmp_path / "missing.parquet")
    with pytest.raises(DataError, match=r"7 of 1,000 rows have missing values \('week' 7\)"):
        estimate(tmp_path / "missing.parquet", **ASKED)
    found = estimate(tmp_path / "missing.parquet", **ASKED, missing="drop", model="linear")
    assert found.settings["rows_dropped_missing"] == 7
    assert found.n_obs == 993
    assert found.settings["grouped"].startswith("993 rows in ")
    for wrong, message in (
        ({"model": "forest"}, "model is 'forest'"),
        ({"outcome": ["done"]}, "It names one column"),
        ({"outcome": "doen"}, "done"),
    ):
        for data in (users(1_000), tmp_path / "missing.parquet"):
            with pytest.raises(DataError, match=message):
                estimate(data, **(ASKED | {"missing": "drop"} | wrong))
    few = users(1_000).assign(prompt=lambda t: (t.index < 30).astype(int))
    with pytest.raises(DesignError, match="There are 30 treated rows"):
        estimate(few, **ASKED)


def test_bootstrap_draws_the_rows_behind_cells(grouping: pytest.MonkeyPatch) -> None:
    frame = users(4_000)
    plain = estimate(frame, **ASKED, model="linear")
    drawn = estimate(frame, **ASKED, model="linear", inference="bootstrap", replicates=400)
    assert drawn.estimate == plain.estimate
    # 400 draws know a standard error to 3.5%
    assert drawn.std_error == pytest.approx(plain.std_error, rel=0.15)
    again = bootstrap_errors(plain, replicates=400)
    assert again["top"] == drawn.std_error
    clustered = estimate(frame, **ASKED, model="linear", cluster="team")
    errors = bootstrap_errors(clustered, replicates=400)
    assert errors["top"] == pytest.approx(clustered.std_error, rel=0.25)


def test_scores_name_their_cells(grouping: pytest.MonkeyPatch) -> None:
    frame = users(3_000)
    found = estimate(frame, **ASKED, model="linear", learner="all")
    scores = found.scores
    assert list(scores.index.names) == ASKED["features"]
    assert scores["copies"].sum() == 3_000
    top = scores["top"] * scores["copies"]
    assert np.average(scores["aipw"], weights=top) == pytest.approx(found.estimate, rel=1e-12)
    pairs = compare_learners(frame, **ASKED, model="linear", learners=["t", "dr"])
    compared = found.tables["comparisons"]
    same = compared[(compared["first"] == "t") & (compared["second"] == "dr")]
    np.testing.assert_allclose(pairs["estimate"], same["estimate"], atol=1e-12)
