"""The result type: JSON, text, HTML, picture."""

import json
import math
from dataclasses import FrozenInstanceError, replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from noholdout_shared.checks import structural, untestable
from noholdout_shared.errors import DataError
from noholdout_shared.estimate import Estimate

ESTIMATE = Estimate(
    method="Difference-in-differences",
    estimand="ATT of wave 1",
    estimate=0.0512,
    std_error=0.014,
    conf_low=0.0237,
    conf_high=0.0787,
    conf_level=0.95,
    p_value=0.0003,
    inference="cluster-robust by workspace_id, normal",
    outcome="task_completed",
    n_obs=50_000,
    n_treated=10_000,
    n_control=40_000,
    n_clusters=50,
    proportion=True,
    settings={"when": pd.Timestamp("2025-03-01"), "count": np.int64(3)},
    checks=(
        structural("overlap", "Both arms.", "pass", 0.9, "Both arms are seen <everywhere>."),
        untestable("hidden", "Nothing hidden.", "A confounder as strong as tier would erase it."),
    ),
    tables={
        "event_study": pd.DataFrame(
            {"event_time": [-1, 0], "estimate": [np.nan, 0.05],
             "on": pd.to_datetime(["2025-01-01", "2025-01-02"])}
        )
    },
)  # fmt: skip


def test_to_dict_is_strict_json_with_null_and_iso_dates() -> None:
    text = json.dumps(ESTIMATE.to_dict(), allow_nan=False)
    back = json.loads(text)
    assert back["tables"]["event_study"] == [
        {"event_time": -1, "estimate": None, "on": "2025-01-01"},
        {"event_time": 0, "estimate": 0.05, "on": "2025-01-02"},
    ]
    assert back["settings"] == {"when": "2025-03-01", "count": 3}
    assert back["verdict"] == "sound"
    assert back["checks"][1]["status"] == "cannot-be-tested"


def test_summary_fits_eighty_columns_and_speaks_in_points() -> None:
    text = ESTIMATE.summary()
    assert max(map(len, text.splitlines())) <= 80
    assert "+5.12 points on task_completed" in text
    assert "95% interval +2.37 to +7.87 points; p < 0.001" in text
    # (1.959964 + 0.841621) * 0.014 = 0.0392
    assert "3.92 points or more, with 80% power" in text
    assert "sound" in text


def test_undefined_inference_is_said_not_zero() -> None:
    nan = math.nan
    lost = replace(
        ESTIMATE, std_error=nan, conf_low=nan, conf_high=nan, p_value=nan, inference="none (one)"
    )
    assert "95% interval undefined; p undefined" in lost.summary()
    assert lost.to_dict()["std_error"] is None


def test_margin_is_answered() -> None:
    asked = ESTIMATE.with_margin(0.01)
    assert "not worse than -1.00 points: yes (one-sided p < 0.001)" in asked.summary()
    assert "not shown" in replace(asked, estimate=-0.02).summary()


@pytest.mark.parametrize("margin", [-0.05, math.nan, math.inf, "0.1"])
def test_a_margin_that_asks_no_question_is_refused(margin: Any) -> None:
    with pytest.raises(DataError, match="how much worse is still acceptable"):
        ESTIMATE.with_margin(margin)


def test_nothing_is_sound_without_an_interval() -> None:
    assert ESTIMATE.verdict == "sound"
    without = {"conf_low": math.nan, "conf_high": math.nan}
    only_p = replace(ESTIMATE, **without)
    assert (only_p.verdict, only_p.check("interval").status) == ("caution", "caution")
    assert replace(only_p, margin=0.1).checks == only_p.checks, "said once"
    nothing = replace(ESTIMATE, std_error=math.nan, p_value=math.nan, **without)
    assert nothing.verdict == "do-not-use"
    cautioned = replace(ESTIMATE, checks=(structural("other", "", "caution", 1.0, "Look."),))
    nothing = replace(cautioned, std_error=math.nan, p_value=math.nan, **without)
    assert nothing.verdict == "do-not-use", "a caution doesn't hide that nothing is known"
    assert "cluster-robust by workspace_id, normal" in nothing.check("interval").message


def test_html_is_escaped() -> None:
    html = ESTIMATE._repr_html_()
    assert "&lt;everywhere&gt;" in html
    assert "<everywhere>" not in html


def test_it_is_frozen_and_checks_are_found_by_name() -> None:
    with pytest.raises(FrozenInstanceError):
        ESTIMATE.estimate = 1.0  # type: ignore[misc]
    assert ESTIMATE.check("overlap").status == "pass"
    with pytest.raises(KeyError, match="overlap, hidden"):
        ESTIMATE.check("overlapp")


def test_tidy_is_one_row_and_plot_draws_the_interval() -> None:
    assert ESTIMATE.tidy().loc[0, "verdict"] == "sound"
    axes = ESTIMATE.plot()
    assert "task_completed" in axes.get_xlabel()


def test_estimators_side_by_side_are_printed_where_there_are_several() -> None:
    several = pd.DataFrame(
        {
            "estimator": ["aipw", "naive"],
            "estimate": [0.07, 0.18],
            "std_error": [0.01, np.nan],
            "conf_low": [0.05, np.nan],
            "conf_high": [0.09, np.nan],
        }
    )
    text = replace(ESTIMATE, tables={"estimators": several}).summary()
    assert "aipw    +7.00 points  95% interval +5.00 to +9.00 points" in text
    assert "naive  +18.00 points  95% interval undefined" in text
    assert "estimators" not in ESTIMATE.summary()
