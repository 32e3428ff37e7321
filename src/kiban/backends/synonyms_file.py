"""A list of synonyms in YAML (PyYAML):

    readers: [everyone]
    synonyms:
      - [有休, 年次有給休暇]
      - [PO, purchase order, 発注書]

Synonyms change what everybody finds, so whoever keeps the list says in it that everyone may read it.
"""

from __future__ import annotations

from pathlib import Path

import yaml

from kiban.domain.access import EVERYONE
from kiban.domain.question import Synonyms
from kiban.errors import SettingsError

NAME = ".synonyms.yaml"


def read(path: Path) -> Synonyms:
    """Return the list in a file. Raises SettingsError for one that is not as above."""
    try:
        content = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SettingsError(f"{path}: {error}") from error
    match content:
        case {"readers": [*readers], "synonyms": [*groups]} if EVERYONE in readers:
            if all(isinstance(group, list) and len(group) > 1 for group in groups):
                return Synonyms(tuple(tuple(str(word) for word in group) for group in groups))
    raise SettingsError(
        f"{path} is not a list of synonyms for everyone.",
        mend=f"write readers: [{EVERYONE}] and synonyms: [[PO, purchase order], …] in it",
    )
