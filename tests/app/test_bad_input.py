"""Whatever a user may do wrong, through the command line: one line and status 2, or listed and the rest goes on."""

from __future__ import annotations

import os
import pickle
import shutil
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file, save_file
from tests.app.conftest import Augury, patients, picture, rows_of, write_classes, write_manifest

COMMANDS = ("check", "fit", "study")


def command(name: str, data: Path, out: Path) -> list[object]:
    """A command of that name that reads `data`."""
    return {
        "check": ["check", data],
        "fit": ["fit", "cvae", data, "--out", out, "--steps", 2],
        "study": ["study", data, "--out", out, "--no-patients", "--preset", "quick"],
    }[name]


# Sets that are no sets


@pytest.mark.parametrize("name", COMMANDS)
def test_an_empty_folder(name: str, augury: Augury, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    augury(*command(name, tmp_path / "empty", tmp_path / "out")).expect_one_line("no images", "empty")


@pytest.mark.parametrize("name", COMMANDS)
def test_a_folder_that_is_not_there(name: str, augury: Augury, tmp_path: Path) -> None:
    augury(*command(name, tmp_path / "nowhere", tmp_path / "out")).expect_one_line("there is no", "nowhere")
    assert not (tmp_path / "out").exists()


def test_a_single_image_instead_of_a_set(augury: Augury, classes: Path) -> None:
    augury("check", classes / "a" / "000.png").expect_one_line("000.png", "expected a folder")


@pytest.mark.parametrize("name", COMMANDS)
def test_an_unknown_layout(name: str, augury: Augury, classes: Path, tmp_path: Path) -> None:
    augury(*command(name, classes, tmp_path / "out"), "--layout", "tar").expect_one_line("'tar'", "class_folders")
    other = augury(*command(name, classes, tmp_path / "out"), "--layout", "nnunet")
    other.expect_one_line("dataset.json", "name a layout")


def test_an_unknown_phantom(augury: Augury, tmp_path: Path) -> None:
    augury("check", "phantom:liver").expect_one_line("liver", "brain")
    augury("phantom", "liver", "-n", 4, "--out", tmp_path / "set").expect_one_line("liver", "brain")
    oblong = augury("phantom", "brain", "-n", 4, "--size", "32x48", "--out", tmp_path / "set")
    oblong.expect_one_line("32x48", "square")


# Images that cannot be read are listed; the rest goes on


def truncated(path: Path) -> None:
    shutil.copyfile(path.with_name("000.png"), path)
    path.write_bytes(path.read_bytes()[:-300])


def one_pixel(path: Path) -> None:
    Image.new("L", (1, 1)).save(path)


def enormous(path: Path) -> None:
    """A valid header of 20,000 x 20,000 pixels: it must be refused before anybody makes room for them."""
    header = (20000).to_bytes(4, "big") * 2 + bytes([8, 0, 0, 0, 0])
    chunk = b"IHDR" + header
    data = b"IDAT" + zlib.compress(b"\0" * 1000)
    parts = [len(part[4:]).to_bytes(4, "big") + part + zlib.crc32(part).to_bytes(4, "big") for part in (chunk, data)]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))


def text_file(path: Path) -> None:
    path.write_text("This is not an image.\n")


@pytest.mark.parametrize(
    ("spoil", "why"),
    [(truncated, "truncated"), (one_pixel, "1x1"), (enormous, "20000x20000"), (text_file, "text file")],
)
def test_an_unreadable_image_is_listed_with_the_reason(
    spoil: Callable[[Path], None], why: str, augury: Augury, classes: Path
) -> None:
    spoil(classes / "a" / "spoilt.png")
    found = augury("check", classes, "--json")
    assert found.status == 0
    assert found.facts["images"] == 12
    (only,) = found.facts["unreadable"]
    assert only["image"] == "a/spoilt.png"
    assert why in only["why"]
    assert "spoilt.png" in found.err


def test_a_set_of_nothing_but_unreadable_images(augury: Augury, tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / "set" / name).mkdir(parents=True)
        text_file(tmp_path / "set" / name / "0.png")
    augury("check", tmp_path / "set").expect_one_line("none of the 2 images", "text file")


# Images that are unusual are read


def cmyk(path: Path) -> None:
    inks = [Image.fromarray(picture(name)) for name in "cmyk"]
    Image.merge("CMYK", inks).save(path, format="JPEG")


def palette(path: Path) -> None:
    Image.fromarray(picture("p")).convert("RGB").quantize(32).save(path)


def sixteen_bits(path: Path) -> None:
    Image.fromarray(picture("16").astype(np.uint16) * 257).save(path)


def alpha(path: Path) -> None:
    Image.fromarray(np.dstack([picture(name) for name in ("r", "g", "b", "a")])).save(path)


@pytest.mark.parametrize("make", [cmyk, palette, sixteen_bits, alpha])
def test_an_unusual_image_counts_like_any_other(make: Callable[[Path], None], augury: Augury, classes: Path) -> None:
    make(classes / "b" / "unusual.png")
    found = augury("check", classes, "--json")
    assert found.status == 0
    assert found.facts["images"] == 13
    assert found.facts["unreadable"] == []


def test_images_of_mixed_sizes_and_channels(augury: Augury, classes: Path, tmp_path: Path) -> None:
    Image.fromarray(picture("large", side=90)[:, :60]).save(classes / "a" / "large.png")
    Image.fromarray(np.dstack([picture(name) for name in "rgb"])).save(classes / "b" / "colour.png")
    sixteen_bits(classes / "b" / "deep.png")
    assert augury("check", classes, "--json").facts["images"] == 15
    fitted = augury("fit", "cvae", classes, "--out", tmp_path / "m", "--steps", 2, "--size", 32, "--json")
    assert fitted.status == 0, fitted.err
    assert fitted.facts["images"] == 15


# Manifests


def test_a_missing_column(augury: Augury, tmp_path: Path) -> None:
    write_manifest(tmp_path / "set", [{"picture": "0.png", "label": "a"}], images=False)
    augury("check", tmp_path / "set").expect_one_line("picture, label", "'image'")


def test_a_missing_file_is_listed(augury: Augury, tmp_path: Path) -> None:
    data = write_manifest(tmp_path / "set", patients(12))
    (data / "3.png").unlink()
    found = augury("check", data, "--json")
    assert found.status == 0
    assert found.facts["images"] == 11
    assert [item["image"] for item in found.facts["unreadable"]] == ["3.png"]
    assert "no such file" in found.facts["unreadable"][0]["why"]


@pytest.mark.parametrize("name", ["../outside.png", "/etc/passwd", "a/../../outside.png"])
def test_a_path_that_leaves_the_folder(name: str, augury: Augury, tmp_path: Path) -> None:
    write_manifest(tmp_path / "set", [*patients(4), {"image": name, "label": "a", "patient": "x"}], images=False)
    augury("check", tmp_path / "set").expect_one_line(name, "line 6", "leaves the folder")


def test_a_duplicate_row(augury: Augury, tmp_path: Path) -> None:
    write_manifest(tmp_path / "set", [*patients(4), patients(4)[1]])
    augury("check", tmp_path / "set").expect_one_line("'1.png'", "twice", "3 and 6")


def test_ten_thousand_classes(augury: Augury, tmp_path: Path) -> None:
    rows = [{"image": f"{i}.png", "label": f"c{i}"} for i in range(10_000)]
    write_manifest(tmp_path / "set", rows, images=False)
    for name in COMMANDS:
        augury(*command(name, tmp_path / "set", tmp_path / "out")).expect_one_line("10,000", "1,000")


def test_one_class_only(augury: Augury, tmp_path: Path) -> None:
    data = write_classes(tmp_path / "set", {"a": 12})
    found = augury("check", data, "--json")
    assert found.facts["classes"] == {"a": 12}
    assert found.facts["smallest_detectable_difference"] is None
    assert any("at least 2" in concern for concern in found.facts["concerns"])
    augury(*command("study", data, tmp_path / "out")).expect_one_line("1 class", "at least 2")
    augury("fit", "classifier", data, "--out", tmp_path / "out").expect_one_line("1 classes", "at least 2")


def test_a_class_with_two_images(augury: Augury, tmp_path: Path) -> None:
    data = write_classes(tmp_path / "set", {"a": 12, "b": 12, "rare": 2})
    found = augury("check", data, "--json")
    assert any("'rare' has 2" in concern for concern in found.facts["concerns"])
    augury(*command("study", data, tmp_path / "out")).expect_one_line("rare")


def test_no_patients_and_nobody_said_so(augury: Augury, classes: Path, tmp_path: Path) -> None:
    augury("study", classes, "--out", tmp_path / "out").expect_one_line("--no-patients")
    assert augury("check", classes, "--json").facts["patients"] is None


def test_a_patient_in_two_given_splits(augury: Augury, tmp_path: Path) -> None:
    rows = [row | {"split": "test" if i >= 20 else "train"} for i, row in enumerate(patients(32))]
    rows[20]["patient"] = rows[0]["patient"]
    data = write_manifest(tmp_path / "set", rows)
    assert augury("check", data, "--json").facts["leaks"]["test<-train"]["patients"] == 1
    refused = augury("study", data, "--out", tmp_path / "out", "--split", "given", "--preset", "quick")
    refused.expect_one_line("--drop-leaks")


@pytest.mark.parametrize(("labels", "classes"), [("102", ["0", "1", "2"]), ("ba", ["a", "b"])])
def test_labels_that_are_numbers_or_words(labels: str, classes: list[str], augury: Augury, tmp_path: Path) -> None:
    data = write_manifest(tmp_path / "set", patients(12, labels=labels))
    assert list(augury("check", data, "--json").facts["classes"]) == classes


def test_labels_that_are_empty_are_counted_and_kept(augury: Augury, tmp_path: Path) -> None:
    rows = [row | {"label": "" if i % 4 == 0 else row["label"]} for i, row in enumerate(patients(24))]
    data = write_manifest(tmp_path / "set", rows)
    found = augury("check", data, "--json")
    assert found.facts["images"] == 24
    assert sum(found.facts["classes"].values()) == 18
    assert "6 of 24 images have no label" in found.err
    fitted = augury("fit", "cvae", data, "--out", tmp_path / "m", "--steps", 2, "--json")
    assert fitted.facts["images"] == 18
    assert "6 unlabelled images are not used" in fitted.err


def test_no_labels_at_all(augury: Augury, tmp_path: Path) -> None:
    data = write_manifest(tmp_path / "set", [row | {"label": ""} for row in patients(12)])
    assert augury("check", data, "--json").facts["classes"] == {}
    augury(*command("study", data, tmp_path / "out")).expect_one_line("label")
    augury("fit", "cvae", data, "--out", tmp_path / "m").expect_one_line("0 labelled images", "add labels")


NAMES = ["with space.png", "with'quote.png", 'with"double.png', "new\nline.png", "Müller-日本.png", "a,comma.png"]


def test_file_names_with_anything_in_them(augury: Augury, tmp_path: Path, classifier: Path) -> None:
    data = write_classes(tmp_path / "set", {"a": 2, "b": 2})
    for name in NAMES:
        Image.fromarray(picture(name)).save(data / "a" / name)
    text_file(data / "b" / "bad\nname.png")
    found = augury("check", data, "--json")
    assert found.facts["images"] == 4 + len(NAMES)
    assert "bad\\nname.png" in found.err
    assert augury("predict", classifier, data, "--out", tmp_path / "p.csv").status == 0
    assert {row["image"] for row in rows_of(tmp_path / "p.csv")} >= {f"a/{name}" for name in NAMES}


def test_a_file_name_that_is_no_text(augury: Augury, classes: Path) -> None:
    place = os.fsencode(classes / "a") + b"/caf\xe9.png"
    shutil.copyfile(classes / "a" / "000.png", place)
    found = augury("check", classes, "--json")
    assert found.status == 0
    assert found.facts["images"] == 12
    assert "UTF-8" in found.facts["unreadable"][0]["why"]


# Places to write to


@pytest.fixture
def forbidden(tmp_path: Path) -> Path:
    """A folder where nobody, not even root, may write."""
    if os.geteuid() == 0:
        return Path("/sys")
    tmp_path.joinpath("locked").mkdir()
    tmp_path.joinpath("locked").chmod(0o555)
    return tmp_path / "locked"


@pytest.mark.parametrize("name", ["fit", "study", "check", "phantom", "predict"])
def test_a_read_only_output_folder(name: str, augury: Augury, classes: Path, forbidden: Path, classifier: Path) -> None:
    argv = {
        "fit": command("fit", classes, forbidden / "out"),
        "study": command("study", classes, forbidden / "out"),
        "check": ["check", classes, "--out", forbidden / "out", "--json"],
        "phantom": ["phantom", "brain", "-n", 2, "--out", forbidden / "out", "--set", "size=32"],
        "predict": ["predict", classifier, classes, "--out", forbidden / "p.csv"],
    }[name]
    augury(*argv).expect_one_line(str(forbidden), "may not be written")


def test_an_output_file_where_a_folder_should_be(augury: Augury, classes: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    augury(*command("fit", classes, tmp_path / "file")).expect_one_line("file", "--out")
    augury(*command("study", classes, tmp_path / "file")).expect_one_line("file")
    assert (tmp_path / "file").read_text() == "mine"


FULL_DISK = """
set -e
mkdir -p "$1/small" && mount -t tmpfs -o size=96k none "$1/small"
status=0; "$2" -m augury.app.cli phantom brain -n 64 --out "$1/small/set" --set size=64 || status=$?
ls -A "$1/small" >&2
exit $status
"""


def test_a_full_disk_leaves_nothing_half_written(tmp_path: Path) -> None:
    if not shutil.which("unshare") or subprocess.run(["unshare", "-Urm", "true"], check=False).returncode:
        pytest.skip("no right to mount a small disk here")
    argv = ["unshare", "-Urm", "sh", "-c", FULL_DISK, "sh", str(tmp_path), sys.executable]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False)
    if "mount:" in done.stderr:
        pytest.skip("no right to mount a small disk here")
    assert done.returncode == 2, done.stderr
    last = done.stderr.splitlines()[-1]  # nothing listed after it: the folder is empty again
    assert last.startswith("augury: ")
    assert "disk is full" in last


# Models that are not what they say


@pytest.fixture
def spoilt(classifier: Path, tmp_path: Path) -> Path:
    """A copy of a fitted classifier to do harm to."""
    return Path(shutil.copytree(classifier, tmp_path / "spoilt"))


def test_a_nan_in_a_weights_file(augury: Augury, spoilt: Path, fitted: Path, tmp_path: Path) -> None:
    classes = fitted / "set"
    file = spoilt / "weights.safetensors"
    weights = load_file(file)
    name = next(name for name, value in weights.items() if value.dtype == np.float32)
    weights[name] = np.full_like(weights[name], np.nan)
    save_file(weights, file)
    augury("predict", spoilt, classes, "--out", tmp_path / "p.csv").expect_one_line("weights.safetensors", name)
    assert not (tmp_path / "p.csv").exists()
    study = augury(*command("study", classes, tmp_path / "out"), "--weights", file, "--arms", "augmented,probe")
    study.expect_one_line("weights")


def test_a_pickle_named_safetensors(augury: Augury, spoilt: Path, fitted: Path, tmp_path: Path) -> None:
    classes = fitted / "set"
    file = spoilt / "weights.safetensors"
    file.write_bytes(pickle.dumps({"weight": [1.0]}))
    augury("predict", spoilt, classes, "--out", tmp_path / "p.csv").expect_one_line("weights.safetensors")
    study = augury(*command("study", classes, tmp_path / "out"), "--weights", file, "--arms", "augmented,probe")
    study.expect_one_line("weights")


@pytest.mark.parametrize("content", ["", "{", "[]", '{"kind": 3}'])
def test_an_artefact_file_that_is_none(
    content: str, augury: Augury, spoilt: Path, classes: Path, tmp_path: Path
) -> None:
    (spoilt / "artefact.json").write_text(content)
    augury("predict", spoilt, classes, "--out", tmp_path / "p.csv").expect_one_line("artefact.json")


def test_a_folder_that_holds_no_model(augury: Augury, classes: Path, tmp_path: Path) -> None:
    augury("predict", classes, classes, "--out", tmp_path / "p.csv").expect_one_line("artefact.json")
    augury("sample", classes, "-n", 3, "--out", tmp_path / "s").expect_one_line("artefact.json")


def test_a_classifier_draws_nothing_and_a_generator_predicts_nothing(
    augury: Augury, classifier: Path, generator: Path, classes: Path, tmp_path: Path
) -> None:
    augury("sample", classifier, "-n", 3, "--out", tmp_path / "s").expect_one_line("classifier", "draws nothing")
    augury("predict", generator, classes, "--out", tmp_path / "p").expect_one_line("cvae", "predicts nothing")


def test_an_unknown_class(augury: Augury, generator: Path, tmp_path: Path) -> None:
    argv = ["sample", generator, "-n", 3, "--label", "zebra", "--out", tmp_path / "s"]
    augury(*argv).expect_one_line("'zebra'", "'a', 'b'")


def test_another_model_in_the_output_folder(augury: Augury, generator: Path, classes: Path) -> None:
    before = (generator / "weights.safetensors").read_bytes()
    argv = ["fit", "cvae", classes, "--out", generator, "--steps", 3, "--seed", 9]
    augury(*argv).expect_one_line("holds another", "--out")
    assert (generator / "weights.safetensors").read_bytes() == before


# Options


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--size", "big"], ["'big'", "--size 64"]),
        (["--size", "4"], ["8 to 2048"]),
        (["--device", "tpu"], ["'tpu'", "cpu"]),
        (["--device", "cuda:77"], ["cuda:77", "--device cpu"]),
        (["--steps", "0"], ["--steps"]),
        (["--set", "latnt=3"], ["did you mean latent"]),
        (["--set", "latent=many"], ["latent", "'many'"]),
        (["--config", "nowhere.yaml"], ["nowhere.yaml"]),
    ],
)
def test_a_wrong_option(options: list[str], words: list[str], augury: Augury, classes: Path, tmp_path: Path) -> None:
    augury("fit", "cvae", classes, "--out", tmp_path / "m", *options).expect_one_line(*words)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--budget", "soon"], ["'soon'", "15m"]),
        (["--arms", "augmented,magic"], ["'magic'"]),
        (["--metric", "beauty"], ["beauty", "auroc_macro"]),
        (["--preset", "sloppy"], ["sloppy", "quick"]),
        (["--smallest-effect", "2"], ["2", "between 0 and 1"]),
        (["--generators", "stylegan9"], ["stylegan9", "cvae"]),
        (["--set", "classifier.widht=3"], ["widht"]),
    ],
)
def test_a_wrong_option_of_a_study(
    options: list[str], words: list[str], augury: Augury, classes: Path, tmp_path: Path
) -> None:
    augury(*command("study", classes, tmp_path / "out"), *options).expect_one_line(*words)


def test_an_unknown_method(augury: Augury, classes: Path, tmp_path: Path) -> None:
    augury("fit", "magic", classes, "--out", tmp_path / "m").expect_one_line("'magic'", "cvae", "classifier")
