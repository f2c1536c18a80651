"""One contract, held by all five methods: the same words, the same result, the same manners."""

import importlib
import inspect
import json
import re
import typing
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from method_cases import METHODS, Case, case, front_function, one_region_case, user_rows_case
from noholdout_shared.errors import DataError
from noholdout_shared.estimate import Estimate
from typer.testing import CliRunner

from noholdout.cli import app

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = {
    "did": "01_did_staged_rollouts",
    "propensity": "02_propensity_opt_in",
    "rdd": "03_rdd_routing",
    "synthetic_control": "04_synthetic_control",
    "uplift": "05_uplift",
}

# Every method takes these, with these defaults.
SHARED = {
    "conf_level": 0.95,
    "seed": 0,
    "missing": "refuse",
    "replicates": None,
    "margin": None,
    "jobs": 1,
}
# The words that a method takes from the shared vocabulary, and other words for the same things,
# which nobody should have to learn.
WORDS = {
    "did": "outcome unit time first_treated cluster weights anticipation estimator",
    "propensity": "outcome treatment covariates cluster estimator",
    "rdd": "outcome running cutoff treated_side treatment cluster",
    "synthetic_control": "outcome unit time treated start estimator",
    "uplift": "outcome treatment features cluster",
}
SYNONYMS = {
    "y", "target", "metric", "outcome_col", "treat", "treated_col", "treatment_col", "d",
    "group", "id", "unit_id", "unit_col", "period", "date", "time_col", "cohort", "g",
    "score_col", "x", "running_variable", "covars", "controls", "confounders", "feature",
    "clusters", "cluster_col", "weight", "sample_weight", "alpha", "level", "confidence",
    "ci", "n_boot", "n_bootstrap", "bootstraps", "n_reps", "random_state", "rng", "n_jobs",
    "processes", "na", "nan_policy", "dropna", "treated_units", "treatment_start",
    "threshold", "non_inferiority", "delta",
}  # fmt: skip
OUTPUT_FLAGS = {"as_json", "report", "plot", "fail_on"}

TABLES = {
    "did": {
        "group_time": "cohort time estimate std_error conf_low conf_high",
        "event_study": "event_time estimate std_error conf_low conf_high band_low band_high",
    },
    "propensity": {
        "balance": "covariate smd_before smd_after variance_ratio_before variance_ratio_after",
        "weights": "group n effective_n",
    },
    "rdd": {
        "bandwidths": "side h b n_effective",
        "variants": "variant estimate std_error conf_low conf_high",
        "sweep": "estimate",
        "placebo_cutoffs": "estimate",
    },
    "synthetic_control": {
        "weights": "unit weight",
        "path": "time observed synthetic gap",
        "placebos": "unit gap rmspe_ratio",
        "leave_one_out": "unit estimate",
    },
    "uplift": {
        "metrics": "name estimate std_error conf_low conf_high",
        "deciles": "decile n predicted estimate std_error conf_low conf_high",
        "qini": "fraction uplift",
        "policy": "rule value std_error conf_low conf_high cost",
    },
}
KEYS = {
    "method", "estimand", "estimate", "std_error", "conf_low", "conf_high", "conf_level", "p_value",
    "inference", "outcome", "n_obs", "n_treated", "n_control", "n_clusters", "settings",
    "smallest_effect", "margin", "not_worse_p", "calibration", "verdict", "checks", "tables",
}  # fmt: skip

every_method = pytest.mark.parametrize("method", METHODS)


def parameters(method: str) -> dict[str, inspect.Parameter]:
    return dict(inspect.signature(front_function(method)).parameters)


def literals(method: str) -> dict[str, tuple[Any, ...]]:
    """The arguments whose values are a closed list, with that list."""
    function = front_function(method)
    found = {}
    for name, parameter in parameters(method).items():
        hint = parameter.annotation
        if isinstance(hint, str):
            try:
                hint = eval(hint, function.__globals__)
            except NameError:  # imported for the type checker only: no closed list
                continue
        choices = [o for o in (hint, *typing.get_args(hint)) if is_literal(o)]
        if choices:
            found[name] = typing.get_args(choices[0])
    return found


def is_literal(hint: Any) -> bool:
    return typing.get_origin(hint) is typing.Literal


_FOUND: dict[str, Estimate] = {}


def estimate_of(method: str) -> Estimate:
    if method not in _FOUND:
        _FOUND[method] = case(method).run(seed=1)
    return _FOUND[method]


def plain(estimate: Estimate) -> str:
    return json.dumps(estimate.to_dict(), allow_nan=False)


# --- words ------------------------------------------------------------------------------------


@every_method
def test_arguments_are_keyword_only_and_of_the_shared_vocabulary(method: str) -> None:
    found = parameters(method)
    first, *others = found.values()
    assert first.name == "data"
    assert all(p.kind is inspect.Parameter.KEYWORD_ONLY for p in others)
    assert not {p.name for p in others} & SYNONYMS
    assert set(WORDS[method].split()) <= set(found)
    assert {name: found[name].default for name in SHARED} == SHARED
    assert found["outcome"].default is inspect.Parameter.empty
    assert "inference" in literals(method)


@every_method
def test_flags_are_the_signature(method: str) -> None:
    command = getattr(importlib.import_module(f"noholdout.commands.{method}"), method)
    flags = dict(inspect.signature(command).parameters)
    assert set(flags) >= OUTPUT_FLAGS
    ours = parameters(method)
    assert set(flags) - OUTPUT_FLAGS == set(ours)
    hints = typing.get_type_hints(command)
    for name in SHARED.keys() | {"inference"}:
        assert flags[name].default == ours[name].default, name
    for name, choices in literals(method).items():
        shown = {
            a for o in [hints[name], *typing.get_args(hints[name])] for a in typing.get_args(o)
        }
        assert set(choices) <= shown, f"--{name} doesn't offer {set(choices) - shown}"


@every_method
def test_every_flag_reaches_the_estimate(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    received: dict[str, Any] = {}
    answer, signature = estimate_of(method), parameters(method)

    def recorder(data: Any, **arguments: Any) -> Estimate:
        received.update(arguments, data=data)
        return answer

    monkeypatch.setattr(f"noholdout_{method}.estimate", recorder)
    command = next(c for c in app.registered_commands if c.name == method.replace("_", "-"))
    assert command.callback is not None
    hints = typing.get_type_hints(command.callback)
    sent: dict[str, Any] = {}
    line = [method.replace("_", "-"), "some.csv"]
    for name in set(inspect.signature(command.callback).parameters) - OUTPUT_FLAGS - {"data"}:
        value = sample_value(name, hints[name], signature[name].default)
        sent[name] = value
        flag = "--" + name.replace("_", "-")
        line += [flag] if value is True else [flag, str(value)]
    result = CliRunner().invoke(app, [*line, "--json"])
    assert result.exception is None, result.output
    for name, value in sent.items():
        assert received[name] in (value, [value], str(value)), name


def sample_value(name: str, hint: Any, default: Any) -> Any:
    """A value that differs from the default, of the flag's type."""
    options = [hint, *typing.get_args(hint)]
    for option in options:
        if typing.get_origin(option) is typing.Literal:
            return next(o for o in reversed(typing.get_args(option)) if o != default)
    if bool in options:
        return True
    if int in options:
        return 3
    if float in options:
        return 0.5
    return f"a_{name}"


# --- manners ----------------------------------------------------------------------------------


@every_method
def test_the_input_is_not_touched(method: str) -> None:
    frame = case(method).frame
    before = frame.copy(deep=True)
    case(method).run()
    pd.testing.assert_frame_equal(frame, before)


@every_method
def test_the_same_seed_gives_the_same_result_and_global_state_is_left_alone(method: str) -> None:
    np.random.seed(0)  # noqa: NPY002  # the global state that must not be used
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    assert plain(case(method).run(seed=1)) == plain(estimate_of(method))
    assert (np.random.get_state()[1] == state).all()  # noqa: NPY002


def inferences() -> list[tuple[str, str]]:
    return [(method, name) for method in METHODS for name in literals(method)["inference"]]


@pytest.mark.parametrize(("method", "inference"), inferences())
def test_jobs_do_not_change_the_result(method: str, inference: str) -> None:
    special = {"placebo-regions": one_region_case, "user-bootstrap": user_rows_case}
    here = special[inference]() if inference in special else case(method)
    arguments: dict[str, Any] = {"inference": inference, "seed": 5}
    if inference == "leave-out":
        arguments["estimator"] = "imputation"
    try:
        one = here.run(**arguments, replicates=60)
        arguments["replicates"] = 60
    except DataError as error:
        assert "draws nothing" in str(error)
        one = here.run(**arguments)
    assert plain(here.run(**arguments, jobs=2)) == plain(one)
    assert one.conf_low <= one.conf_high
    assert one.std_error > 0
    assert one.inference


@every_method
def test_the_result_is_an_estimate_that_can_be_stored(method: str) -> None:
    found = estimate_of(method)
    assert isinstance(found, Estimate)
    back = json.loads(plain(found))
    assert set(back) >= KEYS
    assert back["verdict"] in ("sound", "caution", "do-not-use")
    assert found.conf_low <= found.estimate <= found.conf_high
    assert found.n_treated + found.n_control == found.n_obs
    assert found.outcome == case(method).column("outcome")
    assert {"rows_read", "rows_dropped_missing"} <= set(found.settings)
    assert found.smallest_effect > found.std_error
    assert not any("time_taken" in key or "date_run" in key for key in back["settings"])


@every_method
def test_tables_have_their_promised_columns(method: str) -> None:
    tables = estimate_of(method).tables
    assert set(TABLES[method]) <= set(tables)
    for name, columns in TABLES[method].items():
        assert list(tables[name].columns)[: len(columns.split())] == columns.split() or set(
            columns.split()
        ) <= set(tables[name].columns), name
        assert len(tables[name])


@every_method
def test_checks_are_listed_and_at_least_one_says_what_data_cannot_tell(method: str) -> None:
    methods = (ROOT / "METHODS.md").read_text("utf-8")
    checks = estimate_of(method).checks
    names = [check.name for check in checks]
    assert len(names) == len(set(names))
    for check in checks:
        assert f"`{check.name}`" in methods, f"METHODS.md doesn't list {check.name}"
        assert check.message and check.assumption
    assert any(check.status == "cannot-be-tested" for check in checks)


@every_method
def test_output_fits_eighty_columns_and_the_picture_draws(method: str) -> None:
    import matplotlib.pyplot as plt

    found = estimate_of(method)
    assert max(map(len, found.summary().splitlines())) <= 80
    assert found.plot().has_data()
    plt.close("all")


# --- the same answer from whatever holds the data ----------------------------------------------


@pytest.mark.parametrize("kind", ["polars", "arrow", "csv", "parquet", "shuffled columns"])
@every_method
def test_any_frame_or_file_gives_the_same_answer(method: str, kind: str, tmp_path: Path) -> None:
    here = case(method)
    data: Any
    if kind == "polars":
        data = pl.from_pandas(here.frame)
    elif kind == "arrow":
        data = pl.from_pandas(here.frame).to_arrow()
    elif kind == "csv":
        data = tmp_path / "a.csv"
        here.frame.to_csv(data, index=False)
    elif kind == "parquet":
        data = str(tmp_path / "a.parquet")
        here.frame.to_parquet(data)
    else:
        data = here.frame[here.frame.columns[::-1]].set_index(here.frame.index[::-1] * 3)
    found = front_function(method)(data, **here.arguments, seed=1)
    expected = estimate_of(method)
    for name in ("estimate", "std_error", "conf_low", "conf_high"):
        # the same numbers reach the same code; files keep 15 or more digits
        assert getattr(found, name) == pytest.approx(getattr(expected, name), rel=1e-9), name
    assert found.verdict == expected.verdict


# --- options ----------------------------------------------------------------------------------


@every_method
def test_a_higher_level_is_wider_and_the_margin_is_answered(method: str) -> None:
    narrow = case(method).run(conf_level=0.8, margin=0.5)
    wide = case(method).run(conf_level=0.99)
    assert wide.conf_low < narrow.conf_low < narrow.conf_high < wide.conf_high
    assert wide.estimate == narrow.estimate
    assert narrow.not_worse_p < 0.05
    assert "not worse than" in narrow.summary()


@every_method
def test_unknown_choices_are_refused_with_the_known_ones(method: str) -> None:
    for name in literals(method):
        with pytest.raises(DataError, match=f"{name}.*'no-such-choice'"):
            case(method).run(**{name: "no-such-choice"})


@every_method
def test_numbers_out_of_bounds_are_refused(method: str) -> None:
    for level in (0.0, 1.0, 95):
        with pytest.raises(DataError, match="conf_level"):
            case(method).run(conf_level=level)


@every_method
def test_an_argument_that_names_no_column_is_refused(method: str) -> None:
    here = case(method)
    names = {"outcome", "treatment", "running", "unit", "time", "cluster"} & set(parameters(method))
    for name in sorted(names):
        optional = parameters(method)[name].default is None
        for nothing in ([["no"]],) if optional else ([["no"]], None):
            with pytest.raises(DataError):
                here.run(**{name: nothing})
    for name in {"covariates", "features", "negative_controls"} & set(parameters(method)):
        for nothing in (5, [["no"], "yes"], [None]):
            with pytest.raises(DataError):
                here.run(**{name: nothing})


@every_method
def test_missing_values_are_refused_or_dropped_and_counted(method: str) -> None:
    here = case(method)
    frame = here.frame.copy()
    outcome = here.column("outcome")
    frame[outcome] = frame[outcome].astype(float)
    # of user rows any three; of panels whole units, so that the rest is a panel still
    rows = frame.index[[5, 17, 400]]
    if "unit" in here.arguments:
        treated = set(here.arguments.get("treated", []))
        units = [u for u in frame[here.column("unit")].unique() if u not in treated]
        rows = frame.index[frame[here.column("unit")] == units[-1]]
    frame.loc[rows, outcome] = np.nan
    with pytest.raises(DataError, match="--missing drop"):
        here.changed(frame).run()
    dropped = here.changed(frame).run(missing="drop")
    assert dropped.settings["rows_dropped_missing"] == len(rows)
    assert dropped.estimate == pytest.approx(here.changed(frame.drop(rows)).run().estimate)


# --- the house --------------------------------------------------------------------------------


@every_method
def test_the_package_has_the_shared_file_roles(method: str) -> None:
    package = ROOT / FOLDERS[method] / f"noholdout_{method}"
    assert (package / "__init__.py").is_file() and (package / "py.typed").is_file()
    for role in ("estimate", "estimators", "kernels", "checks", "plot"):
        # a role that outgrows a file becomes a folder of its name
        assert (package / f"{role}.py").is_file() or (package / role).is_dir(), role
    assert "estimate" in importlib.import_module(f"noholdout_{method}").__all__


@every_method
def test_kernels_know_no_frames(method: str) -> None:
    package = ROOT / FOLDERS[method] / f"noholdout_{method}"
    for module in [*package.glob("kernels.py"), *package.glob("kernels/*.py")]:
        assert not re.search(
            r"^\s*(import|from) (pandas|polars|narwhals)", module.read_text(), re.M
        )


@every_method
def test_the_front_function_is_documented(method: str) -> None:
    doc = inspect.getdoc(front_function(method)) or ""
    for heading in ("Parameters", "Returns", "Raises"):
        assert f"{heading}\n---" in doc, heading
    for name in parameters(method):
        assert re.search(rf"\b{name}\b", doc), f"{name} isn't in the docstring"


@every_method
def test_the_methods_readme_has_the_shared_headings(method: str) -> None:
    text = (ROOT / FOLDERS[method] / "README.md").read_text("utf-8")
    assert re.findall(r"^## (.+)$", text, re.M) == [
        "The product question",
        "When to use it, when not",
        "What must be true",
        "Run it",
        "Read the output",
        "What the checks mean",
        "How it fails",
        "Also consider",
        "Sources and deviations",
    ]


def test_a_case_writes_its_flags(tmp_path: Path) -> None:
    here = Case("did", pd.DataFrame({"y": [1]}), {"outcome": "y", "treated": ["a", "b"]})
    assert here.written(tmp_path)[2:] == ["--outcome", "y", "--treated", "a", "--treated", "b"]
