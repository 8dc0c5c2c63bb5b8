"""The server's stores inside its own kit, where they survive a reboot and move with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nvflare.apis.fl_context import FLContext
from nvflare.apis.impl.job_def_manager import SimpleJobDefManager
from nvflare.app_common.storages.filesystem_storage import FilesystemStorage

from flareseg.job.manifest import SET_BY_SERVER


class KitJobManager(SimpleJobDefManager):
    """NVFlare's job manager; NVFlare itself keeps jobs and results below /tmp, and clones without the privacy scope.

    Args:
        uri_root: folder of the jobs; a relative one lies in the kit, which is every NVFlare process's working folder.
        job_store_id: id of the storage component.
    """

    def __init__(self, uri_root: str, job_store_id: str = "job_store") -> None:
        super().__init__(str(Path(uri_root).resolve()), job_store_id)

    def clone(self, from_jid: str, meta: dict[str, Any], fl_ctx: FLContext) -> dict[str, Any]:
        """Clone a job with all that its submitter said of it.

        NVFlare 2.9 leaves scope, launcher_spec and custom_props behind (CLONED_META_KEYS in job_cmds.py), so that a
        clone would run under a site's default scope instead of the one asked for.
        """
        original = self.get_job(from_jid, fl_ctx)
        said = {} if original is None else {k: v for k, v in original.meta.items() if k not in SET_BY_SERVER}
        return dict(super().clone(from_jid, {**said, **meta}, fl_ctx))


class KitStorage(FilesystemStorage):
    """NVFlare's file storage, for the server's snapshots.

    Args:
        root_dir: folder of the objects; a relative one lies in the kit.
        uri_root: root of the objects' names.
    """

    def __init__(self, root_dir: str, uri_root: str = "/") -> None:
        super().__init__(str(Path(root_dir).resolve()), uri_root)
