"""One file an estimator: what it matches and how; ``common`` reads, refits and assembles."""
