"""The guide on real data whose design the literature settled."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from guide_cases import guided, run
from reference import reference_file

from noholdout.guide.advice import advise
from noholdout.guide.answers import Answers
from noholdout.guide.columns import look

REAL: list[tuple[str, dict[str, Any], str, dict[str, Any]]] = [
    ("mpdta.csv", {}, "did", {"first-treated": "first_treat", "outcome": "lemp"}),
    ("castle.csv", {}, "did", {"first-treated": "effyear", "outcome": "l_homicide"}),
    (
        "organ_donations.csv",
        {"treated": ("California",), "start": "4"},
        "did",
        {"estimator": "did", "outcome": "Rate"},
    ),
    ("california_prop99.csv", {}, "synthetic_control", {"treated": ["California"]}),
    (
        "smoking_prop99.csv",
        {"treated": ("California",), "start": "1989"},
        "synthetic_control",
        {"outcome": "cigsale"},
    ),
    (
        "basque.csv",
        {"treated": ("Basque Country (Pais Vasco)",), "start": "1970"},
        "synthetic_control",
        {"outcome": "gdpcap", "unit": "regionname", "time": "year"},
    ),
    ("rdrobust_senate.csv", {}, "rdd", {"running": "margin", "cutoff": "0", "outcome": "vote"}),
    ("headst.csv", {}, "rdd", {"running": "povrate", "cutoff": "0", "outcome": "mortHS"}),
    (
        "gov_transfers.csv",
        {},
        "rdd",
        {"running": "Income_Centered", "cutoff": "0", "treated-side": "below"},
    ),
    ("lalonde_matchit.csv", {}, "propensity", {"treatment": "treat", "outcome": "re78"}),
    (
        "darfur.csv",
        {"treatment": "directlyharmed", "outcome": "peacefactor"},
        "propensity",
        {"treatment": "directlyharmed"},
    ),
    ("nsw_mixtape.csv", {"goal": "average"}, "propensity", {"treatment": "treat"}),
    ("hillstrom_mens.csv.gz", {"goal": "whom"}, "uplift", {"treatment": "treatment"}),
]  # fmt: skip
# Slow, or (darfur) with columns that the outcome is made of: names can't tell these apart.
NOT_RUN = {"hillstrom_mens.csv.gz", "basque.csv", "darfur.csv"}


@pytest.mark.parametrize(("name", "answers", "method", "arguments"), REAL, ids=[r[0] for r in REAL])
def test_real_data_get_the_design_of_the_literature(
    name: str,
    answers: dict[str, Any],
    method: str,
    arguments: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    advice = advise(look(str(reference_file(name))), Answers(**answers))
    assert advice.best is not None
    assert advice.best.method == method
    assert advice.best.arguments.items() >= arguments.items()
    assert method not in advice.ruled_out
    line = advice.best.argv(advice.location)
    assert line is not None
    if name not in NOT_RUN:
        assert np.isfinite(run(line, monkeypatch, capsys)["estimate"])


# With --yes alone: no flag says what the file is about. After a coin flip there are two questions.
COIN = ["propensity", "uplift"]
UNASKED = {
    "california_prop99.csv": ["synthetic_control"], "castle.csv": ["did"], "headst.csv": ["rdd"],
    "gov_transfers.csv": ["rdd"], "hillstrom_mens.csv.gz": COIN, "nsw_mixtape.csv": COIN,
    "lalonde_matchit.csv": ["propensity"], "mpdta.csv": ["did"], "rdrobust_senate.csv": ["rdd"],
}  # fmt: skip


@pytest.mark.parametrize("name", UNASKED)
def test_yes_alone_names_the_design_and_its_whole_command(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    line = ["noholdout", "guide", str(reference_file(name)), "--yes"]
    designs = run(line, monkeypatch, capsys)["designs"]
    assert [design["method"] for design in designs] == UNASKED[name]
    assert all(design["command"] for design in designs)


def test_trainees_against_a_survey_are_compared_for_the_trainees(tmp_path: Path) -> None:
    trainees = pd.read_csv(reference_file("nsw_mixtape.csv")).query("treat == 1")
    both = pd.concat([trainees, pd.read_csv(reference_file("cps_mixtape.csv.gz"))])
    (design,) = guided(both).designs
    assert design.method == "propensity"
    assert design.arguments["estimand"] == "att"
    # the column of the survey's name decides the treatment in every row: it is no covariate
    assert "data_id" not in design.arguments["covariates"].split(",")


@pytest.mark.parametrize("name", ["smoking_prop99.csv", "basque.csv", "organ_donations.csv"])
def test_a_panel_without_a_treatment_says_what_it_needs(name: str) -> None:
    advice = advise(look(str(reference_file(name))))
    (design,) = advice.designs
    assert set(design.needs) == {"treated", "start"}
    assert design.method == ("did" if name.startswith("organ") else "synthetic_control")
    assert advice.to_dict()["command"] is None
