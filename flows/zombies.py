"""A run whose process died says nothing more, and Prefect alone would wait for it for ever."""

from __future__ import annotations

from datetime import timedelta

from prefect.automations import Automation
from prefect.client.schemas.objects import StateType
from prefect.events.actions import ChangeFlowRunState
from prefect.events.schemas.automations import EventTrigger, Posture
from prefect.events.schemas.events import ResourceSpecification

NAME = "Kiban: runs that died are crashed"
SILENCE = timedelta(seconds=540)  # three heartbeats of the default 180 s
ENDINGS = ("Completed", "Failed", "Cancelled", "Crashed")


def crash_the_silent() -> None:
    """Create the automation, unless it is there."""
    try:
        Automation.read(name=NAME)
    except ValueError:  # Prefect's way of saying that there is none
        _automation().create()


def _automation() -> Automation:
    heartbeat = "prefect.flow-run.heartbeat"
    return Automation(
        name=NAME,
        trigger=EventTrigger(
            after={heartbeat},
            expect={heartbeat, *(f"prefect.flow-run.{ending}" for ending in ENDINGS)},
            match=ResourceSpecification({"prefect.resource.id": ["prefect.flow-run.*"]}),
            for_each={"prefect.resource.id"},
            posture=Posture.Proactive,
            threshold=1,
            within=SILENCE,
        ),
        actions=[ChangeFlowRunState(state=StateType.CRASHED, message="Its process fell silent.")],
    )
