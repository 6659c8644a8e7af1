# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The flows, played by hand: answers sent in, failures thrown in, no store."""

from __future__ import annotations

import pytest

from keyonce.core import transitions
from keyonce.core.decide import (
    Incomparable,
    InFlight,
    Mismatch,
    Proceed,
    Replay,
    Unknown,
    lease_of,
)
from keyonce.core.ending import Free, Keep, Unclear
from keyonce.core.errors import RecordUnreadable, StoreUnavailable
from keyonce.core.model import Claimed, Fingerprint
from keyonce.core.policy import Policy
from keyonce.core.states import Status
from keyonce.engine import flows
from keyonce.engine.commands import (
    AbandonKey,
    CompleteKey,
    FindKey,
    LetGo,
    ReleaseKey,
)
from keyonce.engine.finished import Freed, Lost, Parked, Stored, Unrecorded
from keyonce.engine.flight import Flight, Seat
from tests.engine.play import Play
from tests.engine.samples import (
    AT_LEAST_ONCE,
    AT_MOST_ONCE,
    PAID,
    attempt,
    identity,
    paid,
    policy,
)

DOWN = StoreUnavailable("no answer")
OTHER_OWNER = b"somebody else"
BEGAN = 1_000.0
terms = policy().terms


def granted(command):
    """Answer a claim as an empty store does."""
    return Claimed(transitions.claim(None, command.claim, BEGAN).record, BEGAN)


def theirs(body=b"same", *, scheme="2", ago=5.0, **changes):
    """The answer of a store where another owner began *ago* seconds ago."""
    claim = flows._claim(
        attempt(body=body), Fingerprint(scheme, body), OTHER_OWNER, terms, None
    )
    record = transitions.claim(None, claim, BEGAN).record
    return Claimed(record._replace(**changes), BEGAN + ago)


RUNNING = theirs()
DONE = theirs(status=Status.COMPLETED, result=PAID)
UNKNOWN = theirs(status=Status.UNKNOWN)
ENDED = theirs(ago=40.0)
LEASE = lease_of(theirs(owner=b"token 0").record)


def leader():
    return Seat(Flight(identity()), leads=True)


def follower():
    return Seat(Flight(identity()), leads=False)


def begin(play, seat, *, arrival=None, wait_for=0.0, store_timeout=5.0):
    return play.play(
        flows.begin(
            arrival or attempt(),
            terms,
            seat=seat,
            owner=b"token 0",
            now=play.now,
            wait_for=wait_for,
            store_timeout=store_timeout,
        )
    )


class TestLeading:
    def test_a_free_key_is_the_claimants_to_work_on(self):
        play = Play(granted)

        decision = begin(play, leader())

        assert isinstance(decision, Proceed)
        assert (b"token 0", 1) == (decision.lease.owner, decision.lease.execution)
        (claim,) = play.claims
        assert (AT_MOST_ONCE, 30.0, 3, None) == (
            claim.guarantee,
            claim.lease_for,
            claim.max_crashes,
            claim.witnessed,
        )

    @pytest.mark.parametrize(
        ("answer", "expected"),
        [
            (DONE, Replay(DONE.record)),
            (UNKNOWN, Unknown(UNKNOWN.record)),
            (RUNNING, InFlight(RUNNING.record, 5.0)),
        ],
    )
    def test_a_taken_key_is_told_as_it_stands(self, answer, expected):
        play = Play(answer)

        assert expected == begin(play, leader())
        assert 1 == len(play.claims)

    def test_the_others_are_told_what_the_store_said(self):
        play = Play(DONE)

        begin(play, leader())

        assert [DONE] == play.told

    def test_another_request_is_told_apart_at_once_and_does_not_wait(self):
        play = Play(theirs(b"other"))

        assert isinstance(begin(play, leader(), wait_for=10.0), Mismatch)
        assert [] == play.slept

    def test_an_unreadable_record_comes_out(self):
        with pytest.raises(RecordUnreadable):
            begin(Play(RecordUnreadable("torn")), leader())

    def test_without_patience_nobody_waits(self):
        play = Play(RUNNING)

        begin(play, leader())

        assert ([], []) == (play.slept, play.awaited)

    def test_with_patience_it_asks_again_ever_more_slowly_and_with_new_tokens(self):
        play = Play(RUNNING, RUNNING, RUNNING, DONE)

        decision = begin(play, leader(), wait_for=10.0)

        assert Replay(DONE.record) == decision
        assert [0.02, 0.04, 0.08] == play.slept
        assert 4 == len({claim.owner for claim in play.claims})

    def test_patience_ends_at_its_bound(self):
        play = Play(RUNNING)

        decision = begin(play, leader(), wait_for=3.0)

        assert InFlight(RUNNING.record, 5.0) == decision
        assert 103.0 == pytest.approx(play.now)
        assert max(play.slept) == flows.LONGEST_PAUSE


class TestEndingALease:
    def test_the_end_is_witnessed_waited_on_and_then_taken(self):
        taken = theirs(owner=b"token 0", ago=41.0)
        play = Play(ENDED, taken)

        decision = begin(play, leader())

        assert isinstance(decision, Proceed)
        assert [1.0] == play.slept
        first, second = play.claims
        assert (None, ENDED.record.lease_until) == (first.witnessed, second.witnessed)
        assert first.owner == second.owner

    def test_an_owner_that_renewed_meanwhile_stays(self):
        renewed = theirs(lease_until=BEGAN + 71, ago=41.0)
        play = Play(ENDED, renewed)

        assert InFlight(renewed.record, 41.0) == begin(play, leader())

    def test_a_lease_that_cannot_be_ended_is_told_and_not_asked_for_ever(self):
        play = Play(ENDED)

        assert InFlight(ENDED.record, 40.0, ended=True) == begin(play, leader())
        assert 2 == len(play.claims)

    @pytest.mark.parametrize(
        ("lease_for", "pause"), [(30.0, 1.0), (3.0, 1.0), (0.3, 0.1)]
    )
    def test_the_courtesy_is_a_renewal_but_at_most_a_second(self, lease_for, pause):
        record = RUNNING.record._replace(lease_for=lease_for)

        assert pause == pytest.approx(flows.courtesy(record))


class TestFollowing:
    def test_a_follower_decides_on_the_leaders_news_without_the_store(self):
        play = Play(news=DONE)

        assert Replay(DONE.record) == begin(play, follower())
        assert [] == play.asked

    def test_a_follower_never_proceeds_on_anothers_lease(self):
        play = Play(news=RUNNING)

        assert InFlight(RUNNING.record, 5.0) == begin(play, follower())

    def test_a_follower_waits_for_the_first_news(self):
        play, seat = Play(), follower()

        def arrives(command):
            play.news = DONE

        play.meanwhile = arrives

        assert Replay(DONE.record) == begin(play, seat)
        assert [0] == [awaited.seen for awaited in play.awaited]

    def test_a_follower_waits_with_patience_for_newer_news(self):
        play, seat = Play(news=RUNNING), follower()
        seat.flight.version = 7

        def arrives(command):
            assert (seat, 7) == (command.seat, command.seen)
            play.news = DONE

        play.meanwhile = arrives

        assert Replay(DONE.record) == begin(play, seat, wait_for=10.0)

    def test_a_follower_is_patient_up_to_its_bound(self):
        play = Play(news=RUNNING)

        decision = begin(play, follower(), wait_for=10.0)

        assert InFlight(RUNNING.record, 5.0) == decision
        assert 110.0 == pytest.approx(play.now)
        assert [] == play.asked

    def test_a_follower_gives_up_when_the_leader_hears_nothing_from_the_store(self):
        play = Play()

        with pytest.raises(StoreUnavailable):
            begin(play, follower(), store_timeout=5.0)

        assert 105.0 == pytest.approx(play.now)

    @pytest.mark.parametrize("news", [None, RUNNING])
    def test_a_follower_that_is_handed_the_lead_asks_the_store(self, news):
        play, seat = Play(granted, news=news), follower()

        def promoted(command):
            seat.leads = True

        play.meanwhile = promoted

        decision = begin(play, seat, wait_for=20.0, store_timeout=30.0)

        assert isinstance(decision, Proceed)
        assert 1 == len(play.claims)

    def test_two_requests_under_one_key_are_told_apart_by_the_follower(self):
        play = Play(news=theirs(b"other"))

        assert isinstance(begin(play, follower(), wait_for=10.0), Mismatch)


class TestSchemes:
    def test_a_record_of_an_older_scheme_is_compared_under_its_own(self):
        answer = theirs(scheme="1", status=Status.COMPLETED, result=PAID)

        assert Replay(answer.record) == begin(Play(answer), leader())
        assert Replay(answer.record) == begin(Play(news=answer), follower())

    def test_another_request_is_a_mismatch_under_an_older_scheme_too(self):
        assert isinstance(begin(Play(theirs(b"x", scheme="1")), leader()), Mismatch)

    def test_a_scheme_that_nobody_here_knows_cannot_be_compared(self):
        answer = theirs(scheme="9")

        assert Incomparable(answer.record) == begin(Play(answer), leader())

    def test_an_ended_lease_is_taken_under_the_scheme_it_was_begun_with(self):
        ended = theirs(scheme="1", ago=40.0)
        play = Play(ended, theirs(scheme="1", owner=b"token 0", ago=41.0))

        assert isinstance(begin(play, leader()), Proceed)
        assert ["2", "1"] == [claim.fingerprint.scheme for claim in play.claims]


class TestInsisting:
    def test_a_claim_is_repeated_with_the_same_token(self):
        play = Play(DOWN, DOWN, granted)

        assert isinstance(begin(play, leader()), Proceed)
        assert [b"token 0"] * 3 == [claim.owner for claim in play.claims]
        assert [0.02, 0.04] == play.slept

    def test_a_claim_whose_reply_was_lost_is_recognised_as_ones_own(self):
        mine = theirs(owner=b"token 0")
        play = Play(DOWN, mine)

        decision = begin(play, leader())

        assert Proceed(lease_of(mine.record)) == decision

    @pytest.mark.parametrize("timeout", [0.0, 0.01, 0.5, 5.0])
    def test_it_gives_up_in_time(self, timeout):
        play = Play(DOWN)

        with pytest.raises(StoreUnavailable):
            begin(play, leader(), store_timeout=timeout)

        assert play.now <= 100 + timeout
        assert play.now >= 100 + timeout - flows.LONGEST_PAUSE

    @pytest.mark.parametrize("failure", [DOWN, KeyboardInterrupt(), OSError("odd")])
    def test_a_claim_without_an_answer_is_let_go(self, failure):
        """It may have arrived; nothing has run under it."""
        play = Play(failure)

        with pytest.raises(type(failure)):
            begin(play, leader(), store_timeout=0.0)

        assert play.claims == play.let_go
        (claim,) = play.let_go
        release = LetGo(claim).release()
        assert (claim.identity, claim.owner) == (release.identity, release.owner)

    def test_a_claim_with_an_answer_is_not(self):
        play = Play(DOWN, granted)

        begin(play, leader())

        assert [] == play.let_go

    def test_a_flow_that_is_thrown_away_asks_no_more(self):
        flow = flows.lead(attempt(), terms, leader(), b"token 0", 1e9)
        next(flow)

        flow.close()

        assert [] == list(flow)

    def test_a_store_that_goes_away_while_waiting_is_told_within_patience(self):
        play = Play(RUNNING, DOWN)

        with pytest.raises(StoreUnavailable):
            begin(play, leader(), wait_for=3.0, store_timeout=5.0)

        assert play.now <= 100 + 3 + 5

    def test_only_silence_is_insisted_on(self):
        play = Play(RecordUnreadable("torn"))

        with pytest.raises(RecordUnreadable):
            play.play(flows.insist(FindKey(identity()), 1e9))

        assert 1 == len(play.asked)


def finish(play, ending, *, lease=LEASE, policy=Policy(), timeout=5.0):  # noqa: B008
    return play.play(
        flows.finish(lease, ending, policy.terms, give_up_at=play.now + timeout)
    )


RUNS_AGAIN = LEASE._replace(guarantee=AT_LEAST_ONCE)
MINE = theirs(owner=LEASE.owner, status=Status.COMPLETED, result=PAID).record


class TestFinishing:
    def test_an_outcome_is_stored_as_the_policy_says(self):
        play = Play(MINE)

        assert Stored(MINE) == finish(play, Keep(PAID, reference="ch_1"))
        (stored,) = play.completions
        assert (LEASE.identity, LEASE.owner, PAID, "ch_1") == (
            stored.identity,
            stored.owner,
            stored.result,
            stored.reference,
        )
        assert (86_400.0, 0.0) == (stored.retention_for, stored.late_for)

    @pytest.mark.parametrize(("override", "kept"), [(None, 86_400.0), (0.0, 0.0)])
    def test_an_outcome_may_have_its_own_retention(self, override, kept):
        play = Play(MINE)

        finish(play, Keep(PAID, retention_for=override))

        assert kept == play.completions[0].retention_for

    @pytest.mark.parametrize(
        "answer",
        [None, RUNNING.record, DONE.record, theirs(owner=LEASE.owner).record],
    )
    def test_whatever_is_not_this_owners_outcome_means_that_the_key_is_lost(
        self, answer
    ):
        assert Lost(answer) == finish(Play(answer), paid())

    def test_freeing_releases_the_key(self):
        play = Play(True)

        assert Freed() == finish(play, Free("nothing happened"))
        assert [
            ReleaseKey(LEASE.identity, LEASE.owner, "nothing happened", 86_400.0)
        ] == play.asked

    def test_an_unclear_end_is_parked_in_at_most_once(self):
        play = Play(True)

        assert Parked() == finish(play, Unclear("timed out"))
        assert [AbandonKey(LEASE.identity, LEASE.owner, "timed out")] == play.asked

    def test_an_unclear_end_frees_the_key_where_it_runs_again(self):
        play = Play(True)

        assert Freed() == finish(play, Unclear("timed out"), lease=RUNS_AGAIN)
        assert isinstance(play.asked[0], ReleaseKey)

    @pytest.mark.parametrize("ending", [Free("x"), Unclear("x")])
    def test_a_key_that_another_has_is_lost(self, ending):
        assert Lost(None) == finish(Play(False), ending)

    @pytest.mark.parametrize("ending", [paid(), Free("x"), Unclear("x")])
    def test_a_record_that_cannot_be_read_is_lost_and_never_asked_again(self, ending):
        play = Play(RecordUnreadable("torn"))

        assert Lost(None) == finish(play, ending)
        assert 1 == len(play.asked)

    @pytest.mark.parametrize("ending", [paid(), Free("x"), Unclear("x")])
    def test_a_silent_store_is_asked_the_same_again_and_nothing_else(self, ending):
        play = Play(DOWN)

        assert Unrecorded() == finish(play, ending)
        assert len(play.asked) > 5
        assert 1 == len({repr(command) for command in play.asked})
        assert play.now <= 105.0

    def test_a_completion_whose_reply_was_lost_is_recognised_as_ones_own(self):
        play = Play(DOWN, MINE)

        assert Stored(MINE) == finish(play, paid())

    def test_the_guarantee_is_the_leases_and_not_that_of_a_newer_policy(self):
        loose = policy(AT_LEAST_ONCE)

        assert Parked() == finish(Play(True), Unclear("x"), policy=loose)

    def test_a_command_to_end_with_is_the_same_early_and_late(self):
        command = flows.ending_command(LEASE, paid(), terms)

        assert isinstance(command, CompleteKey)
        assert LEASE.owner == command.completion.owner


class TestTheWinner:
    def winner(self, play, wait_for=10.0):
        return play.play(flows.winner(LEASE, until=play.now + wait_for))

    def test_its_outcome_is_waited_for(self):
        play = Play(RUNNING, RUNNING, DONE)

        assert DONE.record == self.winner(play)
        assert [FindKey(LEASE.identity)] * 3 == play.asked

    @pytest.mark.parametrize(
        "answer",
        [
            *(None, UNKNOWN, theirs(status=Status.RELEASED), DOWN),
            RecordUnreadable("torn"),
        ],
    )
    def test_where_there_is_none_nobody_waits(self, answer):
        play = Play(answer)

        assert self.winner(play) is None
        assert [] == play.slept

    def test_it_is_waited_for_no_longer_than_said(self):
        play = Play(RUNNING)

        assert self.winner(play, wait_for=2.0) is None
        assert 101.5 <= play.now <= 102.0
