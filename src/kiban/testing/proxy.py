"""A TCP proxy that can cut connections or refuse them, for what happens when the network does."""

from __future__ import annotations

import socket
from threading import Lock, Thread

PIECE = 2**14  # bytes


class CuttingProxy:
    """Passes bytes between us and a server, and cuts every connection after so many bytes of ours."""

    def __init__(self, host: str, port: int) -> None:
        self._server = (host, port)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self.sent = 0  # bytes of ours passed on
        self._limit: int | None = None
        self._refusing = False
        self._open: list[socket.socket] = []
        self._lock = Lock()
        self._threads = [Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def cut_after(self, count: int) -> None:
        """Cut all connections once, when so many more bytes have been passed on."""
        with self._lock:
            self._limit = self.sent + count

    def refuse(self, refusing: bool = True) -> None:
        """Cut all connections and let none through, until told otherwise."""
        self._refusing = refusing
        if refusing:
            self._cut()

    def close(self) -> None:
        self._listening.close()
        self._cut()
        for thread in self._threads:
            thread.join(5)

    def _accept(self) -> None:
        while True:
            try:
                ours, _ = self._listening.accept()
            except OSError:  # closed
                return
            if self._refusing:
                ours.close()
                continue
            theirs = socket.create_connection(self._server)
            with self._lock:
                self._open += [ours, theirs]
            for source, target, counts in ((ours, theirs, True), (theirs, ours, False)):
                thread = Thread(target=self._pass_on, args=(source, target, counts), daemon=True)
                self._threads.append(thread)
                thread.start()

    def _pass_on(self, source: socket.socket, target: socket.socket, counts: bool) -> None:
        try:
            while piece := source.recv(PIECE):
                if counts and not self._allows(len(piece)):
                    self._cut()
                    return
                target.sendall(piece)
        except OSError:  # cut
            pass
        finally:
            for end in (source, target):
                end.close()

    def _allows(self, count: int) -> bool:
        with self._lock:
            if self._limit is not None and self.sent + count > self._limit:
                self._limit = None
                return False
            self.sent += count
            return True

    def _cut(self) -> None:
        with self._lock:
            cut, self._open = self._open, []
        for end in cut:
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:  # closed already
                pass
