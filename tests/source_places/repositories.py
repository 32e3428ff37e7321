"""A bare repository, read as a folder and through a Git server."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dulwich.objects import Blob, Commit, ObjectID, Tree
from dulwich.refs import Ref
from dulwich.repo import Repo
from dulwich.server import FileSystemBackend, TCPGitServer

from kiban.backends.sources.git import GitSource
from source_places import PlainGroups

HEAD = Ref(b"refs/heads/main")
FILE, LINK, FOLDER, SUBMODULE = 0o100644, 0o120000, 0o040000, 0o160000


@contextmanager
def server(root: Path) -> Iterator[str]:
    """Serve the repositories below `root` by Git's own protocol, and give the address before their names."""
    daemon = TCPGitServer(FileSystemBackend(str(root)), "127.0.0.1", 0)
    thread = threading.Thread(target=daemon.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"git://127.0.0.1:{daemon.server_address[1]}{root}"
    finally:
        daemon.shutdown()
        daemon.server_close()
        thread.join()


class RepositoryPlace(PlainGroups):
    keeps_versions = True
    changes_in_place = True

    def __init__(self, folder: Path, address: str | None = None) -> None:
        self.path = folder
        self._address = address or str(folder)
        folder.mkdir(parents=True)
        self.repo = Repo.init_bare(str(folder))
        self._files: dict[bytes, tuple[int, bytes]] = {}

    def readers(self, folder: str, *groups: str) -> None:
        self.put(f"{folder}/.readers.yaml", f"readers: [{', '.join(groups)}]".encode())

    def write(self, name: str, text: str) -> None:
        self.put(f"{name}.md", text.encode())

    def put(self, path: str | bytes, content: bytes, mode: int = FILE) -> None:
        self._files[path if isinstance(path, bytes) else path.encode()] = (mode, content)
        self.commit()

    def remove(self, name: str) -> None:
        del self._files[f"{name}.md".encode()]
        self.commit()

    def move(self, name: str, new: str) -> None:
        self._files[f"{new}.md".encode()] = self._files.pop(f"{name}.md".encode())
        self.commit()

    def uri(self, name: str) -> str:
        return f"{name}.md"

    def source(self, kept: Path, max_bytes: int = 100_000) -> GitSource:
        return GitSource("repository", self._address, "main", kept / "mirror", max_bytes)

    def unreachable(self, kept: Path) -> GitSource:
        return GitSource("repository", "git://127.0.0.1:9/kb", "main", kept / "other", 1)

    def commit(self, *, parents: bool = True) -> None:
        """Commit all files; without parents, as somebody who pushes by force."""
        commit = Commit()
        commit.tree = self._tree(self._files)
        had = self.repo.get_refs().get(HEAD)
        commit.parents = [had] if had and parents else []
        commit.author = commit.committer = "佐藤 <sato@example.com>".encode()
        commit.author_time = commit.commit_time = 1_700_000_000
        commit.author_timezone = commit.commit_timezone = 0
        commit.message = b"x"
        self.repo.object_store.add_object(commit)
        self.repo.refs[HEAD] = commit.id

    def _tree(self, files: dict[bytes, tuple[int, bytes]]) -> ObjectID:
        tree, below = Tree(), dict[bytes, dict[bytes, tuple[int, bytes]]]()
        for path, (mode, content) in files.items():
            name, slash, rest = path.partition(b"/")
            if slash:
                below.setdefault(name, {})[rest] = (mode, content)
            elif mode == SUBMODULE:
                tree.add(name, mode, ObjectID(content))
            else:
                blob = Blob.from_string(content)
                self.repo.object_store.add_object(blob)
                tree.add(name, mode, blob.id)
        for name, inside in below.items():
            tree.add(name, FOLDER, self._tree(inside))
        self.repo.object_store.add_object(tree)
        return tree.id
