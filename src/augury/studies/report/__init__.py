"""The page that a study leaves behind: one HTML file, nothing loaded from elsewhere."""

from augury.studies.report.page import build

__all__ = ["build"]
