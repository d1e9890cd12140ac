"""Payments: what customers were charged, and what they got back."""

from contracts.payments.events import PaymentCharged, PaymentDeclined

__all__ = ["PaymentCharged", "PaymentDeclined"]
