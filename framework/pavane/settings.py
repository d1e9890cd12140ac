"""Settings of a process: `PAVANE_*` variables, checked once at the door.

A value that cannot be used is a `SettingsError` that names the variable; a variable
nobody knows is a warning that names the nearest known one. No error, warning or
`repr` shows a URL's credentials: `mask_url` is the only way a URL is printed.
"""

from __future__ import annotations

import difflib
import getpass
import math
import os
import re
import warnings
from collections.abc import Iterable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from dotenv import dotenv_values
from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    ModelWrapValidatorHandler,
    TypeAdapter,
    ValidationError,
    model_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict

from pavane.errors import SettingsError

PREFIX = "PAVANE_"
_OF_THE_TESTS = ("PAVANE_TEST_", "PAVANE_CRASH")
_NOT_YET = ("MAX_PAYLOAD", "SECRET_KEYS", "CLAIM_ABOVE", "CLAIM_URL", "MAX_FAN_OUT", "HEALTH_PORT")
_SECRET_PARAMETER = re.compile(r"(?i)([?&][^=&#]*(?:pass|secret|token|key)[^=&#]*=)[^&#,]*")
_NEXT_NODE = re.compile(r",(?=\s*[a-z+]+://)")
_BROKER_SCHEMES = ("amqp", "amqps")
_STATE_SCHEMES = tuple(
    f"{base}{kind}" for base in ("redis", "rediss") for kind in ("", "+sentinel", "+cluster")
)
_TIMEDELTA = TypeAdapter(timedelta)


def mask_url(url: str) -> str:
    """`url` (or several, with commas between) with user, password and secret parameters replaced by `***`.

    It rather hides too much than too little: a password with an unescaped `/` or `@` is hidden too.
    """
    return ",".join(_mask_node(node) for node in _NEXT_NODE.split(url))


def _mask_node(url: str) -> str:
    scheme, separator, rest = url.partition("://")
    if "@" in rest:
        rest = "***@" + rest.rpartition("@")[2]
    return _SECRET_PARAMETER.sub(r"\1***", scheme + separator + rest)


def _seconds(value: object) -> object:
    """Seconds from a number, a numeric string, ISO 8601 (`PT30S`, `P30D`) or a timedelta."""
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, str) and value.strip().upper().startswith(("P", "-P", "+P")):
        return _TIMEDELTA.validate_python(value.strip().upper()).total_seconds()
    return value


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise ValueError("has to be finite")
    return value


def _urls_with(schemes: tuple[str, ...]) -> AfterValidator:
    def check(value: str | None) -> str | None:
        if value is None:
            return None
        for url in value.split(","):
            _check_url(url.strip(), schemes)
        return value

    return AfterValidator(check)


def _check_url(url: str, schemes: tuple[str, ...]) -> None:
    try:
        parts = urlsplit(url)
        reachable = bool(parts.hostname) and parts.port != 0
    except ValueError as error:
        raise ValueError("not a URL; percent-encode special characters of user and password") from error
    if parts.scheme not in schemes:
        raise ValueError("each URL has to start with " + " or ".join(f"{scheme}://" for scheme in schemes))
    if not reachable:
        raise ValueError("the URL names no host")


def _os_user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's numeric user has no name
        return f"uid:{os.getuid()}"


Seconds = Annotated[float, BeforeValidator(_seconds), AfterValidator(_finite), Field(gt=0)]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,31}\z")]
BrokerUrl = Annotated[str | None, _urls_with(_BROKER_SCHEMES)]
StateUrl = Annotated[str | None, _urls_with(_STATE_SCHEMES)]
WebUrl = Annotated[str | None, _urls_with(("http", "https"))]
Positive = Annotated[int, Field(ge=1)]


class Settings(BaseSettings):
    """What a process is told from outside. Field names are the variables in lower case, without `PAVANE_`.

    Durations are seconds (or ISO 8601, as in `P30D`), sizes are bytes.

    Raises:
        SettingsError: naming every variable whose value cannot be used.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_ignore_empty=True, extra="ignore", frozen=True, hide_input_in_errors=True
    )

    broker_url: BrokerUrl = None
    """RabbitMQ, `amqp://` or `amqps://`; several nodes with commas between."""
    state_url: StateUrl = None
    """Redis: `redis://`, `rediss://`, `redis+sentinel://`, `redis+cluster://`."""
    management_url: WebUrl = None
    """RabbitMQ's management API, http or https; without it what only that knows is not seen."""
    namespace: Name = "pavane"
    """First part of every queue, exchange and key."""
    app: str | None = None
    """`module:app` for commands that need code."""
    durability: Literal["standard", "strict"] = "standard"
    """`strict` refuses a Redis that does not write every commit to disk before it answers."""
    declare: Literal["auto", "never"] = "auto"
    """Whether `run` declares queues and exchanges."""
    shards: Annotated[int, Field(ge=1, le=1024)] = 16
    """Into how many slots runs are spread; fixed for the life of a namespace."""
    prefetch: Annotated[int, Field(ge=1, le=65535)] = 32
    """Jobs at once per worker in one process, where the worker does not say."""
    heartbeat: Seconds = 15.0
    grace_period: Seconds = 30.0
    """How long running handlers may take to finish when the process is asked to stop."""
    publish_timeout: Seconds = 10.0
    state_timeout: Seconds = 5.0
    retention: Seconds = 30 * 86400.0
    """How long the record of an ended run is kept."""
    idle_after: Seconds = 3600.0
    """After how long without any change a run is listed as stalled."""
    max_body: Positive = 262_144
    max_commit: Positive = 8_388_608
    max_hops: Positive = 64
    max_emits: Positive = 100
    max_timers: Positive = 100
    max_history: Positive = 2000
    actor: str = Field(default_factory=_os_user, min_length=1, max_length=200)
    """Who acts, in the history, where a call does not say `by`."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"] = "INFO"
    log_format: Literal["text", "json"] | None = None
    """`None`: text on a terminal, else json."""

    @classmethod
    def read(cls, env_file: Path | None = None) -> Self:
        """Settings from the environment and, where that is silent, from `env_file`.

        Raises:
            SettingsError: the file is missing, or a value cannot be used.
        """
        if env_file is None:
            return cls()
        if not env_file.is_file():
            raise SettingsError(f"{env_file} is not a file.", remedy="Give --env-file an existing file.")
        _warn_of_unknown(dotenv_values(env_file))
        from_file = _known(dotenv_values(env_file).items())
        return cls(**{name: value for name, value in from_file if PREFIX + name.upper() not in os.environ})

    @property
    def broker_urls(self) -> tuple[str, ...]:
        """The broker's nodes, one URL each; empty without `broker_url`."""
        return tuple(url.strip() for url in self.broker_url.split(",")) if self.broker_url else ()

    @model_validator(mode="wrap")
    @classmethod
    def _named(cls, data: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        try:
            settings = handler(data)
        except ValidationError as error:
            raise SettingsError(_sentences(error), remedy="Correct the variables named above.") from None
        _warn_of_unknown(os.environ)
        return settings

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        for name, value in super().__repr_args__():
            yield name, mask_url(value) if name is not None and name.endswith("_url") and value else value


def _sentences(error: ValidationError) -> str:
    details = error.errors(include_url=False, include_input=False, include_context=False)
    return "; ".join(
        f"{PREFIX}{'.'.join(map(str, one['loc'])).upper()}: {one['msg'].removeprefix('Value error, ')}"
        for one in details
    )


def _known(items: Iterable[tuple[str, str | None]]) -> Iterator[tuple[str, Any]]:
    for variable, value in items:
        name = variable.upper().removeprefix(PREFIX).lower()
        if variable.upper().startswith(PREFIX) and name in Settings.model_fields and value:
            yield name, value


def _warn_of_unknown(variables: Iterable[str]) -> None:
    known = [PREFIX + name.upper() for name in Settings.model_fields]
    for variable in variables:
        upper = variable.upper()
        if not upper.startswith(PREFIX) or upper in known or upper.startswith(_OF_THE_TESTS):
            continue
        if upper.removeprefix(PREFIX) in _NOT_YET:
            warnings.warn(f"{variable} has no effect: this version cannot do that yet.", stacklevel=3)
            continue
        near = difflib.get_close_matches(upper, known, n=1, cutoff=0.0)
        warnings.warn(f"{variable} is not a setting of pavane. Did you mean {near[0]}?", stacklevel=3)
