"""Places of pictures and of folders of views: whether one may be written there."""

from __future__ import annotations

from pathlib import Path


def claim(path: Path, force: bool) -> None:
    """Refuse a path that a picture may not be written to.

    Raises:
        FileExistsError: If it exists, and ``force`` does not allow replacing it.
        ValueError: If its name does not end in ``.png``, or it is a folder.
    """
    if path.is_dir():
        raise ValueError(f"{path} is a folder; name a .png file in it.")
    if path.suffix.lower() != ".png":
        raise ValueError(f"A grid is a PNG; call it {path.stem}.png, not {path.name}.")
    if path.exists() and not force:
        raise FileExistsError(f"{path} exists; choose another, or --force to replace it.")


def is_picture_path(path: Path) -> bool:
    """Say whether a path names a picture, by its suffix, and not a folder.

    >>> is_picture_path(Path("a.png")), is_picture_path(Path("views"))
    (True, False)
    """
    return path.suffix.lower() == ".png" and not path.is_dir()


def claim_output(path: Path, force: bool) -> None:
    """Refuse a picture or a folder of views that may not be written.

    Raises:
        FileExistsError: If it is there and ``force`` does not allow replacing it.
        ValueError: If its name ends as no picture that is written here.
    """
    if is_picture_path(path):
        claim(path, force)
    else:
        claim_views(path, force)


def claim_views(out: Path, force: bool) -> None:
    """Refuse a folder that views may not be written to.

    Raises:
        FileExistsError: If it is there and ``force`` does not allow replacing what it holds.
        ValueError: If it is called as a picture of another format is.
    """
    if out.exists() and not out.is_dir():
        raise FileExistsError(f"{out} is a file; --out names a folder.")
    if not out.exists() and out.suffix.lower() in (".jpg", ".jpeg", ".webp", ".gif", ".pdf"):
        raise ValueError(f"A grid is a PNG; call it {out.stem}.png, not {out.name}.")
    if out.exists() and not force:
        raise FileExistsError(f"{out} exists; choose another, or --force to replace it.")
