"""What a world assumes of RabbitMQ, Redis and the machines, and the tests that show it of the real ones.

A simulation proves nothing of a server that does not behave so. `test_fidelity` fails for an assumption whose test is
not there, and for a sin of `chances` or `nemesis` that nothing here stands for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

CONSUMING = "framework/pavane/testing/conformance/broker_consuming.py"
DELAYS = "framework/pavane/testing/conformance/broker_delays.py"
PUBLISHING = "framework/pavane/testing/conformance/broker_publishing.py"
STEPS = "framework/pavane/testing/conformance/store_steps.py"
READING = "framework/pavane/testing/conformance/store_reading.py"
"""The conformance suite: the adapters in memory, which a world stands on, and the real ones pass the same tests."""

AMQP, NETWORK, RESP = "tests/proxy/test_amqp.py", "tests/proxy/test_network.py", "tests/proxy/test_resp.py"
RECOVERY = "tests/integration/test_rabbitmq_recovery.py"
REFUSALS = "tests/integration/test_rabbitmq_refusals.py"
FAULTS = "tests/integration/test_redis_faults.py"
PERMISSIONS = "tests/integration/test_rabbitmq_permissions.py"
HOSTILE = "tests/integration/test_redis_hostile.py"
HANDLERS = "tests/integration/test_runtime_handlers.py"
STOPPING = "tests/integration/test_runtime_stopping.py"
OUTAGES = "tests/integration/test_runtime_recovery.py"
REAL = "tests/simulation/world/test_real_servers.py"
DIFFERENTIAL = "tests/conformance/test_differential.py"


@dataclass(frozen=True, slots=True)
class Assumption:
    """What is assumed, the sins of a world that stand on it, and where it is shown (`file`, names of tests)."""

    what: str
    sins: tuple[str, ...]
    shown: tuple[tuple[str, str], ...]


ASSUMED: Final = (
    Assumption(
        "a consumer holds at most its prefetch, and several share a queue",
        (),
        (
            (CONSUMING, "test_at_most_prefetch_messages_are_unsettled"),
            (CONSUMING, "test_two_subscriptions_share_a_queue"),
        ),
    ),
    Assumption(
        "what was not acknowledged when its channel died comes again, is counted, and only that",
        ("channel.dies", "delete_channel"),
        (
            (CONSUMING, "test_what_was_not_settled_comes_again_and_is_counted"),
            (RECOVERY, "test_a_channel_error_costs_one_redelivery_and_no_other_consumer"),
            (AMQP, "test_a_consumer_whose_channel_the_broker_ends_comes_back"),
        ),
    ),
    Assumption(
        "past the delivery limit a message goes to the intake of its service",
        (),
        ((CONSUMING, "test_what_comes_back_too_often_goes_to_the_intake"),),
    ),
    Assumption(
        "an acknowledgement is only lost with its connection, and then the message comes again",
        ("ack.lost", "lose_connection"),
        (
            (RECOVERY, "test_connections_that_the_server_closes_come_back"),
            (AMQP, "test_what_is_held_for_a_channel_that_was_reset_comes_again_from_the_broker"),
        ),
    ),
    Assumption(
        "a delivery can be overtaken by later ones",
        ("delivery.late",),
        ((AMQP, "test_a_delivery_that_is_held_is_overtaken_and_both_are_settled"),),
    ),
    Assumption(
        "a user publishes where it may, and is told by name where it may not; other messages are not concerned",
        (),
        (
            (PERMISSIONS, "test_a_service_reaches_its_own_queues_and_subscribers"),
            (PERMISSIONS, "test_what_is_another_services_is_forbidden_by_name_and_not_tried_again"),
            (PERMISSIONS, "test_what_is_in_flight_beside_a_refusal_can_be_sent_again"),
        ),
    ),
    Assumption(
        "what is handed over is taken once, by a process of the service that it is for",
        (),
        ((READING, "test_what_is_handed_over_is_taken_once_by_whom_it_is_for"),),
    ),
    Assumption(
        "turns of a rate limit are handed out by the store's clock, and kept",
        (),
        (
            (READING, "test_turns_are_handed_out_by_the_stores_clock"),
            (READING, "test_a_kept_turn_comes"),
        ),
    ),
    Assumption(
        "a message can arrive twice",
        ("publish.twice",),
        ((AMQP, "test_a_repeated_delivery_arrives_twice_and_is_settled_once"),),
    ),
    Assumption(
        "a confirm can be lost although the message is there; without one the outcome is unknown",
        ("publish.confirm_lost", "publish.confirm_late", "publish.lost", "drop_confirms"),
        (
            (AMQP, "test_a_confirm_that_is_lost_is_missed_by_its_publisher_and_the_message_is_there"),
            (AMQP, "test_a_half_open_connection_is_found_by_its_silence"),
        ),
    ),
    Assumption(
        "during an alarm publishes time out, may arrive later, and consuming goes on",
        ("publish.late", "broker_alarm"),
        (
            (REFUSALS, "test_during_a_memory_alarm_publishing_times_out_and_consuming_goes_on"),
            (REAL, "test_a_publish_that_was_given_up_arrives_when_the_broker_goes_on"),
        ),
    ),
    Assumption(
        "a publish can be refused at once",
        ("publish.nacked",),
        (
            (REFUSALS, "test_what_a_full_queue_refuses_at_once_is_refused_each_by_itself"),
            (PUBLISHING, "test_a_full_queue_refuses_and_keeps_what_it_has"),
        ),
    ),
    Assumption(
        "the wheel is never early, orders nothing, and needs nobody's connection",
        (),
        (
            (DELAYS, "test_a_delay_is_never_cut_short"),
            (DELAYS, "test_a_shorter_delay_overtakes_a_longer_one"),
            (DELAYS, "test_a_delayed_message_survives_the_publishers_connection"),
        ),
    ),
    Assumption(
        "an event that no queue takes comes back",
        (),
        ((PUBLISHING, "test_an_event_that_nobody_subscribes_to_is_unroutable"),),
    ),
    Assumption(
        "a broker that was away has all it confirmed, and the consumers come back",
        ("broker_down",),
        ((RECOVERY, "test_a_broker_that_comes_back_has_its_consumers_and_all_it_confirmed"),),
    ),
    Assumption(
        "each call of the store is atomic and decides as the function of the core that it mirrors",
        (),
        ((DIFFERENTIAL, "test_every_script_answers_and_writes_what_its_function_does"),),
    ),
    Assumption(
        "a request can be lost, or be done although its caller has given up",
        ("store.request_lost", "store.request_late", "store_pause"),
        (
            (REAL, "test_a_call_that_was_given_up_is_done_when_the_server_goes_on"),
            (FAULTS, "test_a_server_that_does_not_answer_is_given_up_after_the_timeout"),
            (HOSTILE, "test_a_swallowed_reply_is_given_up_in_time_and_shifts_no_other"),
        ),
    ),
    Assumption(
        "a reply can be lost after the call was done, and a repeated call is answered as at first",
        ("store.reply_lost", "store.reply_late", "drop_replies", "one_way_cut"),
        (
            (RESP, "test_a_begin_whose_reply_is_lost_is_granted_once"),
            (RESP, "test_a_commit_whose_reply_is_lost_is_committed_once"),
            (NETWORK, "test_one_way_only_the_command_is_executed_and_nobody_hears_of_it"),
        ),
    ),
    Assumption(
        "of a pipeline a part may be done",
        ("store.marks_torn",),
        (
            (HOSTILE, "test_a_connection_that_ends_within_a_batch_fails_what_it_has_not_answered"),
            (STEPS, "test_many_marks_at_once_are_taken_each_in_its_own_record"),
        ),
    ),
    Assumption(
        "a store that is away refuses, and has what it acknowledged when it is back",
        ("store_down",),
        ((FAULTS, "test_the_store_is_unavailable_while_the_server_is_away_and_works_again_after"),),
    ),
    Assumption(
        "locks run out, and have one owner",
        (),
        ((READING, "test_a_lock_runs_out"), (READING, "test_a_lock_has_one_owner_and_its_token_grows")),
    ),
    Assumption(
        "a line that passes nothing brings everything when it is healed",
        ("cut", "swizzle"),
        ((NETWORK, "test_a_line_that_passes_nothing_accepts_and_brings_all_when_it_is_healed"),),
    ),
    Assumption(
        "a machine can stand still for longer than lease and heartbeat, is replaced, and goes on",
        ("freeze",),
        (
            (HANDLERS, "test_a_frozen_process_is_replaced_and_fenced"),
            (HANDLERS, "test_a_pause_shorter_than_lease_and_heartbeat_shows_nothing"),
        ),
    ),
    Assumption(
        "a process dies at any point and what it left is taken over",
        ("kill", "crash"),
        (("tests/crash/test_crash_table.py", "test_a_process_that_dies_here_costs_nothing"),),
    ),
    Assumption(
        "a process that is asked to stop ends in its time and gives back what it had",
        ("sigterm", "rolling_restart"),
        (
            (STOPPING, "test_what_had_not_begun_goes_back"),
            (
                STOPPING,
                "test_a_handler_longer_than_the_grace_period_is_cut_short_and_no_attempt_is_spent",
            ),
        ),
    ),
    Assumption(
        "machines' clocks are wrong, and are set",
        ("clock_step",),
        (
            (
                "tests/unit/runtime/test_clocks.py",
                "test_a_process_goes_by_monotonic_time_when_the_machines_clock_is_set",
            ),
        ),
    ),
)
