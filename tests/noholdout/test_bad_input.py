"""Bad input of every kind, to every command: one message, exit code 2 or 4, never a traceback."""

import json
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from method_cases import METHODS, Case, case, front_function
from noholdout_shared import engine
from noholdout_shared.errors import DataError

from noholdout import cli

DATA, DESIGN = cli.EXIT_DATA, cli.EXIT_DESIGN
NEED_NUMBERS = {"rdd": ["outcome", "running"]}
USERS = ("propensity", "rdd", "uplift")
BINARY = ("propensity", "uplift")
PANELS = ("did", "synthetic_control")


@dataclass(frozen=True)
class Bad:
    """A broken input: how it is made, and what the message must say."""

    name: str
    method: str
    make: Callable[[Case, Path], list[str]]
    message: str
    exit_codes: tuple[int, ...] = (DATA,)


def edited(change: Callable[[Case, pd.DataFrame], object]) -> Callable[[Case, Path], list[str]]:
    """The case's command line after a change to a copy of its frame (in place or returned)."""

    def make(here: Case, folder: Path) -> list[str]:
        frame = here.frame.copy()
        changed = change(here, frame)
        return here.changed(changed if isinstance(changed, pd.DataFrame) else frame).written(folder)

    return make


def setting(role: str, value: object) -> Callable[[Case, Path], list[str]]:
    """The case's command line with the column of a role set to one value."""

    def change(here: Case, frame: pd.DataFrame) -> None:
        frame[here.column(role)] = value

    return edited(change)


def text_in(role: str) -> Callable[[Case, Path], list[str]]:
    def change(here: Case, frame: pd.DataFrame) -> None:
        frame[here.column(role)] = frame[here.column(role)].astype(object)
        frame.loc[3, here.column(role)] = "oops"

    return edited(change)


def hole_in(role: str) -> Callable[[Case, Path], list[str]]:
    def change(here: Case, frame: pd.DataFrame) -> None:
        column = here.arguments[role][1] if isinstance(here.arguments[role], list) else None
        name = column or here.column(role)
        frame[name] = frame[name].astype(object)
        frame.loc[[3, 8], name] = None

    return edited(change)


def coded_in(role: str, **arguments: object) -> Callable[[Case, Path], list[str]]:
    """Three rows of the role's column at -999."""

    def make(here: Case, folder: Path) -> list[str]:
        column = here.arguments[role][1] if isinstance(here.arguments[role], list) else None
        name = column or here.column(role)
        frame = here.frame.assign(**{name: here.frame[name].astype(float)})
        frame.loc[[3, 8, 9], name] = -999
        return here.changed(frame, **arguments).written(folder)

    return make


def other_arguments(**arguments: object) -> Callable[[Case, Path], list[str]]:
    return lambda here, folder: here.changed(**arguments).written(folder)


def missing_file(here: Case, folder: Path) -> list[str]:
    (folder / "other.csv").write_text("a\n1\n")
    return [here.command, str(folder / "none.csv"), *here.flags()]


def empty_file(here: Case, folder: Path) -> list[str]:
    (folder / "empty.csv").touch()
    return [here.command, str(folder / "empty.csv"), *here.flags()]


def only_a_header(here: Case, folder: Path) -> list[str]:
    return here.changed(here.frame.iloc[:0]).written(folder)


def misspelt_outcome(here: Case, folder: Path) -> list[str]:
    return here.changed(outcome=here.column("outcome")[:-1]).written(folder)


def not_binary(here: Case, frame: pd.DataFrame) -> None:
    frame[here.column("treatment")] = np.arange(len(frame)) % 3


def one_workspace(here: Case, frame: pd.DataFrame) -> pd.DataFrame:
    unit = here.column("unit")
    kept = here.arguments.get("treated", [frame[unit].iloc[0]])[:1]
    return frame[frame[unit].isin(kept)]


def one_workspace_as_cluster(here: Case, folder: Path) -> list[str]:
    frame = here.frame.assign(workspace_id="ws_01")
    return here.changed(frame, cluster="workspace_id").written(folder)


def one_period(here: Case, frame: pd.DataFrame) -> pd.DataFrame:
    time = here.column("time")
    return frame[frame[time] == frame[time].max()]


def doubled_row(here: Case, frame: pd.DataFrame) -> pd.DataFrame:
    return pd.concat([frame, frame.iloc[[7]]])


def all_treated_from_the_start(here: Case, frame: pd.DataFrame) -> None:
    frame[here.column("first_treated")] = frame[here.column("time")].min()


def donors_only(here: Case, frame: pd.DataFrame) -> pd.DataFrame:
    return frame[~frame[here.column("unit")].isin(here.arguments["treated"])]


def treated_only(here: Case, frame: pd.DataFrame) -> pd.DataFrame:
    return frame[frame[here.column("unit")].isin(here.arguments["treated"])]


def every_row_below(here: Case, frame: pd.DataFrame) -> pd.DataFrame:
    return frame[frame[here.column("running")] < here.arguments["cutoff"]]


def every_row_above(here: Case, frame: pd.DataFrame) -> pd.DataFrame:
    return frame[frame[here.column("running")] >= here.arguments["cutoff"]]


def matrix() -> Iterator[Bad]:
    either = (DATA, DESIGN)
    for method in METHODS:
        yield Bad("missing file", method, missing_file, r"There is no file .*none\.csv.*other\.csv")
        yield Bad("empty file", method, empty_file, r"0 bytes")
        yield Bad("header only", method, only_a_header, r"no rows")
        yield Bad("unknown column", method, misspelt_outcome, r"no column .*Did you mean 'task_")
        yield Bad("text outcome", method, text_in("outcome"), r"text in 1 of .*'oops'")
        yield Bad("missing outcome", method, hole_in("outcome"), r"2 of .*--missing drop")
        yield Bad("constant outcome", method, setting("outcome", 1), r"is 1 in all")
        coded = r"is -999 in 3 of .*\(the first is row 4\).*looks like a code.*Write such cells as"
        yield Bad("coded outcome", method, coded_in("outcome"), coded)
        # To drop missing values isn't to drop numbers.
        yield Bad("coded, drop", method, coded_in("outcome", missing="drop"), coded)
    for method in BINARY:
        words = "covariates" if method == "propensity" else "features"
        yield Bad("missing covariate", method, hole_in(words), r"2 of .*'signup_week' 2")
        yield Bad("coded covariate", method, coded_in(words), r"'signup_week' is -999 in 3 of")
        yield Bad("not 0/1", method, edited(not_binary), r"isn't 0/1")
        yield Bad("no treated", method, setting("treatment", 0), r"no treated rows")
        yield Bad("no control", method, setting("treatment", 1), r"no control rows")
        yield Bad(
            "unknown covariate",
            method,
            other_arguments(**{words: ["signup_weak"]}),
            r"no column 'signup_weak'.*'signup_week'",
        )
    for method in USERS:
        yield Bad("one workspace", method, one_workspace_as_cluster, r"1 cluster\b", either)
    for method in PANELS:
        yield Bad("one workspace", method, edited(one_workspace), r"\S", either)
        yield Bad("one period", method, edited(one_period), r"period|before", either)
        yield Bad(
            "duplicate rows", method, edited(doubled_row), r"(?i)more than one|twice|duplicate"
        )
    yield Bad("text running", "rdd", text_in("running"), r"text in 1 of")
    yield Bad("missing running", "rdd", hole_in("running"), r"--missing drop")
    yield Bad("coded running", "rdd", coded_in("running"), r"Running column .* is -999 in 3 of")
    yield Bad("no control", "rdd", edited(every_row_below), r"cutoff", either)
    yield Bad("no treated", "rdd", edited(every_row_above), r"cutoff", either)
    yield Bad("far cutoff", "rdd", other_arguments(cutoff=85), r"cutoff", either)
    yield Bad("no treated", "did", setting("first_treated", ""), r"treated", either)
    yield Bad("no control", "did", edited(all_treated_from_the_start), r"\S", either)
    yield Bad("text cohort", "did", text_in("first_treated"), r"oops|text|types")
    yield Bad("no treated", "synthetic_control", edited(donors_only), r"ws_", either)
    yield Bad("no control", "synthetic_control", edited(treated_only), r"(?i)donor|control", either)
    yield Bad(
        "late start", "synthetic_control", other_arguments(start="2031-01-01"), r"2031", either
    )
    yield Bad(
        "early start", "synthetic_control", other_arguments(start="1999-01-01"), r"\S", either
    )


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize("bad", list(matrix()), ids=lambda bad: f"{bad.method}: {bad.name}")
def test_bad_input_is_one_message_and_an_exit_code(
    bad: Bad,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    line = bad.make(case(bad.method), tmp_path)
    monkeypatch.setattr(sys, "argv", ["noholdout", *line, "--json"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    said = capsys.readouterr()
    assert ended.value.code in bad.exit_codes, said.err
    assert said.out == ""
    kind = {DATA: "DataError", DESIGN: "DesignError"}[ended.value.code]
    assert said.err.startswith(f"{kind}: ")
    assert said.err.count("\n") == 1, said.err
    assert re.search(bad.message, said.err), said.err
    assert len(said.err.split(". ")) > 1, "a message says what is wrong and what to do"


@pytest.mark.parametrize("method", METHODS)
def test_the_same_line_without_the_fault_answers(
    method: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "argv", ["noholdout", *case(method).written(tmp_path), "--json"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    said = capsys.readouterr()
    assert ended.value.code == 0, said.err
    assert json.loads(said.out)["estimate"] == pytest.approx(case(method).run().estimate)


@pytest.mark.parametrize("method", METHODS)
def test_a_code_for_missing_is_refused_and_a_real_number_has_a_way_in(method: str) -> None:
    here = case(method)
    name = here.column("outcome")
    frame = here.frame.assign(**{name: here.frame[name].astype(float)})
    frame.loc[[3, 8, 9], name] = -999
    for missing in ("refuse", "drop"):
        with pytest.raises(DataError, match=r"-999 in 3 of .*store the column in another unit"):
            here.changed(frame).run(missing=missing)
    doubled = here.changed(frame.assign(**{name: 2 * frame[name]}))
    assert np.isfinite(doubled.run().estimate)


@pytest.mark.parametrize("method", ["propensity", "rdd", "uplift"])
def test_a_code_is_counted_in_rows_where_rows_would_be_summed(
    method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "WHOLE_BELOW", 0)
    here, column = case(method), {"rdd": "query_confidence"}.get(method, "signup_week")
    lists = {"propensity": "covariates", "uplift": "features"}
    words = {lists[method]: ["engagement_tier", "signup_week"]} if method in lists else {}
    frame = here.frame.assign(**{column: here.frame[column].astype(float)})
    frame.loc[frame.index % 10 == 7, column] = -999
    frame.to_parquet(tmp_path / "coded.parquet")
    with pytest.raises(DataError, match=r"-999 in 400 of 4,000 rows \(the first is row 8\)"):
        front_function(method)(tmp_path / "coded.parquet", **{**here.arguments, **words})


@pytest.mark.parametrize("method", METHODS)
def test_the_verdict_can_set_the_exit_code(
    method: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    import dataclasses

    from noholdout_shared.checks import structural

    found = case(method).run()
    weak = structural("overlap", "Both arms are seen.", "caution", 0.1, "Weak.")
    for checks, flag, code in (
        ((), "caution", 0),
        ((weak,), "caution", cli.EXIT_VERDICT),
        ((weak,), "do-not-use", 0),
    ):
        answer = dataclasses.replace(found, checks=checks)
        monkeypatch.setattr(f"noholdout_{method}.estimate", lambda *_, a=answer, **__: a)
        line = ["noholdout", *case(method).written(tmp_path), "--json", "--fail-on", flag]
        monkeypatch.setattr(sys, "argv", line)
        with pytest.raises(SystemExit) as ended:
            cli.main()
        assert ended.value.code == code
        assert json.loads(capsys.readouterr().out)["verdict"] == answer.verdict


def test_ctrl_c_ends_with_130(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("noholdout_did.estimate", interrupted)
    monkeypatch.setattr(sys, "argv", ["noholdout", *case("did").written(tmp_path)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == cli.EXIT_INTERRUPT
    assert "Traceback" not in capsys.readouterr().err
