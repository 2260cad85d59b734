# Written by `python -m duet.client.generate_sync`; edit duet/client/aio instead.

"""Checkpoints: Hugging Face model folders that a job has saved."""

import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from duet.client.partial_file import check_folder, inside
from duet.client.progress import Progress, Tally
from duet.client.sync.downloads import fetch
from duet.client.sync.transport import Transport
from duet.objects.checkpoint import Checkpoint, CheckpointManifest


class Checkpoints:
    """`client.checkpoints`."""

    def __init__(self, http: Transport) -> None:
        self._http = http

    def list(self, job: str, *, limit: int | None = None) -> Iterator[Checkpoint]:
        """List a job's checkpoints, oldest first."""
        return self._http.pages(f"/v1/jobs/{job}/checkpoints", Checkpoint, limit=limit)

    def get(self, checkpoint: str) -> CheckpointManifest:
        """Return a checkpoint with its files."""
        return self._http.get(f"/v1/checkpoints/{checkpoint}", CheckpointManifest)

    def download(
        self,
        checkpoint: str,
        folder: str | os.PathLike[str],
        *,
        progress: Progress | None = None,
        force: bool = False,
    ) -> Path:
        """Download a checkpoint's files into `folder`, each checked against its sha256.

        An interrupted download, in this program or an earlier one, is resumed.

        Raises:
            Refused: `folder` contains other files; `force` overwrites conflicting ones.
            Damaged: a file's sha256 differs from the server's.
        """
        folder = Path(folder)
        manifest = self.get(checkpoint)
        targets = [inside(folder, file.path) for file in manifest.files]
        if not force:
            wanted = {
                target: (file.sha256, file.bytes)
                for file, target in zip(manifest.files, targets, strict=True)
            }
            check_folder(folder, wanted)
        tally = Tally(progress, sum(file.bytes for file in manifest.files))
        for file, target in zip(manifest.files, targets, strict=True):
            fetch(
                self._http,
                f"/v1/checkpoints/{checkpoint}/files/{quote(file.path)}",
                target,
                sha256=file.sha256,
                num_bytes=file.bytes,
                tally=tally,
            )
        return folder

    def delete(self, checkpoint: str) -> None:
        self._http.delete(f"/v1/checkpoints/{checkpoint}")
