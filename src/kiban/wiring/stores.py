"""What keeps things: Postgres, the registry, and folders."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from kiban.backends.candidates import CandidateShelf
from kiban.backends.nights import NightShelf
from kiban.backends.postgres.connect import Postgres
from kiban.backends.postgres.conversations import PostgresConversations
from kiban.backends.postgres.feedback import PostgresFeedback
from kiban.backends.postgres.ledger import PostgresLedger
from kiban.backends.postgres.library import PostgresLibrary
from kiban.backends.postgres.queue import PostgresQueue
from kiban.backends.postgres.records import PostgresRecords
from kiban.backends.postgres.search import PostgresDirectory
from kiban.settings import Settings
from kiban.stack import databases, environment

if TYPE_CHECKING:  # seconds to import each, and not every process needs them
    from kiban.backends.mlflow_registry import MlflowRegistry


class Stores:
    """What is kept, and where."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    @cached_property
    def roles(self) -> databases.Roles:
        return databases.roles(self.settings)

    @cached_property
    def postgres(self) -> Postgres:
        roles = self.roles
        return Postgres(roles.writer, roles.reader, admin_dsn=roles.admin, replica_dsn=roles.replica)

    @cached_property
    def library(self) -> PostgresLibrary:
        return PostgresLibrary(self.postgres)

    @cached_property
    def queue(self) -> PostgresQueue:
        return PostgresQueue(self.postgres)

    @cached_property
    def directory(self) -> PostgresDirectory:
        return PostgresDirectory(self.postgres)

    @cached_property
    def ledger(self) -> PostgresLedger:
        return PostgresLedger(self.postgres)

    @cached_property
    def feedback(self) -> PostgresFeedback:
        return PostgresFeedback(self.postgres)

    @cached_property
    def conversations(self) -> PostgresConversations:
        return PostgresConversations(self.postgres)

    @cached_property
    def records(self) -> PostgresRecords:
        return PostgresRecords(self.postgres)

    @cached_property
    def registry(self) -> MlflowRegistry:
        from kiban.backends.mlflow_registry import MlflowRegistry

        return MlflowRegistry(environment.mlflow_uri(self.settings), "kiban")

    @cached_property
    def candidates(self) -> CandidateShelf:
        return CandidateShelf(self.settings.state / "candidates")

    @cached_property
    def nights(self) -> NightShelf:
        return NightShelf(self.settings.state / "nights")
