"""`data=folder` and `data=cifake`: from trees and archives to splits, and what is said when that fails."""

import os
import re
import shutil
import threading
from functools import partial
from http.server import HTTPServer, SimpleHTTPRequestHandler

import numpy as np
import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from PIL import Image

from fakereal.data import cifake as cifake_module
from fakereal.data.cifake import Cifake, cifar_class
from fakereal.data.folder import Folder
from fakereal.data.folder_names import FAKE_NAMES, IGNORED, REAL_NAMES, UNSPLIT, FolderNames
from fakereal.runtime.errors import UserError


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("train/REAL/1.jpg", (0, 0)),
        ("a/b/TEST/c/Fake/d/1.jpg", (2, 1)),
        ("REAL/Train/1.jpg", (0, 0)),
        ("real/sub/fake/1.jpg", (UNSPLIT, 1)),
        ("0_real/1.jpg", (UNSPLIT, 0)),
        ("imagenet_ai_0419_adm/val/nature/1.jpg", (1, 0)),
        ("validation/1_fake/1.jpg", (1, 1)),
        ("training/other/1.jpg", (0, None)),
        ("real.jpg", (UNSPLIT, None)),
        ("train/fake", (0, None)),
        ("unreal/1.jpg", (UNSPLIT, None)),
    ],
)
def test_folders_say_split_and_label(path, expected):
    assert FolderNames()(path) == expected


def test_other_names_of_the_classes():
    names = FolderNames(["Camera"], ["SDXL", "flux"])
    assert names("camera/1.jpg") == (UNSPLIT, 0) and names("FLUX/1.jpg") == (UNSPLIT, 1)
    assert names("real/1.jpg") == (UNSPLIT, None)
    assert not {*REAL_NAMES} & {*FAKE_NAMES}


def folder(root, **options):
    data = Folder(root=[*map(str, root)] if isinstance(root, list) else str(root), **({"size": 32} | options))
    data.prepare_data()
    data.setup()
    return data


def names(data, split):
    return [data.images.names[row] for row in data.splits[split].rows]


def test_given_splits_are_kept_and_val_is_carved_from_train(tmp_path, image_tree):
    data = folder(image_tree(tmp_path / "tree", 20), val_fraction=0.2)
    assert all(name.startswith("test/") for name in names(data, "test"))
    assert all(name.startswith("train/") for name in names(data, "train") + names(data, "val"))
    assert data.describe()["splits"] == {
        "train": {"REAL": 16, "FAKE": 16},
        "val": {"REAL": 4, "FAKE": 4},
        "test": {"REAL": 20, "FAKE": 20},
    }


def test_a_val_folder_is_kept(tmp_path, image_tree):
    data = folder(image_tree(tmp_path / "tree", 4, splits=("train", "Valid", "test")))
    assert len(data.splits["val"]) == 8 and all(name.startswith("Valid/") for name in names(data, "val"))


def test_a_tree_without_splits_is_divided(tmp_path, image_tree):
    data = folder(image_tree(tmp_path / "tree", 50, splits=()), test_fraction=0.2, val_fraction=0.1)
    assert data.describe()["splits"] == {
        "train": {"REAL": 36, "FAKE": 36},
        "val": {"REAL": 4, "FAKE": 4},
        "test": {"REAL": 10, "FAKE": 10},
    }


def test_identical_images_never_straddle_train_and_val(tmp_path, image_tree):
    tree = image_tree(tmp_path / "tree", 20)
    for index in range(20):
        shutil.copy(tree / f"train/FAKE/{index:04d} ({index % 10 + 1}).jpg", tree / f"train/FAKE/copy{index}.jpg")
    for split_seed in range(5):
        data = folder(tree, val_fraction=0.3, split_seed=split_seed)
        train, val = (data.images.table["hash"][data.splits[split].rows] for split in ("train", "val"))
        assert len(val) and not {*train.tolist()} & {*val.tolist()}


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz", "tar.xz"])
def test_an_archive_trains_as_its_folder(tmp_path, image_tree, pack, kind):
    tree = image_tree(tmp_path / "tree", 10)
    batches = [
        [batch for epoch in (data.train_dataloader(), data.val_dataloader()) for batch in epoch]
        for data in (folder(tree, batch_size=8), folder(pack(tree, tmp_path / f"x.{kind}"), batch_size=8))
    ]
    for first, second in zip(*batches, strict=True):
        for key in ("image", "label", "index", "weight"):
            assert first[key].equal(second[key])


def test_roots_are_joined_and_may_be_called_anything(tmp_path, image_tree):
    roots = [tmp_path / "a (1)=x, y", tmp_path / os.fsdecode(b"b\xff")]
    for number, root in enumerate(roots):
        image_tree(root, 5, offset=number)
    data = folder(roots)
    assert data.describe()["splits"]["test"] == {"REAL": 10, "FAKE": 10}
    assert data.settings["root"] == [str(root) for root in roots]


def test_no_image_counts_twice(tmp_path, image_tree, pack, monkeypatch):
    tree = image_tree(tmp_path / "tree", 3)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to(tree)
    for roots, how in (
        (["tree", tree], "are the same"),
        ([tree, "link"], "are the same"),
        (["tree/train", tree], "contains the first"),
    ):
        with pytest.raises(UserError, match=rf"data\.root names .*tree.*{how}: images would count twice"):
            folder(roots)
    packed = pack(tree, tree / "more.zip")  # which nobody reads with the folder
    assert len(folder([tree, packed]).images.table) == 2 * len(folder(tree).images.table)


def test_a_relative_root_and_home(tmp_path, image_tree, monkeypatch):
    image_tree(tmp_path / "tree", 3)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for root in ("tree", "./tree", "~/tree"):
        assert len(folder(root).images.table) == 12


def test_names_of_classes_are_the_users(tmp_path, image_tree):
    tree = image_tree(tmp_path / "tree", 3)
    for split in ("train", "test"):
        (tree / split / "REAL").rename(tree / split / "Photos")
    with pytest.raises(UserError, match=r"Photos \(6\).*data\.classes=\{Photos: ignore\}"):
        folder(tree)
    assert folder(tree, real=["photos"]).describe()["splits"]["test"] == {"REAL": 3, "FAKE": 3}
    with pytest.raises(UserError, match=r"data.real and data.fake share \['fake', 'x'\]"):
        folder(tree, real=["X", "fake"], fake=["x", "FAKE"])


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("photos/1.jpg", 0),
        ("SD15/nature/1.jpg", 1),
        ("nature/sd15/1.jpg", 1),
        ("drawings/real/1.jpg", IGNORED),
        ("photos/drawings/1.jpg", IGNORED),
        ("drawings/photos/1.jpg", 0),
        ("nature/1.jpg", 0),
        ("ai/1.jpg", IGNORED),
        ("other/1.jpg", None),
        ("x/photos/Press/a/1.jpg", IGNORED),
        ("press/photos/1.jpg", 0),
        ("press/1.jpg", None),
    ],
)
def test_what_is_said_folder_by_folder_wins(path, expected):
    said = {"photos": "REAL", "sd15": "fake", "drawings": "ignore", "ai": "ignore", "photos/press": "ignore"}
    names = FolderNames(classes=said)
    assert names(path) == (UNSPLIT, expected)


@pytest.mark.parametrize("packed", [False, True])
def test_a_root_may_be_the_folder_of_a_class(tmp_path, image_tree, pack, packed, caplog):
    caplog.set_level("INFO")
    tree = image_tree(tmp_path / "tree", 6, splits=())
    roots = []
    for name, own in (("REAL", "Camera"), ("FAKE", "sd.xl")):
        (tree / name).rename(tree / own)
        roots.append(pack(tree / own, tmp_path / f"{own}.zip") if packed else tree / own)
    with pytest.raises(UserError, match=r"NAME may also be that of the root itself \(\./\)"):
        folder(roots)
    data = folder(roots, classes={"camera": "real", "sd.xl": "fake"})
    assert np.bincount(data.images.table["label"]).tolist() == [6, 6] and "contain no image" not in caplog.text
    assert "camera = REAL (6), sd.xl = FAKE (6)" in caplog.text
    assert len({data.group_of(name) for name in data.images.names}) == 2
    alone = Folder(root=str(roots[1]), size=32, classes={"sd.xl": "fake"}, test_fraction=1)
    alone.need_both = False
    alone.prepare_data()
    assert alone.images.table["label"].tolist() == [1] * 6


@pytest.mark.parametrize("packed", [False, True])
def test_folders_that_nothing_names_are_refused_with_what_to_paste(tmp_path, image_tree, pack, packed, caplog):
    caplog.set_level("INFO")
    tree = image_tree(tmp_path / "wrapped" / "tree", 3)
    for number, name in enumerate(("sd 1.5, (new)", "drawings")):
        image_tree(tmp_path / "more", 2 + number, splits=(), offset=number + 1)
        (tree / "train" / name).mkdir()
        shutil.move(tmp_path / "more" / "FAKE", tree / "train" / name / "a")
        shutil.rmtree(tmp_path / "more")
    shutil.copy(next((tree / "test" / "REAL").iterdir()), tree / "train" / "cover.jpg")  # no folder of its own
    root = pack(tmp_path / "wrapped", tmp_path / "x.zip") if packed else tmp_path / "wrapped"
    with pytest.raises(UserError) as refused:
        folder(root)
    assert "drawings (3), sd 1.5, (new) (2)" in str(refused.value)
    [pasted] = re.findall(r"'(data\.classes=.*)'", str(refused.value))
    said = OverridesParser.create().parse_override(pasted).value()
    assert said == {"drawings": "ignore", "sd 1.5, (new)": "ignore"}
    data = folder(root, classes=said)
    assert len(data.images.table) == 12 and data.settings["classes"] == said
    assert "5 images in folders that data.classes= says to ignore: drawings (3), sd 1.5, (new) (2)" in caplog.text
    assert "hold no image" not in caplog.text
    assert len(folder(root, classes=said | {"drawings": "fake"}).images.table) == 15


def test_a_name_of_no_folder_is_told(tmp_path, image_tree, caplog):
    tree = image_tree(tmp_path / "tree", 3, splits=())
    Folder(
        root=str(tree), size=32, classes={"Real": "Real", "Fake": "FAKE", "typo": "fake", "gone": "ignore"}
    ).prepare_data()
    assert "data.classes= names folders that contain no image: typo\n" in caplog.text
    assert "data.classes= says to ignore folders that hold no image: gone\n" in caplog.text


def test_it_says_which_words_it_took_for_the_classes(tmp_path, image_tree, caplog):
    caplog.set_level("INFO")
    tree = image_tree(tmp_path / "tree", 3, splits=())
    folder(tree)
    assert "Labels by folder name" not in caplog.text, "REAL and FAKE speak for themselves"
    (tree / "REAL").rename(tree / "0_real")
    (tree / "FAKE").rename(tree / "AI")
    folder(tree)
    assert "Labels by folder name: 0_real = REAL (3), ai = FAKE (3)" in caplog.text


def test_folders_above_the_roots_say_nothing(tmp_path, image_tree, caplog):
    caplog.set_level("INFO")
    roots = [image_tree(tmp_path / "photos" / name, 3, splits=(), offset=n) for n, name in enumerate("ab")]
    for root in roots:
        (root / "FAKE").rename(root / "ai")
    data = Folder(root=[*map(str, roots)], size=32, classes={"photos": "real"})
    data.prepare_data()
    assert data.images.table["label"].sum() == 6
    assert "Labels by folder name: ai = FAKE (6), real = REAL (6)" in caplog.text
    assert "data.classes= names folders that contain no image: photos\n" in caplog.text


@pytest.mark.parametrize(
    ("words", "folders", "expected"),
    [
        ({}, ["biggan/0_real", "biggan/1_fake", "adm/0_real"], ["biggan", "biggan", "adm"]),
        ({}, ["adm/x/val/nature", "adm/x/train/ai"], ["adm/x", "adm/x"]),
        ({}, ["REAL", "FAKE/sd", "FAKE"], ["REAL", "sd", "FAKE"]),
        ({}, ["Real/dogs", "train/Fake/dogs"], ["dogs", "dogs"]),
        ({}, ["real/fake/fake", "real"], ["real/fake", "real"]),
        (
            {"classes": {"photos": "real", "sd": "fake", "mj": "fake"}},
            ["photos", "sd/a", "mj"],
            ["photos", "sd/a", "mj"],
        ),
        ({"classes": {"sd": "fake", "mj": "ignore"}}, ["real/cats", "mj/cats", "sd/cats"], ["cats", "sd/cats"]),
        ({"real": ["photos"], "fake": ["made"]}, ["mj/photos", "mj/made"], ["mj", "mj"]),
        ({"real": ["photos"], "fake": ["sd", "mj"]}, ["photos/cats", "sd/cats", "mj"], ["cats", "sd/cats", "mj"]),
        ({"splits": {"fold1": "test"}}, ["a/fold1/real", "fold1/a/fake"], ["a", "a"]),
    ],
)
def test_images_are_grouped_by_what_tells_more_than_split_and_class(tmp_path, words, folders, expected):
    for number, name in enumerate(folders):
        (tmp_path / "tree" / name).mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (32, 32), (number, 9, 9)).save(tmp_path / "tree" / name / f"{number}.png")
    data = folder(tmp_path / "tree", **words)
    held = sorted(data.images.names, key=lambda name: name.rpartition("/")[2])
    assert [data.group_of(name) for name in held] == expected


def test_of_several_roots_the_folders_above_do_not_group(tmp_path, image_tree):
    roots = []
    for number, generator in enumerate(("sd", "gan")):
        root = tmp_path / "photos" / f"{generator}_set"
        image_tree(root / "x", 3, splits=(), offset=number)
        roots.append(root)
    data = folder(roots, classes={"photos": "real"})
    groups = {data.group_of(name).removeprefix(f"{tmp_path.as_posix()}/") for name in data.images.names}
    assert groups == {"photos/sd_set/x", "photos/gan_set/x"}


def test_folders_are_splits_as_the_user_says(tmp_path, image_tree, caplog):
    tree = image_tree(tmp_path / "tree", 10, splits=("train", "val", "later"))
    plain = folder(tree)
    assert {len(plain.splits[name]) for name in ("train", "test")} == {8, 32} and len(plain.splits["val"]) == 20
    said = {"Val": "TEST", "later": "val"}
    data = folder(tree, splits=said)
    for split, name in (("train", "train"), ("val", "later"), ("test", "val")):
        assert {path.split("/")[0] for path in names(data, split)} == {name}
    assert data.settings["splits"] == said and "data.splits=" not in caplog.text
    folder(tree, splits={"typo": "test"})
    assert "data.splits= names folders that contain no image: typo\n" in caplog.text


def test_a_root_is_needed():
    with pytest.raises(UserError, match=r"data.root is not given"):
        Folder().open_images()


def test_a_split_without_a_class(tmp_path, image_tree):
    tree = image_tree(tmp_path / "tree", 3)
    shutil.rmtree(tree / "test" / "FAKE")
    with pytest.raises(UserError, match="The test split has no FAKE image"):
        folder(tree).test_dataloader()


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args):
        """Says nothing."""


@pytest.fixture
def mirror(tmp_path):
    """A server of the files in tmp_path/served."""
    (tmp_path / "served").mkdir()
    server = HTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path / "served")))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def serve(tmp_path, mirror, image_tree, pack):
    """`serve(damage)`: the URL of an archive whose bytes have passed through `damage`."""

    def call(damage=lambda data: data, **tree):
        archive = pack(image_tree(tmp_path / "original", **tree), tmp_path / "served" / "cifake.tar")
        archive.write_bytes(damage(archive.read_bytes()))
        return f"{mirror}/cifake.tar"

    return call


def downloaded(cache):
    return [path.name for path in (cache / "downloads").iterdir() if path.suffix != ".lock"]


def test_cifake_is_found_at_any_depth(tmp_path, image_tree, caplog):
    tree = image_tree(tmp_path / "archive (2)" / "main" / "DATASET", 5).parents[1]
    data = Cifake(root=str(tree))
    data.setup()
    assert data.describe()["splits"]["test"] == {"REAL": 5, "FAKE": 5}
    assert f"data.root={tree} is not the original CIFAKE (20 images); it is used as is" in caplog.text


def test_cifake_needs_its_split_folders(tmp_path, image_tree):
    with pytest.raises(UserError, match="in no folder named train or test"):
        Cifake(root=str(image_tree(tmp_path / "tree", 3, splits=()))).open_images()


def test_no_root_and_no_download():
    with pytest.raises(UserError, match=r"data.root is not given and data.download=false"):
        Cifake(download=False).open_images()


def test_a_download_of_the_right_images_is_used_again(tmp_path, serve, image_tree):
    url = serve()
    digest = folder(tmp_path / "original").images.digest
    data = Cifake(mirror=url, digest=digest, cache_dir=str(tmp_path / "cache"))
    data.prepare_data()
    (tmp_path / "served/cifake.tar").unlink()
    data.setup()
    assert data.images.digest == digest and data.settings["root"] is None
    again = Cifake(mirror=url, digest=digest, cache_dir=str(tmp_path / "cache"), download=True)
    np.testing.assert_array_equal(again.open_images().table, data.images.table)


@pytest.mark.parametrize(
    ("damage", "tree", "reason"),
    [
        (lambda data: data, {}, "digest"),
        (lambda data: data, {"splits": ()}, "in no folder named train or test"),
        (lambda data: data[: len(data) // 2 // 512 * 512], {}, "can be read to its end"),
        (lambda data: data.replace(b"./train/REAL/0000", b"../rain/REAL/0000"), {}, "can be read to its end"),
        (lambda data: data.replace(b"JFIF", b"JF\0F").replace(b"\xff\xd8\xff", b"nojpg"[:3]), {}, "cannot be read"),
    ],
)
@pytest.mark.parametrize("relative", [False, True])
def test_a_damaged_download_is_deleted(tmp_path, serve, monkeypatch, damage, tree, reason, relative):
    monkeypatch.chdir(tmp_path)
    data = Cifake(mirror=serve(damage, **tree), cache_dir="cache" if relative else str(tmp_path / "cache"))
    with pytest.raises(UserError, match=f"(?s)was deleted: .*{reason}.*To get CIFAKE by hand"):
        data.open_images()
    assert downloaded(tmp_path / "cache") == []


def test_a_full_disk_does_not_delete_the_download(tmp_path, serve, monkeypatch):
    data = Cifake(mirror=serve(), cache_dir=str(tmp_path / "cache"))
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "stores").write_text("in the way")
    with pytest.raises(UserError, match=r"data.cache_dir=.* cannot be written"):
        data.open_images()
    assert len(downloaded(tmp_path / "cache")) == 1


def test_what_lies_outside_of_the_cache_is_not_ours_to_delete(tmp_path, image_tree, monkeypatch):
    """As in a notebook of Kaggle's, where the data set is mounted."""
    tree = image_tree(tmp_path / "mounted", 2)
    monkeypatch.setattr(cifake_module, "fetch_first", lambda sources, folder: tree)
    with pytest.raises(UserError, match=r"was not deleted: .*digest"):
        Cifake(cache_dir=str(tmp_path / "cache")).open_images()
    assert len(list(tree.rglob("*.jpg"))) == 8


@pytest.mark.parametrize(
    ("name", "group"),
    [
        ("cifake/test/REAL/0001.jpg", "airplane"),
        ("test/FAKE/0001 (10).jpg", "truck"),
        ("REAL/12 (3).jpg", "bird"),
        ("a (2)/5.jpg", "airplane"),
        ("5 (11).jpg", "unknown"),
    ],
)
def test_the_number_in_a_file_name_of_cifake_is_its_cifar_class(name, group):
    assert cifar_class(name) == group


def test_images_beside_a_split_are_told_not_to_be_tested(tmp_path, image_tree, caplog):
    split, free = image_tree(tmp_path / "split", 6), image_tree(tmp_path / "free", 5, splits=())
    data = Folder(root=[str(split), str(free)], size=32, val_fraction=0.3)
    data.setup("fit")
    assert "10 of 34 images are in no folder named after a split" in caplog.text
    assert len(data.splits["test"]) == 12
