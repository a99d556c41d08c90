"""What this machine offers: versions, devices, optional parts, weights."""

from __future__ import annotations

import importlib.util
import os
import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

REQUIRED = (
    "torch", "torchvision", "timm", "numpy", "scipy", "scikit-learn", "scikit-image", "pandas", "pillow", "matplotlib",
    "jinja2", "safetensors", "pydantic", "pyyaml", "rich", "typer", "pydicom", "nibabel", "pylibjpeg",
)  # fmt: skip
OPTIONAL = {"studio": "gradio", "ray": "ray", "dp": "opacus"}  # extra -> the module that it brings


def examine() -> dict[str, Any]:
    """Versions, devices, optional parts and the weights files found."""
    from augury.data.cache import cache_folder

    return {
        "augury": _version("augury"),
        "python": platform.python_version(),
        "system": platform.platform(),
        "packages": {name: _version(name) for name in REQUIRED},
        "devices": _devices(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "optional": {name: importlib.util.find_spec(module) is not None for name, module in OPTIONAL.items()},
        "cache": str(cache_folder()),
        "weights": [str(path) for path in _weights(cache_folder())],
        "missing": [name for name in REQUIRED if _version(name) is None],
    }


def text(facts: Mapping[str, Any]) -> str:
    """The same for people."""
    packages = ", ".join(f"{name} {found or 'MISSING'}" for name, found in facts["packages"].items())
    optional = ", ".join(f"{name} {'yes' if found else 'no'}" for name, found in facts["optional"].items())
    rows = {
        "augury": f"{facts['augury']} on Python {facts['python']}, {facts['system']}",
        "packages": packages,
        "devices": f"{', '.join(facts['devices'])}; {facts['cores']} cores",
        "optional": optional,
        "cache": facts["cache"],
        "weights": ", ".join(facts["weights"])
        or f"none in {facts['cache']}/weights; put a .safetensors file there or name one by --weights",
        "missing": ", ".join(facts["missing"]) or "nothing",
    }
    return "\n".join(f"{name:9} {value}" for name, value in rows.items())


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _devices() -> list[str]:
    try:
        import torch
    except ImportError:
        return ["torch is missing"]
    names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return ["cpu", *(f"cuda:{i} ({name})" for i, name in enumerate(names))]


def _weights(cache: Path) -> list[Path]:
    return sorted((cache / "weights").glob("*.safetensors"))
