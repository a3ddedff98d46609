"""Authenticate REST calls under /api/v1: verify the token before a handler runs, and check which users the caller may
act for.
"""

from collections.abc import Iterable
from functools import wraps

from aiohttp import web
from aiohttp.typedefs import Handler

from app.adapters.http.request.params import refuse_unknown_params
from app.adapters.http.request.tokens import read_token
from app.adapters.http.services import CONTEXT
from app.core.access.identity import Identity, Scope
from app.core.errors import NewsError
from app.telemetry.labels import Rejection

_IDENTITY: web.RequestKey[Identity] = web.RequestKey("identity", Identity)


def guarded(handler: Handler, scope: Scope | None, query: Iterable[str] = ()) -> Handler:
    """Return a handler that verifies the caller's token and scope, and the names of the query parameters, before it
    calls the given handler.

    The returned handler raises NewsError if the token is missing or not valid, or lacks `scope`, and
    ClientError(INVALID_PARAMETER) for a query parameter that is not in `query`. A server that requires no tokens
    accepts every caller.
    """

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
        refuse_unknown_params(request.query, (*query, *(("token",) if context.settings.token_in_query else ())))
        request[_IDENTITY] = identity
        return await handler(request)

    return guard


def caller_of(request: web.Request) -> Identity:
    """Return the verified identity of the caller. Raises KeyError if the request did not pass through a handler that
    `guarded` returned.
    """
    return request[_IDENTITY]


def check_user(request: web.Request, user_id: str) -> str:
    """Return `user_id` if the caller may act for this user. Raises ClientError(FORBIDDEN) if the caller is another user
    and not an operator.
    """
    caller_of(request).check_user(user_id)
    return user_id
