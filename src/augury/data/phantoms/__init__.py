"""Images with exactly known truth: `render` draws them, `write` puts a set on disk, `phantom_set` does both by name."""

from augury.data.phantoms.brain import BrainConfig, render, render_patients
from augury.data.phantoms.named import PHANTOMS, phantom_set
from augury.data.phantoms.phantom import Phantom, write

__all__ = ["PHANTOMS", "BrainConfig", "Phantom", "phantom_set", "render", "render_patients", "write"]
