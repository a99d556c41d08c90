"""Where the real data are, one thread a process, a cache of the tests' own."""

from __future__ import annotations

import os
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # two processes of two threads each collapse on two cores

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    os.environ["AUGURY_CACHE"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def real_data() -> Path:
    folder = ROOT.parent / "shared" / "data"
    if not folder.exists():
        pytest.skip("the real data sets are not at ../shared/data")
    return folder


@pytest.fixture(scope="session")
def real_weights() -> Path:
    folder = ROOT.parent / "shared" / "weights"
    if not folder.exists():
        pytest.skip("the weights are not at ../shared/weights")
    return folder
