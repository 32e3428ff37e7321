"""A branch of a Git repository as a source of documents (dulwich).

Readers stand in `.readers.yaml` files of the tree, as in a folder. Symbolic links and submodules are not
followed. The cursor is a commit: two trees tell what lies between them, whatever was pushed by force.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import Any
from urllib.parse import quote, urlsplit

from dulwich.client import HTTPUnauthorized, get_transport_and_path
from dulwich.errors import GitProtocolError, NotGitRepository
from dulwich.objects import Commit, ObjectID, Tree
from dulwich.refs import Ref
from dulwich.repo import Repo
from urllib3.exceptions import HTTPError

from kiban.backends.sources.fetching import write
from kiban.backends.sources.readers import PEOPLE, READERS, audience_in, is_noise, is_plain, people_in
from kiban.domain.access import NOBODY, Audience
from kiban.domain.document import Listed, Listing, SourceFile
from kiban.errors import GoneMeanwhile, PartUnavailable, SourceRefused, UnsupportedFormat

_SCHEMES = ("https", "http", "ssh", "git")
_LARGE_FILE = b"version https://git-lfs.github.com/spec/"
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Side:
    """A folder of one commit, and the audience it inherits."""

    tree: ObjectID | None = None
    inherited: Audience = NOBODY


@dataclass(slots=True)
class _Folder:
    """What lies in a folder of one commit, by name."""

    audience: Audience
    files: dict[str, ObjectID] = field(default_factory=dict)
    folders: dict[str, ObjectID] = field(default_factory=dict)
    people: dict[str, ObjectID] = field(default_factory=dict)


class GitSource:
    """Lists the files of `branch`. `repository` is a path here, or an address of which `mirror` keeps what
    was listed, without history. `page` is what to put before a file's path to open it in a browser."""

    def __init__(
        self,
        name: str,
        repository: str,
        branch: str,
        mirror: Path,
        max_bytes: int,
        *,
        page: str = "",
        username: str | None = None,
        password: str | None = None,
    ) -> None:
        self.name = name
        self._repository = repository
        self._ref = Ref(f"refs/heads/{branch}".encode())
        self._mirror = mirror
        self._max_bytes = max_bytes
        self._page = page
        self._username = username
        self._password = password

    def listing(self, cursor: str = "") -> Listing:
        with self._newest() as (repo, commit):
            old = _commit(repo, cursor)
            if old is None:
                return Listing(self._whole(commit.id))
            found = list(self._differences(repo, "", _Side(old.tree), _Side(commit.tree)))
            entries = [line for line in found if isinstance(line, Listed)]
            gone = tuple(line for line in found if isinstance(line, str))
            return Listing(entries, whole=False, gone=gone, cursor=commit.id.decode)

    def fetch(self, listed: Listed, folder: Path) -> SourceFile:
        """Write the file as it was in the commit that was listed."""
        with self._kept() as repo:
            try:
                content: bytes = repo.object_store.get_raw(ObjectID(listed.tag.encode()))[1]
            except (KeyError, ValueError) as error:
                raise GoneMeanwhile(listed.uri) from error
            if content.startswith(_LARGE_FILE):
                raise UnsupportedFormat("its content is kept by Git LFS, outside the repository")
            return write([content], listed, folder, listed.uri, self._max_bytes)

    def memberships(self) -> Mapping[str, frozenset[str]]:
        with self._newest() as (repo, commit):
            found = _opened(repo, "", _Side(commit.tree)).people.get(PEOPLE)
            return {} if found is None else people_in(_content(repo, found), PEOPLE)

    def _whole(self, commit_id: ObjectID) -> Iterator[Listed]:
        with self._kept() as repo:
            commit = _commit(repo, commit_id.decode())
            if commit is None:
                raise PartUnavailable(f"{self._repository}: commit {commit_id.decode()} is gone again")
            for line in self._differences(repo, "", _Side(), _Side(commit.tree)):
                if isinstance(line, Listed):
                    yield line

    def _differences(self, repo: Repo, folder: str, old: _Side, new: _Side) -> Iterator[Listed | str]:
        """Yield what is new or changed in `new`, in content or readers, and uris of what is gone."""
        if old == new:
            return
        had, has = _opened(repo, folder, old), _opened(repo, folder, new)
        for name, blob in has.files.items():
            if (had.files.get(name), had.audience) != (blob, has.audience):
                yield self._listed(folder + name, blob, has.audience)
        yield from (folder + name for name in had.files if name not in has.files)
        for name in sorted(had.folders.keys() | has.folders.keys()):
            before = _Side(had.folders.get(name), had.audience)
            after = _Side(has.folders.get(name), has.audience)
            if before.tree != after.tree or has.audience != had.audience:
                yield from self._differences(repo, f"{folder}{name}/", before, after)

    def _listed(self, uri: str, blob: ObjectID, audience: Audience) -> Listed:
        return Listed(uri, blob.decode(), 0, audience, url=self._page and self._page + quote(uri))

    @contextmanager
    def _kept(self) -> Iterator[Repo]:
        """Give the repository on this machine, without asking the other."""
        with self._meaning(), Repo(str(self._mirror if self._is_far else self._repository)) as repo:
            yield repo

    @contextmanager
    def _newest(self) -> Iterator[tuple[Repo, Commit]]:
        """Give the repository on this machine, and the newest commit of the branch."""
        if self._is_far and not (self._mirror / "HEAD").exists():
            self._mirror.mkdir(parents=True, exist_ok=True)
            Repo.init_bare(str(self._mirror)).close()
        with self._kept() as repo:
            head = self._fetched(repo) if self._is_far else repo.get_refs().get(self._ref)
            commit = _commit(repo, head.decode()) if head else None
            if commit is None:
                raise SourceRefused(f"{self._repository} has no branch {self._ref.decode()}")
            yield repo, commit

    def _fetched(self, repo: Repo) -> bytes | None:
        """Bring what the branch holds, without history, and return its commit."""
        client, path = get_transport_and_path(
            self._repository, username=self._username, password=self._password
        )

        def wants(refs: Mapping[Any, Any], depth: int | None = None) -> list[Any]:
            head = refs.get(self._ref)
            return [head] if head and head not in repo.object_store else []

        found = client.fetch(path, repo, determine_wants=wants, depth=1)
        head: bytes | None = found.refs.get(self._ref)
        return head

    @property
    def _is_far(self) -> bool:
        if "://" not in self._repository:
            return False
        if urlsplit(self._repository).scheme not in _SCHEMES:
            raise SourceRefused(f"{self._repository}: one of {', '.join(_SCHEMES)} is needed")
        return True

    @contextmanager
    def _meaning(self) -> Iterator[None]:
        """Say in our words why the repository cannot be read."""
        try:
            yield
        except (NotGitRepository, HTTPUnauthorized) as error:
            raise SourceRefused(f"{self._repository}: {error or type(error).__name__}") from error
        except (GitProtocolError, HTTPError, OSError) as error:
            raise PartUnavailable(f"{self._repository}: {error or type(error).__name__}") from error


def _commit(repo: Repo, name: str) -> Commit | None:
    """Return a commit whose id this is, if it is kept here."""
    try:
        found = repo[ObjectID(name.encode())] if len(name) == 40 else None
    except (KeyError, ValueError):
        return None
    return found if isinstance(found, Commit) else None


def _opened(repo: Repo, path: str, side: _Side) -> _Folder:
    """Read a folder of a commit: no links, no submodules, no names that are none."""
    found = repo[side.tree] if side.tree else None
    folder = _Folder(side.inherited)
    for item in found.iteritems() if isinstance(found, Tree) else ():
        name = item.path.decode(errors="surrogateescape")
        if name == READERS:
            regular = S_ISREG(item.mode)
            folder.audience = audience_in(_content(repo, item.sha), path + name) if regular else NOBODY
        elif not name or "/" in name or not is_plain(name) or name.lower() == ".git":
            _log.warning("%r is not a name a file may have: left out", item.path)
        elif S_ISDIR(item.mode) and not is_noise(name):
            folder.folders[name] = item.sha
        elif S_ISREG(item.mode) and (name == PEOPLE or not is_noise(name)):
            (folder.people if name == PEOPLE else folder.files)[name] = item.sha
    return folder


def _content(repo: Repo, blob: ObjectID) -> bytes:
    content: bytes = repo.object_store.get_raw(blob)[1]
    return content
