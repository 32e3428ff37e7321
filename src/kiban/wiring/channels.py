"""Message → Answer, for people who ask from a chat platform."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing
from threading import Lock
from typing import Protocol

from kiban.answer.prompt import language
from kiban.answer.told import as_text
from kiban.answer.wording import WORDINGS
from kiban.channel_settings import ChannelSettings, LineWorksChannel, SlackChannel, TeamsChannel
from kiban.domain.access import Principal
from kiban.domain.channel import Handshake, Message
from kiban.domain.question import Answer, Turn
from kiban.domain.roles import Right
from kiban.errors import IdentityError, KibanError
from kiban.ports import Channel
from kiban.settings import Settings
from kiban.wiring.furniture import Furniture
from kiban.wiring.identity import Identity

log = logging.getLogger(__name__)

REMEMBERED = 10_000  # messages, of which a second sending is not answered
LONGEST_QUESTION = 4_000  # characters
Seat = Callable[[str], Principal | None]  # what the directory calls somebody, to who they are


class Answering(Protocol):
    """What answers; the chat service's house within a quota is one."""

    def answer(
        self, question: str, history: Sequence[Turn], who: Principal
    ) -> AsyncIterator[str | Answer]: ...


class ChannelDesk:
    """Takes messages of all platforms. Each is a question of its own: what was said before is not looked at,
    since in a channel others may have said it."""

    def __init__(self, channels: Sequence[Channel], seat: Seat, answers: Answering) -> None:
        self.channels = {channel.name: channel for channel in channels}
        self._seat, self._answers = seat, answers
        self._seen: OrderedDict[str, None] = OrderedDict()
        self._lock = Lock()

    def take(self, name: str, headers: Mapping[str, str], body: bytes) -> Message | Handshake | None:
        """Return what a platform sent, unless it has sent it before: platforms send again what they think was
        lost. Raises IdentityError for what is not from the platform, and for a platform that is not here."""
        if name not in self.channels:
            raise IdentityError("nobody is expected here")
        sent = self.channels[name].received(headers, body)
        if not isinstance(sent, Message):
            return sent
        event = f"{name} {sent.event}"
        with self._lock:
            again = event in self._seen
            self._seen[event] = None
            if len(self._seen) > REMEMBERED:
                self._seen.popitem(last=False)
        return None if again or not sent.text else sent

    async def answer(self, name: str, message: Message) -> None:
        """Answer whoever wrote it, and nobody else. Whom the directory does not know is told nothing."""
        channel = self.channels[name]
        try:
            who = await asyncio.to_thread(self._known, channel, message)
            if who is None:
                log.info("somebody unknown wrote from %s", name)
                return
            text = await self._text(message.text[:LONGEST_QUESTION], who, channel.longest)
            await asyncio.to_thread(channel.tell, message, text)
        except KibanError as error:  # nobody waits for this who could be told
            log.error("%s: a message was not answered: %s", name, error)

    def _known(self, channel: Channel, message: Message) -> Principal | None:
        seats = (self._seat(identity) for identity in channel.identities(message))
        return next((who for who in seats if who is not None), None)

    async def _text(self, question: str, who: Principal, longest: int) -> str:
        try:
            async with aclosing(self._answers.answer(question, (), who)) as pieces:  # type: ignore[type-var]
                async for piece in pieces:
                    if isinstance(piece, Answer):
                        return as_text(piece, question, longest)
        except KibanError as error:
            log.error("a question from a channel was not answered: %s", error)
        return WORDINGS[language(question)].later


def desk(furniture: Furniture, answers: Answering) -> ChannelDesk:
    """Return the desk for the channels in the settings."""
    return ChannelDesk(opened(furniture.settings), seat_of(furniture), answers)


def seat_of(furniture: Furniture) -> Seat:
    """Return what knows people: those alone whom the directory names and who may ask."""
    identity = Identity(furniture)

    def seat(name: str) -> Principal | None:
        if not furniture.directory.memberships_of(name):
            return None
        caller = identity.seated(name)
        return caller.who if Right.ASK in caller.rights else None

    return seat


def opened(settings: Settings) -> list[Channel]:
    return [_opened(channel) for channel in settings.channels]


def _opened(channel: ChannelSettings) -> Channel:
    match channel:
        case SlackChannel():
            from kiban.backends.channels.slack import SlackPlatform

            secrets = channel.signing_secret.get_secret_value(), channel.bot_token.get_secret_value()
            return SlackPlatform(channel.team, *secrets, channel.api_url)
        case TeamsChannel():
            from kiban.backends.channels.teams import TeamsPlatform

            password = channel.app_password.get_secret_value()
            return TeamsPlatform(
                channel.tenant, channel.app_id, password, channel.login_url, channel.keys_url
            )
        case LineWorksChannel():
            from kiban.backends.channels.line_works import LineWorksPlatform

            client = channel.client_id, channel.client_secret.get_secret_value()
            account = channel.service_account, channel.private_key.get_secret_value()
            secret = channel.bot_secret.get_secret_value()
            return LineWorksPlatform(
                channel.domain, channel.bot_id, secret, client, account, channel.api_url, channel.login_url
            )
