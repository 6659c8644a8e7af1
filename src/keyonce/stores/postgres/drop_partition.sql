-- SPDX-FileCopyrightText: 2026 The keyonce authors
-- SPDX-License-Identifier: Apache-2.0
DROP TABLE IF EXISTS {schema}.{name};
