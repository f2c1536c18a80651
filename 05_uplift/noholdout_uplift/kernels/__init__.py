"""Arrays in, frozen dataclasses out."""
