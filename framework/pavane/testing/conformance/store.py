"""The suite that says when a store adapter is done. Each test is one sentence of the port's docstrings."""

from __future__ import annotations

from pavane.ports.store import Store
from pavane.testing.conformance.store_joins import Branching, Joining
from pavane.testing.conformance.store_letters import Lettering
from pavane.testing.conformance.store_reading import Reading
from pavane.testing.conformance.store_runs import Running
from pavane.testing.conformance.store_stage import Stage
from pavane.testing.conformance.store_steering import Steering
from pavane.testing.conformance.store_steps import Stepping


class StoreConformance(Stepping, Lettering, Running, Steering, Joining, Branching, Reading):
    """Subclass it, and define an async fixture `store` that yields an opened and initialised `Store`.

    Each test wants an empty one. An adapter on another clock than the machine's overrides `pass_time`.
    """

    async def test_an_initialised_store_keeps_its_epoch(self, store: Store) -> None:
        assert await store.initialised()
        epoch = await store.initialise()
        assert epoch
        assert await store.initialise() == epoch

    async def test_a_closed_store_can_be_opened_again_and_has_everything(self, store: Store) -> None:
        stage = await Stage.built(store)
        await store.close()
        await store.close()
        await store.open()
        assert (await stage.read()).head.key == stage.run
