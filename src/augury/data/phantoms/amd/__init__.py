"""Colour photographs and OCT B-scans of the same eyes: normal, dry, PCV and wet."""

from augury.data.phantoms.amd.population import AmdConfig

__all__ = ["AmdConfig"]
