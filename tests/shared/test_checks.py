"""The one rule from hypothesis tests to statuses to the verdict."""

import math

import numpy as np
import pytest
from noholdout_shared.checks import HypothesisCheck, holm, judge, structural, untestable, verdict


def a_test(p_value: float, bias: float, name: str = "pre_trends") -> HypothesisCheck:
    return HypothesisCheck(name, "Trends are parallel.", 2.0, p_value, bias, "Found.", "Do this.")


def test_holm_by_hand() -> None:
    # sorted: .01 .02 .04; times 3, 2, 1: .03 .04 .04; the running maximum keeps .04
    assert holm([0.04, 0.01, 0.02]) == pytest.approx([0.04, 0.03, 0.04])
    assert holm([0.5, 0.9]) == pytest.approx([1.0, 1.0])


def test_holm_agrees_with_statsmodels() -> None:
    from statsmodels.stats.multitest import multipletests

    p = np.random.default_rng(0).uniform(size=20) ** 3
    assert holm(list(p)) == pytest.approx(multipletests(p, method="holm")[1])


@pytest.mark.parametrize(
    ("p_value", "bias", "status"),
    [
        (0.001, 0.4, "pass"),  # significant but smaller than half a standard error
        (0.001, 0.6, "caution"),
        (0.001, -1.9, "caution"),
        (0.001, 2.1, "fail"),
        (0.2, 9.0, "pass"),  # large but not significant
    ],
)
def test_status_needs_both_significance_and_size(p_value: float, bias: float, status: str) -> None:
    (check,) = judge([a_test(p_value, bias)], std_error=1.0)
    assert check.status == status
    assert check.p_value == p_value
    assert check.implied_bias == pytest.approx(abs(bias))
    assert ("Do this." in check.message) == (status != "pass")


def test_one_family_is_adjusted_together() -> None:
    alone = judge([a_test(0.03, 1.0)], std_error=1.0)
    among = judge([a_test(0.03, 1.0), a_test(0.6, 0.0, "placebo")], std_error=1.0)
    assert alone[0].status == "caution"
    assert among[0].status == "pass"


def test_family_wise_error_is_held_on_clean_data() -> None:
    # 2,000 families of 12 null tests with a huge implied bias: 5% may be unsound, not 46%.
    rng = np.random.default_rng(1)
    unsound = [
        verdict(judge([a_test(p, 9.0, str(k)) for k, p in enumerate(row)], 1.0)) != "sound"
        for row in rng.uniform(size=(2000, 12))
    ]
    # 3.3 Monte Carlo standard errors of 0.05 at 2,000 draws are 0.016
    assert np.mean(unsound) < 0.066


def test_without_a_standard_error_significance_decides() -> None:
    (check,) = judge([a_test(0.001, 1.0)], std_error=math.nan)
    assert check.status == "caution"


def test_a_test_without_p_value_is_a_mistake_of_ours() -> None:
    with pytest.raises(ValueError, match="untestable"):
        judge([a_test(math.nan, 1.0)], std_error=1.0)


def test_verdict_is_the_worst_status_and_leaves_the_untestable_aside() -> None:
    fine = structural("overlap", "Both arms are seen.", "pass", 0.9, "Fine.")
    weak = structural("overlap", "Both arms are seen.", "caution", 0.2, "Weak.")
    none = structural("overlap", "Both arms are seen.", "fail", 0.0, "None.")
    hidden = untestable("hidden_confounder", "Nothing hidden.", "No data can tell.")
    assert verdict([fine, hidden]) == "sound"
    assert verdict([fine, weak, hidden]) == "caution"
    assert verdict([weak, none]) == "do-not-use"
    assert verdict([]) == "sound"
