"""Who may call which route, as written by hand: what A10 holds the service to."""

from __future__ import annotations

from enum import Enum
from uuid import UUID

# Nobody brings a token; the forger's is signed with another key; the outsider is proven, but in no group of
# the settings; the service holds a reader's token for searching alone.
CALLERS = ("nobody", "forger", "outsider", "reader", "curator", "operator", "auditor", "service")


class Outcome(Enum):
    """What a caller gets."""

    IN = "+"  # whatever the route then says
    UNKNOWN = "-"  # 401
    FORBIDDEN = "x"  # 403

    @classmethod
    def of(cls, status: int) -> Outcome:
        return {401: cls.UNKNOWN, 403: cls.FORBIDDEN}.get(status, cls.IN)


ANYBODY = "++++++++"
KNOWN = "--++++++"
ASKS = "--x+xxxx"
SEARCHES = "--x+xxx+"
SPEAKS = "--x+xxxx"
CURATES = "--xx+xxx"
OPERATES = "--xxx+xx"
AUDITS = "--xxxx+x"

EXPECTED = {
    "GET /": ANYBODY,
    "GET /operate": ANYBODY,
    "GET /openapi.json": ANYBODY,
    "GET /healthz": ANYBODY,
    "GET /readyz": ANYBODY,
    "GET /metrics": ANYBODY,
    "GET /.well-known/oauth-protected-resource/mcp": ANYBODY,
    "GET /login": ANYBODY,
    "POST /login/password": ANYBODY,
    "GET /login/provider": ANYBODY,
    "GET /login/back": ANYBODY,
    "POST /login/end": ANYBODY,
    "GET /v1/me": KNOWN,
    "GET /v1/models": KNOWN,
    "GET /v1/models/{name}": KNOWN,
    "POST /v1/chat/completions": ASKS,
    "POST /v1/responses": ASKS,
    "GET /v1/conversations": ASKS,
    "POST /v1/conversations": ASKS,
    "GET /v1/conversations/{id}": ASKS,
    "DELETE /v1/conversations/{id}": ASKS,
    "GET /v1/search": SEARCHES,
    "POST /v1/search": SEARCHES,
    "GET /v1/choices": SEARCHES,
    "GET /v1/documents": SEARCHES,
    "GET /v1/documents/{document_id}": SEARCHES,
    "GET /v1/documents/{document_id}/pages/{number}": SEARCHES,
    "POST /v1/embeddings": SEARCHES,
    "POST /mcp": SEARCHES,
    "POST /v1/feedback": SPEAKS,
    "GET /v1/feedback": CURATES,
    "POST /v1/feedback/{feedback_id}/decision": CURATES,
    "GET /v1/operate": OPERATES,
    "GET /v1/operate/documents": OPERATES,
    "GET /v1/operate/documents/{document_id}": OPERATES,
    "GET /v1/operate/releases": OPERATES,
    "GET /v1/operate/candidates": OPERATES,
    "GET /v1/operate/answers": AUDITS,
    "GET /v1/operate/answers/{seq}": AUDITS,
}
UNDECLARED = ("GET", "POST", "PUT", "PATCH", "DELETE")
PLACES = {
    "{name}": "kiban",
    "{id}": str(UUID(int=0)),
    "{document_id}": "1",
    "{number}": "1",
    "{feedback_id}": "1",
    "{seq}": "1",
}


def request_for(route: str) -> tuple[str, str]:
    """Return the method and an address of a route."""
    method, path = route.split(" ", 1)
    for place, value in PLACES.items():
        path = path.replace(place, value)
    return method, path
