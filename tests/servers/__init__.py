# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Real servers for tests: started here, in a folder of their own, ended by id."""
