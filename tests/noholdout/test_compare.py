"""The comparison: seeds as asked, counts that are right, tables that fit, pictures that draw."""

import json
import math
from pathlib import Path

import matplotlib.pyplot as plt
import pytest
from noholdout_shared.errors import DataError
from rich.console import Console
from typer.testing import CliRunner

from noholdout.cli import app
from noholdout.compare import DESIGNS, Comparison, Row, Source, compare
from noholdout.compare.plot import plot
from noholdout.compare.study import parse_seeds
from noholdout.compare.table import points, renderable


def a_row(seed: int, method: str, low: float = 0.02, high: float = 0.08) -> Row:
    return Row(
        seed=seed,
        method=method,
        estimand="an effect",
        naive=0.163,
        estimate=(low + high) / 2,
        conf_low=low,
        conf_high=high,
        truth=0.05,
        covered=low <= 0.05 <= high,
        verdict="sound" if low else "do-not-use",
    )


def comparison(count: int) -> Comparison:
    seeds = tuple(range(1, count + 1))
    rows = [
        a_row(seed, method, high=0.04 if (seed, method) == (1, "rdd") else 0.08)
        for seed in seeds
        for method in DESIGNS
    ]
    return Comparison(seeds, tuple(rows))


def printed(of: Comparison) -> str:
    console = Console(width=80, color_system=None)
    with console.capture() as capture:
        console.print(renderable(of))
    return capture.get()


@pytest.mark.parametrize(
    ("text", "seeds"),
    [("3", [1, 2, 3]), ("1", [1]), ("3,5,8", [3, 5, 8]), ("42,", [42]), (" 1, 2", [1, 2])],
)
def test_a_count_means_one_to_n_and_a_list_means_itself(text: str, seeds: list[int]) -> None:
    assert parse_seeds(text) == seeds


@pytest.mark.parametrize("text", ["", "x", "0", "-3", "1,1", "1.5", ","])
def test_other_seeds_are_refused(text: str) -> None:
    with pytest.raises(DataError):
        parse_seeds(text)


def test_held_counts_the_intervals_that_hold_their_truth() -> None:
    three = comparison(3)
    assert three.held("rdd") == 2
    assert three.held("did") == 3


@pytest.mark.parametrize("count", [1, 3, 200])
def test_the_table_fits_eighty_columns_and_names_everything(count: int) -> None:
    text = printed(comparison(count))
    assert max(len(line.rstrip()) for line in text.splitlines()) <= 80
    for design in DESIGNS.values():
        assert design.title in text
    if count == 1:
        assert "+2.0 to +8.0" in text and "+16.3" in text and " no " in text
    else:
        assert f"{count - 1} of {count}" in text
        assert f"{5 * count - 1} of {5 * count}" in text


def test_undefined_numbers_are_said() -> None:
    assert points(math.nan) == "undefined"


@pytest.mark.parametrize("count", [1, 20])
def test_pictures_are_drawn(count: int) -> None:
    figure = plot(comparison(count))
    words = [ax.get_title(loc="left") for ax in figure.axes]
    words += [label.get_text() for ax in figure.axes for label in ax.get_yticklabels()]
    assert any(DESIGNS["rdd"].title in word for word in words)
    plt.close(figure)


def test_json_has_the_promised_shape() -> None:
    plain = json.loads(json.dumps(comparison(2).to_dict(), allow_nan=False))
    assert set(plain) == {"seeds", "rows"}
    assert plain["seeds"] == [1, 2]
    keys = "seed method estimand naive estimate conf_low conf_high truth covered verdict"
    assert all(list(row) == keys.split() for row in plain["rows"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--seed", "1", "--seeds", "2"], "were both given"),
        (["--data", "none", "--seed", "1"], "can't go with --data"),
        (["--data", "none"], "no truth.json"),
        (["--plot", "none/a.png"], "there is no folder"),
        (["--plot", "a.xyz"], "doesn't end in a picture's format"),
        (["--n-users", "3"], "n_users is 3"),
    ],
)
def test_what_cannot_be_compared_is_refused(arguments: list[str], message: str) -> None:
    result = CliRunner().invoke(app, ["compare", "--json", *arguments])
    assert isinstance(result.exception, DataError)
    assert message in str(result.exception)
    assert result.stdout == ""


@pytest.fixture(scope="module")
def one_seed() -> Comparison:
    return compare([Source(seed=42, n_users=10_000)])


def test_every_method_answers_on_the_synthetic_product(one_seed: Comparison) -> None:
    assert [row.method for row in one_seed.rows] == list(DESIGNS)
    for row in one_seed.rows:
        assert row.conf_low < row.estimate < row.conf_high
        assert row.verdict in ("sound", "caution", "do-not-use")
        assert row.covered == (row.conf_low <= row.truth <= row.conf_high)


def test_agent_mode_looks_more_than_twice_as_good_as_it_is(one_seed: Comparison) -> None:
    (row,) = one_seed.of("propensity")
    assert row.naive > 2 * row.truth
    assert row.naive > row.conf_high


def test_jobs_do_not_change_the_rows(one_seed: Comparison) -> None:
    assert compare([Source(seed=42, n_users=10_000)], jobs=2) == one_seed


def test_a_folder_of_generated_files_gives_the_same_rows(
    one_seed: Comparison, tmp_path: Path
) -> None:
    arguments = ["generate", "--n-users", "10000", "--seed", "42", "--out", str(tmp_path)]
    assert CliRunner().invoke(app, arguments).exit_code == 0
    from_files = compare([Source.of_folder(str(tmp_path))])
    assert from_files.seeds == (42,)
    for ours, theirs in zip(one_seed.rows, from_files.rows, strict=True):
        # files hold rounded numbers
        assert theirs.estimate == pytest.approx(ours.estimate, abs=2e-3)
        assert theirs.truth == pytest.approx(ours.truth, abs=2e-3)
