"""Models that travel: saved for others with a model card, and loaded from a folder or the hub."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from ..devices import Device
from ..runs.copies import share_run
from ..runs.run import Run
from .loaded import LoadedRun

if TYPE_CHECKING:
    from ..prediction.evaluate import Evaluation
    from .fitted import Fitted


class Pretrained(LoadedRun):
    """A loaded run with the three methods of huggingface_hub's ``ModelHubMixin``.

    It is no subclass of that: the mixin sets attributes of new objects, which are frozen here,
    has a ``config.json`` of its own, and would have to be installed. The functions beneath it are
    called, when they are needed.
    """

    def save_pretrained(
        self,
        save_directory: str | Path,
        *,
        force: bool = False,
        license: str = "unknown",
        half: bool = False,
        scores: Evaluation | None = None,
    ) -> Run:
        """Write a folder to share: a run without state for resuming, and a model card.

        `inference.load`, ``--run`` and `from_pretrained` read it. It names no place on this
        machine.

        Args:
            save_directory: Where to; made if need be; written whole or not at all.
            force: Replace a run that is there.
            license: For the card: an identifier such as ``mit`` or ``cc-by-4.0``.
            half: Write matrices and kernels with 16 bits a number: half the size, and scores that
                differ a little.
            scores: For the card: what `evaluate` returned; None = the run's own score.

        Raises:
            FileExistsError: If the folder holds something, and ``force`` does not replace it.
            ValueError: If it is a file, holds no run, or is the run itself; or if the licence is
                no identifier.
        """
        return self._share(Path(save_directory), force, license, half, scores, None)

    def push_to_hub(
        self,
        repo_id: str,
        *,
        license: str = "unknown",
        half: bool = False,
        scores: Evaluation | None = None,
        commit_message: str | None = None,
        private: bool | None = None,
        token: str | bool | None = None,
        branch: str | None = None,
        create_pr: bool = False,
    ) -> str:
        """Upload what `save_pretrained` writes to the Hugging Face Hub, as one commit.

        Args:
            repo_id: ``owner/name``; it is created if there is none.
            license: As in `save_pretrained`.
            half: As in `save_pretrained`.
            scores: As in `save_pretrained`.
            commit_message: The message of the commit.
            private: Whether a new repository is private; None = as the owner has it.
            token: An access token; None = the one that was stored when logging in.
            branch: The branch; None = the main one.
            create_pr: Open a pull request in place of committing.

        Returns:
            The address of the commit.

        Raises:
            LookupError: If the repository or the branch is not there.
            ModuleNotFoundError: If huggingface_hub is not installed: the extra ``hub``.
            OSError: If the hub refuses, or cannot be reached.
            ValueError: If it is no ``owner/name``, or the licence is no identifier.
        """
        from ..sharing.hub import upload

        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary) / "run"
            self._share(folder, False, license, half, scores, repo_id)
            return upload(
                folder,
                repo_id,
                message=commit_message or f"{self.name}, {'×'.join(map(str, self.schema.size))}",
                revision=branch,
                token=token,
                private=private,
                create_pr=create_pr,
            )

    @staticmethod
    def from_pretrained(
        pretrained_model_name_or_path: str | Path,
        *,
        revision: str | None = None,
        token: str | bool | None = None,
        cache_dir: str | Path | None = None,
        force_download: bool = False,
        local_files_only: bool = False,
        device: Device = "auto",
        trust: bool = False,
    ) -> Fitted:
        """Load a model from a folder, or from the Hugging Face Hub.

        Args:
            pretrained_model_name_or_path: A folder, or ``owner/name`` on the hub.
            revision: A branch, tag or commit on the hub; None = the main branch.
            token: An access token; None = the one that was stored when logging in; False = none.
            cache_dir: Where downloads are kept; None = where the hub's library keeps them.
            force_download: Download it again.
            local_files_only: Use what was downloaded before, without the network.
            device: Where to compute: ``auto`` takes a GPU if there is one.
            trust: Run the code that the model brings along; read it first.

        Raises:
            LookupError: If there is no such folder, model or revision, or it is no complete run.
            ModuleNotFoundError: If it is not a folder, and huggingface_hub is not installed.
            OSError: If the hub refuses, or cannot be reached.
            PermissionError: If it brings code that is not trusted.
            ValueError: If it is damaged.
        """
        from ..sharing.hub import download, is_hub_id
        from .load import load

        folder, name = Path(pretrained_model_name_or_path), str(pretrained_model_name_or_path)
        if not folder.exists() and is_hub_id(name):
            folder = download(
                name,
                revision=revision,
                token=token,
                cache_dir=None if cache_dir is None else Path(cache_dir),
                force_download=force_download,
                local_files_only=local_files_only,
            )
        return load(folder, device=device, trust=trust)

    def _share(
        self,
        folder: Path,
        force: bool,
        license: str,
        half: bool,
        scores: Evaluation | None,
        name: str | None,
    ) -> Run:
        from ..sharing.card import CardChoices, write_card

        choices = CardChoices(license, half, scores, name)

        def add_card(copy: Run, scored: bool) -> None:
            write_card(copy, self.run, choices, scored=scored)

        return share_run(self.run, self.assembly, folder, force, half=half, add=add_card)
