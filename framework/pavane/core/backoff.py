"""How long after a failed attempt the next one is made: drawn here from a number that the caller rolls."""

from __future__ import annotations

from typing import Final, Literal, Protocol

from pavane.core.topology import UNIT_MS

ROUND_TO: Final = UNIT_MS
"""Milliseconds: delays are kept by the delay wheel, whose unit this is."""


class Policy(Protocol):
    """What of a retry policy decides a delay (`pavane.RetryPolicy` is one)."""

    @property
    def initial_delay_ms(self) -> int: ...

    @property
    def max_delay_ms(self) -> int: ...

    @property
    def multiplier(self) -> float: ...

    @property
    def jitter(self) -> float: ...

    @property
    def jitter_mode(self) -> Literal["factor", "full", "equal", "decorrelated", "none"]: ...


def base_delay(policy: Policy, failures: int) -> float:
    """`min(max_delay, initial_delay × multiplier^(failures−1))`, in milliseconds, after that many failures."""
    try:
        grown = policy.initial_delay_ms * policy.multiplier ** (failures - 1)
    except OverflowError:
        return policy.max_delay_ms
    return min(policy.max_delay_ms, grown)


def delay(policy: Policy, failures: int, *, previous: int, chance: float) -> int:
    """Milliseconds until the next attempt, rounded up to 250 ms: never earlier than drawn.

    Args:
        failures: recorded failures, this one included; from 1.
        previous: the delay drawn before this one, in milliseconds; 0 if there was none.
        chance: uniform in [0, 1).
    """
    return round_up(drawn(policy, base_delay(policy, failures), previous=previous, chance=chance))


def drawn(policy: Policy, base: float, *, previous: int, chance: float) -> float:
    """What chance makes of the base, in milliseconds, not rounded yet."""
    match policy.jitter_mode:
        case "factor":
            return base * (1 + policy.jitter * chance)
        case "full":
            return base * chance
        case "equal":
            return base / 2 + base / 2 * chance
        case "decorrelated":
            low = policy.initial_delay_ms
            high = max(low, 3 * (previous or low))
            return min(policy.max_delay_ms, low + (high - low) * chance)
        case "none":
            return base


def round_up(milliseconds: float) -> int:
    """To whole units of the wheel, never down. What floating point adds below a microsecond does not count."""
    return -int(-round(milliseconds, 3) // ROUND_TO) * ROUND_TO
