"""What the pictures' axes say."""

import matplotlib as mpl
import pandas as pd
import pytest
from noholdout_did import estimate


@pytest.fixture(autouse=True)
def no_window() -> None:
    mpl.use("Agg")


def test_whole_periods_get_whole_ticks() -> None:
    """Six years would be marked 2002.5, 2003, 2003.5 by default."""
    import matplotlib.pyplot as plt

    rows = [
        (unit, year, 2004 if unit < 4 else None, unit + 0.1 * year + (unit * year) % 3)
        for unit in range(9)
        for year in range(2002, 2006)
    ]
    frame = pd.DataFrame(rows, columns=["unit", "year", "first", "y"])
    found = estimate(frame, outcome="y", unit="unit", time="year", first_treated="first")
    figure = found.plot().figure
    ticks = figure.axes[0].get_xticks()
    assert (ticks == ticks.round()).all(), ticks
    plt.close("all")
