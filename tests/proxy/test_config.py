# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pickle
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path

import jwt
import pytest

from keyonce.core.errors import ConfigurationError
from keyonce.core.guarantee import Guarantee
from keyonce.core.policy import ForwardKey, InFlightAnswer
from keyonce.core.rollout import Rollout, Stage
from keyonce.http.messages import RequestHead
from keyonce.proxy.config import Cors, load
from keyonce.proxy.config_values import Address
from keyonce.stores.sealed.environment import FILE, KEYS, UNTIL

UPSTREAM = {"upstream": "http://127.0.0.1:8000"}
NEEDED = UPSTREAM | {"scope": "X-Api-Key"}

WHOLE = """
store = "sqlite:////var/lib/keys.db"
upstream = "http://127.0.0.1:8000"
listen = "0.0.0.0:80"
admin = "[::1]:9000"
workers = 4
drain = "10s"
store_timeout = "2s"
upstream_timeout = "1m"
trusted_proxies = ["10.0.0.0/8"]
key_header = "X-Key"
replayed_alias = true
docs_url = "https://docs.example/keys"
log_level = "info"
log_format = "json"
log_keys = "digest"
[scope]
header = "X-Tenant"
hashed = false
[replay]
authorize = "http://127.0.0.1:8000/authorize"
[cors]
origins = ["https://shop.example"]
credentials = true
[[rule]]
match = "POST /payments"
guarantee = "resume"
retention = "7d"
required = true
lease = "20s"
in_flight = "wait"
mode = { enforce = "25%" }
on_store_down = "proceed"
work_limit = "5m"
patience = "3s"
key_format = "uuid"
mismatch_status = 409
fingerprint = { exclude = ["/sent_at"], headers = ["X-Version"] }
keep_headers = ["Server"]
drop_headers = ["ETag"]
max_request = "1MiB"
max_response = 1000
after_expiry = "refuse"
late_for = "60d"
forward_key = "derive"
max_executions = 5
[[rule]]
match = "/carts/**"
methods = ["PUT", "DELETE"]
retention = "forever"
mode = "observe"
"""


@pytest.fixture
def file(tmp_path):
    def write(text: str) -> Path:
        path = Path(tmp_path / "keyonce.toml")
        path.write_text(text)
        return path

    return write


def problems(path=None, flags=None, environ=None) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        load(path, flags or {}, environ or {})
    return str(caught.value).splitlines()


def problem(text: str, file) -> str:
    path = file(f"upstream = 'http://a'\nscope = {{ header = 'X-A' }}\n{text}")
    (line,) = problems(path)
    return line.removeprefix(f"{path}: ")


def test_defaults():
    config = load(None, NEEDED, {})

    assert "sqlite:///keyonce.db" == config.store
    assert Address("127.0.0.1", 8080) == config.listen
    assert Address("127.0.0.1", 9090) == config.admin
    assert (1, 30.0, 5.0) == (config.workers, config.drain, config.store_timeout)
    assert ["POST,PATCH /**"] == [rule.match for rule in config.rules]
    assert Guarantee.AT_MOST_ONCE is config.rules[0].policy.guarantee


def test_every_setting_of_a_file(file):
    config = load(file(WHOLE), {}, {})

    assert "sqlite:////var/lib/keys.db" == config.store
    assert Address("0.0.0.0", 80) == config.listen
    assert Address("::1", 9000) == config.admin
    assert 4 == config.workers
    assert (10.0, 2.0, 60.0) == (
        config.drain,
        config.store_timeout,
        config.upstream_timeout,
    )
    assert (ip_network("10.0.0.0/8"),) == config.trusted_proxies
    assert ("X-Key", True) == (config.dialect.key_header, config.dialect.replayed_alias)
    assert "http://127.0.0.1:8000/authorize" == config.authorize
    assert Cors(("https://shop.example",), credentials=True) == config.cors
    assert ("info", "json", "digest") == (
        config.log_level,
        config.log_format,
        config.log_keys,
    )


def test_every_setting_of_a_rule(file):
    first, second = load(file(WHOLE), {}, {}).rules

    policy = first.policy
    assert "POST /payments" == first.match
    assert Guarantee.RESUME is policy.guarantee
    assert (timedelta(days=7), timedelta(seconds=20)) == (
        policy.retention,
        policy.lease,
    )
    assert (True, InFlightAnswer.WAIT) == (policy.required, policy.in_flight)
    assert Rollout(Stage.ENFORCE, 25) == policy.mode
    assert (timedelta(minutes=5), timedelta(seconds=3)) == (
        policy.work_limit,
        policy.patience,
    )
    assert ("proceed", "uuid", 409) == (
        policy.on_store_down,
        policy.key_format,
        policy.mismatch_status,
    )
    assert (("/sent_at",), ("x-version",)) == (
        policy.fingerprint.exclude,
        policy.fingerprint.headers,
    )
    assert (("Server",), ("ETag",)) == (policy.keep_headers, policy.drop_headers)
    assert (2**20, 1000) == (policy.max_request, policy.max_response)
    assert ("refuse", timedelta(days=60)) == (policy.after_expiry, policy.late_for)
    assert (ForwardKey.DERIVE, 5) == (policy.forward_key, policy.max_executions)
    assert "PUT,DELETE /carts/**" == second.match
    assert ("forever", Rollout(Stage.OBSERVE)) == (
        second.policy.retention,
        second.policy.mode,
    )


def test_a_flag_wins_over_the_environment_and_that_over_the_file(file):
    path = file("drain = '1s'\nstore_timeout = '1s'\nupstream_timeout = '1s'\n")
    environ = {"KEYONCE_DRAIN": "2s", "KEYONCE_STORE_TIMEOUT": "2s"}

    config = load(path, NEEDED | {"drain": "3s"}, environ)

    assert (3.0, 2.0, 1.0) == (
        config.drain,
        config.store_timeout,
        config.upstream_timeout,
    )


def test_scope_by_flag_replaces_the_table(file):
    path = file("[scope]\njwt = 'sub'\n")

    config = load(path, NEEDED, {})

    assert "the header X-Api-Key (hashed)" == str(config.scope)


def test_a_configuration_goes_to_another_process(file):
    config = load(file(WHOLE), {}, {})

    again = pickle.loads(pickle.dumps(config))

    assert config.rules == again.rules
    assert str(config.scope) == str(again.scope)
    assert (config.upstream, config.admin) == (again.upstream, again.admin)
    assert config.rules[0].pattern == again.rules[0].pattern


def test_reads_the_same_again(file):
    path = file("[[rule]]\nmatch = 'POST /a'\n")
    config = load(path, NEEDED, {})
    path.write_text("[[rule]]\nmatch = 'POST /b'\n")

    again = config.read_again()

    assert ["POST /b"] == [rule.match for rule in again.rules]
    assert config.upstream == again.upstream


def test_environment_of_others_is_not_ours():
    cluster = (
        "KEYONCE_PORT",
        "KEYONCE_PORT_80_TCP",
        "KEYONCE_PORT_80_TCP_ADDR",
        "KEYONCE_SERVICE_HOST",
        "KEYONCE_SERVICE_PORT",
        "KEYONCE_SERVICE_PORT_HTTP",
        "KEYONCE_ADMIN_SERVICE_HOST",
        "KEYONCE_ADMIN_PORT_9090_TCP_PROTO",
    )

    load(None, NEEDED, dict.fromkeys((*cluster, "KEYONCE_REQUIRE_SERVICES", "X"), "a"))


def test_what_a_sealed_store_reads_in_the_environment_is_no_setting():
    load(None, NEEDED, dict.fromkeys((KEYS, FILE, UNTIL), "read by the store"))


def test_a_misspelt_variable_is_refused():
    environ = {"KEYONCE_UPSTREM": "http://a", "KEYONCE_DRAIM": "1s", "KEYONCE_QQ": ""}

    assert [
        "KEYONCE_DRAIM is no setting. Did you mean KEYONCE_DRAIN?",
        "KEYONCE_QQ is no setting. They are named as KEYONCE_UPSTREAM is.",
        "KEYONCE_UPSTREM is no setting. Did you mean KEYONCE_UPSTREAM?",
    ] == problems(flags=NEEDED, environ=environ)


def test_a_scope_that_never_reaches_the_upstream_is_refused(file):
    table = "[scope]\nheader = 'Proxy-Authorization'\nrotating_ok = true\n"
    said = [
        *problems(flags=UPSTREAM | {"scope": "Upgrade"}),
        *problems(file(table), flags=UPSTREAM),
    ]

    assert 2 == len(said)
    assert all("belongs to one connection" in line for line in said)


def test_a_scope_that_rotates_is_answered_with_what_to_write(file):
    said = [
        *problems(flags=UPSTREAM | {"scope": "Authorization"}),
        *problems(file("[scope]\nheader = 'Authorization'\n"), flags=UPSTREAM),
    ]

    advice = "under [scope]: header = 'Authorization' and rotating_ok = true."
    assert 2 == len(said)
    assert all(line.endswith(advice) for line in said)


def test_admin_may_be_off():
    assert load(None, NEEDED | {"admin": "off"}, {}).admin is None


def test_scope_none_is_said_aloud():
    config = load(None, UPSTREAM | {"scope": "none"}, {})

    assert "shared by all callers" in str(config.scope)


def test_there_is_no_scope_by_default():
    (line,) = problems(flags=UPSTREAM)

    assert "there is no scope" in line
    assert "--scope none" in line


BEGINNINGS = [
    "lease is no setting",
    "listen is 'here'",
    "rule[1].guarante is no setting",
    "rule[1].retention is 0",
    "rule[2].lease is 30",
    "rule[2].match is missing",
    "there is no scope",
    "upstream is 8000",
]


def test_says_everything_that_is_wrong_at_once(file):
    path = file(
        "upstream = 8000\nlisten = 'here'\nlease = '3s'\n[[rule]]\nmatch = 'POST /a'\n"
        "retention = 0\nguarante = 'resume'\n[[rule]]\nlease = 30\n"
    )

    lines = sorted(line.removeprefix(f"{path}: ") for line in problems(path))

    pairs = zip(lines, BEGINNINGS, strict=True)
    assert BEGINNINGS == [line[: len(start)] for line, start in pairs]


@pytest.mark.parametrize(
    ("text", "begins", "mends"),
    [
        ("stor = 'a'", "stor is no setting", "'store'"),
        ("drain = 0", "drain is 0", "longer than zero"),
        ("drain = '0s'", "drain is '0s'", "longer than zero"),
        ("drain = 30", "drain is 30", "'30s'"),
        ("workers = 0", "workers is 0", "from 1 on"),
        ("workers = true", "workers is True", "whole number"),
        ("listen = '8080'", "listen is '8080'", "127.0.0.1:8080"),
        ("listen = 'a:99999'", "listen is", "127.0.0.1:8080"),
        ("admin = 'none'", "admin is", "'off'"),
        ("log_level = 'loud'", "log_level is 'loud'", "'warning'"),
        ("trusted_proxies = ['lan']", "trusted_proxies", "10.0.0.0/8"),
        ("key_header = 'a b'", "key_header", "names a header"),
        ("docs_url = 'a b'", "key_header or docs_url", "URL"),
        ("replay = { authorize = 'ask' }", "replay.authorize is 'ask'", "http://"),
        ("replay = { authorise = 'http://a' }", "replay.authorise is no setting", "'authorize'"),
        ("cors = { origins = ['*'], credentials = true }", "cors.origins", "name the origins"),
        ("rule = 'POST /a'", "rule is an array", "[[rule]]"),
        ("[[rule]]\nmatch = 'GET /a'", "rule[1].match", "GET"),
        ("[[rule]]\nmatch = 'POST /a'\nmode = 'on'", "rule[1].mode is 'on'", "'enforce'"),
        ("[[rule]]\nmatch = 'POST /a'\nmode = { enforce = 25 }", "rule[1].mode.enforce is 25", '"25%"'),
        ("[[rule]]\nmatch = 'POST /a'\nmode = { enforce = '125%' }", "rule[1].mode", "0 % to 100 %"),
        ("[[rule]]\nmatch = 'POST /a'\nguarantee = 'exactly-once'", "rule[1].match", "out of a sidecar's reach"),
        ("[[rule]]\nmatch = 'POST /a'\nguarantee = 'once'", "rule[1].match", "'at-most-once'"),
        ("[[rule]]\nmatch = 'POST /a'\nguarantee = 'resume'\nforward_key = 'strip'", "rule[1].match", "'derive'"),
        ("[[rule]]\nmatch = 'POST /a'\nmethods = ['PUT']", "rule[1].methods", "keep one"),
        ("[[rule]]\nmatch = 'POST /a'\nmax_request = 'big'", "rule[1].max_request is 'big'", "'64MiB'"),
        ("[[rule]]\nmatch = 'POST /a'\nretention = 'ever'", "rule[1].retention is 'ever'", "'7d'"),
        ("[[rule]]\nmatch = 'POST /a'\nfingerprint = { exclude = ['a'] }", "rule[1].fingerprint.exclude", "JSON pointer"),
        ("[[rule]]\nmatch = 'POST /a'\nfingerprint = { excludes = [] }", "rule[1].fingerprint.excludes", "'exclude'"),
        ("[[rule]]\nmatch = 'POST /**'\n[[rule]]\nmatch = 'POST /a'", "rule:", "never apply"),
        ("[[rule]]\nmatch = 'POST /a'\nkeep_headers = ['Date']", "rule[1].match", "never kept"),
    ],
)  # fmt: skip
def test_an_error_names_the_key_and_the_mend(text, begins, mends, file):
    line = problem(text, file)

    assert line.startswith(begins)
    assert mends in line


@pytest.mark.parametrize(
    ("flags", "begins"),
    [
        ({"drain": "0"}, "--drain is '0'"),
        ({"upstream_timeout": "soon"}, "--upstream-timeout is 'soon'"),
        ({"scope": "Authorization"}, "--scope: Authorization is no stable principal"),
        ({"upstream": "ftp://a"}, "--upstream is 'ftp://a'"),
        ({"upstream": "http://a/b"}, "--upstream is 'http://a/b'"),
        ({"storr": "a"}, "--storr is no setting. Did you mean 'store'?"),
    ],
)
def test_an_error_names_the_flag(flags, begins):
    (line,) = problems(flags=NEEDED | flags)

    assert line.startswith(begins)


def test_an_error_names_the_variable():
    (line,) = problems(flags=NEEDED, environ={"KEYONCE_WORKERS": "many"})

    assert line.startswith("KEYONCE_WORKERS is 'many'")


def test_the_upstream_is_needed():
    (line,) = problems(flags={"scope": "X-A"})

    assert line.startswith("--upstream is missing")


def test_the_guard_does_not_call_itself():
    (line,) = problems(flags=NEEDED | {"listen": "127.0.0.1:8000"})

    assert "call itself" in line


def test_a_file_that_is_not_there(tmp_path):
    (line,) = problems(tmp_path / "no.toml")

    assert "cannot be read: No such file" in line


def test_a_file_that_is_no_toml(file):
    (line,) = problems(file("a = "))

    assert "is not TOML" in line


SECRET = "a secret of more than thirty-two bytes"
JWT = f"""upstream = 'http://a'
[scope]
jwt = 'sub'
key = '{SECRET}'
algorithms = ['HS256']
"""


def scope_of(config, *fields) -> object:
    return config.scope(
        RequestHead("POST", b"/", headers=fields, context={"headers": fields})
    )


def test_a_verified_claim_is_the_scope(file):
    config = load(file(JWT), {}, {})
    first = jwt.encode({"sub": "mary", "jti": "1"}, SECRET, "HS256")
    refreshed = jwt.encode({"sub": "mary", "jti": "2"}, SECRET, "HS256")

    scopes = {
        scope_of(config, (b"authorization", f"Bearer {token}".encode()))
        for token in (first, refreshed)
    }

    assert {"@mary"} == scopes


@pytest.mark.parametrize("why", ["forged", "expired", "without", "twice", "unsigned"])
def test_a_claim_that_is_not_verified_is_none(why, file):
    config = load(file(JWT), {}, {})
    tokens = {
        "forged": [jwt.encode({"sub": "mary"}, SECRET + "!", "HS256")],
        "expired": [jwt.encode({"sub": "mary", "exp": 1}, SECRET, "HS256")],
        "without": [jwt.encode({"iss": "mary"}, SECRET, "HS256")],
        "twice": [jwt.encode({"sub": "mary"}, SECRET, "HS256")] * 2,
        "unsigned": [jwt.encode({"sub": "mary"}, "", "none")],
    }[why]

    told = scope_of(
        config, *((b"authorization", f"Bearer {t}".encode()) for t in tokens)
    )

    assert not isinstance(told, str)


@pytest.mark.parametrize(
    ("scope", "mends"),
    [
        ("jwt = 'sub'\nalgorithms = ['HS256']", "key_file"),
        ("jwt = 'sub'\nkey = 'a'", "algorithms"),
        ("jwt = 'sub'\nkey = 'a'\nalgorithms = ['none']", "verifies nothing"),
        (
            "jwt = 'sub'\nkey_file = '/no/such'\nalgorithms = ['RS256']",
            "cannot be read",
        ),
        ("jwt = 'sub'\nheader = 'X-A'", "choose one"),
        ("hashed = true", "choose one"),
        ("header = 'Cookie'", "no stable principal"),
    ],
)
def test_a_scope_that_cannot_work(scope, mends, file):
    (line,) = problems(file(f"upstream = 'http://a'\n[scope]\n{scope}\n"))

    assert mends in line
