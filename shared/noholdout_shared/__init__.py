"""What every method uses: Estimate, Check, inference, input, plot style.

This file stays light: `import noholdout` and `noholdout --help` pass through here.
"""

from noholdout_shared.errors import ConvergenceError, DataError, DesignError, NoholdoutError

__all__ = ["ConvergenceError", "DataError", "DesignError", "NoholdoutError"]
