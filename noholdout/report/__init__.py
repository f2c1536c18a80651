"""A self-contained HTML page of an estimate, to send to somebody without Python."""

from noholdout.report.page import render_report, write_report

__all__ = ["render_report", "write_report"]
