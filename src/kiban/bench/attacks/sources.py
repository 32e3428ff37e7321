"""D3 and D4: addresses and names that lead where a source has no business."""

from __future__ import annotations

import socket
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

import httpx
from dulwich.objects import Blob, Commit, Tree
from dulwich.refs import Ref
from dulwich.repo import Repo

from kiban.backends.sources.addresses import Doorman
from kiban.backends.sources.fetching import write
from kiban.backends.sources.folder import FolderSource
from kiban.backends.sources.git import GitSource
from kiban.backends.sources.letters import LetterReaders
from kiban.backends.sources.mail_folder import MailFolderSource
from kiban.backends.sources.safe_http import Limits, SafeHttp
from kiban.bench.attacks import Figure
from kiban.bench.attacks.stage import Stage
from kiban.domain.access import NOBODY
from kiban.domain.document import Listed
from kiban.errors import DocumentError, KibanError
from kiban.ports import Source

PUBLIC, OTHER = "93.184.215.14", "93.184.215.15"

# --- D3: SSRF ---

HOSTS = (  # as a browser, a resolver or a careless parser would read them
    *"127.0.0.1 127.1 127.0.1 127.255.255.254 2130706433 0x7f000001 0x7f.1 0177.0.0.1 017700000001".split(),
    *"0.0.0.0 0 0.1.2.3 10.0.0.1 10.255.255.255 172.16.0.1 172.31.255.254 192.168.0.1 192.168.255.1".split(),
    *"169.254.0.1 169.254.169.254 0xa9fea9fe 2852039166 169.254.170.2 100.64.0.1 100.127.255.254".split(),
    *"100.100.100.200 168.63.129.16 192.0.0.1 192.0.2.1 198.18.0.1 198.51.100.1 203.0.113.1".split(),
    *"192.88.99.1 224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255 １２７.０.０.１ 127。0。0。1".split(),
    *"[::] [::1] [0:0:0:0:0:0:0:1] [::ffff:127.0.0.1] [::ffff:7f00:1] [::ffff:169.254.169.254]".split(),
    *"[::ffff:10.0.0.1] [::127.0.0.1] [::a9fe:a9fe] [fe80::1] [febf::1] [fec0::1] [fc00::1]".split(),
    *"[fd12:3456::1] [fd00:ec2::254] [ff02::1] [ff0e::1] [100::1] [2001:db8::1] [2001:2::1]".split(),
    *"[2001:10::1] [3fff::1] [5f00::1] [2002:7f00:1::] [2002:a9fe:a9fe::1] [2002:a00:1::1]".split(),
    *"[64:ff9b::7f00:1] [64:ff9b::a9fe:a9fe] [64:ff9b::a00:1] [64:ff9b:1::a00:1]".split(),
    *"[2001:0:4136:e378:8000:63bf:80ff:fffe] [2001:0:7f00:1::1]".split(),  # Teredo: client, server
    *"[2606:4700::5efe:7f00:1] [2606:4700::200:5efe:a00:1]".split(),  # ISATAP
)
ADDRESSES = (  # whole addresses that are none of ours to follow
    "file:///etc/passwd",
    "ftp://127.0.0.1/",
    "gopher://127.0.0.1:6379/_INFO",
    "dict://127.0.0.1:11211/stats",
    "data:text/html,x",
    "javascript:alert(1)",
    "//127.0.0.1/",
    "http://",
    "http:///etc/passwd",
    "http://user:password@site.example/",
    "http://site.example@127.0.0.1/",
    "http://127.0.0.1#@site.example/",
    "http://127.0.0.1\\@site.example/",
    "http://127.0.0.1:80\\@site.example/",
    "http://site.example\r\nHost: inside/",
    "http://[::1%25lo]/",
)
NAMES: dict[str, Sequence[Sequence[str]]] = {  # host -> what the resolver says, one time after the other
    "localhost": [["127.0.0.1"]],
    "loopback.example": [["::1"]],
    "metadata.google.internal": [["169.254.169.254"]],
    "private.example": [["10.0.0.1"]],
    "mixed.example": [[PUBLIC, "192.168.0.1"]],
    "mixed-first.example": [["127.0.0.1", PUBLIC]],
    "mapped.example": [["::ffff:10.0.0.1"]],
    "trailing.example.": [["127.0.0.1"]],
}
REDIRECTS = (
    "http://127.0.0.1/",
    "http://private.example/",
    "//169.254.169.254/latest/meta-data/",
    "file:///etc/passwd",
    "http://[::ffff:a9fe:a9fe]/",
    "http://2130706433/",
    "https://localhost:8443/",
    "gopher://127.0.0.1/",
    "http://u:p@site.example/",
    "http://rebinding-late.example/",
    "/loop",
)


@dataclass(frozen=True)
class _Case:
    url: str
    location: str = ""  # where the first answer leads
    allowed: tuple[str, ...] = ()
    coding: str = ""
    refused: bool = True  # or answered, from a public address


class _Net(httpx.BaseTransport):
    """What a client would connect to. Nothing leaves this process."""

    def __init__(self, case: _Case) -> None:
        self.case = case
        self.reached: list[httpx.Request] = []
        self._asked: dict[str, int] = {}

    def resolve(self, host: str, port: int) -> list[str]:
        said = {**NAMES, "rebinding.example": [[PUBLIC], ["127.0.0.1"]]}
        said |= {"site.example": [[PUBLIC]], "rebinding-late.example": [["127.0.0.1"], [PUBLIC]]}
        said |= {"intra.example": [["169.254.169.254"]], "loop.intra.example": [["127.0.0.1"]]}
        if host in said:
            turn = self._asked[host] = self._asked.get(host, -1) + 1
            return list(said[host][min(turn, len(said[host]) - 1)])
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
        return [str(each[4][0]) for each in found]

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.reached.append(request)
        if (self.case.location and len(self.reached) == 1) or self.case.location == "/loop":
            return httpx.Response(302, headers={"Location": self.case.location}, stream=httpx.ByteStream(b""))
        if self.case.coding:
            return httpx.Response(200, headers={"Content-Encoding": self.case.coding}, stream=_Bomb())
        return httpx.Response(200, stream=httpx.ByteStream(b"secret"))


class _Bomb(httpx.SyncByteStream):
    """A gibibyte of zeros in a mebibyte of gzip."""

    def __iter__(self) -> Iterator[bytes]:
        packer = zlib.compressobj(9, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
        for _ in range(1024):
            yield packer.compress(bytes(2**20))
        yield packer.flush()


def ssrf(stage: Stage) -> Figure:
    """Lead the crawler inwards in every way we know, and count what was connected to or answered."""
    cases = _ssrf_cases()
    bypasses = [case for case in cases if not _held(case)]
    note = "; ".join(f"{case.url} {case.location}".strip() for case in bypasses[:5])
    return Figure(
        "D3",
        "SSRF: addresses, resolvers, redirects and bombs against the web source",
        f"{len(bypasses)} bypasses of {len(cases)}",
        "0",
        not bypasses,
        len(cases),
        note,
    )


def _ssrf_cases() -> list[_Case]:
    site = "http://site.example/"
    return [
        *(_Case(f"http://{host}/") for host in (*HOSTS, *NAMES)),
        *(_Case(url) for url in ADDRESSES),
        *(_Case(site, location) for location in REDIRECTS),
        _Case("http://rebinding.example/", refused=False),  # asked once, so connected to what was checked
        _Case("http://rebinding.example/", "http://rebinding.example/again"),
        _Case("http://intra.example/", allowed=("intra.example",)),
        _Case("http://intra.example/", allowed=("0.0.0.0/0",)),
        _Case("http://loop.intra.example/", allowed=("loop.intra.example",)),
        _Case("http://[::ffff:169.254.169.254]/", allowed=("::/0", "0.0.0.0/0")),
        _Case(site, coding="gzip"),
        _Case(site, coding="br"),
        _Case(site, coding="zstd"),
        _Case(site, coding="gzip, gzip"),
        _Case(site, "http://mixed.example/", allowed=("10.0.0.0/8",)),
    ]


def _held(case: _Case) -> bool:
    """Tell whether nothing but the public address was connected to, and what had to be refused was."""
    net = _Net(case)
    limits = Limits(bytes=5_000_000, seconds=60)
    http = SafeHttp(Doorman(case.allowed), limits, resolve=net.resolve, transport=net)
    try:
        http.get(case.url)
        answered = True
    except KibanError:
        answered = False
    outside = all(ip_address(request.url.host) == ip_address(PUBLIC) for request in net.reached)
    return outside and answered != case.refused


# --- D4: traversal ---

PATHS = (
    "../secret.md",
    "../../secret.md",
    "a/../../secret.md",
    "/etc/passwd",
    "//etc/passwd",
    "..\\secret.md",
    "a\\..\\..\\secret.md",
    "C:\\Windows\\win.ini",
    "\\\\server\\share\\x.md",
    "%2e%2e/secret.md",
    "%2e%2e%2fsecret.md",
    "%252e%252e%252fsecret.md",
    "..%c0%afsecret.md",
    "．．／secret.md",
    "..;/secret.md",
    "....//secret.md",
    "./../secret.md",
    "secret.md\0.txt",
    "../secret.md\0.txt",
    "a\n../secret.md",
    "CON",
    "NUL.md",
    "aux.md",
    "COM1.txt",
    "/dev/zero",
    "/proc/self/environ",
    "~/.ssh/id_rsa",
    "-rf.md",
    ".git/config",
    ".GIT/config",
    ".readers.yaml",
    "..",
    ".",
    "",
    "x" * 5000 + ".md",
    "あ" * 300 + ".md",
    "規程\u202edm.exe",
    "link/secret.md",
    "link.md",
    "a.md/../../secret.md",
)
SECRET = b"outside"


def traversal(stage: Stage) -> Figure:
    """Give every source names that lead out of its place or of the folder it writes to."""
    root = stage.folder / "traversal"
    trials = escapes = 0
    for source in _places(root):
        names = [listed.uri for listed in source.listing().entries]
        for name in (*PATHS, *names):
            trials += 1
            escapes += _escapes(root, source, Listed(name, "0" * 40, 0, NOBODY))
        for listed in source.listing().entries:
            trials += 1
            escapes += _escapes(root, source, listed)
    for name in PATHS:
        trials += 1
        escapes += _written_outside(root, name)
    return Figure(
        "D4",
        "Traversal: names in folders, mailboxes, Git trees, and of files written",
        f"{escapes} escapes of {trials}",
        "0",
        escapes == 0,
        trials,
    )


def _places(root: Path) -> list[Source]:
    for name in ("folder", "letters", "fetched"):
        (root / name).mkdir(parents=True)
    (root / "secret.md").write_bytes(SECRET)
    for place in (root / "folder", root / "letters"):
        (place / "a.md").write_text("x")
        (place / "link").symlink_to(root)
        (place / "link.md").symlink_to(root / "secret.md")
    return [
        FolderSource("folder", root / "folder", 10_000),
        MailFolderSource("letters", root / "letters", LetterReaders("letters"), 10_000),
        _hostile_repository(root),
    ]


def _hostile_repository(root: Path) -> GitSource:
    """Write a tree that no client would: steps up, a folder of Git's own, links and a submodule."""
    path = root / "repository.git"
    path.mkdir()
    with Repo.init_bare(str(path)) as repo:
        blob, link = Blob.from_string(b"x"), Blob.from_string(str(root / "secret.md").encode())
        tree = Tree()
        for name in PATHS:
            if raw := name.encode().replace(b"\0", b""):
                tree.add(raw, 0o100644, blob.id)
        tree.add(b"link.md", 0o120000, link.id)
        tree.add(b"module", 0o160000, blob.id)
        commit = Commit()
        commit.tree, commit.parents = tree.id, []
        commit.author = commit.committer = b"x <x@example.com>"
        commit.author_time = commit.commit_time = commit.author_timezone = commit.commit_timezone = 0
        commit.message = b"x"
        for thing in (blob, link, tree, commit):
            repo.object_store.add_object(thing)
        repo.refs[Ref(b"refs/heads/main")] = commit.id
    return GitSource("repository", str(path), "main", root / "mirror", 10_000)


def _escapes(root: Path, source: Source, listed: Listed) -> bool:
    """Tell whether fetching this reads the secret, or writes anywhere but where it was told to."""
    before = _tree(root)
    try:
        file = source.fetch(listed, root / "fetched")
    except DocumentError:
        return _tree(root) != before
    leaked = SECRET in file.path.read_bytes() or file.path.resolve().parent != (root / "fetched").resolve()
    file.path.unlink()
    return leaked or _tree(root) != before


def _written_outside(root: Path, name: str) -> bool:
    before = _tree(root)
    file = write([b"x"], Listed(name, "", 1, NOBODY), root / "fetched", name, 10)
    inside = file.path.resolve().parent == (root / "fetched").resolve()
    file.path.unlink()
    return not inside or _tree(root) != before


def _tree(root: Path) -> set[str]:
    return {str(path) for path in root.rglob("*") if "repository.git" not in path.parts}
