"""The leaderboard's arithmetic, by hand."""

import json
import math

import numpy as np
import pandas as pd
import pytest
from noholdout_shared.errors import DataError

from noholdout.benchmark.answer import answer_of
from noholdout.benchmark.page import render_page
from noholdout.benchmark.plot import plot_cell, plot_traps
from noholdout.benchmark.rates import fire_rates
from noholdout.benchmark.scores import (
    leaderboard,
    mean_mc,
    median_mc,
    rmse_mc,
    share_interval,
    share_mc,
)
from noholdout.benchmark.table import all_cells

# estimate, conf_low, conf_high, truth, verdict; errors are 1, -1, 3, -3 and the intervals
# [4,8] holds 5; [2,6] holds 5; [6,10] misses 5; [-1,5.5] holds 5 and zero.
RUNS = [
    (6.0, 4.0, 8.0, 5.0, "sound"),
    (4.0, 2.0, 6.0, 5.0, "caution"),
    (8.0, 6.0, 10.0, 5.0, "sound"),
    (2.0, -1.0, 5.5, 5.0, "do-not-use"),
]


def frame(runs: list[tuple], **more: object) -> pd.DataFrame:
    rows = [
        {
            "design": "did", "estimator": "did", "kind": "default", "estimand": "simple",
            "scenario": "clean", "severity": 0.0, "n_users": 100, "seed": seed,
            "estimate": estimate, "std_error": 1.0, "conf_low": low, "conf_high": high,
            "p_value": 0.1, "truth": truth, "verdict": verdict, "refused": None, "failed": None,
            "checks": json.dumps({"trend": "pass" if verdict == "sound" else "caution"}),
            "seconds": float(seed),
        }
        | more
        for seed, (estimate, low, high, truth, verdict) in enumerate(runs, 1)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_by_hand() -> None:
    row = leaderboard(frame(RUNS)).iloc[0]
    assert row["runs"] == 4
    assert row["bias"] == 0.0  # (1 - 1 + 3 - 3) / 4
    # deviation of (1, -1, 3, -3): sqrt(20 / 3), over sqrt(4)
    assert row["bias_mc"] == pytest.approx(math.sqrt(20 / 3) / 2)
    assert row["rmse"] == pytest.approx(math.sqrt(5))  # (1 + 1 + 9 + 9) / 4
    # squares (1, 1, 9, 9): deviation sqrt(64 / 3), over sqrt(4), over twice the RMSE
    assert row["rmse_mc"] == pytest.approx(math.sqrt(64 / 3) / 2 / (2 * math.sqrt(5)))
    assert row["coverage"] == 0.75
    # (3 + 2) / (4 + 4) = 5/8; sqrt(5/8 * 3/8 / 8)
    assert row["coverage_mc"] == pytest.approx(math.sqrt(15 / 64 / 8))
    assert row["width"] == pytest.approx((4 + 4 + 4 + 6.5) / 4)
    assert row["power"] == 0.75  # the last holds zero
    assert math.isnan(row["size"])
    assert row["abstains"] == 0.25
    assert row["sound"] == 0.5
    assert row["silent"] == 0.25  # the third: sound and it misses
    assert row["coverage_sound"] == 0.5
    assert row["seconds"] == 2.5


def test_the_page_has_every_figure_with_its_error_and_stays_text() -> None:
    runs = pd.concat([frame(RUNS), frame(RUNS, estimator="<script>", kind="yours")])
    runs.loc[runs["estimator"] == "<script>", ["failed", "estimate"]] = ["<b>lost</b>", math.nan]
    board = leaderboard(runs)
    row = board[board["estimator"] == "did"].iloc[0].to_dict()
    shown = all_cells(row)
    assert list(shown) == [
        "bias", "RMSE", "covers", "width", "power", "abstains", "sound", "silent", "sec",
    ]  # fmt: skip
    # widths 4, 4, 4, 6.5: 4.625, deviation 1.25 over sqrt(4), in points
    assert shown["width"] == "462.5(625)"
    # one of four; (1 + 2) / (4 + 4) = 3/8, sqrt(3/8 * 5/8 / 8) = 0.171
    assert shown["abstains"] == "25(17)"
    assert shown["sec"].startswith("2.50(")
    zero = all_cells(row | {"size": 0.05, "size_mc": 0.01})
    assert zero["size"] == "5(1)" and "power" not in zero
    page = render_page(board, {"command": "<i>"})
    assert "<script" not in page and "<b>" not in page and "<i>" not in page
    assert "&lt;b&gt;lost" in page and "<th>abstains</th>" in page


def test_errors_are_compared_on_common_data_sets() -> None:
    # of seeds 1 to 3 the rival's errors are (2, 2, 1); the default's there are (1, -1, 3)
    rival = frame([(7.0, 0, 9, 5.0, None), (7.0, 0, 9, 5.0, None), (6.0, 0, 9, 5.0, None)])
    rival = rival.assign(estimator="rival", kind="peer")
    other = rival.assign(estimator="other", estimand="another")
    board = leaderboard(pd.concat([frame(RUNS), rival, other])).set_index("estimator")
    assert board.loc["did", "rmse_ratio"] == 1.0
    assert board.loc["did", "rmse_ratio_mc"] == 0.0
    assert board.loc["rival", "rmse_ratio"] == pytest.approx(math.sqrt(9 / 11))
    # squares over their means: (4, 4, 1) / 3 - (1, 1, 9) / (11 / 3)
    influence = np.array([4 / 3 - 3 / 11, 4 / 3 - 3 / 11, 1 / 3 - 27 / 11])
    error = math.sqrt(9 / 11) / 2 * influence.std(ddof=1) / math.sqrt(3)
    assert board.loc["rival", "rmse_ratio_mc"] == pytest.approx(error)
    assert math.isnan(board.loc["other", "rmse_ratio"])


def test_where_the_truth_is_zero_rejections_are_the_size() -> None:
    null = [(1.0, 0.5, 1.5, 0.0, "sound"), (0.1, -1.0, 1.0, 0.0, "sound")]
    row = leaderboard(frame(null)).iloc[0]
    assert (row["size"], row["coverage"]) == (0.5, 0.5)
    assert math.isnan(row["power"])


def test_refusals_abstain_and_failures_count_for_nothing_but_themselves() -> None:
    runs = frame([*RUNS[:2], (math.nan,) * 4 + (None,), (math.nan,) * 4 + (None,)])
    runs.loc[2, "refused"] = "DesignError: no donors"
    runs.loc[3, "failed"] = "ValueError: x"
    row = leaderboard(runs).iloc[0]
    assert (row["failed"], row["refused"], row["message"]) == (1, 1, "ValueError: x")
    assert row["abstains"] == pytest.approx(1 / 3)  # of the three that didn't fail
    assert row["sound"] == pytest.approx(1 / 3)
    assert row["coverage"] == 1.0


def test_who_gives_no_verdict_has_no_share_of_sound_runs() -> None:
    row = leaderboard(frame([(1.0, 0.0, 2.0, 1.0, None)] * 3)).iloc[0]
    assert math.isnan(row["sound"]) and math.isnan(row["silent"]) and math.isnan(row["abstains"])
    assert row["coverage"] == 1.0


def test_monte_carlo_errors_match_the_spread_over_many_studies() -> None:
    rng = np.random.default_rng(3)
    errors = rng.normal(0.3, 1.0, size=(4000, 50))
    for figure in (mean_mc, rmse_mc, median_mc):
        pairs = np.array([figure(row) for row in errors])
        # the error's own average against the figure's true spread; 4,000 studies know it to 1%
        tolerance = 0.15 if figure is median_mc else 0.04
        assert pairs[:, 1].mean() == pytest.approx(pairs[:, 0].std(), rel=tolerance)


def test_a_share_of_nothing_and_a_share_of_all() -> None:
    assert all(math.isnan(x) for x in share_mc(0, 0))
    assert share_mc(0, 96)[1] == pytest.approx(math.sqrt(0.02 * 0.98 / 100))  # not 0
    low, high = share_interval(0, 100, 0.95)
    assert low == 0.0
    assert high == pytest.approx(1 - 0.025 ** (1 / 100))  # Clopper and Pearson's closed form
    assert share_interval(100, 100, 0.95)[1] == 1.0


def test_a_naive_answer_does_not_squeeze_the_picture() -> None:
    naive = frame([(90.0, 80.0, 99.0, 5.0, None)] * 3).assign(estimator="naive", kind="naive")
    bias, rmse, _ = plot_cell(leaderboard(pd.concat([frame(RUNS), naive]))).axes
    spread = 100 * math.sqrt(20 / 3) / 2  # Monte Carlo error of our bias, in points
    assert bias.get_xlim() == pytest.approx((-2.5 * spread, 2.5 * spread))
    arrows = [line for line in bias.lines if line.get_marker() == ">"]
    assert [line.get_xdata()[0] for line in arrows] == pytest.approx([bias.get_xlim()[1]])
    assert rmse.get_xlim()[0] == 0
    assert plot_cell(leaderboard(naive)).axes[0].get_xlim()[1] > 8500, "alone it is shown"


def test_every_trap_has_its_panel_and_says_what_is_promised() -> None:
    traps = [
        frame(RUNS, scenario=name, severity=severity)
        for name in ("did-pre-trends", "did-spill-over") for severity in (1.0, 3.0)
    ]  # fmt: skip
    board = leaderboard(pd.concat([frame(RUNS), *traps]))
    panels = [ax for ax in plot_traps(board).axes if ax.axison]
    assert [ax.get_title(loc="left") or ax.get_title() for ax in panels] == [
        "did: pre-trends", "did: spill-over (no promise)",
    ]  # fmt: skip
    covers = panels[0].lines[0]
    assert covers.get_xdata().tolist() == [0.0, 1.0, 3.0], "clean stands at 0"
    assert covers.get_ydata().tolist() == [75.0] * 3
    with pytest.raises(DataError, match="No trap was run"):
        plot_traps(leaderboard(frame(RUNS)))


def test_fire_rates_by_hand() -> None:
    clean, trap = frame(RUNS), frame(RUNS[1:], scenario="pre-trends", severity=3.0)
    trap["checks"] = [json.dumps({"trend": s, "x": "cannot-be-tested"}) for s in ("fail",) * 3]
    rates = fire_rates(pd.concat([clean, trap])).set_index(["scenario", "check"])
    assert rates.loc[("clean", "trend"), ["fired", "runs"]].tolist() == [2, 4]
    assert rates.loc[("pre-trends", "trend"), ["fired", "runs"]].tolist() == [3, 3]
    assert rates.loc[("pre-trends", "verdict"), "fired"] == 2  # caution, sound, do-not-use
    assert "x" not in rates.index.get_level_values("check")  # it says nothing: it has no rate


def test_an_answer_may_be_a_mapping() -> None:
    answer = answer_of({"estimate": 1, "std_error": 1}, 0.95, 3)
    assert answer.conf_high == pytest.approx(1 + 1.959964, abs=1e-6)
    assert answer.verdict is None


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (1.0, "returned 'float'"),
        ({"effect": 1.0}, "needs 'estimate'"),
        ({"estimate": 1.0, "verdict": "fine"}, "The verdict is 'fine'"),
        ({"estimate": 1.0, "top": [1.0]}, "Return 3 numbers"),
    ],
)
def test_an_answer_that_cannot_be_read_is_refused(found: object, said: str) -> None:
    from noholdout_shared.errors import DataError

    with pytest.raises(DataError, match=said):
        answer_of(found, 0.95, 3)
