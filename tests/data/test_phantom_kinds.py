"""Laws over the whole table of phantoms. N images, H height, W width."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation

from augury.data.importers import load
from augury.data.phantoms import (
    PHANTOMS,
    Phantom,
    Population,
    amd,
    batches,
    fundus,
    phantom_set,
    render,
    render_patients,
    write,
)
from augury.data.phantoms.named import parse
from augury.data.phantoms.patients import draw

KINDS = sorted(PHANTOMS)
EYES = [kind for kind in KINDS if kind in ("fundus", "amd")]
MANY = {"brain": 160, "breast": 120, "fundus": 120, "amd": 144}


def small(kind: str, size: int = 64) -> Population:
    """The kind's default population in few pixels."""
    return PHANTOMS[kind](size=size)


@lru_cache(maxsize=8)
def drawn(kind: str) -> Phantom:
    """Enough patients for the laws of averages."""
    return render(small(kind), n=MANY[kind], seed=11)


@pytest.mark.parametrize("kind", KINDS)
def test_same_seed_same_pixels_and_other_seed_other_pixels(kind: str) -> None:
    many, n = drawn(kind), 2 * small(kind).images_per_patient - 1
    again, other = render(small(kind), n=n, seed=11), render(small(kind), n=n, seed=12)
    assert len(again) == n
    assert np.array_equal(again.image_NHWC, many.image_NHWC[:n]), "a longer set begins with the shorter one"
    assert np.array_equal(again.part_NHW, many.part_NHW[:n])
    assert again.boxes == many.boxes[:n]
    assert not np.array_equal(other.image_NHWC, again.image_NHWC)
    assert len(np.unique(many.image_NHWC.reshape(len(many), -1), axis=0)) == len(many)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [64, 128])
def test_any_subset_of_patients_is_drawn_alike_whoever_is_beside(kind: str, size: int) -> None:
    config = small(kind, size)
    together, alone = render_patients(config, range(9), seed=5), render_patients(config, [7, 2], seed=5)
    rows = np.concatenate([np.flatnonzero(together.patient_N == p) for p in (7, 2)])
    for name in ("image_NHWC", "part_NHW", "truth_N", "scanner_N"):
        assert np.array_equal(getattr(alone, name), getattr(together, name)[rows]), name
    assert alone.boxes == tuple(together.boxes[row] for row in rows)


@pytest.mark.parametrize("kind", KINDS)
def test_every_block_of_patients_holds_every_class(kind: str) -> None:
    config, many = small(kind), drawn(kind)
    classes = len(many.classes)
    whole = len(many) // (classes * config.images_per_patient) * classes * config.images_per_patient
    block = many.truth_N[:whole].reshape(-1, classes, config.images_per_patient)
    if kind not in EYES:
        assert (np.sort(block[..., 0], axis=1) == np.arange(classes)).all(), "each once"
        assert (block == block[..., :1]).all(), "one label for a patient"
    for labels in block.reshape(len(block), -1):
        assert set(labels.tolist()) == set(range(classes))


@pytest.mark.parametrize("kind", EYES)
def test_fellow_eyes_resemble_each_other_and_stay_balanced(kind: str) -> None:
    module = {"fundus": fundus, "amd": amd}[kind]
    plan, fellow = module.quantities.PLAN, module.population.FELLOW
    classes = len(PHANTOMS[kind].classes)
    eye_P2 = fellow.labels(draw(range(600), plan, seed=4, images=2, classes=classes)).reshape(600, 2).numpy()
    alike = (eye_P2[:, 0] == eye_P2[:, 1]).mean()
    share = np.bincount(eye_P2.ravel(), minlength=classes) / 1200
    assert 0.55 < alike < 0.85
    assert np.abs(share - 1 / len(share)).max() < 0.03


@pytest.mark.parametrize("kind", KINDS)
def test_patients_differ_more_than_images_of_a_patient(kind: str) -> None:
    """Correlation of comparable images: of the same modality, left eyes mirrored."""
    many = drawn(kind)
    flat = _facing_right(many).reshape(len(many), -1)
    modality = np.array(many.modalities or [""] * len(many))
    comparable = modality[:, None] == modality[None, :]
    same = comparable & (many.patient_N[:, None] == many.patient_N[None, :])
    np.fill_diagonal(same, False)
    other = comparable & (many.patient_N[:, None] != many.patient_N[None, :])
    correlation = np.corrcoef(flat)
    assert correlation[same].mean() > correlation[other].mean() + 0.05


def _facing_right(many: Phantom) -> NDArray[np.float64]:
    grey_NHW = many.image_NHWC.astype(float).mean(-1)
    left = [i for i, eye in enumerate(many.eyes) if eye == "left"]
    grey_NHW[left] = grey_NHW[left, :, ::-1]
    return grey_NHW


@pytest.mark.parametrize("kind", KINDS)
def test_label_noise_strikes_the_asked_share_and_only_the_labels(kind: str) -> None:
    config = replace(small(kind, 32), label_noise=0.3)
    each, patients = config.images_per_patient, 75 if kind in EYES else 150
    noisy = render(config, n=patients * each, seed=2)
    clean = render(replace(config, label_noise=0.0), n=10 * each, seed=2)
    assert np.array_equal(noisy.image_NHWC[: 10 * each], clean.image_NHWC)
    assert np.array_equal(clean.label_N, clean.truth_N)
    units = noisy.label_N.reshape(patients, 2 if kind in EYES else 1, -1)
    assert (units == units[..., :1]).all(), "a wrong label is the patient's, or the eye's"
    wrong = (noisy.label_N != noisy.truth_N).reshape(units.shape)[..., 0]
    assert abs(wrong.mean() - 0.3) < 3.5 * math.sqrt(0.21 / wrong.size)


@pytest.mark.parametrize("kind", KINDS)
def test_scanner_and_class_are_independent(kind: str) -> None:
    """No shortcut by construction: the scanner is the patient's, whatever the label."""
    many = drawn(kind)
    assert set(many.scanner_N.tolist()) == set(range(small(kind).scanners))
    first = np.unique(many.patient_N, return_index=True)[1]
    table = np.zeros((len(many.classes), small(kind).scanners))
    np.add.at(table, (many.truth_N[first], many.scanner_N[first]), 1)
    expected = table.sum(1, keepdims=True) * table.sum(0, keepdims=True) / table.sum()
    free = (table.shape[0] - 1) * (table.shape[1] - 1)
    assert ((table - expected) ** 2 / expected).sum() < free + 4 * math.sqrt(2 * free) + 5


@pytest.mark.parametrize("kind", KINDS)
def test_boxes_hold_their_masks_tightly(kind: str) -> None:
    many, count = drawn(kind), 0
    for i, boxes in enumerate(many.boxes):
        covered_HW = np.zeros(many.mask_NHW.shape[1:], dtype=bool)
        for box in boxes:
            x, y, right, bottom = (int(v) for v in (box.x, box.y, box.x + box.width, box.y + box.height))
            part_HW = many.part(box.label)[i] if box.label in many.parts else many.mask_NHW[i]
            inside = part_HW[y:bottom, x:right]
            assert inside.shape == (bottom - y, right - x), "within the image"
            assert all(edge.any() for edge in (inside[0], inside[-1], inside[:, 0], inside[:, -1])), "tight"
            covered_HW[y:bottom, x:right] |= inside
            count += 1
        assert np.array_equal(covered_HW, many.mask_NHW[i]), "no part of a mask without its box"
    assert count >= len(many) // 3


@pytest.mark.parametrize("kind", KINDS)
def test_masks_are_where_the_lesions_change_the_image(kind: str) -> None:
    """Against the counterfactual: the same patients, machines and noise without their lesions."""
    config = replace(small(kind, 96), difficulty=0.0, label_noise=0.5)
    n = 24 * config.images_per_patient
    shown, without = render(config, n=n, seed=3), render(replace(config, lesions=False), n=n, seed=3)
    assert np.array_equal(shown.label_N, without.label_N)
    assert not without.mask_NHW.any()
    assert not any(without.boxes)
    change_NHW = np.abs(shown.image_NHWC.astype(float) - without.image_NHWC).max(-1)
    empty_N = ~shown.mask_NHW.any((1, 2))
    inside, beside, far = [], [], []
    for i in np.flatnonzero(~empty_N):
        mask_HW = shown.mask_NHW[i]
        reach_HW = _reached(kind, shown, i)
        inside.append(change_NHW[i][mask_HW].mean())
        beside.append(change_NHW[i][~mask_HW].mean())
        far.append(change_NHW[i][~reach_HW].mean() if (~reach_HW).any() else 0.0)
    assert np.mean(inside) > 8
    assert (np.array(inside) > 2 * np.array(beside)).mean() > 0.9
    if kind != "brain":  # a tumour displaces the brain around it
        assert np.max(far) < 0.5, "beyond the declared effects nothing changes"
    healthy_N = np.isin([shown.classes[k] for k in shown.truth_N], ["no_tumor", "normal", "0"])
    assert change_NHW[healthy_N].max(initial=0) == 0, "without a lesion there is nothing to take away"
    assert (~empty_N[~healthy_N]).mean() > 0.9


def _reached(kind: str, many: Phantom, index: int) -> NDArray[np.bool_]:
    """Where a lesion may change the picture, as docs/phantoms.md declares it for each kind."""
    mask_HW = many.mask_NHW[index]
    if kind == "breast":  # halo and margin; shadow, enhancement and refraction below
        columns_W, top = binary_dilation(mask_HW, iterations=12).any(0), int(mask_HW.any(1).argmax())
        below_HW = np.zeros_like(mask_HW)
        below_HW[max(0, top - 6) :] = columns_W
        return below_HW | binary_dilation(mask_HW, iterations=12)
    if many.modalities and many.modalities[index] == "oct":  # the retina is lifted above, shadowed below
        return np.broadcast_to(binary_dilation(mask_HW, iterations=14).any(0), mask_HW.shape)
    if kind == "fundus" and many.truth_N[index] >= 3:  # veins are beaded everywhere
        return np.ones_like(mask_HW)
    return binary_dilation(mask_HW, iterations=4)


@pytest.mark.parametrize("kind", KINDS)
def test_difficulty_hides_lesions(kind: str) -> None:
    """The change that all lesions together make falls."""

    def strength(difficulty: float) -> float:
        config = replace(small(kind, 48), difficulty=difficulty)
        n = 24 * config.images_per_patient
        shown, hidden = render(config, n=n, seed=8), render(replace(config, lesions=False), n=n, seed=8)
        return float(np.abs(shown.image_NHWC.astype(float) - hidden.image_NHWC).sum())

    easy, default, hard = (strength(d) for d in (0.0, 0.5, 1.0))
    assert easy > default > hard


@pytest.mark.parametrize("kind", KINDS)
def test_the_revision_is_raised_when_the_pictures_change(kind: str) -> None:
    """Not bit for bit, since machines round differently; a changed shape or intensity moves these by far more."""
    some = render(small(kind), n=24, seed=11)
    whole = some.image_NHWC.astype(float)
    assert np.allclose([whole.mean(), whole.std(), some.mask_NHW.mean() * 1000], FINGERPRINTS[kind], atol=0.03), (
        f"if the change was meant, raise the revision of {kind} and write the new numbers here"
    )


FINGERPRINTS = {
    "brain": (45.269, 47.148, 13.255),
    "breast": (77.655, 47.717, 25.757),
    "fundus": (70.644, 61.943, 16.459),
    "amd": (76.205, 55.519, 13.316),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_named_set_loads_as_any_other(kind: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    manifest = load(f"phantom:{kind}?n=24&seed=3&size=48")
    many = render(PHANTOMS[kind](size=48), n=24, seed=3)
    assert manifest.patients_known
    assert [manifest.classes[s.label] for s in manifest if s.label is not None] == [
        many.classes[k] for k in many.label_N
    ]
    assert [s.patient for s in manifest] == [f"p{p:06d}" for p in many.patient_N]
    assert ["mask" in s.masks for s in manifest] == many.mask_NHW.any((1, 2)).tolist()
    assert [s.eye or "" for s in manifest] == list(many.eyes or [""] * 24)
    assert [s.modality or "" for s in manifest] == list(many.modalities or [""] * 24)


@pytest.mark.parametrize("kind", KINDS)
def test_a_set_is_written_batch_by_batch_as_at_once(kind: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp(kind)
    config = small(kind, 48)
    once = write(render(config, n=9, seed=1), folder / "once").parent
    pieces = write(batches(config, n=9, seed=1), folder / "pieces").parent
    files = sorted(p.relative_to(once) for p in once.rglob("*") if p.is_file())
    assert files == sorted(p.relative_to(pieces) for p in pieces.rglob("*") if p.is_file())
    assert all((once / f).read_bytes() == (pieces / f).read_bytes() for f in files)


@pytest.mark.parametrize("kind", EYES)
def test_eyes_of_a_patient_are_mirrored(kind: str) -> None:
    """The disc lies to the nose: right in a right eye; the mirrored fellow eye fits better than the unmirrored."""
    many = drawn(kind)
    colour = [i for i in range(len(many)) if not many.modalities or many.modalities[i] == "cfp"]
    disc_NHW = many.part("od")
    side = {"right": 1, "left": -1}
    for i in colour:
        if disc_NHW[i].any():
            off = np.nonzero(disc_NHW[i])[1].mean() - (disc_NHW.shape[-1] - 1) / 2
            assert off * side[many.eyes[i]] > 0
    pairs = [(i, j) for i in colour for j in colour if i < j and many.patient_N[i] == many.patient_N[j]]
    grey_NHW, mirrored_NHW = many.image_NHWC.astype(float).mean(-1), _facing_right(many)
    grey_NHW, mirrored_NHW = grey_NHW[:, 14:-14, 10:-10], mirrored_NHW[:, 14:-14, 10:-10]  # seen by every camera

    def fit(images_NHW: NDArray[np.float64]) -> float:
        return float(np.mean([np.corrcoef(images_NHW[i].ravel(), images_NHW[j].ravel())[0, 1] for i, j in pairs]))

    assert fit(mirrored_NHW) > fit(grey_NHW) + 0.1


def test_names_know_all_kinds() -> None:
    assert {parse(kind)[0] for kind in KINDS} == set(PHANTOMS)
    assert phantom_set("breast?n=2&size=32").is_dir()
