"""One small, valid call of each method, for the tests that hold all five to one contract."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, Self

import pandas as pd

METHODS = ("did", "propensity", "rdd", "synthetic_control", "uplift")
FEATURES = ["engagement_tier", "signup_week", "query_confidence"]
N_USERS = 4_000

# What no page, picture or command line may take for anything but text.
SCRIPT = "<script>alert(1)</script>"
IMAGE = "x\" onerror='alert(1)' <img src=x>"
TEMPLATE = "{{ 7 * 7 }} ${HOME} $a_b$ </style>"
HOSTILE = (SCRIPT, IMAGE, TEMPLATE)


@dataclass(frozen=True)
class Case:
    """A method with data and arguments that it accepts.

    ``arguments`` are Python keywords of ``estimate``; ``flags`` writes them as a command line.
    """

    method: str
    frame: pd.DataFrame = field(repr=False)
    arguments: Mapping[str, Any]

    @property
    def command(self) -> str:
        """The command's name."""
        return self.method.replace("_", "-")

    def run(self, **changed: Any) -> Any:
        """The estimate, some arguments changed."""
        return front_function(self.method)(self.frame, **{**self.arguments, **changed})

    def flags(self) -> list[str]:
        """The arguments as flags: lists with commas, ``treated`` repeated."""
        parts: list[str] = []
        for name, value in self.arguments.items():
            flag = "--" + name.replace("_", "-")
            if name == "treated":
                for one in value:
                    parts += [flag, str(one)]
            elif isinstance(value, list):
                parts += [flag, ",".join(value)]
            else:
                parts += [flag, str(value)]
        return parts

    def written(self, folder: Path, name: str = "data.csv") -> list[str]:
        """The command line of this case on a file that is written into ``folder``."""
        self.frame.to_csv(folder / name, index=False)
        return [self.command, str(folder / name), *self.flags()]

    def changed(self, frame: pd.DataFrame | None = None, **arguments: Any) -> Self:
        """A copy with another frame or other arguments; ``None`` takes an argument out."""
        merged = {**self.arguments, **arguments}
        kept = {name: value for name, value in merged.items() if value is not None}
        return replace(self, frame=self.frame if frame is None else frame, arguments=kept)

    def column(self, role: str) -> str:
        """The column that plays a role."""
        return str(self.arguments[role])


def front_function(method: str) -> Any:
    """``estimate`` of a method's package."""
    import importlib

    return importlib.import_module(f"noholdout_{method}").estimate


@cache
def case(method: str) -> Case:
    """The method's case on the clean synthetic product."""
    from noholdout_data_generator import generate

    data = generate(n_users=N_USERS, seed=7)
    users = data.users
    if method == "did":
        # one row a workspace and five-week period: a panel, so that --unit is tested too
        rows = users.assign(
            period=users["signup_week"] // 5, first_period=users["treatment_week"] // 5
        )
        keys = ["workspace_id", "period", "first_period"]
        panel = rows.groupby(keys, as_index=False)["task_completed"].mean()
        arguments: dict[str, Any] = {
            "outcome": "task_completed",
            "unit": "workspace_id",
            "time": "period",
            "first_treated": "first_period",
        }
        return Case(method, panel, arguments)
    if method == "propensity":
        arguments = {"treatment": "opt_in_agent_mode", "covariates": FEATURES}
    elif method == "rdd":
        arguments = {"running": "query_confidence", "cutoff": 0.85, "treated_side": "below"}
    elif method == "uplift":
        arguments = {"treatment": "prompt_variant", "features": FEATURES}
    else:
        return _synthetic_control(data.telemetry)
    return Case(method, users, {"outcome": "task_completed", **arguments})


@cache
def one_region_case() -> Case:
    """Synthetic control of a launch in one whole region, for what only answers such a launch."""
    from noholdout_data_generator import generate

    telemetry = generate(n_users=N_USERS, seed=7, launch="one-region").telemetry
    upgraded = telemetry[telemetry["upgraded"] == 1]
    arguments = {
        "outcome": "task_completion_rate",
        "unit": "workspace_id",
        "time": "date",
        "treated": sorted(upgraded["workspace_id"].unique()),
        "start": str(upgraded["date"].min())[:10],
        "cluster": "region",
    }
    return Case("synthetic_control", telemetry, arguments)


@cache
def user_rows_case() -> Case:
    """Synthetic control on three rows a workspace and day, for what needs user rows."""
    here = case("synthetic_control")
    rows = pd.concat(
        [
            here.frame.assign(task_completion_rate=here.frame["task_completion_rate"] + shift)
            for shift in (-0.02, 0.0, 0.02)
        ],
        ignore_index=True,
    )
    return Case("synthetic_control", rows, {**here.arguments, "cell_mean": True})


def _synthetic_control(telemetry: pd.DataFrame) -> Case:
    upgraded = telemetry[telemetry["upgraded"] == 1]
    donors = sorted(set(telemetry["workspace_id"]) - set(upgraded["workspace_id"]))
    treated = sorted(upgraded["workspace_id"].unique())[:3]
    panel = telemetry[telemetry["workspace_id"].isin([*treated, *donors])]
    arguments = {
        "outcome": "task_completion_rate",
        "unit": "workspace_id",
        "time": "date",
        "treated": treated,
        "start": str(upgraded["date"].min())[:10],
    }
    return Case("synthetic_control", panel.reset_index(drop=True), arguments)


def hostile(method: str) -> Case:
    """The method's case with every column and every text value of its frame made hostile."""
    here = case(method)
    frame = here.frame.copy()
    names = {name: f"{name} {HOSTILE[j % 3]}" for j, name in enumerate(frame.columns)}
    arguments = dict(here.arguments)
    texts = [name for name in frame.columns if pd.api.types.is_string_dtype(frame[name])]
    for name in texts:
        if name != "date":
            frame[name] = frame[name].astype(str) + f" {SCRIPT} $x_y$ {IMAGE}"
    if "treated" in arguments:
        arguments["treated"] = [f"{unit} {SCRIPT} $x_y$ {IMAGE}" for unit in arguments["treated"]]
    for role, value in arguments.items():
        if isinstance(value, list) and role != "treated":
            arguments[role] = [names[v] for v in value]
        elif isinstance(value, str) and value in names:
            arguments[role] = names[value]
    return replace(here, frame=frame.rename(columns=names), arguments=arguments)
