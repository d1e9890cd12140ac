"""The document is one that the official parser takes, says what the definitions say, and holds no secret."""

from __future__ import annotations

import base64
import json
import re
from typing import Any

import pytest

from pavane.core import envelope
from tests.asyncapi.parser import parse
from tests.integration.cli_runner import Done, Pavane

ORDERS = "services.demo.stage:app"
MOVES = "tests.asyncapi.definitions:second_version"
SHOP = "tests.integration.cli_shop:app"
TWO_NODES = "amqps://keeper:1/se@cret@one.example:5671/vh,amqp://keeper:secret@[::1]/?heartbeat=3"
SERVERS = {"PAVANE_BROKER_URL": TWO_NODES}


def made(app: str, **variables: str) -> Done:
    done = Pavane.on(**variables)("asyncapi", app)
    assert done.code == 0, done
    return done


def document_of(app: str, **variables: str) -> Any:
    return made(app, **variables).document


def test_the_parser_finds_nothing_wrong() -> None:
    given = [made(SHOP), *(made(app, **SERVERS) for app in (ORDERS, MOVES, SHOP))]
    for done, parsed in zip(given, parse([done.out for done in given]), strict=True):
        assert parsed.problems == []
        assert set(parsed.operations) == done.document["operations"].keys()


def test_the_parser_would_say_so() -> None:
    lost, nameless, wrong = (document_of(SHOP) for _ in range(3))
    lost["operations"]["outside.send.cli.placed"]["channel"] = {"$ref": "#/channels/nowhere"}
    del nameless["info"]
    wrong["components"]["schemas"]["Placed"]["properties"]["order"]["type"] = "words"
    assert all(parsed.problems for parsed in parse([json.dumps(one) for one in (lost, nameless, wrong)]))


def test_every_worker_and_every_system_outside_has_its_operations() -> None:
    operations = document_of(SHOP)["operations"]
    assert {name: one["action"] for name, one in operations.items()} == {
        "stock.reserve.receive.cli.placed": "receive",
        "outside.send.cli.placed": "send",
        "stock.reserve.send.cli.reserved": "send",
        "mail.confirm.receive.cli.reserved": "receive",
        "mail.confirm.send.cli.confirmed": "send",
        "mail.confirm.send.cli.refused": "send",
    }
    assert operations["mail.confirm.receive.cli.reserved"]["x-pavane-queue"] == "pavane.q.mail.confirm"
    assert operations["outside.send.cli.placed"]["bindings"]["amqp"]["mandatory"] is True


def test_a_join_receives_each_of_its_events_from_its_one_queue() -> None:
    operations = document_of("services.trips:app")["operations"]
    joined = {name: one for name, one in operations.items() if name.startswith("trips.confirm_trip.receive.")}
    assert {name.rpartition(".receive.")[2] for name in joined} == {
        "flight.booked",
        "hotel.booked",
        "car.booked",
    }
    assert {one["x-pavane-queue"] for one in joined.values()} == {"pavane.q.trips.confirm_trip"}
    # With its own event pavane calls the join's handler: nobody reads it, and nobody else may send it.
    assert not [name for name in operations if name.endswith("pavane.joined")]


def test_a_channel_names_the_exchange_of_the_namespace_and_the_routing_key() -> None:
    channel = document_of(SHOP, PAVANE_NAMESPACE="shop")["channels"]["cli.placed"]
    assert channel["address"] == "cli.placed"
    assert channel["bindings"]["amqp"]["exchange"]["name"] == "shop.events"


def test_pavanes_own_events_are_nobody_elses() -> None:
    operations = document_of(MOVES)["operations"]
    about = [name for name in operations if name.endswith("pavane.step_dead_lettered")]
    assert about == ["office.worry.receive.pavane.step_dead_lettered"]


def test_each_version_that_is_read_is_a_message_with_its_own_headers() -> None:
    document = document_of(MOVES)
    messages = document["components"]["messages"]
    first, second = messages["move.asked.v1"], messages["move.asked.v2"]
    assert second["headers"]["properties"]["pavane-version"]["const"] == 2
    assert "pavane-version" in second["headers"]["required"]
    assert "pavane-version" not in first["headers"]["required"]
    assert (first["payload"]["type"], "properties" in first["payload"]) == ("object", False)
    sent = document["operations"]["outside.send.move.asked"]["messages"]
    assert [one["$ref"].rpartition("/")[2] for one in sent] == ["move.asked.v2", "move.asked.v1"]


def examples(schema: dict[str, Any]) -> dict[str, Any]:
    """Headers as the schema asks for them."""
    made = {
        "cloudEvents_id": "an-id",
        "cloudEvents_source": "urn:shop",
        "cloudEvents_time": "2026-01-01T00:00:00Z",
    }
    made |= {"pavane-run": "moves:m1"}
    return {
        name: one.get("const", made.get(name, "text"))
        for name, one in schema["properties"].items()
        if "pattern" not in one or re.search(one["pattern"], made.get(name, "text"))
    }


@pytest.mark.parametrize("app", [ORDERS, MOVES])
def test_what_the_headers_schema_asks_for_is_what_pavane_reads(app: str) -> None:
    for name, message in document_of(app)["components"]["messages"].items():
        headers = message["headers"]
        every = examples(headers)
        needed = {key: value for key, value in every.items() if key in headers["required"]}
        for given in (every, needed):
            read = envelope.read(given, b"{}", message["contentType"])
            assert f"{read.event.name}.v{read.event.version}" == name
            assert read.run == given.get("pavane-run", "")


def test_the_run_of_a_starting_event_is_not_the_senders_to_say() -> None:
    messages = document_of(MOVES)["components"]["messages"]
    assert "pavane-run" not in messages["move.asked.v2"]["headers"]["properties"]
    assert "pavane-run" in messages["move.done.v1"]["headers"]["properties"]
    # Where the event's id becomes the run's, it has to be one.
    pattern = messages["move.everything.v1"]["headers"]["properties"]["cloudEvents_id"]["pattern"]
    assert not re.search(pattern, "a/b")
    assert re.search(messages["move.asked.v2"]["headers"]["properties"]["cloudEvents_id"]["pattern"], "a/b")


def test_no_credential_gets_into_the_document() -> None:
    done = made(SHOP, **SERVERS)
    assert [(one["protocol"], one["host"], one["pathname"]) for one in done.document["servers"].values()] == [
        ("amqps", "one.example:5671", "/vh"),
        ("amqp", "[::1]:5672", "/"),
    ]
    for secret in ("keeper", "cret", base64.b64encode(b"secret").decode()):
        assert secret not in re.sub(r"[a-z]+annel|securitySchemes|description", "", done.out)


def test_the_documents_version_changes_with_what_it_says() -> None:
    versions = {
        document_of(SHOP)["info"]["version"],
        document_of(SHOP, **SERVERS)["info"]["version"],
    }
    assert len(versions) == 1
    assert document_of(SHOP, PAVANE_NAMESPACE="shop")["info"]["version"] not in versions


def test_without_a_server_it_says_so_and_the_document_stays_whole() -> None:
    done = made(SHOP)
    assert done.document["servers"] == {}
    assert "PAVANE_BROKER_URL" in done.err
    quiet = Pavane.on()("asyncapi", SHOP, "--json")
    assert (quiet.document, quiet.err) == (done.document, "")
