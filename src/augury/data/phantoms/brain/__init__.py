"""MRI-like axial slices of the head, with three kinds of tumour or none."""

from augury.data.phantoms.brain.population import BrainConfig

__all__ = ["BrainConfig"]
