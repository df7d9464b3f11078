"""Laws of the lattice: weights are barycentric, neighbours mutual, keys one a vertex."""

import numpy as np
import pytest

from inference.crf.fused.cpu.jit import ThreadPool
from inference.crf.fused.permutohedral.lattice import (
    KEY_RANGE,
    build_lattice,
    normalise_symmetrically,
)

RANDOM = np.random.default_rng(0)


def laid(d, count=500, batch=1, threads=1, spread=3.0, complete=False):
    features = np.random.default_rng(d).normal(size=(batch, d, count)) * spread
    with ThreadPool(threads) as pool:
        return build_lattice(features.astype(np.float32), pool, complete)


@pytest.mark.parametrize("d", [1, 2, 3, 5, 8, 20])
def test_points_lie_in_their_simplices(d):
    result = laid(d)
    assert result.weights.min() >= 0
    np.testing.assert_allclose(result.weights.sum(1), 1, atol=1e-4)
    assert result.vertices.min() == 0
    assert result.vertices.max() == result.occupied - 1
    assert all(len(set(row)) == d + 1 for row in result.vertices.tolist())


@pytest.mark.parametrize("count", [1, 7, 15, 16, 17, 33])
def test_any_number_of_points(count):
    """Points are placed sixteen together; where some are left over, none is mistaken."""
    result, more = laid(5, count, batch=3), laid(5, count, batch=3, threads=2)
    np.testing.assert_array_equal(result.weights, more.weights)
    for scene in range(3):
        features = np.random.default_rng(5).normal(size=(3, 5, count)) * 3.0
        with ThreadPool(1) as pool:
            alone = build_lattice(features[scene : scene + 1].astype(np.float32), pool)
        np.testing.assert_allclose(
            result.weights[scene * count :][:count], alone.weights, atol=1e-4
        )


@pytest.mark.parametrize("d", [1, 2, 5])
def test_neighbours_are_mutual(d):
    result = laid(d)
    for ahead, behind in result.neighbours:
        here = np.flatnonzero(ahead < result.size)
        assert (behind[ahead[here]] == here).all()
        assert (behind < result.size).sum() == len(here)


def test_along_a_line_vertices_are_in_order():
    """In one dimension, neighbours and the two ends of a simplex are the same thing."""
    result = laid(1)
    near = {(v, w) for v, w in enumerate(result.neighbours[0, 0].tolist()) if w < result.size}
    near |= {(w, v) for v, w in near}
    assert all((a, b) in near for a, b in result.vertices.tolist())


def test_completion_adds_vertices_between_others():
    result = laid(2, complete=True)
    assert result.vertices.max() == result.occupied - 1 < result.size - 1
    taken = (result.neighbours[:, :, result.occupied :] < result.occupied).sum((0, 1))
    assert taken.min() >= 2


def test_where_vertices_are_few_they_are_completed_unasked():
    crowded, sparse = (laid(2, spread=spread, complete=None) for spread in (0.5, 9.0))
    assert crowded.size > crowded.occupied
    assert sparse.size == sparse.occupied


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("count", [300, 3000])
def test_balanced_weights_and_masses(threads, count):
    """Factors are D^-½, where D is what ones become: weights there, blurs, weights back."""
    result = laid(3, count, batch=2, threads=threads, spread=1.0)
    own = result.weights.copy().astype(np.float64)
    masses = np.zeros(result.size + 1)
    np.add.at(masses, result.vertices, own)
    np.testing.assert_allclose(result.masses, masses[:-1], rtol=1e-4)
    for near in result.neighbours:
        masses[:-1] += result.spacing.side * masses[near].sum(0)
    right = (result.gain * (own * masses[result.vertices]).sum(1)) ** -0.5
    with ThreadPool(threads) as pool:
        factors = normalise_symmetrically(result, pool)
    np.testing.assert_allclose(factors, right, rtol=1e-4)
    np.testing.assert_allclose(result.weights, own * right[:, None], rtol=1e-4)


def test_vertices_of_a_batch_stand_scene_by_scene():
    result = laid(3, 60, batch=4)
    assert result.by_scene
    bounds = result.bounds(4)
    assert (bounds[0], bounds[-1]) == (0, result.size)
    for own, first, stop in zip(result.vertices.reshape(4, -1), bounds, bounds[1:], strict=False):
        assert first == own.min()
        assert stop == own.max() + 1


@pytest.mark.parametrize(("d", "batch", "complete"), [(1, 1, False), (3, 4, False), (2, 1, True)])
def test_chains_hold_each_pair_of_neighbours_once(d, batch, complete):
    """And no vertex twice along one axis, so that a blur may run in place."""
    result = laid(d, 200, batch=batch, complete=complete)
    order, links, offsets = result.chains
    parts = (len(offsets) - 1) // (d + 1)
    assert parts == batch
    for axis, (ahead, _) in enumerate(result.neighbours):
        pairs, seen = set(), []
        for scene in range(parts):
            first, stop = offsets[scene * (d + 1) + axis :][:2]
            seen += order[first:stop].tolist()
            chained = np.flatnonzero(links[first:stop]) + first
            pairs |= {(order[i - 1], order[i]) for i in chained.tolist()}
            assert links[first] == links[stop] == 0
        assert len(set(seen)) == len(seen)
        assert pairs == {(v, w) for v, w in enumerate(ahead.tolist()) if w < result.size}


@pytest.mark.parametrize("d", [2, 5, 30])
def test_threads_find_the_same_simplices(d):
    """Vertices may have other numbers, but two points share one or not as before."""
    one, three = laid(d, spread=0.7), laid(d, spread=0.7, threads=3)
    assert one.size == three.size
    np.testing.assert_array_equal(one.weights, three.weights)
    names = dict(zip(one.vertices.ravel().tolist(), three.vertices.ravel().tolist(), strict=True))
    assert len(set(names.values())) == len(names) == one.size
    np.testing.assert_array_equal(np.vectorize(names.get)(one.vertices), three.vertices)


def test_scenes_share_no_vertex():
    features = np.tile(RANDOM.normal(size=(1, 3, 50)).astype(np.float32), (2, 1, 1))
    with ThreadPool(1) as pool:
        result = build_lattice(features, pool)
    first, second = result.vertices[:50], result.vertices[50:]
    assert not set(first.ravel().tolist()) & set(second.ravel().tolist())
    np.testing.assert_array_equal(second - second.min(), first - first.min())


def test_features_too_wide_are_refused():
    features = np.array([[[0.0, 1e7]]], np.float32)
    with ThreadPool(1) as pool, pytest.raises(OverflowError, match=r"5\.2e\+05"):
        build_lattice(features, pool)


def test_a_word_holds_no_more_than_64_bits():
    assert KEY_RANGE < 2**63
