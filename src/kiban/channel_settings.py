"""What kiban.toml says of each chat platform people ask from, one `[[channels]]` table each:

    [[channels]]
    kind = "slack"
    team = "T0123456789"
    signing_secret = "env:SLACK_SIGNING_SECRET"
    bot_token = "env:SLACK_BOT_TOKEN"

A secret is written as it is, or as "env:NAME", which settings.py reads from the environment.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr


class _Channel(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SlackChannel(_Channel):
    """An app with event subscriptions `app_mention` and `message.im`, and the scopes `chat:write`,
    `users:read`, `users:read.email`, `app_mentions:read`, `im:history`."""

    kind: Literal["slack"]
    team: str = Field(min_length=1, description="The workspace; people of others get nothing")
    signing_secret: SecretStr
    bot_token: SecretStr
    api_url: str = "https://slack.com/api/"


class TeamsChannel(_Channel):
    """A bot registered for one tenant."""

    kind: Literal["teams"]
    tenant: str = Field(min_length=1, description="The directory's id; people of others get nothing")
    app_id: str = Field(min_length=1)
    app_password: SecretStr
    login_url: str = "https://login.microsoftonline.com"
    keys_url: str = "https://login.botframework.com/v1/.well-known/openidconfiguration"


class LineWorksChannel(_Channel):
    """A bot with its callback set, and a service account with the scopes `bot` and `user.read`."""

    kind: Literal["lineworks"]
    domain: int = Field(description="The domain's id; people of others get nothing")
    bot_id: str = Field(min_length=1)
    bot_secret: SecretStr
    client_id: str = Field(min_length=1)
    client_secret: SecretStr
    service_account: str = Field(min_length=1)
    private_key: SecretStr = Field(description="PEM, of the service account")
    api_url: str = "https://www.worksapis.com/v1.0"
    login_url: str = "https://auth.worksmobile.com/oauth2/v2.0/token"


ChannelSettings = Annotated[SlackChannel | TeamsChannel | LineWorksChannel, Field(discriminator="kind")]
