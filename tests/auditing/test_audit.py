"""Whole audits of trees with known faults, and of trees about which little can be said."""

import csv
import re
import shutil

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

FILE_FACTS = ("file_size", "format", "dimensions", "quantization", "subsampling", "metadata", "file")


def levels(figures):
    """The worst level of the verdicts about each thing."""
    found = {}
    for line in figures["verdicts"]:
        found.setdefault(line["about"], line)
    return {about: line["level"] for about, line in found.items()}


def said(figures, about):
    return " ".join(line["text"] for line in figures["verdicts"] if line["about"] == about)


def test_a_sound_data_set_gets_no_warning(tree, audit, tmp_path):
    root = tree(60)
    figures, text = audit("data=folder", f"data.root={root}", "data.val_fraction=0.3")
    assert not [line for line in figures["verdicts"] if line["level"] == "warning"], text
    for kind in ("exact", "pixels", "near"):
        assert {figures["duplicates"][kind][key] for key in ("total", "test_images_in_train", "images")} == {0}
    shortcuts = figures["shortcuts"]
    assert not any(shortcut["shortcut"] for shortcut in shortcuts.values())
    assert shortcuts["format"]["constant"] and shortcuts["quantization"]["auroc"] == 0.5
    assert figures["data"]["splits"]["test"] == {"REAL": 60, "FAKE": 60}
    assert figures["corrupt"] == {"files": 0, "reasons": {}}
    assert f"Audit: {tmp_path / 'out' / 'audit.html'}" in text


def test_duplicates_are_found_within_and_across_splits_and_classes(tree, audit, tmp_path, picture):
    root = tree(30)
    fake = root / "train" / "FAKE"
    shutil.copy(fake / "0000 (1).jpg", fake / "copy (1).jpg")
    for number in (3, 4):
        shutil.copy(fake / f"{number:04d} ({number + 1}).jpg", root / "test" / "FAKE" / f"leak ({number + 1}).jpg")
    shutil.copy(root / "test" / "REAL" / "0007 (8).jpg", root / "test" / "REAL" / "again (8).jpg")
    shutil.copy(root / "train" / "REAL" / "0009 (10).jpg", fake / "liar (10).jpg")
    for split, name in (("train", "0011 (2).jpg"), ("test", "0012 (3).jpg")):
        original = Image.open(root / "train" / "REAL" / name)
        original.save(root / split / "REAL" / f"near {name}", quality=55)
    original.convert("RGB").save(root / "train" / "REAL" / "other bytes (3).png")
    figures, text = audit("data=cifake", f"data.root={root}", "data.digest=null")

    exact, pixels, near = (figures["duplicates"][kind] for kind in ("exact", "pixels", "near"))
    assert [exact[key] for key in ("total", "within_train", "within_test", "across_splits")] == [5, 2, 1, 2]
    assert exact["across_classes"] == 1 and exact["test_images_in_train"] == 2
    by_class = {name: found["total"] for name, found in exact["by_cifar_class"].items()}
    assert by_class == {"airplane": 1, "cat": 1, "deer": 1, "horse": 1, "truck": 1}
    assert pixels["total"] == 6 and pixels["across_splits"] == 2
    # The near image in train; the one in test, once with each of its two equal originals.
    assert [near[key] for key in ("total", "within_train", "across_splits", "test_images_in_train")] == [3, 1, 2, 1]
    found = levels(figures)
    assert found["Leaks"] == found["Contradicting labels"] == "warning" and found["Exact duplicates"] == "note"
    assert "2 of 64 test images" in said(figures, "Leaks") and "data.drop_duplicates=true" in text

    with (tmp_path / "out" / "duplicates.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    kinds = [row["kind"] for row in rows]
    assert [kinds.count(kind) for kind in ("bytes", "pixels", "near")] == [5, 1, 2]
    assert [{row["first"], row["second"]} for row in rows if row["kind"] == "pixels"] == [
        {"train/REAL/0012 (3).jpg", "train/REAL/other bytes (3).png"}
    ]
    page = (tmp_path / "out" / "audit.html").read_text()
    assert page.count('src="data:image/webp;base64,') == 8 and "http" not in page.replace("http-equiv", "")
    pictures = re.findall(r"\]\((figures/[^)]+)\)", (tmp_path / "out" / "audit.md").read_text())
    assert pictures and all((tmp_path / "out" / name).exists() for name in pictures)
    with Image.open(tmp_path / "out" / "figures" / "same_1.png") as shown:
        both = np.asarray(shown)
    assert both.shape == (96, 196, 3) and (both[:, :96] == both[:, 100:]).all()


def quality(image, path, label):
    image.save(path.with_suffix(".jpg"), quality=85 if label == "REAL" else 92)


def sampling(image, path, label):
    image.save(path.with_suffix(".jpg"), quality=85, subsampling=0 if label == "REAL" else 2)


def endings(image, path, label):
    image.save(path.with_suffix(".png" if label == "REAL" else ".bmp"))


def sizes(image, path, label):
    image.resize((96, 64) if label == "REAL" else (64, 64)).save(path.with_suffix(".png"))


def prompts(image, path, label):
    info = PngInfo()
    if label == "FAKE":
        info.add_text("parameters", "a frog, steps: 20")
    image.save(path.with_suffix(".png"), pnginfo=info)


@pytest.mark.parametrize(
    ("save", "name", "clean"),
    [
        (quality, "quantization", ("format", "dimensions", "subsampling", "metadata")),
        (sampling, "subsampling", ("format", "dimensions", "quantization", "metadata")),
        (endings, "format", ("dimensions", "quantization", "subsampling")),
        (sizes, "dimensions", ("format", "quantization", "subsampling", "metadata")),
        (prompts, "metadata", ("format", "dimensions", "quantization", "subsampling")),
    ],
)
def test_a_planted_shortcut_of_the_file_is_found_and_named(tree, audit, save, name, clean):
    figures, text = audit("data=folder", f"data.root={tree(60, save)}", "data.val_fraction=0.3")
    found = figures["shortcuts"]
    assert found[name]["auroc"] == found["file"]["auroc"] == 1 and found[name]["shortcut"]
    assert all(found[other]["constant"] and not found[other]["shortcut"] for other in clean)
    assert figures["shortcuts_measured_on"] == "val"
    assert re.search(r"warning\s+Shortcut: .*clearly above 0.6", text)


def darker(image, path, label):
    image = image if label == "REAL" else image.point(lambda value: value * 3 // 4)
    image.save(path.with_suffix(".bmp"))


def test_a_darker_class_is_found_by_its_colour_and_by_no_fact_of_the_file(tree, audit):
    figures, _ = audit("data=folder", f"data.root={tree(60, darker)}", "data.val_fraction=0.3")
    found = figures["shortcuts"]
    assert found["mean_colour"]["shortcut"] and found["colour_statistics"]["auroc"] > 0.8
    assert all(found[name]["constant"] for name in FILE_FACTS)
    assert "FAKE is darker by 0.1" in said(figures, "Shortcut: mean colour")
    assert levels(figures)["Shortcut: mean colour"] == "warning"


def test_the_threshold_of_a_shortcut_is_a_key(tree, audit):
    figures, _ = audit("data=folder", f"data.root={tree(60, darker)}", "data.val_fraction=0.3", "shortcut=0.999")
    assert not any(found["shortcut"] for found in figures["shortcuts"].values())


def test_corrupt_files_are_listed(tree, audit):
    root = tree(20)
    (root / "train" / "REAL" / "empty.jpg").write_bytes(b"")
    whole = (root / "test" / "FAKE" / "0001 (2).jpg").read_bytes()
    (root / "test" / "FAKE" / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    figures, text = audit("data=folder", f"data.root={root}")
    assert set(figures["corrupt"]["reasons"]) == {"train/REAL/empty.jpg", "test/FAKE/cut.jpg"}
    assert levels(figures)["Corrupt files"] == "warning" and "2 of 82 files cannot be read" in text


def test_a_tree_without_splits_of_any_sizes(tree, audit):
    def varied(image, path, label):
        side = 40 + 7 * int(path.name[:4])
        image.resize((side, side + 13)).save(path.with_suffix(".jpg"), quality=90)

    figures, text = audit("data=folder", f"data.root={tree(40, varied, splits=('.',))}", "data.val_fraction=0.4")
    assert "carved from all images" in text and figures["data"]["splits"]["test"]["FAKE"] == 8
    assert not figures["shortcuts"]["dimensions"]["constant"] and not figures["shortcuts"]["dimensions"]["shortcut"]


@pytest.mark.parametrize("missing", ["FAKE", "REAL"])
def test_of_one_class_it_says_what_cannot_be_said(tree, audit, missing):
    root = tree(12, splits=("train",))
    shutil.rmtree(root / "train" / missing)
    figures, text = audit("data=folder", f"data.root={root}", "data.test_fraction=0")
    assert figures["shortcuts"] == {} and "They cannot be measured" in text
    assert f"no {missing} image in train" in text and "There is no test split" in text


def test_a_rate_of_false_alarms_is_of_the_pairs_that_were_compared(tree, audit, tmp_path):
    def often_blank(image, path, label):
        shade = int(path.name[:4])
        if shade >= 5:
            image = Image.new("RGB", (32, 32), (shade, 100 * (label == "FAKE"), 0))
        image.save(path.with_suffix(".png"))

    audit("data=folder", f"data.root={tree(30, often_blank, splits=('.',))}")
    page = (tmp_path / "out" / "audit.md").read_text()
    assert "Of 25 pairs of a real and a fake image" in page and "except those of 50 images too uniform" in page


@pytest.mark.parametrize("more", [(), ("data.test_fraction=1",)])
def test_of_few_images_no_shortcut_is_claimed(tree, audit, more):
    figures, text = audit("data=folder", f"data.root={tree(3, splits=('.',))}", *more)
    assert figures["shortcuts"] == {} and "train and val need 10 each" in text


def test_images_that_all_look_the_same(tree, audit):
    def blank(image, path, label):
        Image.new("RGB", (32, 32), (int(path.name[:4]), 0, 0)).save(path.with_suffix(".png"))

    figures, text = audit("data=folder", f"data.root={tree(30, blank)}")
    assert figures["duplicates"]["near"]["flat_images"] == 120 and figures["duplicates"]["near"]["total"] == 0
    assert figures["duplicates"]["exact"]["across_classes"] == 120
    assert "30 of" not in said(figures, "Leaks") and "60 of 60 test images" in text


def test_generated_images_have_no_files(audit):
    figures, text = audit("data=synthetic", "data.count=400")
    assert set(figures["shortcuts"]) == {"mean_colour", "colour_statistics", "power_spectrum"}
    assert "there are no files to look at" in text and figures["duplicates"]["exact"]["total"] == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("near.distance=20", "shortcut=0.3"), "`near.distance` must be"),
        (("data=synthetic", "data.size=8"), "`data.size` must be at least 9"),
        (("data=checkpoint",), "provides no images. Give data=cifake"),
        (("data=folder", "data.root=/nowhere"), "does not exist"),
    ],
)
def test_mistakes_are_told(run, words, message):
    done = run("audit", *words)
    assert done.code == 1 and message in done.text


def test_a_folder_of_bad_files_only_names_them(run, tree):
    root = tree(3)
    for path in root.rglob("*.jpg"):
        path.write_bytes(b"bad")
    done = run("audit", "data=folder", f"data.root={root}")
    assert done.code == 1 and "12 of 12 images cannot be read" in done.text and "0001 (2).jpg" in done.text
