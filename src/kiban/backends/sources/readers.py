"""What `.readers.yaml` and `.people.yaml` say, wherever they lie (PyYAML). Whatever is unclear means nobody.

`.readers.yaml` says who may read the files of its folder and of folders below that have none of their own:

    readers: [hr, directors]      # or [everyone]

`.people.yaml` at the root says who is in which group:

    tanaka@example.com: [hr]
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import yaml

from kiban.domain.access import NOBODY, Audience

READERS = ".readers.yaml"
PEOPLE = ".people.yaml"
_LARGEST = 1_000_000  # bytes
_TEMPORARY_STARTS = (".", "~$")
_TEMPORARY_ENDS = ("~", ".tmp", ".part", ".crdownload", ".swp")
_NOT_DOCUMENTS = ("thumbs.db", "desktop.ini")
_log = logging.getLogger(__name__)


class NearestReaders:
    """Who may read what lies in folders, from the audiences that some of these folders name."""

    def __init__(self, named: Mapping[str, Audience]) -> None:
        self._named = named  # by path, "" for the root

    def of(self, uri: str) -> Audience:
        """Return the audience of the nearest folder above that names one."""
        folder = uri
        while folder:
            folder = folder.rpartition("/")[0]
            if folder in self._named:
                return self._named[folder]
        return NOBODY


def audience_in(content: bytes, where: str) -> Audience:
    """Return whom a `.readers.yaml` names."""
    says = _yaml(content, where)
    groups = group_names(says.get("readers")) if isinstance(says, dict) else None
    if groups is None:
        _log.warning("%s does not say `readers: [group, ...]`: nobody may read what lies there", where)
        return NOBODY
    return Audience(groups)


def people_in(content: bytes, where: str) -> dict[str, frozenset[str]]:
    """Return the groups by person that a `.people.yaml` names."""
    says = _yaml(content, where)
    if not isinstance(says, dict):
        _log.warning("%s is not a mapping of people to groups: nobody is in any group", where)
        return {}
    people = {str(person): group_names(groups) for person, groups in says.items()}
    for person, groups in people.items():
        if groups is None:
            _log.warning("%s: the groups of %s are not a list of names", where, person)
    return {person: groups or frozenset() for person, groups in people.items()}


def group_names(says: Any) -> frozenset[str] | None:
    """Return group names, or None if these are none. A comma parts names elsewhere, so no name has one."""
    if not isinstance(says, list):
        return None
    if not all(isinstance(name, str) and name.strip() and "," not in name for name in says):
        return None
    return frozenset(name.strip() for name in says)


def is_noise(name: str) -> bool:
    """Tell whether a file or folder of this name is hidden, temporary or a system's own."""
    lower = name.lower()
    return lower.startswith(_TEMPORARY_STARTS) or lower.endswith(_TEMPORARY_ENDS) or lower in _NOT_DOCUMENTS


def is_plain(uri: str) -> bool:
    """Tell whether a path can be kept and shown: no step up, no control character, no half of a pair."""
    return all(step not in (".", "..") for step in uri.split("/")) and not any(
        character < " " or character == "\x7f" or "\ud800" <= character <= "\udfff" for character in uri
    )


def _yaml(content: bytes, where: str) -> Any:
    """Return what YAML says; None when it cannot be understood."""
    if len(content) > _LARGEST:
        _log.warning("%s is larger than %d bytes: ignored", where, _LARGEST)
        return None
    try:
        return yaml.safe_load(content.decode())
    except (UnicodeDecodeError, yaml.YAMLError, RecursionError, ValueError) as error:
        _log.warning("%s cannot be understood: %s", where, error)
        return None
