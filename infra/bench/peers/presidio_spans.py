"""Presidio with GiNZA's Japanese names and Japanese telephone numbers: one JSON text a line in, spans out.

It lives in an environment of its own: pip install presidio-analyzer ja-ginza, and for English names a spaCy
model, whose package is the second argument. Each text is asked about in Japanese and in English, and what
either finds counts. The first argument is the lowest score that counts.
"""

from __future__ import annotations

import json
import sys

from presidio_analyzer import AnalyzerEngine, RecognizerRegistry
from presidio_analyzer.nlp_engine import NerModelConfiguration, SpacyNlpEngine
from presidio_analyzer.predefined_recognizers import PhoneRecognizer

# GiNZA's labels (Sekine's extended named entities) as Presidio calls them.
ENTITIES = {
    "Person": "PERSON",
    "Province": "LOCATION",
    "City": "LOCATION",
    "County": "LOCATION",
    "GPE_Other": "LOCATION",
    "Postal_Address": "LOCATION",
    "Address_Other": "LOCATION",
    "Phone_Number": "PHONE_NUMBER",
    "Email": "EMAIL_ADDRESS",
    "PERSON": "PERSON",
    "LOC": "LOCATION",
    "GPE": "LOCATION",
}


def analyzer(english: str) -> AnalyzerEngine:
    languages = {"ja": "ja_ginza", "en": english}
    told = NerModelConfiguration(model_to_presidio_entity_mapping=ENTITIES, labels_to_ignore=[])
    models = [{"lang_code": code, "model_name": model} for code, model in languages.items()]
    engine = SpacyNlpEngine(models=models, ner_model_configuration=told)
    engine.load()
    registry = RecognizerRegistry(supported_languages=list(languages))
    registry.load_predefined_recognizers(languages=list(languages), nlp_engine=engine)
    for code in languages:
        registry.add_recognizer(PhoneRecognizer(supported_language=code, supported_regions=("JP", "US")))
    return AnalyzerEngine(registry=registry, nlp_engine=engine, supported_languages=list(languages))


def main(least: float, english: str) -> None:
    engine = analyzer(english)
    for line in sys.stdin:
        text = json.loads(line)
        found = [
            one for code in ("ja", "en") for one in engine.analyze(text, language=code) if one.score >= least
        ]
        print(json.dumps([[one.start, one.end, one.entity_type] for one in found]), flush=True)


if __name__ == "__main__":
    main(float(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else "ja_ginza")
