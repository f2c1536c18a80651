"""What may be asked of every estimator: names, defaults, and their check."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, TypedDict, get_args

from noholdout_shared.arguments import check_choice, check_level, check_seed
from noholdout_shared.input import Missing

from noholdout_synthetic_control.kernels.fits import Solver

InferenceName = Literal[
    "by-design",
    "placebo",
    "placebo-regions",
    "jackknife",
    "bootstrap",
    "user-bootstrap",
    "conformal",
    "jackknife-plus",
]
INFERENCES = get_args(InferenceName)


class Options(TypedDict, total=False):
    """What every estimator takes beside the launch; ``estimate`` documents each."""

    solver: Solver
    cluster: str | None
    weights: str | None
    cell_mean: bool
    conf_level: float
    seed: int
    missing: Missing
    inference: InferenceName
    replicates: int | None
    margin: float | None
    negative_controls: Sequence[str] | None
    in_time_placebos: int | None


DEFAULTS: Options = {
    "solver": "exact",
    "cluster": None,
    "weights": None,
    "cell_mean": False,
    "conf_level": 0.95,
    "seed": 0,
    "missing": "refuse",
    "inference": "by-design",
    "replicates": None,
    "margin": None,
    "negative_controls": None,
    "in_time_placebos": None,
}


class Asked(Options):
    """One launch, and the options."""

    outcome: str
    unit: str
    time: str
    treated: Sequence[Any]
    start: Any


def settled_options(options: Mapping[str, Any], required: Iterable[str] = ()) -> Any:
    """Every option, the defaults filled in.

    Raises
    ------
    TypeError
        An unknown name, or a required one that is missing.
    DataError
        A value that the option can't take.
    """
    unknown = [name for name in options if name not in Asked.__annotations__]
    lacking = [name for name in required if name not in options]
    if unknown or lacking:
        words = f"unknown: {unknown}" if unknown else f"missing: {lacking}"
        raise TypeError(f"keyword arguments of a synthetic control, {words}")
    full = {**DEFAULTS, **options}
    check_level(full["conf_level"])
    check_seed(full["seed"])
    check_choice("solver", full["solver"], get_args(Solver))
    check_choice("inference", full["inference"], INFERENCES)
    return full
