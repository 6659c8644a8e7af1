# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The consumer's side: a message is handled once, however often it is delivered."""
