"""The client: starts runs, brings events in, looks at what became of them, and mends what is stuck.

client          `Client`: start, emit, run, runs
run_handle      one run: status, steps, history, wait, result, watch, and what people do to it
steering        those actions, for one run or for many; `refusals` says why not
dead_letters    list, groups, get, redrive, discard, edit
dlq_round       one round of a dead-letter queue, `letter_actions` what is done with each letter
views           from records to what a reader sees
connection      from settings to a broker and a store
"""

from pavane.client.client import Client
from pavane.client.dead_letters import DeadLetters
from pavane.client.listing import Listing
from pavane.client.refusals import LetterNotFound
from pavane.client.run_handle import RunHandle

__all__ = ["Client", "DeadLetters", "LetterNotFound", "Listing", "RunHandle"]
