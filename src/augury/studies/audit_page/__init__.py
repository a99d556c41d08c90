"""The page that `augury audit` leaves behind: one HTML file, nothing loaded from elsewhere."""

from augury.studies.audit_page.page import build
from augury.studies.audit_page.seen import Pair, Seen

__all__ = ["Pair", "Seen", "build"]
