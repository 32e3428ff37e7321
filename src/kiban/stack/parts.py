"""The parts of this house, from its settings: what runs here, and what is somebody else's."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from importlib.metadata import version

from kiban.errors import PartRefused
from kiban.settings import ROOT, Settings
from kiban.stack import databases, environment, health, machine
from kiban.stack.daemon import Daemon
from kiban.stack.supervisor import Part

PYTHON = sys.executable


def parts(settings: Settings) -> list[Part]:
    """Return every part in the order they are shown. Those that settings point to are only asked."""
    return [
        _postgres(settings),
        _prefect(settings),
        _mlflow(settings),
        *_model_servers(settings),
        _chat(settings),
        _flows(settings),
    ]


def left_over(settings: Settings) -> list[Part]:
    """Return what runs here although the settings do not name it any more."""
    if settings.other_llm and not settings.other_vllm_urls:
        return []
    made = _vllm(settings, "other-vllm", settings.other_llm, (), settings.other_vllm_port)
    return [part for part in made if part.runner and part.runner.pid() is not None]


def _postgres(settings: Settings) -> Part:
    if settings.postgres_dsn:
        dsn = settings.postgres_dsn
        return Part("postgres", _address(dsn), partial(health.postgres, dsn))
    runner = databases.EmbeddedRunner(databases.embedded(settings))
    return Part("postgres", f"{settings.host}:{settings.postgres_port}", runner.probe, runner)


def _address(dsn: str) -> str:
    return databases.sibling(dsn, "").rpartition("@")[2].strip("/")


def _database(settings: Settings, name: str) -> str:
    """Make sure of a part's own database, and return its URL."""
    if settings.postgres_dsn:
        databases.ensure(settings.postgres_dsn, name)
        return databases.sibling(settings.postgres_dsn, name)
    return databases.embedded(settings).dsn(name, name)


def _prefect(settings: Settings) -> Part:
    api = environment.prefect_api(settings)
    probe = partial(health.http, f"{api}/health", f"{api}/admin/version")
    if settings.prefect_api_url:
        return Part("prefect", api, probe)
    daemon = _daemon(
        settings, "prefect",
        ["-m", "prefect", "server", "start", "--host", settings.host, "--port", str(settings.prefect_port)],
        lambda: environment.prefect_server(settings, _database(settings, "prefect")),
        settings.prefect_port,
    )  # fmt: skip
    return Part("prefect", api.removesuffix("/api"), probe, daemon, frozenset({"postgres"}), patience=180)


def _mlflow(settings: Settings) -> Part:
    uri = environment.mlflow_uri(settings)
    probe = partial(health.http, f"{uri}/health", f"{uri}/version")
    if settings.mlflow_tracking_uri:
        return Part("mlflow", uri, probe)
    artifacts = settings.state / "mlflow-artifacts"
    daemon = _daemon(
        settings, "mlflow",
        ["-m", "mlflow", "server", "--host", settings.host, "--port", str(settings.mlflow_port),
         "--workers", "1", "--serve-artifacts", "--artifacts-destination", str(artifacts)],
        lambda: environment.mlflow_server(settings, _database(settings, "mlflow")),
        settings.mlflow_port,
    )  # fmt: skip
    return Part("mlflow", uri, probe, daemon, frozenset({"postgres"}), patience=180)


def _model_servers(settings: Settings) -> list[Part]:
    found = _vllm(settings, "vllm", settings.llm, settings.vllm_urls, settings.vllm_port)
    if not settings.other_llm:
        return found
    more = settings.other_llm, settings.other_vllm_urls, settings.other_vllm_port
    return [*found, *_vllm(settings, "other-vllm", *more)]


def _vllm(settings: Settings, name: str, llm: str, urls: Sequence[str], port: int) -> list[Part]:
    def probe(url: str) -> Callable[[], health.Health]:
        return partial(health.http, f"{url}/health", f"{url}/version")

    if urls:
        names = [name, *(f"{name}-{n}" for n in range(2, len(urls) + 1))]
        return [Part(name, url, probe(url.rstrip("/"))) for name, url in zip(names, urls, strict=True)]
    url = f"http://{settings.host}:{port}"
    daemon = _daemon(
        settings, name, ["-m", "services.vllm", llm, str(port)],
        partial(environment.house, settings), port, partial(_refuse_unfit_for_vllm, settings, llm),
    )  # fmt: skip
    # After Postgres: whether a base model may take another's place at all, the ledger says.
    needs = frozenset({"postgres"})
    return [Part(name, url, probe(url), daemon, needs, patience=600, outdated=daemon.replaced)]


def _refuse_unfit_for_vllm(settings: Settings, llm: str) -> None:
    if not (ROOT / ".venv-serve" / "bin" / "python").exists():
        raise PartRefused("vllm: its environment is missing.", mend="make setup")
    model = environment.llm_folder(settings, llm)
    if not (model / "config.json").exists():
        raise PartRefused(f"vllm: there is no model in {model}.", mend="kiban models fetch")
    for finding in machine.libraries():
        if not finding.ok:
            raise PartRefused(f"vllm: {finding.detail}.", mend=finding.mend)


def _chat(settings: Settings) -> Part:
    url = f"http://{settings.host}:{settings.chat_port}"
    daemon = _daemon(
        settings, "chat", ["-m", "services.chat"], partial(environment.house, settings), settings.chat_port
    )
    return Part(
        "chat",
        url,
        lambda: _ours(health.http(f"{url}/healthz")),
        daemon,
        frozenset({"postgres"}),
        patience=180,
        outdated=daemon.outdated,
    )


def _flows(settings: Settings) -> Part:
    api = environment.prefect_api(settings)
    daemon = _daemon(settings, "flows", ["-m", "flows.serve"], partial(environment.house, settings))
    return Part(
        "flows",
        f"{api.removesuffix('/api')}/deployments",
        lambda: _ours(health.deployments(api, daemon.born())),
        daemon,
        frozenset({"postgres", "prefect"}),
        patience=180,
        outdated=daemon.outdated,
    )


def _ours(said: health.Health) -> health.Health:
    return replace(said, version=version("kiban") if said.ok else "")


def _daemon(
    settings: Settings, name: str, arguments: list[str], variables: Callable[[], dict[str, str]],
    port: int | None = None, check: Callable[[], None] = lambda: None,
) -> Daemon:  # fmt: skip
    return Daemon(
        name=name,
        command=(PYTHON, *arguments),
        environment=variables,
        folder=settings.state / "run",
        log=settings.state / "logs" / f"{name}.log",
        host=settings.host,
        port=port,
        port_field=f"{name.replace('-', '_')}_port",
        check=check,
    )
