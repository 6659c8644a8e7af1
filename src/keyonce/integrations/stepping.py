# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What the steps of a request's work make of its end."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from keyonce.core.ending import Keep, Park
from keyonce.core.errors import OutcomeUnknown, SafeToRetry, StepsChanged
from keyonce.core.protocols import EndedInside
from keyonce.engine.transaction import CommitUnclear, vouches
from keyonce.http.ending import raised
from keyonce.http.steer import Steered
from keyonce.integrations.failure import Failure

if TYPE_CHECKING:
    from keyonce.core.ending import Ending
    from keyonce.core.policy import Policy
    from keyonce.engine.handle import Handle
    from keyonce.http.steer import Steering

log: Final = logging.getLogger("keyonce")
_PARK: Final = Park("step-unclear")
_ENDED: Final = Park("transaction-ended")
_CONFLICT: Final = 409
_FAILED: Final = 500


def stepped(end: Ending, work: Handle | None, steering: Steering) -> Ending:
    """Give *end*, or park the key where a step that is not safe has no known end."""
    vouched = steering.outcome is Steered.RELEASE
    return _PARK if work is not None and work.unclear and not vouched else end


def failed(
    failure: Failure, work: Handle | None, error: BaseException | None
) -> Failure:
    """Give *failure*, or park the key where its outcome is unknown by a step."""
    if work is None or (error is not None and vouches(error)):
        return failure
    if isinstance(error, EndedInside):
        return Failure(_ENDED, status=_FAILED)
    if isinstance(error, SafeToRetry | CommitUnclear) and not work.unclear:
        return failure
    if isinstance(error, OutcomeUnknown) and failure.status == _FAILED:
        return Failure(_PARK, status=_CONFLICT)  # not an upstream's, which has its own
    return Failure(_PARK, status=unclear_status(work)) if work.unclear else failure


def unclear_status(work: Handle | None) -> int:
    """Give the status for the caller whose work came to an unclear end.

    As every retry hears it, where this execution found the end unknown already.
    """
    return _CONFLICT if work is not None and work.refused else _FAILED


def changed(
    end: Ending, work: Handle | None, policy: Policy, docs_url: str | None
) -> Failure | None:
    """Refuse an outcome that leaves out steps of an earlier execution."""
    if work is None or not isinstance(end, Keep):
        return None
    try:
        work.check_whole()
    except StepsChanged as error:
        log.error("%s", error)  # noqa: TRY400 - the place says nothing
        return Failure(raised(policy, error, docs_url=docs_url))
    return None
