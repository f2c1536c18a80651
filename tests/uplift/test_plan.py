"""The plan: by hand, against what estimates achieve, and as a command."""

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from noholdout_shared.errors import DataError
from noholdout_uplift import estimate
from noholdout_uplift.plan import plan
from scipy.stats import norm
from typer.testing import CliRunner

from noholdout.cli import app

REACH = norm.ppf(0.975) + norm.ppf(0.8)


def history(n: int = 4000, seed: int = 1) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    return pd.DataFrame({"x": x, "y": 3 * x + 2 * rng.normal(size=n)})


def test_by_hand() -> None:
    # y is 0 or 2 in equal numbers: mean 1, SD sqrt(n / (n - 1)). Half treated: the scores' SD is
    # that times sqrt(1/0.5 + 1/0.5) = 2. Of 1,000 users 800 judge, 160 of them in the top fifth:
    # its error is 2 / sqrt(160), the gap's sqrt(0.8) times that.
    frame = pd.DataFrame({"y": [0.0, 2.0] * 500})
    found = plan(frame, outcome="y")
    sd = math.sqrt(1000 / 999)
    assert found.residual_sd == pytest.approx(sd)
    assert found.smallest_top_effect == pytest.approx(REACH * 2 * sd / math.sqrt(160))
    assert found.smallest_gap == pytest.approx(math.sqrt(0.8) * found.smallest_top_effect)


def test_features_explain_part_of_the_outcome() -> None:
    assert plan(history(), outcome="y").residual_sd == pytest.approx(math.sqrt(13), rel=0.05)
    with_it = plan(history(), outcome="y", features=["x"])
    assert with_it.residual_sd == pytest.approx(2, rel=0.05)


def test_the_users_needed_have_the_power_asked() -> None:
    found = plan(history(), outcome="y", gap=0.5)
    again = plan(history(), outcome="y", gap=0.5, rows=int(found.rows_needed))
    assert again.gap_power == pytest.approx(0.8, abs=0.001)
    assert again.smallest_gap == pytest.approx(0.5, rel=0.001)


def test_the_error_foretold_is_the_error_found() -> None:
    frame = history(4000, 2)
    rng = np.random.default_rng(2)
    frame["w"] = rng.integers(0, 2, 4000)
    frame["y"] += 0.5 * frame["w"]
    found = estimate(frame, outcome="y", treatment="w", features=["x"], model="linear")
    foretold = plan(history(4000, 2), outcome="y", features=["x"])
    assert found.smallest_effect == pytest.approx(foretold.smallest_top_effect, rel=0.1)


def test_the_command(tmp_path: Path) -> None:
    path = tmp_path / "past.csv"
    history().to_csv(path, index=False)
    arguments = ["plan", "uplift", str(path), "--outcome", "y", "--features", "x", "--gap", "0.4"]
    text = CliRunner().invoke(app, arguments, catch_exceptions=False).stdout
    assert "users" in text and max(len(line) for line in text.splitlines()) <= 80
    plain = CliRunner().invoke(app, [*arguments, "--json"], catch_exceptions=False).stdout
    assert json.loads(plain)["gap"] == 0.4


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"share_treated": 1.0}, "share_treated is 1"),
        ({"fraction": 0.0}, "fraction is 0"),
        ({"power": 0.2}, "power is 0.2"),
        ({"folds": 1}, "folds is 1"),
        ({"gap": -1.0}, "gap is -1"),
        ({"rows": 10}, "rows is 10"),
        ({"conf_level": 95}, "conf_level is 95"),
    ],
)
def test_what_cannot_be_planned_is_refused(change: dict[str, float], message: str) -> None:
    with pytest.raises(DataError) as caught:
        plan(history(200), outcome="y", **change)  # type: ignore[arg-type]
    assert message in str(caught.value)
