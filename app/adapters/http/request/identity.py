"""The caller of a call under /api/v1: the guard that verifies its token, and checks of what it may do."""

from functools import wraps

from aiohttp import web
from aiohttp.typedefs import Handler

from app.adapters.http.request.tokens import read_token
from app.adapters.http.services import CONTEXT
from app.core.access.identity import Identity, Scope
from app.core.errors import NewsError
from app.telemetry.labels import Rejection

_IDENTITY: web.RequestKey[Identity] = web.RequestKey("identity", Identity)


def guarded(handler: Handler, scope: Scope | None) -> Handler:
    """Let only callers with a valid token, and with this scope, reach a handler."""

    @wraps(handler)
    async def guard(request: web.Request) -> web.StreamResponse:
        context = request.app[CONTEXT]
        try:
            token = read_token(request, in_query=context.settings.token_in_query)
            identity = await context.verifier.verify(token)
            if scope is not None:
                identity.check_scope(scope)
        except NewsError:
            if scope is Scope.PUBLISH:
                context.stats.intake.record_rejected(Rejection.UNAUTHORIZED)
            raise
        request[_IDENTITY] = identity
        return await handler(request)

    return guard


def caller_of(request: web.Request) -> Identity:
    """Return the caller of a guarded call."""
    return request[_IDENTITY]


def check_user(request: web.Request, user_id: str) -> str:
    """Return the user that a guarded call is about. Raises ClientError(FORBIDDEN) if that is not the caller."""
    caller_of(request).check_user(user_id)
    return user_id
