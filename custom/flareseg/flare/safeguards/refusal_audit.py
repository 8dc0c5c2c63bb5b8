"""Refused commands in the audit log."""

from __future__ import annotations

from collections.abc import Callable

from nvflare.apis.event_type import EventType
from nvflare.apis.fl_component import FLComponent
from nvflare.apis.fl_context import FLContext
from nvflare.fuel.sec.audit import AuditService
from nvflare.fuel.sec.authz import AuthorizationService, AuthzContext

from flareseg.errors import plain


class RefusalAudit(FLComponent):
    """Adds a line to ``audit.log`` for each command that the policy refused.

    NVFlare 2.9 writes every command there that somebody gave, and not whether it was carried out.

    Listed among the components of ``local/resources.json`` of server and sites.
    """

    def handle_event(self, event_type: str, fl_ctx: FLContext) -> None:
        """Begin when server or site has started."""
        if event_type == EventType.SYSTEM_START:
            authorizer = AuthorizationService.get_authorizer()
            authorizer.authorize = audited(authorizer.authorize)


Authorize = Callable[[AuthzContext], tuple[bool, str]]


def audited(authorize: Authorize) -> Authorize:
    """The same decision, written down where it is a refusal."""

    def audited(context: AuthzContext) -> tuple[bool, str]:
        authorized, error = authorize(context)
        if not authorized:
            user = context.user
            of = f" on what {context.submitter.name} submitted" if context.submitter.name else ""
            AuditService.add_event(
                user=user.name,
                action=f"{context.right}.refused",
                msg=plain(
                    f"{user.name} ({user.role} of {user.org}) may not {context.right} here{of}{error and ': '}{error}"
                ),
            )
        return authorized, error

    return audited
