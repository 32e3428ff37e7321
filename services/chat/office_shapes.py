"""How the house stands, as JSON."""

from __future__ import annotations

from dataclasses import asdict

from kiban.domain.document import Document
from kiban.domain.evidence import Comparison
from kiban.domain.office import AnswerLineage, DocumentLineage, Judged, Overview, ReleaseLine
from kiban.domain.record import AnswerRecord, Shown
from kiban.domain.release import Release
from kiban.judge.phrases import ENGLISH, JAPANESE, english, japanese
from services.chat.shapes import Json, document_json


def overview_json(overview: Overview) -> Json:
    sources = [{**asdict(one), "listed": one.listed and one.listed.isoformat()} for one in overview.sources]
    return {"object": "overview", **asdict(overview), "sources": sources}


def release_json(release: Release) -> Json:
    """Return a release; zones by the labels that are used where names of groups do not belong."""
    zones = [
        {"label": zone.audience.label, "adapter": zone.name, "sha256": zone.sha256} for zone in release.zones
    ]
    return {
        "id": release.id,
        "llm": release.llm,
        "adapter": release.adapter,
        "adapter_sha256": release.adapter_sha256,
        "embedder_sha256": release.embedder_sha256,
        "reranker_sha256": release.reranker_sha256,
        "generation": release.generation,
        "prompt_version": release.prompt_version,
        "zones": zones,
    }


def release_line_json(line: ReleaseLine) -> Json:
    entry = line.entry
    return {
        "seq": entry.seq,
        "at": entry.at.isoformat(),
        "actor": entry.actor,
        "action": entry.action.value,
        "reason": entry.reason,
        "share": entry.share,
        "release": release_json(line.release),
        "tainted": line.tainted,
        "candidate": line.candidate,
    }


def judged_json(judged: Judged) -> Json:
    candidate, verdict = judged.candidate, judged.verdict
    told: Json = {
        "candidate": candidate.id,
        "zone": candidate.audience.label,
        "documents": len(candidate.lineage),
        "parts": [name for name in ("adapter", "embedder", "reranker", "llm") if getattr(candidate, name)],
        "registered": list(candidate.registered),
        "verdict": None,
    }
    if verdict:
        evaluation = verdict.evaluation
        told["verdict"] = {
            "outcome": verdict.outcome.value,
            "questions": evaluation.questions,
            "documents": evaluation.documents,
            "arms": {arm.value: means for arm, means in evaluation.arms.items()},
            "comparisons": [_comparison(one) for one in evaluation.comparisons],
            "names": {"ja": JAPANESE, "en": ENGLISH},  # of measures
        }
    return told


def record_json(record: AnswerRecord) -> Json:
    what = record.what
    return {
        "seq": record.seq,
        "at": record.at.isoformat(),
        "asker": what.asker,
        "question": what.question,
        "release": what.release_id,
        "passages": len(what.shown),
        "citations": what.citations,
        "refused_quotes": what.refused_quotes,
        "ending": what.ending.value,
        "milliseconds": what.milliseconds,
    }


def answer_lineage_json(lineage: AnswerLineage) -> Json:
    shown = [_shown(one, lineage.documents.get(one.document_id)) for one in lineage.record.what.shown]
    return {
        **record_json(lineage.record),
        "shown": shown,
        "release": lineage.release and release_json(lineage.release),
        "candidates": list(map(judged_json, lineage.candidates)),
    }


def document_lineage_json(lineage: DocumentLineage) -> Json:
    return {
        "document": document_json(lineage.document),
        "learnt": [asdict(one) for one in lineage.learnt],
        "in_force": lineage.in_force,
    }


def _shown(shown: Shown, document: Document | None) -> Json:
    """Return a passage by its numbers; its document by name only to whom it may be shown."""
    named = document and {"uri": document.uri, "title": document.title, "version_now": document.version}
    return {**asdict(shown), "document": named}


def _comparison(comparison: Comparison) -> Json:
    return {
        "measure": comparison.measure,
        "role": comparison.role,
        "against": comparison.against.value,
        "zone": comparison.zone.label,
        "old": comparison.old,
        "new": comparison.new,
        "difference": comparison.difference,
        "low": comparison.low,
        "high": comparison.high,
        "p": comparison.adjusted_p,
        "questions": comparison.questions,
        "outcome": comparison.outcome.value,
        "says": {"ja": japanese(comparison), "en": english(comparison)},
    }
