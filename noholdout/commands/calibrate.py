"""``noholdout calibrate METHOD``: how well a method does on the user's own data."""

from __future__ import annotations

import inspect
from typing import Annotated, Any

import typer
from noholdout_shared.errors import DataError

from noholdout.commands import options as opt

# The flags of the method's own command are parsed by that command.
CONTEXT = {"allow_extra_args": True, "ignore_unknown_options": True}


def calibrate(
    context: typer.Context,
    method: Annotated[
        str, typer.Argument(help="did, propensity, rdd, synthetic-control or uplift.")
    ],
    data: opt.Data,
    effects: Annotated[
        str | None, typer.Option(help="Effects to plant, commas between, in the outcome's units.")
    ] = None,
    replications: Annotated[int, typer.Option(help="Trials a planted effect, at most.")] = 50,
) -> None:
    """How well a method does on your data.

    Placebo launches where nothing happened, and planted effects of known size. After the file
    come the flags of the method's own command.
    """
    from noholdout.calibrate.study import calibrate as run
    from noholdout.calibrate.study import renderable
    from noholdout.commands.output import deliver

    name, arguments, shown = _parse(method, data, context.args)
    sizes = None if effects is None else _sizes(effects)
    estimate, calibration = run(name, data, effects=sizes, replications=replications, **arguments)
    try:
        deliver(estimate, **shown)
    finally:
        if not shown["as_json"]:
            from rich.console import Console

            Console().print(renderable(calibration))


def _parse(method: str, data: str, flags: list[str]) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """The method's package, the arguments of its ``estimate``, and how to show the result."""
    import importlib

    from noholdout.calibrate.study import METHODS
    from noholdout.cli import app

    name = method.replace("-", "_")
    if name not in METHODS:
        known = ", ".join(known.replace("_", "-") for known in METHODS)
        raise DataError(f"There is no method {method!r}.", "", f"Use one of: {known}.")
    group: Any = typer.main.get_command(app)
    command = group.commands[name.replace("_", "-")]
    values = command.make_context(f"noholdout calibrate {method}", [data, *flags]).params
    front = importlib.import_module(f"noholdout_{name}").estimate
    arguments = {}
    for parameter in inspect.signature(front).parameters.values():
        if parameter.name in values and parameter.name != "data":
            value = values[parameter.name]
            arguments[parameter.name] = _as_argument(value, parameter)
    shown = {key: values.get(key) for key in ("as_json", "report", "plot", "fail_on")}
    return name, arguments, shown


def _as_argument(value: Any, parameter: inspect.Parameter) -> Any:
    kind = str(parameter.annotation)
    if "str | Sequence[str]" in kind:
        return named[0] if len(named := opt.columns(value)) == 1 else named
    if "Sequence[str]" in kind:
        return opt.columns(value) or (None if parameter.default is None else [])
    if "float | str" in kind and isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    return list(value) if isinstance(value, tuple) else value


def _sizes(text: str) -> list[float]:
    try:
        return [float(part) for part in opt.columns(text)]
    except ValueError as error:
        raise DataError(
            f"--effects is {text!r}.", "", "Give numbers, commas between them."
        ) from error
