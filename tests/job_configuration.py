"""NVFlare's own reading of a job's configuration, with our kit's policy, without a federation around it."""

from __future__ import annotations

import json
import shutil
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nvflare.apis.fl_constant import FLContextKey
from nvflare.apis.fl_context import FLContext
from nvflare.apis.workspace import Workspace
from nvflare.private.fed.client.client_json_config import ClientJsonConfigurator
from nvflare.private.fed.server.server_json_config import ServerJsonConfigurator
from nvflare.private.fed.utils.fed_utils import authorize_build_component

from flareseg.flare.safeguards.guard import ComponentGuard
from flareseg.job.allow_list import CLASS_ALLOW_LIST
from refused_jobs import Change, make

JOB_ID = "11111111-1111-4111-8111-111111111111"


def configure(root: Path, change: Change, planted: Path, *, server: bool, also: Sequence[str] = ()) -> Any:
    """Deploy a job in a kit's folder and build its components, as a job's process does.

    Args:
        root: where job and kit go.
        change: what to change in the job.
        planted: what a hostile job would write.
        server: build the server's components, else a site's.
        also: classes that the kit's policy lists beyond flareseg's.
    """
    job = make(root, change, planted)
    kit = root / "kit"
    for folder in ("startup", "local"):
        (kit / folder).mkdir(parents=True)
    (kit / "local/resources.json.default").write_text(json.dumps({"class_allow_list": [*CLASS_ALLOW_LIST, *also]}))
    name = "server" if server else "hospital-a"
    workspace = Workspace(str(kit), name, "config")
    app = Path(workspace.get_app_dir(JOB_ID))
    shutil.copytree(job / "app", app)
    shutil.copy(job / "meta.json", workspace.get_job_meta_path(JOB_ID))
    fl_ctx = FLContext()
    for key, value in {
        FLContextKey.WORKSPACE_OBJECT: workspace,
        FLContextKey.CURRENT_JOB_ID: JOB_ID,
    }.items():
        fl_ctx.set_prop(key, value)
    args = Namespace(
        client_name=name,
        job_id=JOB_ID,
        workspace=str(kit),
        sp_scheme="http",
        sp_target="localhost:1",
        parent_url="",
        root_url="http://localhost:1",
    )
    kind = ServerJsonConfigurator if server else ClientJsonConfigurator
    config = str(app / "config" / f"config_fed_{'server' if server else 'client'}.json")
    configurator = kind(workspace_obj=workspace, config_file_name=config, app_root=str(app), args=args, kv_list=[])
    configurator.set_component_build_authorizer(
        authorize_build_component, fl_ctx=fl_ctx, event_handlers=[ComponentGuard()]
    )
    configurator.configure()
    return configurator
