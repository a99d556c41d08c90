"""Colour photographs of both eyes with diabetic retinopathy of every grade."""

from augury.data.phantoms.fundus.population import FundusConfig

__all__ = ["FundusConfig"]
