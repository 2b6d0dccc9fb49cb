"""The images in a folder."""

import os

from cyclegan_tf.images import (
    find_images,
)


def test_find_images_in_natural_order(photo, tmp_path):
    for name in (
        *("10.png", "2.png", "sub/1.PNG", "notes.txt"),
        *(".hidden.png", ".cache/3.png", "sub/.cache/4.png"),
    ):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"")
    names = [str(path.relative_to(tmp_path)) for path in find_images(tmp_path)]
    assert names == ["2.png", "10.png", "sub/1.PNG"]


def test_what_is_left_out_of_a_folder_is_counted_and_named(tmp_path, caplog):
    for i in range(7):
        (tmp_path / f"{i}.txt").write_text("")
    (tmp_path / "a.png").write_bytes(b"")
    (tmp_path / "b.jpg").symlink_to(".git/annex/objects/absent.jpg")
    os.mkfifo(tmp_path / "pipe.png")
    assert find_images(tmp_path) == [tmp_path / "a.png"]
    others, links = caplog.messages
    assert "without an image suffix: 8 (0.txt, 1.txt, " in others
    assert "4.txt, 3 more)" in others
    assert "links without a target" in links and "1 (b.jpg)" in links


def test_linked_folders_are_followed_once(tmp_path):
    (tmp_path / "in/real").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    for name in ("in/1.png", "in/real/2.png", "elsewhere/3.png"):
        (tmp_path / name).write_bytes(b"")
    for link, target in {
        "a_link": "real",
        "circle": ".",
        "other": "../elsewhere",
        "other2": "../elsewhere",
        "real/up": "..",
    }.items():
        (tmp_path / "in" / link).symlink_to(target)
    names = [
        str(path.relative_to(tmp_path / "in")) for path in find_images(tmp_path / "in")
    ]
    assert names == ["1.png", "other/3.png", "real/2.png"]
