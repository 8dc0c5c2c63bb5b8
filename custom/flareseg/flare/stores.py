"""The server's stores inside its own kit, where they survive a reboot and move with it."""

from __future__ import annotations

from pathlib import Path

from nvflare.apis.impl.job_def_manager import SimpleJobDefManager
from nvflare.app_common.storages.filesystem_storage import FilesystemStorage


class KitJobManager(SimpleJobDefManager):
    """NVFlare's job manager; NVFlare itself keeps jobs and results below /tmp.

    Args:
        uri_root: folder of the jobs; a relative one lies in the kit, which is every NVFlare process's working folder.
        job_store_id: id of the storage component.
    """

    def __init__(self, uri_root: str, job_store_id: str = "job_store") -> None:
        super().__init__(str(Path(uri_root).resolve()), job_store_id)


class KitStorage(FilesystemStorage):
    """NVFlare's file storage, for the server's snapshots.

    Args:
        root_dir: folder of the objects; a relative one lies in the kit.
        uri_root: root of the objects' names.
    """

    def __init__(self, root_dir: str, uri_root: str = "/") -> None:
        super().__init__(str(Path(root_dir).resolve()), uri_root)
