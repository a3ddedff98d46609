"""Who sends a request. This file owns where a token stands in it, and the guard of the calls under /api/v1.

`Authorization: Bearer`; on sockets, as browsers let nobody set a header, also the subprotocol `bearer.<token>` beside
the one that is spoken; in the query only where the settings say so: queries stand in other people's logs.
"""

from functools import wraps

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from app.adapters.http.services import PARTS
from app.adapters.http.websocket.upgrade_request import offered_subprotocols
from app.core.access.identity import ANONYMOUS, Identity, Scope
from app.core.errors import ClientError, ErrorCode, NewsError
from app.telemetry.labels import Rejection, TokenCheck

_SCHEME = "bearer "
_SUBPROTOCOL = "bearer."
_IDENTITY: web.RequestKey[Identity] = web.RequestKey("identity", Identity)


async def identify(request: web.Request) -> Identity:
    """Give the caller. Raises Theirs(UNAUTHORIZED, TOKEN_EXPIRED) and Ours."""
    parts = request.app[PARTS]
    if parts.verifier is None:
        return ANONYMOUS
    token = _token(request, in_query=parts.settings.token_in_query)
    if token is None:
        parts.stats.token_checks[TokenCheck.MISSING] += 1
        raise ClientError(ErrorCode.UNAUTHORIZED, "A token is needed: Authorization: Bearer <JSON Web Token>")
    return await parts.verifier.verify(token)


def brings_token(request: web.Request) -> bool:
    """Say whether there is a token anywhere in a request, right or wrong."""
    return _token(request, in_query=request.app[PARTS].settings.token_in_query) is not None


def guarded(handler: Handler, scope: Scope | None) -> Handler:
    """Let only callers with a token, and with this scope, through to a handler."""

    @wraps(handler)
    async def guard(request: web.Request) -> web.StreamResponse:
        try:
            identity = await identify(request)
            if scope is not None:
                identity.check_scope(scope)
        except NewsError:
            if scope is Scope.PUBLISH:
                request.app[PARTS].stats.rejected[Rejection.UNAUTHORIZED] += 1
            raise
        request[_IDENTITY] = identity
        return await handler(request)

    return guard


def caller(request: web.Request) -> Identity:
    """Give who sends a guarded call."""
    return request[_IDENTITY]


def check_user(request: web.Request, user_id: str) -> str:
    """Give back a user that a guarded call is about. Raises Theirs(FORBIDDEN) where that is not the caller."""
    caller(request).check_user(user_id)
    return user_id


def _token(request: web.Request, *, in_query: bool) -> str | None:
    given = request.headers.getall(hdrs.AUTHORIZATION, [])
    if given:
        is_bearer = len(given) == 1 and given[0].lower().startswith(_SCHEME)
        return given[0][len(_SCHEME) :].strip() if is_bearer else ""
    if in_query and "token" in request.query:
        return request.query["token"]
    offered = offered_subprotocols(request)
    return next((name.removeprefix(_SUBPROTOCOL) for name in offered if name.startswith(_SUBPROTOCOL)), None)
