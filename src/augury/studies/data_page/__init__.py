"""The page that `augury check --out DIR` leaves behind: one HTML file, nothing loaded from elsewhere."""

from augury.studies.data_page.page import build

__all__ = ["build"]
