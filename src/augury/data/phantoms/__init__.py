"""Images with exactly known truth: `render` draws them, `write` puts a set on disk, `phantom_set` does both by name."""

from augury.data.phantoms.brain import BrainConfig
from augury.data.phantoms.named import PHANTOMS, phantom_set
from augury.data.phantoms.phantom import Phantom
from augury.data.phantoms.population import Population, batches, render, render_patients
from augury.data.phantoms.writing import write

__all__ = [
    "PHANTOMS",
    "BrainConfig",
    "Phantom",
    "Population",
    "batches",
    "phantom_set",
    "render",
    "render_patients",
    "write",
]
