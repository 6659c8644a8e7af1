-- SPDX-FileCopyrightText: 2026 The keyonce authors
-- SPDX-License-Identifier: Apache-2.0
-- Made first and attached then: that way nobody who completes or replays has to wait.
CREATE TABLE {schema}.{name} (LIKE {schema}.keyonce_outcomes INCLUDING STORAGE);

ALTER TABLE {schema}.keyonce_outcomes
    ATTACH PARTITION {schema}.{name} FOR VALUES FROM ({begins}) TO ({ends});
