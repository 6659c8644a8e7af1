# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""A toy shop and a storm of retries, bare and behind the guard: run it, see it."""
