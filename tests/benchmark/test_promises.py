"""Promises and measured checks, as they are shown: by hand, and never rounded up."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from noholdout_data_generator import generate
from noholdout_shared import check_rates

from noholdout.benchmark.promises import promises
from noholdout.benchmark.scores import share_interval
from noholdout.compare.designs import DESIGNS

ROW = {
    "design": "did", "scenario": "clean", "severity": 0.0, "n_users": 50_000, "kind": "default",
    "estimator": "did", "estimand": "simple", "runs": 1000, "failed": 0, "refused": 0,
    "rmse_ratio": 1.0, "rmse_ratio_mc": 0.0, "coverage": 0.95, "sound": 0.95, "silent": 0.04,
}  # fmt: skip


def kept(*changes: dict[str, Any]) -> dict[str, str]:
    found = promises(pd.DataFrame([ROW | change for change in changes]))
    return dict(zip(found["promise"], found["kept"], strict=True))


def test_clean_coverage_is_missed_when_its_range_excludes_the_promise() -> None:
    assert kept({})["coverage"] == "yes"
    # 930 of 1,000: 99.9% range about 90% to 95.4%, which reaches 93.5%
    assert kept({"coverage": 0.93})["coverage"] == "open"
    assert kept({"coverage": 0.90})["coverage"] == "no"
    assert share_interval(900, 1000, 0.999)[1] < 0.935
    # the wider promise of synthetic control
    assert kept({"coverage": 0.93, "design": "synthetic_control"})["coverage"] == "yes"


def test_error_is_held_against_the_best_that_also_covers() -> None:
    best = {"estimator": "peer", "kind": "peer", "rmse_ratio": 0.93, "rmse_ratio_mc": 0.002}
    assert kept({}, best)["RMSE over peer's"] == "no"  # 1 / 0.93 = 1.075, known to 0.008
    assert kept({}, best | {"rmse_ratio_mc": 0.02})["RMSE over peer's"] == "open"
    assert kept({}, best | {"rmse_ratio": 0.96})["RMSE over peer's"] == "yes"
    told = {"estimator": "did:told-tier", "kind": "alternative", "rmse_ratio": 0.9}
    assert "RMSE over did:told-tier's" not in kept({}, best | told)
    # who doesn't cover is no yardstick, nor who answers another question
    assert "RMSE over peer's" not in kept({}, best | {"coverage": 0.5})
    assert "RMSE over peer's" not in kept({}, best | {"estimand": "other"})


def test_a_silent_share_above_the_promise_is_never_called_kept() -> None:
    trap = {"scenario": "did-pre-trends", "severity": 3.0}
    assert kept(trap | {"silent": 0.07}) == {"sound and misses": "yes"}
    assert kept(trap | {"silent": 0.071}) == {"sound and misses": "open"}
    assert kept(trap | {"silent": 0.2}) == {"sound and misses": "no"}
    assert promises(pd.DataFrame([ROW | trap | {"severity": 2.0}])).empty
    # of a trap that no data can reveal, nothing is promised
    hidden = {"scenario": "propensity-hidden-confounder", "severity": 3.0, "design": "propensity"}
    assert promises(pd.DataFrame([ROW | hidden])).empty


def test_what_the_default_lacks_is_promised_of_the_call_that_has_it() -> None:
    trap = {"scenario": "did-composition", "severity": 3.0, "silent": 0.2}
    assert promises(pd.DataFrame([ROW | trap])).empty
    told = {"estimator": "did:told-tier", "kind": "alternative"}
    assert kept(trap | told) == {"sound and misses": "no"}
    assert promises(pd.DataFrame([ROW | told])).empty, "on clean data it isn't the default"


RATES = [
    ("did", "trend", "clean", 0.0, 4, 100), ("did", "trend", "did-pre-trends", 3.0, 96, 100),
    ("did", "trend", "did-pre-trends", 1.0, 39, 100), ("did", "trend", "other", 3.0, 50, 100),
    ("did", "idle", "clean", 0.0, 5, 100), ("did", "idle", "other", 3.0, 5, 100),
]  # fmt: skip


SMALL = [("did", "trend", "clean", 0.0, 7, 200), ("did", "trend", "did-pre-trends", 3.0, 111, 200)]


def write(path: Path, method: str = "did", names: dict[str, str] | None = None) -> None:
    keys = ("method", "check", "scenario", "severity", "fired", "runs")
    rows = [dict(zip(keys, row, strict=True)) | {"n_users": 50_000} for row in RATES]
    rows += [dict(zip(keys, row, strict=True)) | {"n_users": 10_000} for row in SMALL]
    for row in rows:
        row["check"] = (names or {}).get(row["check"], row["check"])
    path.write_text(json.dumps({"made": {}, "rates": rows}))


def test_a_check_names_the_violation_that_it_catches_most_often(tmp_path: Path) -> None:
    write(tmp_path / "rates.json")
    rates = check_rates.load_rates(tmp_path / "rates.json")
    assert rates["did", "trend", 50_000].text == (
        "finds 96 of 100 violations of severity 3, 39 of 1 (did-pre-trends, 50,000 users); "
        "false alarm 4 in 100"
    )
    # one that fires no more often than on clean data catches nothing
    assert "no violation measured so far" in rates["did", "idle", 50_000].text
    assert check_rates.load_rates(tmp_path / "absent.json") == {}


def test_the_rate_is_that_of_the_nearest_size_and_not_rounded_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "rates.json")
    rates = check_rates.load_rates(tmp_path / "rates.json")
    monkeypatch.setattr(check_rates, "load_rates", lambda: rates)
    method = "Difference-in-differences: group-time"
    # 111 of 200 is 55.5%, 7 of 200 is 3.5%; the sizes meet at sqrt(10,000 x 50,000) = 22,361
    small = check_rates.check_rate(method, "trend", 22_000)
    assert small is not None and small.text == (
        "finds 55 of 100 violations of severity 3 (did-pre-trends, 10,000 users); "
        "false alarm 4 in 100"
    )
    large = check_rates.check_rate(method, "trend", 23_000)
    assert large is not None and large.n_users == 50_000


def test_rates_stand_beside_the_check_and_the_verdict(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "rates.json"
    write(file, names={"trend": "verdict", "idle": "clusters"})
    monkeypatch.setattr(check_rates, "load_rates", lambda load=check_rates.load_rates: load(file))
    found = replace(DESIGNS["did"].run(generate(n_users=3000, seed=1), 1), n_obs=50_000)
    # 96 of 100 pre-trends and 50 of 100 others: the verdict stands for both
    text = " ".join(found.summary().split())
    # and at severity 1 only one of them was run, so that nothing is said of it
    assert f"verdict {found.verdict} (finds 73 of 100 violations of severity 3 (2 kinds" in text
    plain = {check["name"]: check for check in found.to_dict()["checks"]}
    assert plain["clusters"]["measured"]["false_alarms"] == 5
    assert plain["parallel_trends"]["measured"] is None


def test_the_file_that_ships_can_be_read() -> None:
    rates = check_rates.load_rates()
    methods = set(DESIGNS)
    assert {method for method, _, _ in rates} <= methods
    for rate in rates.values():
        assert 0 <= rate.false_alarms <= rate.clean_runs
        assert 0 <= rate.fired <= rate.runs or rate.scenario is None


def test_only_the_measured_estimators_show_rates() -> None:
    data = generate(n_users=3000, seed=1)
    shown = {method: design.run(data, 1) for method, design in DESIGNS.items()}
    assert {found.method: method for method, found in shown.items()} == check_rates.MEASURED
    assert check_rates.check_rate("Synthetic control: interrupted time series", "verdict") is None
