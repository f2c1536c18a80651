"""One file an estimator: validate, call kernels, assemble."""
