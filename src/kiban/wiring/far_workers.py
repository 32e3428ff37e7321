"""Reading on other machines: each worker there opens a house of its own, from the settings of this one."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial

from kiban.domain.document import IngestReport
from kiban.errors import PartRefused
from kiban.settings import Settings
from kiban.stack import environment

log = logging.getLogger(__name__)

Step = Callable[[], IngestReport | None]


def drain(settings: Settings, source: str) -> Iterator[IngestReport]:
    """Yield the report of each lease of a source, until nothing of it waits. Raises PartRefused where the
    engine is not installed, PartUnavailable where it does not answer."""
    try:
        from kiban.backends import ray_engine
    except ModuleNotFoundError as error:
        raise PartRefused("Ray is not installed.", mend="python3 infra/setup --ray") from error

    leases: Counter[str] = Counter()
    variables = environment.clients(settings) | environment.caches(settings.state)
    opened = partial(open_worker, settings, source)
    try:
        for node, report in ray_engine.work(
            settings.ray_address, opened, cores=settings.ray_cores, variables=variables
        ):
            leases[node] += 1
            yield report
    finally:
        log.info("%s was read in %d leases by nodes %s", source, leases.total(), dict(leases))


def open_worker(settings: Settings, source: str) -> Step:
    """Open a house in this process; return what reads one lease in it, or says that nothing waits."""
    from kiban.wiring.documents import Documents
    from kiban.wiring.furniture import Furniture

    documents = Documents(Furniture(settings))

    def step() -> IngestReport | None:
        lease = documents.next_lease(source)
        return documents.absorb(lease) if lease else None

    return step
