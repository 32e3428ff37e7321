"""domain.question.Scope as SQL. Row-level security applies in here too: a scope only ever narrows."""

from __future__ import annotations

from kiban.domain.question import EVERYTHING, Scope

CHUNKS = """
select chunk.id from kiban.chunk join kiban.document on document.id = document_id
where (%(sources)s::text[] is null or source = any(%(sources)s))
    and starts_with(uri, %(under)s)
    and (%(formats)s::text[] is null or lower(substring(uri from '\\.([^./]+)$')) = any(%(formats)s))
    and (%(documents)s::bigint[] is null or document.id = any(%(documents)s))
    and (%(modified_from)s::timestamptz is null or modified >= %(modified_from)s)
    and (%(modified_before)s::timestamptz is null or modified < %(modified_before)s)
"""


def condition(scope: Scope) -> str:
    """Return a condition on a row's chunk_id, with the parameters that `parameters` gives."""
    return "true" if scope == EVERYTHING else f"chunk_id = any(array({CHUNKS}))"


def parameters(scope: Scope) -> dict[str, object]:
    """Return the scope as CHUNKS asks for it: null where nothing is asked."""
    return {
        "sources": list(scope.sources) or None,
        "under": scope.under,
        "formats": list(scope.formats) or None,
        "documents": list(scope.documents) or None,
        "modified_from": scope.modified_from,
        "modified_before": scope.modified_before,
    }
