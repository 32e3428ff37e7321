"""The environment variables of each part. Nothing leaves the machine, everything written stays in `state`."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

from pydantic import SecretStr

from kiban.settings import Settings

QUIET = {
    "DO_NOT_TRACK": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_TELEMETRY_ENABLE_RESOURCE_METRICS": "false",
    "PREFECT_CLOUD_ENABLE_ORCHESTRATION_TELEMETRY": "false",
    "VLLM_NO_USAGE_STATS": "1",
}
RETENTION = timedelta(days=30)  # of flow runs; events keep Prefect's own 7 days


def prefect_api(settings: Settings) -> str:
    return settings.prefect_api_url or f"http://{settings.host}:{settings.prefect_port}/api"


def mlflow_uri(settings: Settings) -> str:
    return settings.mlflow_tracking_uri or f"http://{settings.host}:{settings.mlflow_port}"


def llm_folder(settings: Settings, llm: str) -> Path:
    """Return where a model that writes lies: the folder that is named, or where it is fetched to."""
    given = Path(llm).expanduser()
    return given if given.is_dir() else settings.state / "models" / llm.replace("/", "--")


def clients(settings: Settings) -> dict[str, str]:
    """Return what a process needs to find Prefect and MLflow, and to keep to itself."""
    return QUIET | {
        "PREFECT_API_URL": prefect_api(settings),
        "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "false",
        "PREFECT_HOME": str(settings.state / "prefect"),
        "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "WARNING",  # the rest is in Prefect's own pages
        "MLFLOW_TRACKING_URI": mlflow_uri(settings),
        "MLFLOW_LOGGING_LEVEL": "WARNING",
        "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
        "HF_HUB_OFFLINE": "0" if settings.allow_hub else "1",
    }


def house(settings: Settings) -> dict[str, str]:
    """Return what our own services need: the clients' environment, and these settings, not those that
    another working directory's kiban.toml would give."""
    written = settings.model_dump(exclude_none=True)  # as JSON, secrets would be masked
    ours = {f"KIBAN_{name.upper()}": _plain(value) for name, value in written.items()}
    return clients(settings) | caches(settings.state) | ours


def _plain(value: object) -> str:
    is_text = isinstance(value, str | Path | SecretStr)
    return _text(value) if is_text else json.dumps(value, ensure_ascii=False, default=_text)


def _text(value: object) -> str:
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value)


def caches(state: Path) -> dict[str, str]:
    return {
        "XDG_CACHE_HOME": str(state / "cache"),
        "XDG_CONFIG_HOME": str(state / "config"),
        "MPLCONFIGDIR": str(state / "cache" / "matplotlib"),
        "TORCHINDUCTOR_CACHE_DIR": str(state / "cache" / "inductor"),
    }


def prefect_server(settings: Settings, database: str) -> dict[str, str]:
    """Return the server's environment: on Postgres (`database` is its URL), private, not growing."""
    return QUIET | {
        "PREFECT_HOME": str(settings.state / "prefect"),
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": database.replace("postgresql:", "postgresql+asyncpg:", 1),
        "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
        "PREFECT_SERVER_UI_API_URL": prefect_api(settings),
        "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events,flow_runs,orphans",
        "PREFECT_SERVER_SERVICES_DB_VACUUM_RETENTION_PERIOD": str(int(RETENTION.total_seconds())),
    }


def mlflow_server(settings: Settings, database: str) -> dict[str, str]:
    """Return the server's environment: on Postgres (`database` is its URL), without its job runner, which
    would take seven processes and 0.9 GB for features that we do not use."""
    return (
        QUIET
        | caches(settings.state)
        | {
            "MLFLOW_BACKEND_STORE_URI": database.replace("postgresql:", "postgresql+psycopg:", 1),
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        }
    )
