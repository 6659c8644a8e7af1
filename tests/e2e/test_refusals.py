# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""A store that cannot be used: one message with its mend, in the CLI and in serve."""

from __future__ import annotations

import os
from dataclasses import dataclass

import boto3
import pytest
from click.testing import CliRunner

from keyonce.cli.group import keyonce
from keyonce.stores.mysql import MySQLStore
from keyonce.stores.postgres import PostgresStore
from tests.servers.moto import ENVIRONMENT, Moto, need_moto
from tests.servers.postgres import PASSWORD
from tests.servers.programs import free_port

pytestmark = pytest.mark.servers

SECRET = "h4sh-me"
MIGRATE = "run 'keyonce migrate' as a user who may change tables"
SERVE = (
    *("serve", "--upstream", "http://127.0.0.1:9", "--scope", "X-Api-Key"),
    *("--listen", "127.0.0.1:0", "--admin", "off"),
)


@dataclass(frozen=True)
class Said:
    code: int
    out: str
    err: str


def said(*arguments, url):
    """Run a command on the store at *url*; only our own words may come out of it."""
    ended = CliRunner().invoke(keyonce, [*arguments, "--store", url])
    assert ended.exception is None or isinstance(ended.exception, SystemExit)
    text = ended.stdout + ended.stderr
    for secret in (SECRET, PASSWORD, PASSWORD.replace(" ", "%20")):
        assert secret not in text
    assert "Traceback" not in text
    return Said(ended.exit_code, ended.stdout, ended.stderr)


def flat(text):
    return " ".join(text.split())


def refused(url, mend, *, looking=None):
    """Each command ends with 2 and one message that names the mend.

    *looking* is the mend that commands name which change nothing, if it is another.
    """
    for arguments in (("doctor",), ("stats",), SERVE):
        if arguments is SERVE:
            looking = None
        told = said(*arguments, url=url)
        assert 2 == told.code, (arguments, told)
        assert "" == told.out
        assert 1 == told.err.count("keyonce:"), told.err
        assert (looking or mend) in flat(told.err), (arguments, told.err)


def found_by_doctor(url, mend):
    """doctor ends with 1 and a line of error; serve does not start."""
    doctor, serve = said("doctor", "--json", url=url), said(*SERVE, url=url)
    assert (1, 2) == (doctor.code, serve.code), (doctor, serve)
    assert mend in flat(doctor.out)
    assert mend in flat(serve.err)


class TestPostgreSQL:
    @pytest.fixture
    @staticmethod
    def place(postgres):
        """The server and the URL of an empty database."""
        server, _ = postgres
        return server, server.url(server.new_database())

    @pytest.fixture
    @staticmethod
    def clerk(place):
        """The URL of a role that may do nothing yet."""
        server, url = place
        name = url.rpartition("/")[2]
        server.run_sql(f"CREATE ROLE clerk LOGIN PASSWORD '{SECRET}'", name)
        yield f"postgresql://clerk:{SECRET}@127.0.0.1:{server.port}/{name}"
        server.run_sql("DROP OWNED BY clerk; DROP ROLE clerk", name)

    def test_a_bad_url(self):
        refused(f"postgresql://me:{SECRET}@h/db?nonsense=1", "the option 'nonsense'")

    def test_a_wrong_password(self, place):
        server, _ = place
        url = f"postgresql://keyonce:{SECRET}@127.0.0.1:{server.port}/postgres"
        refused(url, "Look at the user and the password in the URL.")

    def test_an_unknown_database(self, place):
        server, _ = place
        refused(server.url("nowhere"), "Make it, or name another in the URL.")

    def test_a_role_that_may_not_make_tables(self, clerk):
        refused(clerk, "GRANT USAGE, CREATE ON SCHEMA public", looking=MIGRATE)

    def test_an_old_schema_and_a_role_that_may_not_change_it(self, place, clerk):
        server, url = place
        name = url.rpartition("/")[2]
        PostgresStore(url).close()
        server.run_sql("DROP TABLE keyonce_audits", name)
        server.run_sql("DELETE FROM keyonce_schema WHERE version > 1", name)
        server.run_sql("GRANT ALL ON ALL TABLES IN SCHEMA public TO clerk", name)
        refused(clerk, "GRANT USAGE, CREATE ON SCHEMA public", looking=MIGRATE)

    def test_a_right_that_is_missing(self, place, clerk):
        server, url = place
        name = url.rpartition("/")[2]
        PostgresStore(url).close()
        server.run_sql("GRANT SELECT ON ALL TABLES IN SCHEMA public TO clerk", name)
        found_by_doctor(clerk, "GRANT SELECT, INSERT, UPDATE, DELETE")

    def test_a_table_that_is_missing(self, place):
        server, url = place
        PostgresStore(url).close()
        server.run_sql("DROP TABLE keyonce_records", url.rpartition("/")[2])
        refused(url, "restore it, or drop keyonce_schema to begin anew")

    def test_a_read_only_server(self, place):
        _, url = place
        refused(
            f"{url}?options=-c%20default_transaction_read_only%3Don",
            "default_transaction_read_only = off, or name another",
        )

    def test_a_server_that_is_down(self):
        url = f"postgresql://me:{SECRET}@127.0.0.1:{free_port()}/db"
        refused(url, "PostgreSQL did not answer")

    def test_a_setting_that_forgets(self, place):
        _, url = place
        PostgresStore(url).close()
        forgetful = f"{url}?options=-c%20synchronous_commit%3Doff"
        found_by_doctor(forgetful, "SET synchronous_commit = on")
        assert 0 == said("doctor", url=f"{forgetful}&durability=declared").code


class TestMySQL:
    @pytest.fixture
    @staticmethod
    def place(mysql):
        server, _ = mysql
        return server, server.database("refusals")

    @pytest.fixture
    @staticmethod
    def clerk(place):
        server, _ = place
        server.ask(f"CREATE OR REPLACE USER clerk IDENTIFIED BY '{SECRET}'")
        server.ask("GRANT USAGE ON *.* TO clerk")
        yield f"mysql://clerk:{SECRET}@127.0.0.1:{server.port}/refusals"
        server.ask("DROP USER clerk")

    def test_a_bad_url(self):
        refused(f"mysql://me:{SECRET}@h", "it names no database. Write it like")

    def test_a_wrong_password(self, place):
        server, _ = place
        url = f"mysql://root:{SECRET}@127.0.0.1:{server.port}/refusals"
        refused(url, "look at the URL")

    def test_an_unknown_database(self, place):
        server, _ = place
        refused(server.url("nowhere"), "make it, or name another in the URL")

    def test_a_user_who_may_not_enter(self, clerk):
        refused(clerk, "GRANT it the database")

    def test_an_old_schema_and_a_user_who_may_not_change_it(self, place, clerk):
        server, url = place
        MySQLStore(url).close()
        server.ask("DROP TABLE keyonce_audits", "refusals")
        server.ask("DELETE FROM keyonce_schema WHERE version > 1", "refusals")
        server.ask("GRANT SELECT, INSERT, UPDATE, DELETE ON refusals.* TO clerk")
        refused(clerk, "GRANT what the message names", looking=MIGRATE)

    def test_a_right_that_is_missing(self, place, clerk):
        server, url = place
        MySQLStore(url).close()
        server.ask("GRANT SELECT ON refusals.* TO clerk")
        found_by_doctor(clerk, "GRANT SELECT, INSERT, UPDATE, DELETE")

    def test_a_table_that_is_missing(self, place):
        server, url = place
        MySQLStore(url).close()
        server.ask("DROP TABLE keyonce_records", "refusals")
        found_by_doctor(url, "restore it, or drop keyonce_schema to begin anew")

    def test_a_read_only_server(self, place):
        server, url = place
        MySQLStore(url).close()
        server.ask("SET GLOBAL read_only = ON")
        try:
            found_by_doctor(url, "Name the primary in the URL.")
        finally:
            server.ask("SET GLOBAL read_only = OFF")

    def test_a_server_that_is_down(self):
        url = f"mysql://me:{SECRET}@127.0.0.1:{free_port()}/db"
        refused(url, "nothing listens there; start it, or look at the URL")

    def test_a_setting_that_forgets(self, place):
        server, url = place
        MySQLStore(url).close()
        server.ask("SET GLOBAL innodb_flush_log_at_trx_commit = 2")
        try:
            found_by_doctor(url, "Set it to 1. Or declare")
            assert 0 == said("doctor", url=f"{url}?durability=declared").code
        finally:
            server.ask("SET GLOBAL innodb_flush_log_at_trx_commit = 1")


class TestRedis:
    @pytest.fixture
    @staticmethod
    def place(redis):
        server, url = redis
        server.ask(
            *("ACL", "SETUSER", "clerk", "reset", "on", f">{SECRET}"),
            *("~keyonce:*", "+@connection", "+info", "+config|get", "+time"),
        )
        return server, url

    def test_a_bad_url(self):
        refused(f"redis://me:{SECRET}@h?color=red", "has no option 'color'; there are")

    def test_a_wrong_password(self, place):
        server, _ = place
        url = f"redis://clerk:{SECRET}-not@127.0.0.1:{server.port}"
        refused(url, "Look at the user and the password in the store's URL.")

    def test_an_unknown_database(self, place):
        server, _ = place
        refused(
            f"redis://127.0.0.1:{server.port}/99", "name another in the store's URL"
        )

    def test_a_right_that_is_missing(self, place):
        server, _ = place
        url = f"redis://clerk:{SECRET}@127.0.0.1:{server.port}"
        found_by_doctor(url, "allow it EVAL, EVALSHA")

    def test_a_server_that_is_down(self):
        url = f"redis://me:{SECRET}@127.0.0.1:{free_port()}"
        refused(url, "The Redis server did not answer")

    def test_a_replica(self, place):
        server, url = place
        server.ask("REPLICAOF", "127.0.0.1", free_port())
        try:
            found_by_doctor(url, "Name the primary, or its sentinels")
        finally:
            server.ask("REPLICAOF", "NO", "ONE")

    def test_a_setting_that_forgets(self, place):
        server, url = place
        server.ask("CONFIG", "SET", "appendonly", "no")
        try:
            found_by_doctor(url, "Set appendonly to yes and appendfsync to always.")
            assert 0 == said("doctor", url=f"{url}?durability=declared").code
            looked = said("stats", url=url)
            assert 0 == looked.code
            assert "Warning: Redis, durability: No append-only file" in looked.err
        finally:
            server.ask("CONFIG", "SET", "appendonly", "yes")


class TestDynamoDB:
    @pytest.fixture(autouse=True)
    @staticmethod
    def credentials(monkeypatch):
        for name, value in {**ENVIRONMENT, "AWS_SECRET_ACCESS_KEY": SECRET}.items():
            monkeypatch.setenv(name, value)
        monkeypatch.delenv("AWS_PROFILE", raising=False)

    @pytest.fixture(scope="class")
    @classmethod
    def moto(cls):
        need_moto()
        server = Moto().start()
        yield server
        server.stop()

    def test_a_bad_url(self):
        refused("dynamodb://", "dynamodb://")

    def test_a_table_that_is_missing(self, moto):
        found_by_doctor(moto.url("nowhere"), "Make it with 'keyonce migrate'")

    def test_a_table_that_is_another(self, moto):
        client = boto3.client("dynamodb", endpoint_url=moto.endpoint)
        key = {"AttributeName": "name", "KeyType": "HASH"}
        client.create_table(
            TableName="another",
            KeySchema=[key],
            AttributeDefinitions=[{"AttributeName": "name", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        client.close()
        found_by_doctor(moto.url("another"), "Name another table")

    def test_a_server_that_is_down(self, monkeypatch):
        monkeypatch.setitem(os.environ, "AWS_MAX_ATTEMPTS", "1")
        here = f"http://127.0.0.1:{free_port()}"
        refused(f"dynamodb://keyonce?region=eu-central-1&endpoint={here}", "DynamoDB")
