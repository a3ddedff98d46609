"""Authenticate REST calls under /api/v1: verify the token before a handler runs, and check which users the caller may
act for.
"""

from collections.abc import Iterable
from functools import wraps

from aiohttp import web
from aiohttp.typedefs import Handler

from app.adapters.http.request.client_ip import client_address_of
from app.adapters.http.request.params import refuse_unknown_params
from app.adapters.http.request.request_body import HELD
from app.adapters.http.request.tokens import read_token
from app.adapters.http.services import CONTEXT
from app.core.access.identity import Identity, Scope
from app.core.errors import NewsError
from app.telemetry.labels import Rejection

_IDENTITY: web.RequestKey[Identity] = web.RequestKey("identity", Identity)


def guarded(handler: Handler, scope: Scope | None, query: Iterable[str] = ()) -> Handler:
    """Return a handler that meters the call, and verifies the caller's token and scope and the names of the query
    parameters, before it calls the given handler.

    The returned handler raises ClientError(RATE_LIMITED), NewsError if the token is missing or not valid, or lacks
    `scope`, ClientError(INVALID_PARAMETER) for a query parameter that is not in `query`, and ServerError(OVERLOADED) if
    too many answers are on their way to the caller's address, or its bodies are too large together. A server that
    requires no tokens accepts every caller.
    """

    @wraps(handler)
    async def guard(request: web.Request) -> web.StreamResponse:
        context, is_publish = request.app[CONTEXT], scope is Scope.PUBLISH
        client = client_address_of(request, context.settings)
        context.calls.check(client.call_key, is_publish=is_publish)
        try:
            token = read_token(request, in_query=context.settings.token_in_query)
            identity = await context.verifier.verify(token)
            if scope is not None:
                identity.check_scope(scope)
        except NewsError:
            if is_publish:
                context.stats.intake.record_rejected(Rejection.UNAUTHORIZED)
            raise
        refuse_unknown_params(request.query, (*query, *(("token",) if context.settings.token_in_query else ())))
        if client.call_key and identity.user_id is not None:
            context.calls.check(f"user {identity.user_id}", is_publish=is_publish)
        request[_IDENTITY] = identity
        with context.calls.holding(client.answer_key) as request[HELD]:
            if is_publish:
                # The receipt is small, and items of many calls share one commit.
                return await handler(request)
            async with context.calls.answering(client.answer_key):
                return await _sent(request, await handler(request))

    return guard


async def _sent(request: web.Request, answer: web.StreamResponse) -> web.StreamResponse:
    """Send an answer, and return it once its client has read most of it. aiohttp does not send it again."""
    await answer.prepare(request)
    await answer.write_eof()
    return answer


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
