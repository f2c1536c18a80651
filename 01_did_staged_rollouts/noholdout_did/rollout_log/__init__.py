"""A rollout log: flag events by unit and time, from which launches and collisions follow."""

from noholdout_did.rollout_log.changes import Changes, LogRequest, TreatedBy, Unlisted, read_changes

__all__ = ["Changes", "LogRequest", "TreatedBy", "Unlisted", "read_changes"]
