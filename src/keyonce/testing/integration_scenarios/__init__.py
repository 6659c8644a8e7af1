# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The scenarios of the integration contract, by theme, and what they are made of."""
