# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The HTTP rules, pure: no sockets, no clocks, no stores."""
