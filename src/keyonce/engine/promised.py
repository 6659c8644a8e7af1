# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Whether a store can keep what a policy declares."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keyonce.core.errors import ConfigurationError

if TYPE_CHECKING:
    from keyonce.core.guarantee import Guarantee
    from keyonce.core.model import Traits


def refusal(guarantee: Guarantee, traits: Traits) -> ConfigurationError:
    """Say that a store of these *traits* cannot keep *guarantee*, and what can."""
    offered = ", ".join(sorted(traits.guarantees))
    return ConfigurationError(
        f"The policy declares {guarantee}, which the {traits.name} store cannot keep; "
        f"it offers {offered}. Declare one of these, or take another store."
    )
