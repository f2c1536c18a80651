"""The report page: self-contained, escaped, honest about what was left out, the same each time."""

import json
import math
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from method_cases import IMAGE, METHODS, SCRIPT, TEMPLATE, case, hostile
from noholdout_shared.checks import structural, untestable
from noholdout_shared.errors import DataError
from noholdout_shared.estimate import Estimate

from noholdout import cli
from noholdout.report import render_report, write_report
from noholdout.report.bar import EDGE, interval_bar
from noholdout.report.tables import short_table
from noholdout.report.words import answer_sentence, left_out, value_text, verdict_reasons

ESTIMATE = Estimate(
    method="Difference-in-differences",
    estimand="ATT of all waves",
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
    margin=0.01,
    settings={"rows_read": 50_100, "rows_dropped_missing": 100, "cells_clipped": 0},
    checks=(
        structural("clusters", "Many clusters.", "caution", 12, "Only 12 <clusters>."),
        structural("overlap", "Both arms.", "fail", 0.0, "No overlap."),
        structural("cells", "No empty cell.", "pass", 0.0, "All cells are filled."),
        untestable("hidden", "Nothing hidden.", "A confounder as strong as tier would erase it."),
    ),
    tables={
        "group_time": pd.DataFrame(
            {"cohort": range(40), "estimate": [math.nan, *np.linspace(0, 1, 39)]}
        )
    },
)


class Page(HTMLParser):
    """The tags, attributes and visible text of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.sources: list[str] = []
        self.words = ""
        self.attributes: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [name for name, _ in attrs]
        self.sources += [value or "" for name, value in attrs if name in ("src", "href")]

    def handle_data(self, data: str) -> None:
        self.words += data


def test_the_page_needs_nothing_from_outside() -> None:
    page = Page(render_report(ESTIMATE))
    assert not {"script", "link", "iframe"} & set(page.tags)
    assert [source[:22] for source in page.sources] == ["data:image/png;base64,"]
    assert "url(" not in page.words and "@import" not in page.words


def test_the_page_holds_what_a_reader_needs() -> None:
    words = Page(render_report(ESTIMATE)).words
    for part in (
        "The effect on task_completed is estimated at +5.12 points",
        "95% interval +2.37 to +7.87 points",
        "zero lies outside the interval",
        "Is it not worse than -1.00 points? Yes (one-sided p < 0.001, asked 0.05).",
        "3.92 points",
        "or more, with 80% power",
        "Do not use.",
        "1 failed, 1 caution, 1 can't be tested, 1 passed.",
        "an empty cell in a column that the analysis needs",
        "Not measured.",
        "What these data can't tell",
        "A confounder as strong as tier would erase it.",
        "rows dropped missing",
        "The first 15 of 40 rows",
        "cluster-robust by workspace_id",
        "numpy",
    ):
        assert part in words


def test_measured_rates_stand_beside_checks_and_say_what_severity_is() -> None:
    measured = replace(
        ESTIMATE,
        method="Difference-in-differences: group-time",
        checks=(structural("clusters", "Many clusters.", "pass", 30, "There are 30."),),
    )
    words = Page(render_report(measured)).words
    assert "clusters: finds 100 of 100 violations of severity 3" in words
    assert "Where the truth was known, this verdict finds" in words
    assert "Severity 3 is a bias of about three standard errors" in words
    assert "Severity 3" not in Page(render_report(ESTIMATE)).words  # nothing was measured of it


def test_texts_from_data_are_escaped() -> None:
    text = render_report(replace(ESTIMATE, outcome="<script>alert(1)</script>"))
    assert "<script>" not in text
    assert "Only 12 &lt;clusters&gt;." in text


def test_the_same_estimate_gives_the_same_page() -> None:
    assert render_report(ESTIMATE) == render_report(ESTIMATE)


def test_the_answer_says_when_zero_is_not_ruled_out() -> None:
    weak = replace(ESTIMATE, conf_low=-0.01, std_error=0.02)
    # (1.959964 + 0.841621) * 0.02 = 0.0560
    assert "inside the interval, and these data could have found 5.60 points" in answer_sentence(
        weak
    )
    lost = replace(ESTIMATE, conf_low=math.nan, conf_high=math.nan, inference="none (one cluster)")
    assert answer_sentence(lost).endswith("without an interval (none (one cluster)).")
    assert "could not be computed" in answer_sentence(replace(lost, estimate=math.nan))


def test_the_worst_reason_comes_first_and_passed_checks_are_no_reason() -> None:
    assert verdict_reasons(ESTIMATE) == ["No overlap.", "Only 12 <clusters>."]


def test_what_was_left_out_is_counted_and_zero_is_not_listed() -> None:
    (row,) = left_out(ESTIMATE.settings)
    assert row[:2] == ("rows dropped missing", "100")
    nested = {"never_treated": {"empty": 3, "inf": 0}, "dropped_collinear": ["a", "b"]}
    assert left_out(nested) == [
        ("never treated", "empty 3; inf 0", ""),
        ("dropped collinear", "a, b", "columns that repeat others"),
    ]
    page = Page(render_report(replace(ESTIMATE, settings={"rows_dropped_missing": 0})))
    assert "Nothing: no row was dropped, clipped or trimmed." in page.words


def test_rows_without_weight_are_said() -> None:
    [(what, how_many, why)] = left_out({"rows_with_weight_zero": 12})
    assert (what, how_many) == ("rows with weight zero", "12")
    assert "count for nothing" in why


def test_rows_that_count_in_part_are_shown_whole() -> None:
    table = pd.DataFrame({"decile": [1], "n": [1799.9], "estimate": [0.05]})
    assert short_table("deciles", table).rows == [["1", "1,800", "0.05"]]


def test_values_as_text() -> None:
    assert value_text(123456) == "123,456"
    assert value_text(2025) == "2025"
    assert value_text(0.123456) == "0.1235"
    assert value_text(None) == "undefined"
    assert value_text([str(k) for k in range(14)]).endswith("11 and 2 more")


def test_a_page_that_cannot_be_written_is_a_data_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no folder"):
        write_report(ESTIMATE, tmp_path / "none" / "a.html")
    with pytest.raises(DataError, match="can't be written"):
        write_report(ESTIMATE, tmp_path)
    write_report(ESTIMATE, tmp_path / "a.html")
    assert (tmp_path / "a.html").read_text("utf-8") == render_report(ESTIMATE)


# --- what users' data can hold ------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_hostile_names_and_values_stay_text(method: str) -> None:
    extra = {"model": "linear"} if method == "uplift" else {}
    estimate = hostile(method).run(**extra)
    calibration = {"text": SCRIPT, "note": IMAGE, "table": None}
    page = render_report(
        replace(estimate, calibration=calibration), f"noholdout {method} {SCRIPT} {TEMPLATE}"
    )
    parsed = Page(page)
    plain = Page(render_report(case(method).run(**extra)))
    assert set(parsed.tags) <= set(plain.tags) | {"pre"}
    assert set(parsed.attributes) <= set(plain.attributes)
    assert "onerror" not in parsed.attributes
    assert "</style>" not in page.partition("</head>")[2]
    assert SCRIPT in parsed.words
    assert "{{ 7 * 7 }} ${HOME}" in parsed.words


def test_the_command_line_stands_on_the_page_without_its_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "page.html"
    line = ["noholdout", *case("did").written(tmp_path, "my data.csv"), "--report", str(page)]
    monkeypatch.setattr(sys, "argv", [*line, "--json"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 0
    words = Page(page.read_text("utf-8")).words
    assert f"noholdout did '{tmp_path}/my data.csv' --outcome task_completed" in words
    secret = "noholdout did postgresql://ana:hunter2@host/db#users --outcome y"
    shown = Page(render_report(ESTIMATE, secret)).words
    assert "postgresql://ana:***@host/db#users" in shown
    assert "hunter2" not in shown


def test_the_page_of_a_calibration_shows_the_achieved_error_rates(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.html"
    command, *rest = case("did").written(tmp_path)
    flags = [*rest, "--replications", "3", "--effects", "0.1", "--report", str(page), "--json"]
    monkeypatch.setattr(sys, "argv", ["noholdout", "calibrate", command, *flags])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 0
    found = json.loads(capsys.readouterr().out)["calibration"]
    words = Page(page.read_text("utf-8")).words
    assert found["text"] in words
    planted = next(row for row in found["table"] if row["effect"] == 0.1)
    assert f"{planted['coverage']:.0%} ({planted['coverage_low']:.0%} to" in words
    assert "+10.00 points" in words
    assert "Not measured." not in words


# --- the interval's drawing ---------------------------------------------------------------------


def test_the_drawing_places_the_interval_zero_and_the_margin_in_order() -> None:
    bar = interval_bar(ESTIMATE)
    assert bar is not None and bar.margin is not None
    # -0.01 and 0.0787 are the ends; zero lies 0.01 / 0.0887 of the way between them
    assert (bar.margin, bar.high) == (EDGE, 100 - EDGE)
    assert bar.zero == pytest.approx(EDGE + (100 - 2 * EDGE) * 0.01 / 0.0887, abs=0.01)
    assert bar.margin < bar.zero < bar.low < bar.at < bar.high
    assert (bar.low_text, bar.high_text, bar.margin_text) == ("+2.37", "+7.87", "margin -1.00")
    assert interval_bar(replace(ESTIMATE, conf_low=math.nan)) is None


def test_a_sliver_of_an_interval_far_from_zero_keeps_one_label() -> None:
    bar = interval_bar(replace(ESTIMATE, conf_low=0.0510, conf_high=0.0514, margin=None))
    assert bar is not None
    assert bar.high_text == "" and bar.low_text == "+5.10"
