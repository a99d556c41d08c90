"""B-mode ultrasound of the breast, with a benign mass, a malignant one or none."""

from augury.data.phantoms.breast.population import BreastConfig

__all__ = ["BreastConfig"]
