"""The parts of the Redis adapter that need no server."""

from __future__ import annotations

import re

import orjson
import pytest

from pavane.adapters.redis import checks, documents, rows
from pavane.adapters.redis.keys import Keys
from pavane.adapters.redis.scripting import DRAINING, FOLDER, FRAGMENTS, SCRIPTS, load_library, pack_call
from pavane.adapters.redis.wire import pack
from pavane.core.record import EventRow
from pavane.errors import SettingsError


def test_only_what_drains_a_full_server_and_what_only_reads_may_run_on_one() -> None:
    registered = r"function_name = 'pavane_[0-9a-f]{16}_(\w+)', flags = {(.*?)},"
    flags = {name: said.strip() for name, said in re.findall(registered, load_library().body.decode())}
    assert set(flags) == SCRIPTS
    for name in ("begin", "commit", "start", "emit", "redrive", "discard", "claim"):
        assert flags[name] == ""
    for name in DRAINING:
        assert flags[name] == "'allow-oom'"
    assert flags["read"] == "'no-writes', 'allow-oom'"


def test_another_text_is_another_library_beside_the_first() -> None:
    library, same = load_library(), load_library()
    other = load_library({"clock": "local Clock = {}"})
    assert library == same
    assert not set(library.functions.values()) & set(other.functions.values())
    name = library.body.split(b"\n", 1)[0].removeprefix(b"#!lua name=")
    assert all(function.startswith(name + b"_") for function in library.functions.values())


def test_every_lua_file_is_part_of_a_script_and_only_one_of_them_asks_for_the_time() -> None:
    files = {file.stem: file.read_text() for file in FOLDER.glob("*.lua")}
    assert SCRIPTS.union(FRAGMENTS) == set(files)
    assert not SCRIPTS.intersection(FRAGMENTS)
    assert [name for name, text in files.items() if "'TIME'" in text] == ["clock"]


def test_every_fragment_stands_on_all_that_it_calls() -> None:
    for place, name in enumerate(FRAGMENTS, 1):
        text = (FOLDER / f"{name}.lua").read_text()
        called = {module.lower() for module in re.findall(r"\b([A-Z][a-z]+)\.\w+\(", text)}
        assert called <= set(FRAGMENTS[:place]), f"{name}.lua calls {called - set(FRAGMENTS[:place])}"


def test_no_script_reads_a_payload_or_takes_its_text_from_data() -> None:
    for file in FOLDER.glob("*.lua"):
        text = file.read_text()
        assert "loadstring" not in text
        assert "cjson.decode(event.bytes" not in text


def test_all_keys_of_a_record_are_in_the_slot_of_its_shard() -> None:
    keys = Keys("orders", 16)
    shard = keys.shard("flow:{a}1")
    tag = b"orders:{s%02d}:" % shard
    assert keys.run("flow:{a}1", shard) == tag + b"run:flow:{a}1"
    assert keys.of_shard("due", shard) == tag + b"due"
    assert keys.lock("relay") == b"orders:lock:relay"


def test_a_command_is_packed_by_the_lengths_of_its_bytes() -> None:
    assert pack(b"SET", "ü".encode(), b"") == b"*3\r\n$3\r\nSET\r\n$2\r\n\xc3\xbc\r\n$0\r\n\r\n"
    packed = pack_call(b"pavane_begin", b"key", [b"a\r\n", b""])
    expected = pack(b"FCALL", b"pavane_begin", b"1", b"key", b"a\r\n", b"")
    assert packed == expected


def test_text_that_utf8_cannot_say_is_mended() -> None:
    document = {"error": "bad \ud800 byte", "list": ["\udcff", 1, None], "pair": ("a", "b")}
    assert orjson.loads(documents.to_json(document)) == {
        "error": "bad ? byte",
        "list": ["?", 1, None],
        "pair": ["a", "b"],
    }


def test_an_event_is_stored_as_it_came() -> None:
    event = EventRow(
        id="i",
        name="n",
        version=2,
        time=3,
        payload=b'\n{"a":\xff}\n\n',
        producer="p",
        causation="c",
        hops=4,
        trace=("a", "b", "ü\n"),
    )
    assert rows.event(documents.event_bytes(event)) == event


def test_old_servers_are_refused_and_silent_ones_are_not_judged() -> None:
    checks.check_version(b"# Server\r\nredis_version:7.0.15\r\n")
    checks.check_version(b"# Server\r\nredis_version:8.2.0\r\n")
    checks.check_version(None)
    checks.check_eviction(None)
    with pytest.raises(SettingsError, match=r"6\.2"):
        checks.check_version(b"# Server\r\nredis_version:6.2.7\r\n")


def test_strict_durability_wants_every_commit_on_the_disk() -> None:
    checks.check_durability([b"appendonly", b"yes"], [b"appendfsync", b"always"])
    for answers in (([b"appendonly", b"yes"], [b"appendfsync", b"everysec"]), (None, None)):
        with pytest.raises(SettingsError, match="strict") as raised:
            checks.check_durability(*answers)
        assert "CONFIG SET appendfsync always" in raised.value.remedy
