"""Small files are read within a limit, and nothing that would wait or never end is opened."""

import os
import socket
import time
from pathlib import Path

import pytest

from scene.storage.files import (
    parse_json,
    read_json,
    read_text,
    replace_file,
    require_regular,
    sweep,
)


def _half(part):
    part.write_text("half")
    raise OSError(28, "disk full")


def test_a_file_is_replaced_in_one_move(tmp_path):
    path = tmp_path / "a.txt"
    for text in ("old", "new"):
        replace_file(path, lambda part, text=text: part.write_text(text))
        assert path.read_text() == text
    assert list(tmp_path.iterdir()) == [path]


def test_a_write_that_fails_leaves_what_was_there(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    for target in (path, tmp_path / "new.txt"):
        with pytest.raises(OSError, match="disk full"):
            replace_file(target, _half)
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_text() == "old"


def test_a_disk_that_is_full_leaves_what_was_there_and_names_the_file(tmp_path, full_disk):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with full_disk(), pytest.raises(OSError, match="File too large") as caught:
        replace_file(path, lambda part: part.write_text("x" * 5000))
    assert caught.value.filename == str(path)
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_text() == "old"


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002])
def test_the_umask_says_what_mode_a_file_has(tmp_path, umask):
    def private(part):
        part.unlink()
        part.write_text("moved here by a library")
        part.chmod(0o600)

    before = os.umask(umask)
    try:
        replace_file(tmp_path / "a.txt", private)
    finally:
        os.umask(before)
    assert (tmp_path / "a.txt").stat().st_mode & 0o777 == 0o666 & ~umask


def test_content_is_on_the_disk_before_the_name_is(tmp_path, monkeypatch):
    """Or a machine that stops would leave an empty file under the name of a good one."""
    path, seen = tmp_path / "a.txt", []
    path.write_text("old")
    fsync = os.fsync

    def noted(descriptor):
        seen.append((Path(f"/proc/self/fd/{descriptor}").resolve().name, path.read_text()))
        fsync(descriptor)

    monkeypatch.setattr("os.fsync", noted)
    replace_file(path, lambda part: part.write_text("new"))
    assert [text for _, text in seen] == ["old", "new"]
    assert seen[0][0].endswith(".part")
    assert seen[1][0] == tmp_path.name


def test_what_killed_processes_left_is_swept_and_nothing_else(tmp_path):
    (tmp_path / "deep").mkdir()
    left = tmp_path / "deep" / ".w.safetensors.123.part"
    fresh, other = tmp_path / ".a.txt.7.part", tmp_path / "b.part"
    for path in (left, fresh, other):
        path.touch()
    os.utime(left, (0, time.time() - 7200))
    sweep(tmp_path, below=False)
    assert left.exists()
    sweep(tmp_path)
    assert not left.exists()
    assert fresh.exists()
    sweep(tmp_path, older=0)
    assert set(tmp_path.rglob("*")) == {tmp_path / "deep", other}
    sweep(tmp_path / "nowhere")


def test_what_is_no_ordinary_file_is_refused_before_it_is_opened(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe")
    with socket.socket(socket.AF_UNIX) as heard:
        heard.bind("socket")
    (tmp_path / "folder").mkdir()
    kinds = {"pipe": "a pipe", "socket": "a socket", "folder": "a folder", "/dev/zero": "a device"}
    for name, kind in kinds.items():
        for read in (require_regular, read_text, read_json):
            with pytest.raises(ValueError, match=f"^{name} is {kind}, not a file; "):
                read(tmp_path.__class__(name))


def test_a_link_to_a_file_is_a_file(tmp_path):
    (tmp_path / "a").write_text("text")
    (tmp_path / "b").symlink_to("a")
    assert require_regular(tmp_path / "b") == 4
    with pytest.raises(FileNotFoundError):
        require_regular(tmp_path / "c")


def test_text_is_read_up_to_a_limit(tmp_path):
    path = tmp_path / "list.txt"
    path.write_bytes(b"\xef\xbb\xbf" + "weiß\n".encode())
    assert read_text(path) == "weiß\n"
    path.write_bytes(b"a" * 1024)
    assert len(read_text(path, 1024)) == 1024
    with pytest.raises(ValueError, match="is larger than 1023 bytes, the most"):
        read_text(path, 1023)


def test_text_in_another_encoding_is_refused(tmp_path):
    path = tmp_path / "list.txt"
    path.write_bytes("weiß".encode("latin-1"))
    with pytest.raises(ValueError, match=r"list\.txt is not UTF-8 text; save it as UTF-8"):
        read_text(path)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", r"Expecting value: line 1 column 1 \(char 0\)"),
        ("[" * 100_000, "nested too deeply"),
        ('{"a":' * 100_000, "nested too deeply"),
        ("9" * 5000, "too many digits"),
        ("{'a': 1}", "Expecting property name"),
    ],
)
def test_what_is_not_json_is_refused_in_one_sentence(text, reason):
    with pytest.raises(
        ValueError, match=f"^x is not JSON that can be read: .*{reason}"
    ) as message:
        parse_json(text, "x")
    assert "\n" not in str(message.value)
