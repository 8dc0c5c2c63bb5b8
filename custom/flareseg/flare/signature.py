"""Provisioning builder: signs every kit's startup files, so that a changed one is noticed."""

from __future__ import annotations

from nvflare.lighter.constants import CtxKey, ProvFileName
from nvflare.lighter.ctx import ProvisionContext
from nvflare.lighter.entity import Project
from nvflare.lighter.impl.signature import SignatureBuilder
from nvflare.lighter.utils import sign_folders


class StartupSignatureBuilder(SignatureBuilder):
    """Signs ``startup/`` of every kit with the root CA's key; stands last in project.yml.

    NVFlare 2.9's own builder signs nothing in kits without homomorphic encryption or confidential computing. With a
    signature there, a server or site does not start with a changed configuration, ``start.sh --verify`` refuses any
    changed file, and ``flareseg site check`` names it. ``local/`` stays the site's own.
    """

    def build(self, project: Project, ctx: ProvisionContext) -> None:
        """Sign what the other builders wrote."""
        super().build(project, ctx)
        for participant in project.get_all_participants():
            key = ctx.get(CtxKey.ROOT_PRI_KEY)
            sign_folders(ctx.get_kit_dir(participant), key, signature_file=ProvFileName.SIGNATURE_JSON)
