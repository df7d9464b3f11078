"""The Hugging Face Hub: a shared run is downloaded from it, or uploaded to it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scene.storage.files import replace_file

from ..runs.plugins import CODE

PATTERNS = (
    "*.json",
    "*.jsonl",
    "*.safetensors",
    "*.md",
    "*.png",
    f"{CODE}/*.py",
    f"*/{CODE}/*.py",
)
"""What is downloaded of a repository: files of a shared run, and nothing that is pickled."""

_ID = re.compile(r"[\w.-]+/[\w.-]+")


def is_hub_id(name: str) -> bool:
    """Return whether a name may be that of a model on the hub, ``owner/name``.

    >>> is_hub_id("jane/telbo"), is_hub_id("./telbo"), is_hub_id("runs/a/b")
    (True, False, False)
    """
    return bool(_ID.fullmatch(name)) and not name.startswith(".")


def download(
    repo_id: str,
    *,
    revision: str | None = None,
    token: str | bool | None = None,
    cache_dir: Path | None = None,
    force_download: bool = False,
    local_files_only: bool = False,
) -> Path:
    """Download a shared run into the hub's cache, if it is not there already.

    Args:
        repo_id: ``owner/name``.
        revision: A branch, tag or commit; None = the main branch.
        token: An access token; None = the one that was stored when logging in; False = none.
        cache_dir: The cache; None = the usual one of the hub's library.
        force_download: Download it again.
        local_files_only: Look in the cache only.

    Returns:
        Its folder. What it holds is foreign: its code is not run unless it is trusted.

    Raises:
        LookupError: If there is no such model or revision, or it is not in the cache where only
            that is looked at.
        ModuleNotFoundError: If huggingface_hub is not installed.
        OSError: If the hub refuses, or cannot be reached.
    """
    _require_library(repo_id)
    from huggingface_hub import snapshot_download

    with _in_words(repo_id, revision):
        folder = Path(
            snapshot_download(
                repo_id,
                revision=revision,
                token=token,
                cache_dir=cache_dir,
                force_download=force_download,
                local_files_only=local_files_only,
                allow_patterns=list(PATTERNS),
            )
        )
    for file in (*folder.glob(f"{CODE}/*.py"), *folder.glob(f"*/{CODE}/*.py")):
        if file.is_symlink():  # to the cache; the code of a run lies within its folder
            content = file.read_bytes()
            replace_file(file, lambda part, content=content: part.write_bytes(content))  # type: ignore[misc]
    return folder


def upload(
    folder: Path,
    repo_id: str,
    *,
    message: str,
    revision: str | None = None,
    token: str | bool | None = None,
    private: bool | None = None,
    create_pr: bool = False,
) -> str:
    """Upload a shared run as one commit; files of an earlier run that it lacks are removed.

    Args:
        folder: What to upload.
        repo_id: ``owner/name``; it is created if there is none.
        message: The message of the commit.
        revision: The branch; None = the main one.
        token: An access token; None = the one that was stored when logging in.
        private: Whether a new repository is private; None = as the owner has it.
        create_pr: Open a pull request in place of committing.

    Returns:
        The address of the commit.

    Raises:
        LookupError: If the repository or the branch is not there.
        ModuleNotFoundError: If huggingface_hub is not installed.
        OSError: If the hub refuses, or cannot be reached.
        ValueError: If it is no ``owner/name``.
    """
    if not is_hub_id(repo_id):
        raise ValueError(f"A model on the hub is called owner/name, not {repo_id!r}.")
    _require_library(repo_id)
    from huggingface_hub import HfApi

    with _in_words(repo_id, revision):
        api = HfApi(token=token)
        api.create_repo(repo_id, private=private, exist_ok=True)
        commit = api.upload_folder(
            repo_id=repo_id,
            folder_path=folder,
            commit_message=message,
            revision=revision,
            create_pr=create_pr,
            allow_patterns=list(PATTERNS),
            delete_patterns=list(PATTERNS),
        )
    return str(commit.commit_url)


def _require_library(repo_id: str) -> None:
    try:
        import huggingface_hub  # noqa: F401
    except ImportError:
        raise ModuleNotFoundError(
            f"{repo_id} is a name on the Hugging Face Hub, whose library is not installed; add "
            "the extra hub: pip install 'scene-suite[hub]'."
        ) from None


@contextmanager
def _in_words(repo_id: str, revision: str | None) -> Iterator[None]:
    """Raise the errors of the hub's library as sentences."""
    from huggingface_hub import errors

    others: type[Exception] = getattr(errors, "HTTPError", errors.HfHubHTTPError)
    try:
        yield
    except errors.HFValidationError as error:
        raise ValueError(f"A model on the hub is called owner/name, not {repo_id!r}.") from error
    except errors.GatedRepoError as error:
        raise PermissionError(
            f"Access to {repo_id} has to be asked for on the hub; then give its token."
        ) from error
    except errors.RepositoryNotFoundError as error:
        raise LookupError(
            f"There is no folder {repo_id}, and the hub has no model of that name that this token "
            "may use."
        ) from error
    except errors.RevisionNotFoundError as error:
        raise LookupError(f"{repo_id} has no branch, tag or commit {revision!r}.") from error
    except errors.LocalEntryNotFoundError as error:
        raise LookupError(
            f"There is no folder {repo_id}, its download from the hub is not in the cache, and "
            "the hub was not reached; check the name and the network."
        ) from error
    except (errors.HfHubHTTPError, others) as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".:")
        raise ConnectionError(f"The hub did not serve {repo_id}: {first}.") from error
