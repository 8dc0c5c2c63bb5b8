"""Provisioning builder: signs every startup kit, so that NVFlare notices a changed file when a participant starts."""

from __future__ import annotations

from nvflare.lighter.constants import CtxKey, ProvFileName
from nvflare.lighter.ctx import ProvisionContext
from nvflare.lighter.entity import Project
from nvflare.lighter.spec import Builder
from nvflare.lighter.utils import sign_folders


class KitSignatureBuilder(Builder):
    """Writes ``startup/signature.json`` with the root CA's signature of each file there.

    NVFlare 2.9's own SignatureBuilder does so only for kits of confidential computing and homomorphic encryption, and
    without that file nothing is checked. With it server, site and admin do not start when their configuration,
    certificate, key or root certificate is not the one that was handed out. Files below ``local/`` are the operator's
    to edit and are not signed. Stands last in project.yml, in place of NVFlare's builder.
    """

    def build(self, project: Project, ctx: ProvisionContext) -> None:
        """Sign ``startup/`` of every participant."""
        for participant in project.get_all_participants():
            sign_folders(
                ctx.get_kit_dir(participant), ctx[CtxKey.ROOT_PRI_KEY], signature_file=ProvFileName.SIGNATURE_JSON
            )
