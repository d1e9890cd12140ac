"""Suites for adapter authors: an adapter is done when its suite passes. Needs pytest and pytest-asyncio."""

from pavane.testing.conformance.broker import BrokerConformance

__all__ = ["BrokerConformance"]
