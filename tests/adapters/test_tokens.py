"""Which tokens are trusted: whatever an attacker or a careless signer makes is refused with a reason."""

import asyncio
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import jwt
import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from app.adapters.memory.revocation_store import MemoryRevocationStore
from app.adapters.tokens.choice import create_verifier
from app.adapters.tokens.signing import sign
from app.config import Settings
from app.core.access.identity import ANONYMOUS, Identity, Scope
from app.core.errors import ClientError, ErrorCode, NewsError, ServerError
from app.flows.connections.revocations import Revocations
from app.options import InvalidSetting
from app.ports.auth import Verifier
from app.telemetry.labels import TokenCheck
from app.telemetry.stats import Stats
from tests.support.clock import FakeClock
from tests.support.tokens import EC, ED, LIFE_S, RSA, SECRET, forged, pem, token

FAR_FUTURE = 253_402_300_799


def nothing_revoked() -> Revocations:
    return Revocations(MemoryRevocationStore(), FakeClock())


def verifier(stats: Stats | None = None, clock: FakeClock | None = None, **settings: Any) -> Verifier:
    """Return the verifier that the settings ask for, with the real clock."""
    keys: dict[str, Any] = {} if settings.keys() & {"jwt_public_key", "jwks_url"} else {"jwt_secret": SECRET}
    chosen = Settings(**keys, **settings)
    found = create_verifier(chosen, nothing_revoked(), clock or FakeClock(time.time()), stats or Stats())
    assert found is not None
    return found


async def result_of(given: str, **settings: Any) -> tuple[TokenCheck, ErrorCode | None]:
    """Return how a token was counted, and the error's code."""
    stats = Stats()
    detail, code = "", None
    try:
        await verifier(stats, None, **settings).verify(given)
    except NewsError as error:
        detail, code = error.detail, error.code
    assert not given or given not in detail
    [(result, times)] = stats.connections.token_checks.items()
    assert times == 1
    return result, code


@pytest.mark.parametrize(("key", "algorithm"), [(RSA, "RS256"), (EC, "ES256"), (ED, "EdDSA")])
async def test_public_key_accepts_only_its_algorithm(key: Any, algorithm: str) -> None:
    expires_at = int(time.time()) + 600
    signed = token("alice", key=key, algorithm=algorithm, scope="news:publish other", exp=expires_at)

    identity = await verifier(jwt_public_key=pem(key)).verify(signed)

    assert identity.user_id == "alice"
    assert identity.scopes == {"news:publish", "other"}
    assert identity.expires_at == expires_at


async def test_signed_token_is_accepted() -> None:
    signed = sign(SECRET, "bob", ["news:admin"], time.time(), 3_600, {"aud": "news", "iss": "us"})

    identity = await verifier(jwt_audience="news", jwt_issuer="us").verify(signed)

    assert (identity.user_id, identity.scopes) == ("bob", frozenset({"news:admin"}))


def by_hmac(header: dict[str, Any], key: bytes) -> str:
    """Sign with HMAC whatever the header says, as in the confusion of RS256 with HS256."""
    unsigned = forged(header, {"sub": "alice", "exp": int(time.time() + LIFE_S)}).rpartition(".")[0]
    signature = hmac.new(key, unsigned.encode(), hashlib.sha256).digest()
    return f"{unsigned}.{jwt.utils.base64url_encode(signature).decode()}"


NOW = int(time.time())
CLAIMS = {"sub": "alice", "exp": NOW + LIFE_S}
MALFORMED, BAD_SIGNATURE = TokenCheck.MALFORMED, TokenCheck.BAD_SIGNATURE
REFUSED: list[tuple[str, str, TokenCheck]] = [
    ("nothing", "", MALFORMED),
    ("no token", "hello", MALFORMED),
    ("three dots", "..", MALFORMED),
    ("not ascii", "ä.ö.ü", MALFORMED),
    ("a heap", "x" * 100_000, MALFORMED),
    ("alg none", forged({"alg": "none", "typ": "JWT"}, CLAIMS), BAD_SIGNATURE),
    ("alg None", forged({"alg": "None", "typ": "JWT"}, CLAIMS), BAD_SIGNATURE),
    ("no alg", forged({"typ": "JWT"}, CLAIMS), BAD_SIGNATURE),
    ("alg is a list", forged({"alg": ["HS256"]}, CLAIMS), BAD_SIGNATURE),
    ("no signature", token().rpartition(".")[0] + ".", BAD_SIGNATURE),
    ("another secret", token(key="another secret of more than 32 bytes"), BAD_SIGNATURE),
    ("longer HMAC", token(key=SECRET * 2, algorithm="HS512"), BAD_SIGNATURE),
    ("RS256 for a secret", token(key=RSA, algorithm="RS256"), BAD_SIGNATURE),
    ("no exp", token(exp=None), MALFORMED),
    ("exp is a word", forged({"alg": "HS256"}, CLAIMS | {"exp": "soon"}), BAD_SIGNATURE),
    ("exp is a signed word", token(exp="soon"), MALFORMED),
    ("exp is endless", token(exp=float("inf")), MALFORMED),
    ("exp in the year 9999", token(exp=FAR_FUTURE), MALFORMED),
    ("two days", token(exp=NOW + 2 * 86_400), MALFORMED),
    ("two days from its iat on", token(iat=NOW - 2 * 86_400), MALFORMED),
    ("expired", token(life_s=-31), TokenCheck.EXPIRED),
    ("not yet", token(nbf=NOW + LIFE_S / 2), MALFORMED),
    ("signed tomorrow", token(iat=NOW + LIFE_S / 2), MALFORMED),
    ("no sub", token(sub=None), MALFORMED),
    ("sub is a number", forged({"alg": "HS256"}, CLAIMS | {"sub": 7}), BAD_SIGNATURE),
    ("sub is no user id", token("al ice"), MALFORMED),
    ("sub with a line end", token("alice\n"), MALFORMED),
    ("scope is a list", token(scope=["news:admin"]), MALFORMED),
    ("another typ", token(header={"typ": "secevent+jwt"}), MALFORMED),
    ("its own key", token(header={"jwk": {"kty": "oct", "k": "AAAA"}}), MALFORMED),
    ("its own key set", token(header={"jku": "https://evil.example/keys"}), MALFORMED),
    ("crit", token(header={"crit": ["exp"]}), MALFORMED),
    ("an entitlement that cannot be enforced", token(ent={"kinds": ["crypto"]}), MALFORMED),
    ("for another service", token(aud="another service"), TokenCheck.WRONG_AUDIENCE),
]


@pytest.mark.parametrize(("given", "result"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED])
async def test_invalid_token_is_refused(given: str, result: TokenCheck) -> None:
    code = ErrorCode.TOKEN_EXPIRED if result is TokenCheck.EXPIRED else ErrorCode.UNAUTHORIZED

    assert await result_of(given) == (result, code)


async def test_leeway_and_single_key_without_kid() -> None:
    late = token(life_s=-20, header={"kid": "../../etc/passwd"})

    assert await result_of(late) == (TokenCheck.OK, None)


@pytest.mark.parametrize("key", [RSA, EC, ED])
async def test_public_key_is_not_an_hmac_secret(key: Any) -> None:
    for written in (pem(key), pem(key).strip()):
        confused = by_hmac({"alg": "HS256", "typ": "JWT"}, written.encode())

        assert await result_of(confused, jwt_public_key=pem(key)) == (BAD_SIGNATURE, ErrorCode.UNAUTHORIZED)


async def test_deeply_nested_json_is_refused() -> None:
    deep = f"{'[' * 3_000}{']' * 3_000}"
    header = jwt.utils.base64url_encode(deep.encode()).decode()

    assert await result_of(f"{header}.e30.e30") == (MALFORMED, ErrorCode.UNAUTHORIZED)


WHOM = [
    ({"aud": "news", "iss": "us"}, TokenCheck.OK),
    ({"aud": ["other", "news"], "iss": "us"}, TokenCheck.OK),
    ({"aud": "other", "iss": "us"}, TokenCheck.WRONG_AUDIENCE),
    ({"iss": "us"}, TokenCheck.WRONG_AUDIENCE),
    ({"aud": "news", "iss": "them"}, TokenCheck.WRONG_AUDIENCE),
    ({"aud": "news"}, TokenCheck.WRONG_AUDIENCE),
]


@pytest.mark.parametrize(("claims", "result"), WHOM)
async def test_audience_and_issuer_must_match(claims: dict[str, Any], result: TokenCheck) -> None:
    found, _ = await result_of(token(**claims), jwt_audience="news", jwt_issuer="us")

    assert found is result


@pytest.mark.parametrize(
    ("settings", "wanted"),
    [
        ({"jwt_secret": "hunter2"}, "must have at least 32 bytes"),
        ({"jwt_public_key": "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----"}, "NEWS_JWT_PUBLIC_KEY"),
        ({"jwt_public_key": pem(ec.generate_private_key(ec.SECP384R1()))}, "must be RSA with at least 2048 bits"),
        ({"jwt_public_key": pem(rsa.generate_private_key(public_exponent=65_537, key_size=1_024))}, "must be RSA"),
    ],
)
def test_weak_key_stops_the_start_without_showing_it(settings: dict[str, Any], wanted: str) -> None:
    with pytest.raises(InvalidSetting, match=wanted) as caught:
        create_verifier(Settings(**settings), nothing_revoked(), FakeClock(), Stats())

    assert "hunter2" not in str(caught.value)


async def test_no_key_means_no_tokens() -> None:
    verifier = create_verifier(Settings(), nothing_revoked(), FakeClock(), Stats())

    assert not verifier.requires_tokens
    assert await verifier.verify(None) == await verifier.verify("anything") == ANONYMOUS


def test_operator_sees_all_users_but_connects_as_itself() -> None:
    operator = Identity("ann", frozenset({Scope.ADMIN}))

    operator.check_user("bob")
    with pytest.raises(ClientError):
        operator.resolve_user("bob")
    with pytest.raises(ClientError):
        operator.check_scope(Scope.PUBLISH)


class Published:
    """A URL that publishes keys, or does something else."""

    def __init__(self) -> None:
        self.keys: dict[str, Any] = {"rsa": RSA}
        self.requests = 0
        self.answer: Callable[[], Awaitable[web.StreamResponse]] = self.key_set

    async def key_set(self) -> web.Response:
        return web.json_response({"keys": [_published(kid, key) for kid, key in self.keys.items()]})

    async def handle(self, _request: web.Request) -> web.StreamResponse:
        self.requests += 1
        return await self.answer()


def _published(kid: str, key: Any) -> dict[str, Any]:
    kinds: dict[Any, Any] = {RSA: RSAAlgorithm, EC: ECAlgorithm, ED: OKPAlgorithm}
    document: dict[str, Any] = json.loads(kinds[key].to_jwk(key.public_key()))
    return document | {"kid": kid, "use": "sig"}


@asynccontextmanager
async def publishing() -> AsyncIterator[tuple[Published, str]]:
    published = Published()
    app = web.Application()
    app.router.add_get("/keys", published.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield published, f"http://127.0.0.1:{runner.addresses[0][1]}/keys"
    finally:
        await runner.cleanup()


def signed(kid: str | None, key: Any, algorithm: str) -> str:
    return token(key=key, algorithm=algorithm, header={"kid": kid} if kid else None)


async def test_published_keys_are_cached_by_id() -> None:
    async with publishing() as (published, url):
        published.keys |= {"ec": EC, "ed": ED}
        believes = verifier(jwks_url=url)
        for kid, key, algorithm in (("rsa", RSA, "RS256"), ("ec", EC, "ES256"), ("ed", ED, "EdDSA")):
            assert (await believes.verify(signed(kid, key, algorithm))).user_id == "alice"
        for wrong in (
            signed("ec", RSA, "RS256"),
            signed(None, RSA, "RS256"),
            by_hmac({"alg": "HS256", "kid": "rsa"}, b""),
        ):
            with pytest.raises(ClientError):
                await believes.verify(wrong)

    assert published.requests == 1


async def test_new_key_is_fetched_and_unknown_ones_limited() -> None:
    clock = FakeClock(time.time())
    async with publishing() as (published, url):
        believes = verifier(clock=clock, jwks_url=url)
        await believes.verify(signed("rsa", RSA, "RS256"))
        published.keys = {"ec": EC}
        clock.move(31)
        await believes.verify(signed("ec", EC, "ES256"))
        for _ in range(20):
            with pytest.raises(ClientError):
                await believes.verify(signed("stranger", ED, "EdDSA"))

    assert published.requests == 2


async def _fail() -> web.StreamResponse:
    raise web.HTTPInternalServerError


async def _move() -> web.StreamResponse:
    raise web.HTTPFound("/keys?elsewhere")


async def _rubbish() -> web.StreamResponse:
    return web.Response(body=b"<html>")


async def _nothing() -> web.StreamResponse:
    return web.json_response(
        {"keys": [{"kty": "oct", "kid": "rsa", "k": "AAAA"}, {"kty": "RSA", "kid": "rsa", "n": "!"}]}
    )


async def _words() -> web.StreamResponse:
    return web.json_response({"keys": ["x"]})


BAD_KEYS: list[Any] = [
    *("rubbish", 7, None, [], {}),
    *({"kty": kty, "alg": alg, "n": "x"} for kty in ("RSA", "EC", "OKP") for alg in ("none", "RS256", 5)),
    {"kty": "RSA", "kid": [1], "n": 5, "e": None},
    {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"},
]


@pytest.mark.parametrize("bad", BAD_KEYS, ids=repr)
async def test_bad_key_costs_no_other_key(bad: Any) -> None:
    clock = FakeClock(time.time())
    async with publishing() as (published, url):

        async def mixed() -> web.Response:
            return web.json_response({"keys": [bad, _published("rsa", RSA), bad]})

        async def only_bad() -> web.Response:
            return web.json_response({"keys": [bad]})

        published.answer = mixed
        believes, another = verifier(clock=clock, jwks_url=url), verifier(clock=clock, jwks_url=url)
        assert (await believes.verify(signed("rsa", RSA, "RS256"))).user_id == "alice"
        published.answer = only_bad
        with pytest.raises(ClientError, match="No key of this server fits"):
            await another.verify(signed("rsa", RSA, "RS256"))


async def _heap() -> web.StreamResponse:
    return web.Response(body=b"[" * 100_000)


@pytest.mark.parametrize("answer", [_fail, _move, _rubbish, _nothing, _words, _heap])
async def test_keys_survive_bad_answers_of_their_url(
    answer: Callable[[], Awaitable[web.StreamResponse]],
) -> None:
    clock = FakeClock(time.time())
    async with publishing() as (published, url):
        believes = verifier(clock=clock, jwks_url=url)
        await believes.verify(signed("rsa", RSA, "RS256"))
        published.answer = answer
        clock.move(601)

        assert (await believes.verify(signed("rsa", RSA, "RS256"))).user_id == "alice"
        assert published.requests == 2


async def test_without_keys_all_are_refused_and_fetch_retried() -> None:
    clock, stats = FakeClock(time.time()), Stats()
    async with publishing() as (published, url):
        published.answer = _fail
        believes = verifier(stats, clock, jwks_url=url)
        answers = await asyncio.gather(
            *(believes.verify(signed("rsa", RSA, "RS256")) for _ in range(10)), return_exceptions=True
        )
        published.answer = published.key_set
        clock.move(1.5)
        identity = await believes.verify(signed("rsa", RSA, "RS256"))

    assert all(isinstance(answer, ServerError) and answer.code is ErrorCode.OVERLOADED for answer in answers)
    assert stats.connections.token_checks == {TokenCheck.ERROR: 10, TokenCheck.OK: 1}
    assert identity.user_id == "alice"
    assert published.requests == 2
