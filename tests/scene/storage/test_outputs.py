"""Outputs: what may be written, and what nothing may replace."""

import pytest

from scene.storage.outputs import clear, require_free, unlike, without


def test_a_path_where_nothing_is_is_free(tmp_path):
    require_free(tmp_path / "new" / "a.png", False, suffix=".png")
    require_free(tmp_path / "new", False, folder="a dataset", foreign=without("about.json"))


def test_an_empty_folder_is_free_and_so_is_one_with_a_lock_alone(tmp_path):
    (tmp_path / ".lock").touch()
    require_free(tmp_path, False, folder="a dataset", foreign=without("about.json"))


def test_a_file_is_replaced_with_force_only(tmp_path):
    path = tmp_path / "a.png"
    path.touch()
    with pytest.raises(FileExistsError, match=r"a\.png exists; choose another --out, or --force"):
        require_free(path, False)
    require_free(path, True)


def test_an_input_is_not_replaced_even_with_force(tmp_path):
    path = tmp_path / "a.png"
    path.touch()
    (tmp_path / "link.png").symlink_to(path)
    with pytest.raises(ValueError, match="is an input"):
        require_free(tmp_path / "link.png", True, inputs=[path])


@pytest.mark.parametrize("force", [False, True])
def test_what_is_no_part_of_the_output_is_never_replaced(tmp_path, force):
    (tmp_path / "thesis.tex").touch()
    for foreign in (without("about.json"), unlike(lambda path: path.suffix == ".png")):
        with pytest.raises(ValueError, match=r"holds thesis\.tex, which is no part of a table"):
            require_free(tmp_path, force, folder="a table", foreign=foreign)


@pytest.mark.parametrize("foreign", [without("a.json"), unlike(lambda p: p.name == "a.json")])
def test_an_earlier_output_is_replaced_with_force_only(tmp_path, foreign):
    (tmp_path / "a.json").touch()
    with pytest.raises(FileExistsError, match="--force to replace it"):
        require_free(tmp_path, False, folder="a table", foreign=foreign)
    require_free(tmp_path, True, folder="a table", foreign=foreign)


def test_a_file_is_no_folder_and_a_folder_no_file(tmp_path):
    (tmp_path / "a.txt").touch()
    with pytest.raises(ValueError, match=r"a\.txt is a file; a run is a folder"):
        require_free(tmp_path / "a.txt", True, folder="a run")
    with pytest.raises(ValueError, match=r"is a folder; name a \.png file in it"):
        require_free(tmp_path, True, suffix=".png")
    with pytest.raises(ValueError, match=r"a\.txt is a file, so .*b\.png cannot be made"):
        require_free(tmp_path / "a.txt" / "b.png", True)


def test_a_name_must_say_the_format(tmp_path):
    with pytest.raises(ValueError, match=r"a\.jpg must end in \.png; call it a\.png"):
        require_free(tmp_path / "a.jpg", True, suffix=".png")


def test_clearing_keeps_the_lock_and_what_is_named_and_follows_no_link(tmp_path):
    folder, other = tmp_path / "run", tmp_path / "other"
    for part in (folder / "old", folder / "kept", other):
        part.mkdir(parents=True)
    (folder / ".lock").touch()
    (other / "mine").touch()
    (folder / "link").symlink_to(other)
    clear(folder, keep=["kept"])
    assert sorted(path.name for path in folder.iterdir()) == [".lock", "kept"]
    assert (other / "mine").exists()
