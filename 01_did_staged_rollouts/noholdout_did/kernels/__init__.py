"""Arrays in, frozen dataclasses out: no frames, no names, no globals."""
