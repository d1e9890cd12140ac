"""Generated choreographies, played at random: a join that ran is never said to be unfillable."""

from __future__ import annotations

import secrets
from random import Random

from pavane.core.choreography import Contract, Program, Worker
from pavane.core.choreography_findings import findings_of

EVENTS = [f"e{number}" for number in range(6)]
FLOW = Contract(name="flow", starts_with="begun", completes_with=("done",), fails_with=("broken",))
CHOREOGRAPHIES, RUNS, STEPS = 600, 25, 40


def generated(random: Random) -> Program:
    def some(most: int, *more: str) -> tuple[str, ...]:
        return tuple(random.sample([*EVENTS, *more], random.randint(1, most)))

    workers = [Worker(name="s.first", hears=("begun",), results=some(3), returns_only=True)]
    for number in range(random.randint(2, 6)):
        joins = random.random() < 0.4
        returns_only = random.random() < 0.7
        workers.append(
            Worker(
                name=f"s.w{number}",
                hears=tuple(random.sample([*EVENTS, "begun"], 2)) if joins else some(2, "begun"),
                joins=joins,
                results=some(3, "done", "broken"),
                extras=() if returns_only or random.random() < 0.5 else some(1),
                answers=some(1, "broken") if random.random() < 0.2 else (),
                returns_only=returns_only,
            )
        )
    outside = some(1) if random.random() < 0.2 else ()
    return Program(name="p", workers=tuple(workers), workflows=(FLOW,), outside=outside)


def joined_in_a_run(program: Program, random: Random) -> set[str]:
    """The joins that ran in one run, which takes its ways, and the order of its steps, by chance."""
    phase, fired, arrived = "running", set[str](), dict[str, set[str]]()
    ahead = ["begun", *(event for event in program.outside for _ in range(random.randint(0, 2)))]
    for _ in range(STEPS):
        if not ahead:
            break
        event = ahead.pop(random.randrange(len(ahead)))
        for worker in program.workers:
            if event not in worker.hears or phase == "failed":
                continue
            if worker.joins:
                there = arrived.setdefault(worker.name, set())
                there.add(event)
                if worker.name in fired or len(there) < len(worker.hears):
                    continue
                fired.add(worker.name)
            for sent in sent_by(worker, random):
                ahead.append(sent)
                if phase == "running" and sent in FLOW.endings:
                    phase = "completed" if sent in FLOW.completes_with else "failed"
    return fired


def sent_by(worker: Worker, random: Random) -> list[str]:
    if worker.answers and random.random() < 0.3:
        return [random.choice(worker.answers)]
    result = [random.choice(worker.results)] if random.random() < 0.9 else []
    beside = () if worker.returns_only else (*worker.results, *worker.extras)
    return [*result, *(event for event in beside if random.random() < 0.3)]


def test_a_join_that_ran_is_never_said_to_be_unfillable() -> None:
    seed = secrets.randbits(32)
    print(f"seed {seed}")
    random = Random(seed)
    said = 0
    for _ in range(CHOREOGRAPHIES):
        program = generated(random)
        unfillable = {one.subject for one in findings_of([program]) if one.code == "unfillable_join"}
        said += len(unfillable)
        for _ in range(RUNS if unfillable else 0):
            assert joined_in_a_run(program, random).isdisjoint(unfillable), program
    assert said > CHOREOGRAPHIES / 20
