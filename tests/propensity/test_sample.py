"""A sample on request: the answer of those rows, with what sampling adds said and right."""

import numpy as np
import pandas as pd
import pytest
from noholdout_propensity import estimate
from noholdout_shared.sampling import picks


def users(n: int = 20_000) -> pd.DataFrame:
    rng = np.random.default_rng(8)
    x = rng.normal(size=n)
    d = (rng.random(n) < 1 / (1 + np.exp(-x))).astype(int)
    return pd.DataFrame({"y": x + 0.3 * d + rng.normal(size=n), "d": d, "x": x})


def test_a_sample_answers_as_its_rows_alone_and_says_what_it_adds() -> None:
    frame = users()
    asked = {"outcome": "y", "treatment": "d", "covariates": ["x"]}
    found = estimate(frame, **asked, sample=2_000, seed=3)
    alone = estimate(frame.iloc[picks(20_000, 2_000, 3)], **asked, seed=3)
    assert found.estimate == alone.estimate
    assert found.n_obs == 2_000
    # sqrt(20000 / 2000) = 3.162, so 216% more; and that is what it is, give or take chance.
    assert "adds 216% to the standard error" in found.settings["sample"]
    everyone = estimate(frame, **asked)
    assert found.std_error / everyone.std_error == pytest.approx(3.162, rel=0.1)
    assert "2,000 of 20,000 rows" in found.summary()
    assert "sample" not in everyone.summary()
