"""Workers on the nodes of a Ray cluster (ray). What they work on lies elsewhere: Ray carries no document.

Each worker is an actor that opens what it needs once and then takes one piece of work after another, so that
what a node has done is known as soon as it is done, and one that dies takes at most one piece with it.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import ray
from ray.exceptions import RayActorError, RayTaskError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from kiban.domain.document import IngestReport
from kiban.errors import PartUnavailable

Step = Callable[[], IngestReport | None]  # does one piece of work; None when nothing is left for anybody
PATIENCE = 5.0  # seconds for the cluster to answer
LAST = 10.0  # seconds for others to say what they did, once nothing is left
ENDING = 60.0  # seconds to store what is being read when the work is called off
_log = logging.getLogger(__name__)


class _Worker:
    """What runs on a node."""

    def __init__(self, open_step: Callable[[], Step]) -> None:
        self._step = open_step()

    def step(self) -> IngestReport | None:
        return self._step()


def work(
    address: str, open_step: Callable[[], Step], *, cores: int, variables: Mapping[str, str]
) -> Iterator[tuple[str, IngestReport]]:
    """Yield the node and the report of each piece of work, until nothing is left.

    Args:
        address: Of the head, "HOST:PORT"; "auto" for the cluster that this machine belongs to.
        open_step: Called once in each worker's process; importable there.
        cores: Of one worker; a node has as many workers as fit, and at least one.
        variables: The environment of the workers' processes.

    A worker that dies is left out. One that raises an error of ours takes no more, and when the others have
    done what is left, the error is raised. Raises PartUnavailable when the cluster does not answer, or has
    no worker left.
    """
    with _connected(address):
        remote: Any = ray.remote(_Worker)
        nodes: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
        workers = [
            (
                node["NodeID"],
                remote.options(
                    num_cpus=min(cores, node["Resources"]["CPU"]),
                    scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False),
                    runtime_env={"env_vars": dict(variables)},
                ).remote(open_step),
            )
            for node in nodes
            if node["Alive"]
            for _ in range(_workers(node["Resources"].get("CPU", 0), cores))
        ]
        yield from _steps(workers)


def _workers(cpus: float, cores: int) -> int:
    return max(1, int(cpus // cores)) if cpus else 0


@contextmanager
def _connected(address: str) -> Iterator[None]:
    try:
        if ":" in address:  # Ray itself would try for minutes
            host, _, port = address.rpartition("/")[2].rpartition(":")
            socket.create_connection((host, int(port)), timeout=PATIENCE).close()
        ray.init(address, log_to_driver=False, configure_logging=False, logging_level=logging.ERROR)
    except (OSError, ValueError, RuntimeError) as error:
        raise PartUnavailable(
            f"the Ray cluster at {address}: {error}", mend="ray start --head, or set ingest_engine"
        ) from error
    try:
        yield
    finally:
        ray.shutdown()


def _steps(workers: list[tuple[str, Any]]) -> Iterator[tuple[str, IngestReport]]:
    steps = {worker.step.remote(): (node, worker) for node, worker in workers}
    last, over = _Ended(), False
    try:
        # No longer than LAST for a node that has died, or has no room for us: nothing is left for it to do.
        while steps and (ready := ray.wait([*steps], timeout=LAST if over else None)[0]):
            node, worker = steps.pop(ready[0])
            ended = _ended(ready[0])
            last = _Ended(ended.report, ended.died or last.died, ended.raised or last.raised)
            if ended.died:
                _log.warning("a worker on node %s died: %s", node, ended.died)
            elif not ended.raised:
                over = over or ended.report is None
                if not over:
                    steps[worker.step.remote()] = node, worker
            if ended.report is not None:
                yield node, ended.report
    finally:
        if steps and not over:
            ray.wait([*steps], num_returns=len(steps), timeout=ENDING)
    if last.raised is not None:
        raise last.raised
    if not over:
        raise PartUnavailable(f"no worker of the Ray cluster is left. {last.died or 'It has no core.'}")


@dataclass(frozen=True, slots=True)
class _Ended:
    """How a step ended: with what was done, or with nothing left to do, or badly."""

    report: IngestReport | None = None
    died: Exception | None = None
    raised: BaseException | None = None


def _ended(step: Any) -> _Ended:
    try:
        return _Ended(ray.get(step))
    except RayActorError as error:
        return _Ended(died=error)
    except RayTaskError as error:
        return _Ended(raised=error.cause)
