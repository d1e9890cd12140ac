"""Notifications: who was told what."""

from contracts.notifications.events import CustomerTold, Notice

__all__ = ["CustomerTold", "Notice"]
