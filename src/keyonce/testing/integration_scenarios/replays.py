# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What is stored, what a retry gets, and when the same key is another request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keyonce.testing.integration_scenarios.behaviours import ORDER, pattern
from keyonce.testing.integration_scenarios.known_app import BRIEF
from keyonce.testing.integration_scenarios.lab import changed, value, with_header
from keyonce.testing.integration_scenarios.messages import FRESH

if TYPE_CHECKING:
    from keyonce.testing.integration_scenarios.lab import Lab

MIB = 1024 * 1024
ALL_BYTES = (
    "/plain/order",
    "/plain/bytes/1000",
    "/plain/bytes/0",
    "/plain/empty",
    "/plain/status/202",
    "/plain/status/303",
    "/plain/status/404",
    "/plain/status/409",
    "/plain/status/503",
    "/plain/stream/7/1",
    "/plain/stream/9/100000",
    "/plain/declared/9/100000",
    f"/plain/bytes/{10 * MIB}",
)
NEVER_STORED = (401, 403, 408, 421, 425, 429)


class Replays:
    """Scenarios around a second request with the same key."""

    def test_a_retry_gets_the_same_answer(self, lab: Lab) -> None:
        for target in ALL_BYTES:
            request = lab.request(target)

            first, *others = [lab.send(request) for _ in range(3)]

            assert not first.replayed, target
            assert not first.cut_off, target
            assert first.has("Idempotency-Expires"), target
            for other in others:
                assert other.replayed, target
                assert first.lasting() == other.lasting(), target
            assert 1 == lab.runs(request), target
            outcome = "failed" if first.status >= 500 else "executed"
            assert [outcome, "replayed", "replayed"] == lab.outcomes(request)

    def test_a_large_request_comes_whole(self, lab: Lab) -> None:
        body = pattern(3 * MIB)
        for chunked in (False, True):
            request = lab.request("/plain/echo", body=body, chunked=chunked)

            first, second = lab.send(request), lab.send(request)

            assert body == first.body
            assert first.lasting() == second.lasting()
            assert 1 == lab.runs(request)

    def test_a_small_chunked_request_comes_whole(self, lab: Lab) -> None:
        request = lab.request("/plain/echo", body=b'{"small": 1}', chunked=True)
        told = changed(request, chunked=False)

        assert [False, True] == [lab.send(r).replayed for r in (request, told)]

    def test_headers_keep_their_order_and_their_duplicates(self, lab: Lab) -> None:
        request = lab.request("/plain/order")

        first, second = lab.send(request), lab.send(request)

        names = {name for name, _ in ORDER}
        for reply in (first, second):
            assert ORDER == tuple(pair for pair in reply.headers if pair[0] in names)

    def test_headers_of_another_moment_are_not_replayed(self, lab: Lab) -> None:
        request = lab.request("/plain/session")

        first, second = lab.send(request), lab.send(request)

        for name in ("Set-Cookie", "X-Request-Id", "X-Ratelimit-Remaining"):
            assert first.has(name)
        added = {b"idempotency-expires", *FRESH}
        kept = {name for name, _ in ORDER}
        assert kept == {name for name, _ in second.headers} - added

    def test_a_status_that_is_never_stored_frees_the_key(self, lab: Lab) -> None:
        for status in NEVER_STORED:
            request = lab.request(f"/plain/once/{status}")

            first, second, third = [lab.send(request) for _ in range(3)]

            assert [status, 201, 201] == [r.status for r in (first, second, third)]
            assert [False, False, True] == [r.replayed for r in (first, second, third)]
            assert not first.has("Idempotency-Expires")
            assert 2 == lab.runs(request)
            outcomes = lab.outcomes(request)
            assert ["released", "executed", "replayed"] == outcomes

    def test_a_server_error_runs_again_where_that_is_promised(self, lab: Lab) -> None:
        for policy in ("again", "resume"):
            request = lab.request(f"/{policy}/once/503")

            assert [503, 201, 201] == [lab.send(request).status for _ in range(3)]
            assert 2 == lab.runs(request)

    def test_a_handler_can_free_its_key(self, lab: Lab) -> None:
        request = lab.request("/plain/steer/release")

        first, second = lab.send(request), lab.send(request)

        assert [b"run 1", b"run 2"] == [first.body, second.body]
        assert not first.has("Keyonce-Outcome")

    def test_a_handler_can_say_that_it_does_not_know(self, lab: Lab) -> None:
        request = lab.request("/plain/steer/unknown")

        first, second = lab.send(request), lab.send(request)

        assert (500, "outcome-unknown") == (first.status, first.code)
        assert (409, "outcome-unknown") == (second.status, second.code)
        assert second.json()["retryable"] is False
        assert not second.has("Retry-After")
        assert 1 == lab.runs(request)
        assert ["unclear", "unknown"] == lab.outcomes(request)

    def test_another_payload_is_refused_with_its_fields(self, lab: Lab) -> None:
        request = lab.request("/plain/echo", body=b'{"sku": "tea", "to": {"zip": 1}}')
        other = changed(request, body=b'{"sku": "tea", "to": {"zip": 2}}')

        first, refused, again = lab.send(request), lab.send(other), lab.send(request)

        assert (422, "key-reused") == (refused.status, refused.code)
        assert ["/to/zip"] == refused.json()["fields"]
        assert "Idempotency-Key is already used" == refused.json()["title"]
        assert refused.json()["retryable"] is False
        assert first.lasting() == again.lasting()
        assert 1 == lab.runs(request)

    def test_another_query_is_refused_with_a_hint_where_to_look(self, lab: Lab) -> None:
        request = lab.request("/plain/echo?unit=kg", body=b'{"sku": "tea"}')
        lab.send(request)

        refused = lab.send(changed(request, target="/plain/echo?unit=lb"))

        assert (422, "key-reused") == (refused.status, refused.code)
        assert "fields" not in refused.json()
        assert "compare the query string" in refused.json()["detail"]

    def test_the_status_of_a_mismatch_is_a_choice(self, lab: Lab) -> None:
        request = lab.request("/conflict/echo", body=b"1")
        lab.send(request)

        refused = lab.send(changed(request, body=b"2"))

        assert (409, "key-reused") == (refused.status, refused.code)

    def test_another_payload_is_refused_while_the_first_works(self, lab: Lab) -> None:
        for policy in ("plain", "wait", "accept"):
            gate = lab.name("gate")
            request = lab.request(f"/{policy}/slow/{gate}", body=b"1")
            call = lab.start(request)
            lab.wait_at(gate)

            refused = lab.send(changed(request, body=b"2"))
            lab.open(gate)

            assert (422, "key-reused") == (refused.status, refused.code)
            assert 201 == call.reply().status
            assert 1 == lab.runs(request)

    def test_what_is_the_same_request(self, lab: Lab) -> None:
        request = lab.request("/plain/echo", body=b'{"a": 1, "b": [2, 3]}')
        same = (
            changed(request, body=b' {"b":[2,3],"a":1}\n'),
            with_header(request, "Content-Type", "application/json; charset=utf-8"),
            with_header(request, "X-Trace", "another"),
        )
        other = (
            changed(request, body=b'{"a": 1, "b": [3, 2]}'),
            changed(request, target="/plain/echo?page=2"),
            with_header(request, "Content-Type", "text/plain"),
        )
        first = lab.send(request)

        for one in same:
            assert first.lasting() == lab.send(one).lasting()
        for one in other:
            assert "key-reused" == lab.send(one).code
        assert 1 == lab.runs(request)

    def test_after_its_retention_a_key_is_new(self, lab: Lab) -> None:
        request = lab.request("/brief/status/201")
        lab.send(request)

        lab.turn(BRIEF.total_seconds() - 1)
        before = lab.send(request)
        lab.turn(1)
        after = lab.send(request)

        assert (b"run 1", True) == (before.body, before.replayed)
        assert (b"run 2", False) == (after.body, after.replayed)

    def test_late_retries_are_refused_where_that_is_asked_for(self, lab: Lab) -> None:
        request = lab.request("/tombstone/order")
        lab.send(request)

        lab.turn(BRIEF.total_seconds())
        late = lab.send(request)
        lab.turn(BRIEF.total_seconds())
        latest = lab.send(request)

        assert (410, "key-expired") == (late.status, late.code)
        assert (201, False) == (latest.status, latest.replayed)
        assert 2 == lab.runs(request)

    def test_the_key_names_a_record_by_itself(self, lab: Lab) -> None:
        request = lab.request("/plain/order")
        lab.send(request)

        fresh = with_header(request, "Idempotency-Key", lab.name("key"))

        assert not lab.send(fresh).replayed
        assert lab.send(request).replayed
        assert value(fresh, "X-Run") == value(request, "X-Run")
        assert 2 == lab.runs(request)
