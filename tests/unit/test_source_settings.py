"""What the settings say of sources: secrets come from the environment, and are shown nowhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from kiban.channel_settings import SlackChannel
from kiban.errors import SettingsError
from kiban.settings import ROOT, Settings, load
from kiban.source_settings import ImapSettings, S3Settings
from kiban.stack import environment
from kiban.wiring.source_kinds import open_source

BUCKET = '[[sources]]\nkind = "s3"\nname = "kb"\nbucket = "b"\naccess_key = "k"\nsecret_key = {key}\n'


@pytest.fixture
def settings_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    load.cache_clear()
    return tmp_path / "kiban.toml"


def test_a_secret_is_read_from_the_environment(settings_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BUCKET_KEY", "open-sesame")
    settings_file.write_text(BUCKET.format(key='"env:BUCKET_KEY"'))
    (source,) = Settings().sources
    assert isinstance(source, S3Settings) and source.secret_key is not None
    assert source.secret_key.get_secret_value() == "open-sesame"
    assert "open-sesame" not in repr(source) + str(source) + source.model_dump_json()


def test_a_variable_that_is_not_set_is_named(settings_file: Path) -> None:
    settings_file.write_text(BUCKET.format(key='"env:BUCKET_KEY"'))
    with pytest.raises(SettingsError, match="secret_key is env:BUCKET_KEY, but BUCKET_KEY is not set"):
        load()


def test_what_is_wrong_with_a_source_is_told_without_its_secrets(settings_file: Path) -> None:
    settings_file.write_text(BUCKET.format(key='"open-sesame"') + "bukcet = 1\n")
    with pytest.raises(SettingsError) as told:
        load()
    assert "sources.0.s3.bukcet" in str(told.value)
    assert "open-sesame" not in f"{told.value} {told.value.__cause__}"


def test_two_sources_of_one_name_are_refused(settings_file: Path) -> None:
    settings_file.write_text(BUCKET.format(key='"x"') * 2)
    with pytest.raises(SettingsError, match="two sources are named kb"):
        load()


@pytest.mark.parametrize("groups", ['"hr,sales"', '""'])
def test_a_group_whose_name_could_be_two_is_refused(settings_file: Path, groups: str) -> None:
    settings_file.write_text(
        '[[sources]]\nkind = "imap"\nname = "m"\nhost = "h"\nusername = "u"\npassword = "p"\n'
        f"readers = {{ INBOX = [{groups}] }}\n"
    )
    with pytest.raises(SettingsError, match="readers"):
        load()


def test_a_mailbox_is_read_by_the_groups_of_its_folders(settings_file: Path) -> None:
    settings_file.write_text(
        '[[sources]]\nkind = "imap"\nname = "m"\nhost = "h"\nusername = "u"\npassword = "p"\n'
        'readers = { INBOX = ["営業"] }\n'
    )
    (source,) = load().sources
    assert isinstance(source, ImapSettings)
    assert source.readers == {"INBOX": ("営業",)}


@pytest.mark.parametrize(
    "table",
    [
        'kind = "confluence"\nurl = "https://x.example/wiki"\ntoken = "t"\nspaces = ["HR"]',
        'kind = "sharepoint"\ntenant = "t"\nclient = "c"\nsecret = "s"\nsites = ["h:/sites/HR"]',
        'kind = "google-drive"\nkey_file = "key.json"\ndrives = ["d"]\ndomains = {"X.example" = ["all"]}',
        'kind = "slack"\ntoken = "t"\nsince = 2026-01-01\ntime_zone = "Asia/Tokyo"',
        'kind = "slack-export"\npath = "export.zip"',
    ],
)
def test_every_kind_in_a_cloud_is_opened_without_connecting(settings_file: Path, table: str) -> None:
    settings_file.write_text(f'[[sources]]\nname = "kb"\n{table}\n')
    settings_file.with_name("key.json").write_text('{"client_email": "kiban@example.com"}')
    (settings,) = Settings().sources
    assert open_source(settings, 1_000, settings_file.parent).name == "kb"


def test_a_time_zone_that_is_none_is_refused(settings_file: Path) -> None:
    settings_file.write_text('[[sources]]\nname = "s"\nkind = "slack"\ntoken = "t"\ntime_zone = "Edo"\n')
    with pytest.raises(SettingsError, match="not a time zone"):
        load()


def test_the_documented_examples_are_settings(settings_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (ROOT / "infra/sources.md").read_text("utf-8")
    examples = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    for secret in re.findall(r'"env:(\w+)"', text):
        monkeypatch.setenv(secret, "a secret of nobody")
    settings_file.write_text("\n".join(examples))
    kinds = {source.kind for source in Settings().sources}
    assert {"confluence", "sharepoint", "google-drive", "slack", "slack-export"} <= kinds


SLACK = '[[channels]]\nkind = "slack"\nteam = "T1"\nbot_token = "xoxb-secret"\nsigning_secret = {secret}\n'


def test_a_channels_secrets_come_from_the_environment_and_reach_the_services_whole(
    settings_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIGNING", "open-sesame")
    settings_file.write_text(SLACK.format(secret='"env:SIGNING"'))
    settings = Settings()
    assert "open-sesame" not in repr(settings)
    for name, value in environment.house(settings).items():
        monkeypatch.setenv(name, value)
    settings_file.write_text("")
    (channel,) = Settings().channels
    assert isinstance(channel, SlackChannel)
    assert channel.signing_secret.get_secret_value() == "open-sesame"
    assert channel.bot_token.get_secret_value() == "xoxb-secret"


def test_what_is_wrong_with_a_channel_is_told_without_its_secrets(settings_file: Path) -> None:
    settings_file.write_text(SLACK.format(secret='"open-sesame"') + "taem = 1\n")
    with pytest.raises(SettingsError) as told:
        load()
    assert "channels.0.slack.taem" in str(told.value)
    assert "xoxb-secret" not in f"{told.value} {told.value.__cause__}"
    settings_file.write_text(SLACK.format(secret='"x"') * 2)
    with pytest.raises(SettingsError, match="two channels are of kind slack"):
        load()


def test_the_documented_channels_are_settings(settings_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (ROOT / "infra/channels.md").read_text("utf-8")
    for secret in re.findall(r'"env:(\w+)"', text):
        monkeypatch.setenv(secret, "a secret of nobody")
    settings_file.write_text("\n".join(re.findall(r"```toml\n(.*?)```", text, re.DOTALL)))
    assert [channel.kind for channel in Settings().channels] == ["slack", "teams", "lineworks"]
