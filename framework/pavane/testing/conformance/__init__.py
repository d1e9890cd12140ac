"""Suites for adapter authors: an adapter is done when its suite passes. Needs pytest and pytest-asyncio."""

from pavane.testing.conformance.broker import BrokerConformance
from pavane.testing.conformance.store import StoreConformance

__all__ = ["BrokerConformance", "StoreConformance"]
