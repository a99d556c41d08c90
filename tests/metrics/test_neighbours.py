"""Nearest neighbours against scikit-learn and direct differences, where products in float32 alone would be wrong."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.neighbors import NearestNeighbors

from augury.metrics.neighbours import Engine, nearest, nearest_groups, pair_distances

ENGINES: list[Engine] = ["torch", "faiss"] if find_spec("faiss") else ["torch"]


def slow(query_ND: np.ndarray, base_MD: np.ndarray, *, k: int, own: bool = False) -> np.ndarray:
    """The k smallest distances of every row, by differences in float64."""
    distance_NM = np.linalg.norm(query_ND[:, None].astype(np.float64) - base_MD[None].astype(np.float64), axis=2)
    if own:
        np.fill_diagonal(distance_NM, np.inf)
    return np.sort(distance_NM, axis=1)[:, :k]


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 40), st.integers(2, 60), st.integers(1, 9), st.integers(1, 9), st.integers(0, 999),
    st.sampled_from([0.0, 1.0, 1e4]), st.booleans(), st.sampled_from(ENGINES),
)  # fmt: skip
def test_distances_are_exact_whatever_the_offset_the_blocks_and_the_ties(
    n: int, m: int, d: int, k: int, seed: int, offset: float, coarse: bool, engine: Engine
) -> None:
    rng = np.random.default_rng(seed)
    base_MD, query_ND = rng.normal(size=(m, d)), rng.normal(size=(n, d))
    if coarse:
        base_MD, query_ND = base_MD.round(), query_ND.round()
    base_MD, query_ND = ((table + offset).astype(np.float32) for table in (base_MD, query_ND))
    k = min(k, m - 1)
    for query, own in ((query_ND, False), (base_MD, True)):
        distance, index = nearest(query, base_MD, k=k, own=own, block=int(rng.integers(1, 5000)), engine=engine)
        np.testing.assert_allclose(distance, slow(query, base_MD, k=k, own=own), rtol=1e-6)
        np.testing.assert_allclose(np.linalg.norm(query[:, None] - base_MD[index], axis=2), distance, rtol=1e-5)
        assert all(len(set(row)) == k for row in index.tolist())
        assert not own or (index != np.arange(m)[:, None]).all()


@pytest.mark.parametrize("engine", ENGINES)
def test_many_rows_equal_scikit_learns(engine: Engine) -> None:
    rng = np.random.default_rng(0)
    base_MD, query_ND = rng.normal(size=(5000, 48)).astype(np.float32), rng.normal(size=(700, 48)).astype(np.float32)
    theirs = NearestNeighbors(n_neighbors=7, algorithm="brute").fit(base_MD.astype(np.float64))
    distance_Nk, index_Nk = theirs.kneighbors(query_ND.astype(np.float64))
    ours = nearest(query_ND, base_MD, k=7, engine=engine, block=1 << 18)
    np.testing.assert_allclose(ours[0], distance_Nk, rtol=1e-6)
    assert (ours[1] == index_Nk).all()


def test_what_float32_products_cannot_tell_apart_is_told_apart() -> None:
    rng = np.random.default_rng(0)
    base_MD = (1000 * rng.normal(size=(300, 64))).astype(np.float32)
    cluster_MD = (base_MD[:1] + 1e-2 * rng.normal(size=(200, 64))).astype(np.float32)
    all_MD = np.concatenate([base_MD, cluster_MD])
    distance, _ = nearest(cluster_MD, all_MD, k=3)
    np.testing.assert_allclose(distance, slow(cluster_MD, all_MD, k=3), rtol=1e-6)


@pytest.mark.parametrize("factor", [1e-15, 1e15])
def test_features_of_any_size(factor: float) -> None:
    table_ND = (factor * np.random.default_rng(0).normal(size=(50, 4))).astype(np.float32)
    distance, _ = nearest(table_ND, table_ND, own=True)
    np.testing.assert_allclose(distance[:, 0], slow(table_ND, table_ND, k=1, own=True)[:, 0], rtol=1e-5)


def test_a_read_only_table_and_equal_rows() -> None:
    table_ND = np.ones((40, 3), dtype=np.float32)
    table_ND.setflags(write=False)
    assert (nearest(table_ND, table_ND, k=5, own=True)[0] == 0).all()
    assert pair_distances(table_ND, table_ND, row_P=np.array([0]), column_P=np.array([1])).tolist() == [0.0]


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 30), st.integers(2, 60), st.integers(1, 12), st.integers(0, 999))
def test_the_nearest_groups_are_those_of_the_nearest_members(n: int, m: int, groups: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    query_ND, base_MD = rng.normal(size=(n, 5)), rng.normal(size=(m, 5))
    group_M = 3 * rng.integers(0, groups, m) + 7
    code_G = np.unique(group_M)
    k = int(rng.integers(1, len(code_G) + 1))
    distance_NM = np.linalg.norm(query_ND[:, None] - base_MD[None], axis=2)
    distance_NG = np.stack([distance_NM[:, group_M == g].min(axis=1) for g in code_G], axis=1)
    distance_Nk, group_Nk = nearest_groups(query_ND, base_MD, group_M=group_M, k=k, block=int(rng.integers(1, 3000)))
    np.testing.assert_allclose(distance_Nk, np.sort(distance_NG, axis=1)[:, :k], rtol=1e-6)
    assert (group_Nk == code_G[np.argsort(distance_NG, axis=1)[:, :k]]).all()


@pytest.mark.parametrize(
    ("query", "base", "k", "own"),
    [((5, 2), (5, 3), 1, False), ((5, 2), (4, 2), 1, True), ((5, 2), (5, 2), 5, True), ((5, 2), (5, 2), 6, False)],
)
def test_what_cannot_be_searched_is_refused(query: tuple[int, ...], base: tuple[int, ...], k: int, own: bool) -> None:
    with pytest.raises(ValueError, match=r"got .*, expected"):
        nearest(np.zeros(query), np.zeros(base), k=k, own=own)


def test_what_is_not_finite_is_refused() -> None:
    with pytest.raises(ValueError, match="not finite"):
        nearest(np.array([[np.nan]]), np.zeros((3, 1)))
    with pytest.raises(ValueError, match="engine"):
        nearest(np.zeros((3, 1)), np.zeros((3, 1)), engine="fais")  # type: ignore[arg-type]
