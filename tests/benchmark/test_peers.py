"""Other packages on the same problem; each test is skipped where its package isn't installed."""

import importlib.util
from pathlib import Path

import pytest

from noholdout.benchmark import (
    Cell,
    Problem,
    benchmark,
    entries,
    entry,
    leaderboard,
    plan,
    problem_of,
)
from noholdout.benchmark.answer import answer_of

MODULES = {
    "csdid": "csdid",
    "diff-diff": "diff_diff",
    "doubleml": "doubleml",
    "causalinference": "causalinference",
    "rdrobust": "rdrobust",
    "mlsynth": "mlsynth",
    "pysyncon": "pysyncon",
    "econml": "econml",
    "scikit-uplift": "sklift",
}
PEERS = [found for found in entries() if found.kind == "peer"]


def solved(name: str) -> tuple[float, float, float]:
    """Estimate, standard error and lower bound on one small product."""
    chosen = entry(name)
    if chosen.package is not None and importlib.util.find_spec(MODULES[chosen.package]) is None:
        pytest.skip(f"{chosen.package} isn't installed (pip install 'noholdout[peers]')")
    problem: Problem = problem_of(chosen.design, Cell(n_users=5000).data(3), 3)
    answer = answer_of(chosen.run(problem), 0.95, len(problem.frame))
    return answer.estimate, answer.std_error, answer.conf_low


def test_every_pinned_rival_has_an_adapter() -> None:
    import tomllib

    file = Path(__file__).parents[2] / "pyproject.toml"
    pinned = tomllib.loads(file.read_text())["project"]["optional-dependencies"]["peers"]
    assert {line.split("==")[0] for line in pinned} == {found.package for found in PEERS}
    assert all("==" in line for line in pinned)


@pytest.mark.parametrize("name", [found.name for found in PEERS if found.package != "mlsynth"])
def test_a_rival_answers_in_the_same_units(name: str) -> None:
    # Effects are 4 to 10 points; 25 points off would be another sign or scale.
    assert abs(solved(name)[0] - 0.06) < 0.25


@pytest.mark.parametrize(
    ("rival", "ours", "tolerance"),
    [
        ("csdid", "did", 1e-10),  # the same group-time effects and weights
        ("diff-diff", "did", 1e-10),
        ("rdrobust", "rdd", 1e-6),  # the same bandwidths to their solver's tolerance
        ("doubleml", "propensity", 3e-3),  # other folds
        ("pysyncon", "synthetic_control:classic", 3e-3),  # its optimiser stops earlier
    ],
)
def test_ours_agrees_with_a_rival_of_the_same_definition(
    rival: str, ours: str, tolerance: float
) -> None:
    assert solved(ours)[0] == pytest.approx(solved(rival)[0], abs=tolerance)


def test_an_absent_rival_is_shown_as_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "rdrobust", None)  # what "not installed" is
    cells = [(Cell(n_users=500), ("rdd",))]
    board = leaderboard(benchmark(plan([entry("rdrobust")], cells, 2), tmp_path))
    row = board.iloc[0]
    assert (row["runs"], row["failed"]) == (2, 2)
    assert "rdrobust" in row["message"]
