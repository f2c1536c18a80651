"""What units share most clearly, and twins to which nothing of it is left.

Weights on the simplex can't follow a unit that moves with the others' shared movement more strongly
than any of them, and a ridge holds the weights of a strong mover back: some of the movement stays
in the gap, of all such units at once, and shows when it turns. Regression on the leading principal
components takes it off: the augmented estimator of Ben-Michael, Feller and Rothstein (2021, JASA
116(536), section 3) with that regression as its outcome model.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from noholdout_synthetic_control.kernels.noise import own_movement


@dataclass(frozen=True)
class Leading:
    """Leading principal components of donors' demeaned block means; ``r`` of them.

    Parameters
    ----------
    scores
        Of the donors, each component's squares summing to one, shape ``(J, r)``; they sum to zero.
    sizes
        Singular values, shape ``(r,)``.
    directions
        Over the blocks, shape ``(B, r)``.
    """

    scores: np.ndarray
    sizes: np.ndarray
    directions: np.ndarray

    def completed(self, weights: np.ndarray, missed: np.ndarray) -> np.ndarray:
        """The weights that leave nothing of the components, and sum to what they summed to.

        ``missed`` is the target less its twin, block by block, shape ``(B,)``.
        """
        return np.asarray(weights + self.scores @ (missed @ self.directions / self.sizes))


def leading_movements(features: np.ndarray) -> Leading:
    """The components above Gavish and Donoho's (2014, IEEE Transactions on Information Theory
    60(8), equation 11) threshold for the noise that their median shows; often none.

    Parameters
    ----------
    features
        Donors' block means, each donor's demeaned, shape ``(J, B)``.
    """
    centred = features - features.mean(axis=0)
    small, large = sorted((centred.shape[0] - 1, centred.shape[1] - 1))
    vectors, sizes, directions = np.linalg.svd(centred, full_matrices=False)
    noise = own_movement(features)
    limit = hard_threshold(small / large) * math.sqrt(large * noise) if noise > 0 else math.inf
    count = int((sizes > limit).sum())
    return Leading(vectors[:, :count], sizes[:count], directions[:count].T)


def hard_threshold(ratio: float) -> float:
    """Singular value from which a component is worth keeping, over ``sqrt(n)`` and the noise."""
    root = ratio + 1 + math.sqrt(ratio**2 + 14 * ratio + 1)
    return math.sqrt(2 * (ratio + 1) + 8 * ratio / root)
