"""Arrays in, frozen dataclasses out: local fits, neighbours, bandwidths, densities."""
