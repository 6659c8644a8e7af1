# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What keyonce costs, measured against the bare app and the raw driver."""
