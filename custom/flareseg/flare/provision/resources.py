"""What a kit's ``resources.json.default`` says otherwise than NVFlare's: each function makes one change."""

from __future__ import annotations

from typing import Any

from flareseg.flare.provision.policy import RESOURCE_COMPONENTS
from flareseg.job.allow_list import CLASS_ALLOW_LIST

Resources = dict[str, Any]

COMMUNICATION: Resources = {"streaming_retry_timeout": 10}
"""NVFlare 2.9 keeps a thread for each message it received, for as long as the sender may repeat it: by default 65 s.

Sites ask for work ten times a second, which is 650 threads at each site and as many for each at the server. With ten
seconds, and five that NVFlare adds, it is 150; what is lost for longer is sent again by the layers above.
"""

_CLIENT_LAUNCHER = "flareseg.flare.safeguards.launcher.SiteJobLauncher"
_SILENCE_SECONDS = 60
_JOB_MANAGER = "flareseg.flare.safeguards.stores.KitJobManager"
_STORAGE = "flareseg.flare.safeguards.stores.KitStorage"


def server_resources(resources: Resources) -> Resources:
    """NVFlare's resources of a server, changed."""
    _allow_classes(resources)
    _keep_stores_in_the_kit(resources)
    _notice_silent_sites(resources)
    _add_safeguards(resources, "server")
    return resources


def client_resources(resources: Resources) -> Resources:
    """NVFlare's resources of a site, changed."""
    _allow_classes(resources)
    _keep_logs(resources)
    _outlive_killed_processes(resources)
    _add_safeguards(resources, "client")
    return resources


def component(resources: Resources, name: str) -> dict[str, Any]:
    """The component with an id."""
    return next(item for item in resources["components"] if item["id"] == name)


def _allow_classes(resources: Resources) -> None:
    resources["class_allow_list"] = list(CLASS_ALLOW_LIST)


def _add_safeguards(resources: Resources, kind: str) -> None:
    """What NVFlare does not check is checked by flareseg's components, see docs/security.md."""
    resources["components"] += RESOURCE_COMPONENTS[kind]


def _keep_logs(resources: Resources) -> None:
    """No log of a site is streamed to the server, whatever a job asks."""
    resources["allow_log_streaming"] = False
    resources["components"].remove(component(resources, "site_log_streamer"))


def _outlive_killed_processes(resources: Resources) -> None:
    """A job process that is killed at one site does not end the job of all."""
    component(resources, "process_launcher")["path"] = _CLIENT_LAUNCHER


def _notice_silent_sites(resources: Resources) -> None:
    """A site that says nothing for this long, its network stalled or its machine off, is not waited for."""
    resources["servers"][0]["heart_beat_timeout"] = _SILENCE_SECONDS


def _keep_stores_in_the_kit(resources: Resources) -> None:
    """Jobs, results and snapshots survive a reboot."""
    component(resources, "job_manager").update(path=_JOB_MANAGER, args={"uri_root": "store/jobs"})
    storage = resources["snapshot_persistor"]["args"]["storage"]
    storage["path"] = _STORAGE
    storage["args"]["root_dir"] = "store/snapshots"
