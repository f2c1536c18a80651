"""Options of the estimators, checked."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real
from typing import Literal

from noholdout_shared.arguments import check_choice, check_level
from noholdout_shared.errors import DataError

from noholdout_rdd.inference import Inference
from noholdout_rdd.kernels.bandwidth import SELECTORS, Selector
from noholdout_rdd.kernels.local import DEFAULT, KERNELS, ClusterSums, Spec, Variance
from noholdout_rdd.kernels.side import Kernel

Design = Literal["sharp", "fuzzy"]
VARIANCES = ("nearest-neighbour", "hc0", "hc1", "hc2", "hc3")
HIGHEST_DEGREE = 4


@dataclass(frozen=True, kw_only=True)
class Options:
    """How an estimator answers; each as in :func:`noholdout_rdd.estimate.estimate`.

    Parameters
    ----------
    spec
        Degree, kernel, residuals and how clusters are summed.
    fuzzy
        Whether the answer is divided by the jump in treatment.
    price
        Whether moves of the cutoff are priced, by ``step`` or a step that suits the scores.
    """

    spec: Spec = DEFAULT
    selector: Selector = "mserd"
    bandwidth: float | None = None
    bias_bandwidth: float | None = None
    fuzzy: bool = False
    inference: Inference = "robust"
    smoothness: float | None = None
    price: bool = False
    step: float | None = None
    conf_level: float = 0.95
    margin: float | None = None

    def __post_init__(self) -> None:
        check_level(self.conf_level)
        check_choice("selector", self.selector, SELECTORS)
        check_choice("inference", self.inference, ("robust", "conventional", "honest"))
        check_positive(bandwidth=self.bandwidth, bias_bandwidth=self.bias_bandwidth)
        check_positive(smoothness=self.smoothness, step=self.step)


def fit_spec(
    kernel: Kernel,
    degree: int,
    variance: Variance | None,
    cluster: str | None,
    sums: ClusterSums,
) -> Spec:
    """How to fit; plain residuals when they are summed within clusters."""
    check_choice("cluster_sums", sums, ("apart", "joint"))
    if sums == "joint" and cluster is None:
        raise DataError(
            "cluster_sums='joint' was asked without a cluster column.",
            "An option that changes nothing would mislead.",
            "Name the column with --cluster.",
        )
    check_choice("kernel", kernel, tuple(KERNELS))
    check_choice("degree", degree, tuple(range(1, HIGHEST_DEGREE + 1)))
    degree = int(degree)  # 2.0 is a choice too
    if variance is not None:
        check_choice("variance", variance, VARIANCES)
        if cluster is not None:
            raise DataError(
                f"variance={variance!r} was asked together with a cluster column.",
                "Clustered errors have residuals of their own.",
                "Leave one of the two out.",
            )
        return Spec(degree, kernel, variance)
    return Spec(degree, kernel, "nearest-neighbour" if cluster is None else "hc0", sums)


def is_fuzzy(design: Design | None, treatment: str | None, denominator: str | None) -> bool:
    """Whether the answer is divided by the jump in treatment."""
    if design is not None:
        check_choice("design", design, ("sharp", "fuzzy"))
    if design == "fuzzy" and treatment is None:
        raise DataError(
            "A fuzzy design was asked without a treatment column.",
            "It divides by the jump in the treatment received.",
            "Name the column with --treatment.",
        )
    fuzzy = treatment is not None and design != "sharp"
    if fuzzy and denominator is not None:
        raise DataError(
            f"A fuzzy design was asked of a ratio over {denominator!r}.",
            "The effect on the ratio among those who follow the rule isn't a ratio of jumps.",
            "Use --design sharp for the effect of the rule, or leave out one of the two columns.",
        )
    return fuzzy


def check_positive(**options: float | None) -> None:
    """Raise a DataError for a width or bound that isn't a positive number."""
    for name, value in options.items():
        if value is None:
            continue
        if isinstance(value, bool) or not (isinstance(value, Real) and 0 < value < float("inf")):
            raise DataError(
                f"{name} is {value!r}.",
                "It must be a positive number.",
                "Give one, or leave it out.",
            )
