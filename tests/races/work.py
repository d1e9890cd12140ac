"""A step that does what it is told, for the races that are run in memory."""

from __future__ import annotations

from dataclasses import dataclass, field

from pavane import App, Context, Event, NotNow, Service, Workflow


class Asked(Event, name="race.asked"):
    key: str


class Answered(Event, name="race.answered"):
    key: str


asking = Workflow("race", starts_with=Asked, run_id=lambda event: event.key, completes_with=[Answered])


@dataclass
class Work:
    """The app, what its handler was called with, and what it is to do.

    Attributes:
        not_now: so many calls raise NotNow.
        broken: all calls after those fail.
    """

    app: App = field(init=False)
    called: list[str] = field(default_factory=list[str])
    not_now: int = 0
    broken: bool = False

    def __post_init__(self) -> None:
        service = Service("race")

        @(
            service.queue_worker("answer")
            .prefetch(1)
            .lease(2)
            .retry(max_attempts=2, initial_delay=1, jitter_mode="none")
        )
        async def answer(ctx: Context, event: Asked) -> Answered:
            self.called.append(event.key)
            if self.not_now:
                self.not_now -= 1
                raise NotNow("the shop is closed", after=5)
            if self.broken:
                raise ConnectionError("broken")
            return Answered(key=event.key)

        self.app = App(services=[service], workflows=[asking])
