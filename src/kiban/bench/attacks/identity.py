"""A8 and A10: who is believed to be somebody, and what somebody may then do."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from datetime import timedelta
from typing import Any

import httpx

from kiban.backends.tokens import TokenVerifier
from kiban.bench.attacks import Figure
from kiban.bench.attacks.answering import Answering, answering
from kiban.bench.attacks.company import company
from kiban.bench.attacks.forging import Forged, Issuer, forgeries, publishing
from kiban.bench.attacks.matrix import CALLERS, EXPECTED, UNDECLARED, Outcome, request_for
from kiban.bench.attacks.stage import Stage
from kiban.domain.credentials import Purpose
from kiban.errors import PartUnavailable, SettingsError
from kiban.wiring.identity import Identity

SERVICE = "attacks-service"
PLAIN = "person00"  # in no group
TRIED = ("GET /v1/me", "POST /v1/search", "POST /v1/chat/completions", "POST /mcp")


def forged_principal(stage: Stage) -> Figure:
    """Bring every forged token to four routes, before three kinds of issuer; and bring a genuine one, saying
    in every other place that somebody else asks."""
    accepted: list[str] = []
    kinds: set[str] = set()
    tried = raised_tried = 0
    with answering(stage) as house, ExitStack() as running:
        raised = list(_raised(stage, house))
        raised_tried = len(raised)
        for algorithm in ("EdDSA", "RS256", "ES256"):
            issuer = _believed(house, running, algorithm)
            forged = [*forgeries(issuer, Issuer.new(issuer.url, algorithm)), *_forged_secrets(house)]
            with httpx.Client(base_url=house.url, timeout=30, trust_env=False) as client:
                _require_honest(client, issuer)
                for one in forged:
                    kinds.add(one.kind)
                    for route in TRIED:
                        tried += 1
                        if (status := _call(client, route, one)) != 401:
                            accepted.append(f"{algorithm} {one.kind} {route}: {status}")
    changed = [what for what, same in raised if not same]
    wrong = [*accepted, *changed]
    return Figure(
        "A8",
        "forged principals: algorithms, keys, claims, headers, service tokens, sessions; others' names "
        "beside a genuine token",
        f"{len(accepted)} of {tried} not answered 401; {len(changed)} of {raised_tried} changed what is found"
        + (f": {'; '.join(wrong[:3])}" if wrong else ""),
        "0; 401 for all",
        not wrong,
        tried + raised_tried,
        f"{len(kinds)} kinds, before issuers of EdDSA, RS256 and ES256, of whom a genuine token is let in",
    )


def caller_matrix(stage: Stage) -> Figure:
    """Let eight kinds of caller call every route, and compare with a table that was written by hand."""
    wrong: list[str] = []
    tried = 0
    with answering(stage, readers="staff") as house:
        routes = sorted(_routes(house))
        wrong += [f"{route} is not in the table" for route in routes if route not in EXPECTED]
        wrong += [f"{route} is not served" for route in EXPECTED if route not in routes]
        tokens = dict(zip(CALLERS, _tokens_of_callers(house), strict=True))
        with httpx.Client(base_url=house.url, timeout=30, trust_env=False) as client:
            for route in (route for route in routes if route in EXPECTED):
                for caller, expected in zip(CALLERS, EXPECTED[route], strict=True):
                    tried += 1
                    if (got := _outcome(client, route, tokens[caller])) is not Outcome(expected):
                        wrong.append(f"{caller} {route}: {got.name}")
            for method, path in _undeclared(routes):
                for caller in ("nobody", "reader", "operator"):
                    tried += 1
                    status = client.request(
                        method, path, headers=_bearer(tokens[caller]), json={}
                    ).status_code
                    if status < 400:
                        wrong.append(f"{caller} {method} {path}: {status}")
    return Figure(
        "A10",
        f"{len(CALLERS)} kinds of caller at every route, and methods that no route declares",
        f"{len(wrong)} of {tried} mismatches" + (f": {'; '.join(wrong[:3])}" if wrong else ""),
        "0",
        not wrong,
        tried,
        f"{len(routes)} routes; " + ", ".join(CALLERS),
    )


def _believed(house: Answering, running: ExitStack, algorithm: str) -> Issuer:
    """Let the house believe a new OpenID issuer of this kind."""
    published: list[Issuer] = []
    url = running.enter_context(publishing(published))
    published.append(issuer := Issuer.new(url, algorithm))
    house.furniture.verifier = TokenVerifier(url, url, "kiban")
    return issuer


def _require_honest(client: httpx.Client, issuer: Issuer) -> None:
    honest = Forged("honest", _bearer(issuer.sign(issuer.claims(PLAIN))))
    if _call(client, "GET /v1/me", honest) != 200:
        raise PartUnavailable(f"a genuine {issuer.algorithm} token was not let in")


def _forged_secrets(house: Answering) -> Iterator[Forged]:
    """Yield service and session tokens that prove nothing, or nothing any more."""
    identity, kept = Identity(house.furniture), house.furniture.credentials
    _put(identity, SERVICE, ())
    one, two = (identity.issue(SERVICE, ["search", "ask"], days=1) for _ in range(2))
    revoked = identity.issue(SERVICE, ["search"], days=1)
    identity.revoke(revoked.split("_")[1])
    expired = kept.issue(SERVICE, None, Purpose.SERVICE, timedelta(seconds=-1))
    left = identity.begin_session(SERVICE)
    identity.log_out(left)
    orphan = identity.begin_session(SERVICE)
    identity.remove_user(SERVICE)
    _, id, secret = two.split("_", 2)
    for kind, token in {
        "a service token with another's secret": f"kbn_{one.split('_')[1]}_{secret}",
        "a service token cut short": two[:-1],
        "a service token with a hash as secret": f"kbn_{id}_{'0' * 64}",
        "a service token without a secret": f"kbn_{id}_",
        "a service token with SQL as id": f"kbn_{id}' or '1'='1_{secret}",
        "a service token of a removed service": two,
        "a revoked service token": revoked,
        "an expired service token": expired,
        "a session that was left": left,
        "a session of a removed user": orphan,
    }.items():
        yield Forged(kind, _bearer(token))
        yield Forged(f"{kind}, as a cookie", {"Cookie": f"kiban-session={token}"})


def _raised(stage: Stage, house: Answering) -> Iterator[tuple[str, bool]]:
    """Yield what was said beside a genuine token, and whether it changed nothing in what is found."""
    fact = company(stage).facts[0]
    asked = {"query": fact.question, "limit": 8}
    group = next(iter(fact.audience.groups))
    issuer, audience = house.furniture.issuer, house.furniture.settings.token_audience
    with house.client(PLAIN) as client:
        plain = client.post(f"{house.url}/v1/search", json=asked).raise_for_status().json()
        if fact.code in json.dumps(plain):
            raise PartUnavailable("the one who asks may read what is asked for")
        mighty = {"user": "person03", "groups": [group], "roles": ["operator"], "sub": "person03"}
        for name, value in mighty.items():
            body = client.post(f"{house.url}/v1/search", json={**asked, name: value})
            yield f"{name} in the body", body.status_code == 422 or body.json() == plain
            query = client.post(f"{house.url}/v1/search?{name}={value}", json=asked)
            yield f"{name} in the address", query.json() == plain
        for name in (
            "X-User",
            "X-Groups",
            "X-Forwarded-User",
            "Remote-User",
            "X-Kiban-Subject",
            "OpenAI-User",
        ):
            found = client.post(f"{house.url}/v1/search", json=asked, headers={name: f"person03,{group}"})
            yield name, found.json() == plain
        cookie = {"Cookie": f"kiban-session={issuer.issue('person03', 1, audience)}"}
        beside = client.post(f"{house.url}/v1/search", json=asked, headers=cookie)
        yield "another's session beside it", beside.json() == plain
        message = {"model": "kiban", "messages": [{"role": "user", "content": fact.question}]}
        for extra in ({}, {"user": "person03"}, {"metadata": {"groups": group}}, {"groups": [group]}):
            told = client.post(f"{house.url}/v1/chat/completions", json={**message, **extra})
            yield f"{extra} in a question", fact.code not in told.text


def _tokens_of_callers(house: Answering) -> Sequence[str]:
    """Return what each of CALLERS brings, in their order."""
    identity, audience = Identity(house.furniture), house.furniture.settings.token_audience
    people = {"matrix-outsider": (), "matrix-reader": ("staff",)}
    people |= {f"matrix-{role}": (f"{role}s",) for role in ("curator", "operator", "auditor")}
    for name, groups in people.items():
        _put(identity, name, groups)
    issued = [house.furniture.issuer.issue(name, 1, audience) for name in people]
    stranger = Issuer.new("kiban", "EdDSA")
    forged = stranger.sign(stranger.claims("matrix-reader"))
    return "", forged, *issued, identity.issue("matrix-reader", ["search"], days=1)


def _put(identity: Identity, name: str, groups: Sequence[str]) -> None:
    try:
        identity.add_user(name, groups, None)
    except SettingsError:
        pass  # an attack before this one on the same stage has


def _routes(house: Answering) -> Iterator[str]:
    from services.chat.allowed import routes_of

    return routes_of(house.app)


def _undeclared(routes: Sequence[str]) -> Iterator[tuple[str, str]]:
    for path in sorted({route.split(" ", 1)[1] for route in routes}):
        for method in UNDECLARED:
            if f"{method} {path}" not in routes:
                yield method, request_for(f"{method} {path}")[1]


def _outcome(client: httpx.Client, route: str, token: str) -> Outcome:
    method, path = request_for(route)
    body: dict[str, Any] = {} if method == "GET" else {"json": {}}
    return Outcome.of(client.request(method, path, headers=_bearer(token), **body).status_code)


def _call(client: httpx.Client, route: str, forged: Forged) -> int:
    method, path = route.split(" ")
    body = {"query": "a", "model": "kiban", "messages": [{"role": "user", "content": "a"}]}
    asked = {"json": {"query": "a"} if "search" in path else body} if method == "POST" else {}
    client.cookies.clear()
    return client.request(method, path, headers=dict(forged.headers), **asked).status_code  # type: ignore[arg-type]


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"} if token else {}
