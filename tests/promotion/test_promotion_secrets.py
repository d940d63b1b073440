"""Every rule of the scanner has an example that passes the sieve before it: what the scanner would find is never left out."""

import base64
import json

import pytest
from detect_secrets.settings import default_settings, get_settings

from jupyter_guardrails.package.jsonstream import WINDOW
from jupyter_guardrails.promotion.scanner import LEFT_OUT, SIGNS, open_scanner
from jupyter_guardrails.promotion.sieve import Sieve, whole_lines

MIXED = "aB3dE5gH7jK9mN1pQ2sT4vW6yZ8cF0xL" * 4
HEX = "0123456789abcdef" * 6


def jwt():
    return ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in ({"alg": "HS256"}, {"sub": "1"})) + ".abc"


# detect-secrets' rule -> what it finds, put together here so that no scanner finds this file
EXAMPLES = {
    "AWSKeyDetector": "AKIA" + "IOSFODNN7EXAMPLE",
    "ArtifactoryDetector": " AP6" + MIXED[:9] + " ",
    "AzureStorageKeyDetector": "AccountKey=" + MIXED[:88],
    "BasicAuthDetector": "https://ana:" + "hunter2@db.example.com",
    "CloudantDetector": "cloudant_pwd = '" + HEX[:64] + "'",
    "DiscordBotTokenDetector": "M" + MIXED[:23] + "." + MIXED[:6] + "." + MIXED[:27],
    "GitHubTokenDetector": "ghp_" + MIXED[:36],
    "GitLabTokenDetector": "glpat-" + MIXED[:20],
    "IbmCloudIamDetector": "ibm_cloud_api_key: " + MIXED[:44],
    "IbmCosHmacDetector": "secret_access_key = '" + HEX[:48] + "'",
    "JwtTokenDetector": jwt(),
    "KeywordDetector": 'password = "' + 'hunter2"',
    "MailchimpDetector": HEX[:32] + "-us1",
    "NpmDetector": "//registry.example.com/:_authToken=" + "npm_abc",
    "OpenAIDetector": "sk-" + MIXED[:20] + "T3BlbkFJ" + MIXED[:20],
    "PrivateKeyDetector": "-----BEGIN RSA " + "PRIVATE KEY-----",
    "PypiTokenDetector": "pypi-AgEIcHlwaS5vcmc" + MIXED[:80],
    "SendGridDetector": "SG." + MIXED[:22] + "." + MIXED[:43],
    "SlackDetector": "xoxb-" + "1-abc",
    "SoftlayerDetector": "softlayer_api_key = '" + HEX[:64] + "'",
    "SquareOAuthDetector": "sq0csp-" + MIXED[:43],
    "StripeDetector": "sk_live_" + MIXED[:24],
    "TelegramBotTokenDetector": "110201543:" + MIXED[:35],
    "TwilioKeyDetector": "AC" + HEX[:32],
}


def test_every_rule_of_this_version_has_its_example():
    with default_settings():
        assert set(get_settings().plugins) - LEFT_OUT == set(EXAMPLES)


@pytest.mark.parametrize("rule", EXAMPLES)
@pytest.mark.parametrize("around", ["{}", "first\nsecond {} end\nthird\n", "x" * 10 + ", " + "1.5, " * 3000 + " {} " + "1.5, " * 3000])
def test_what_a_rule_finds_is_found(rule, around):
    text = around.format(EXAMPLES[rule])
    with open_scanner() as scanner:
        found = scanner.scan(text.encode())
    assert found
    assert {line for _, line in found} == {text[: text.index(EXAMPLES[rule])].count("\n") + 1}


@pytest.mark.parametrize(
    "text",
    [
        "0.12345678901234567 0.5 -1e-300\n" * 20,
        "3f2b8c1d-0000-4000-8000-00805f9b34fb " + HEX[:64],
        "=" * 80 + "\n" + "-" * 80,
        "<tr><td>JFK</td></tr>" * 100,
        "https://example.com/a/b?c=d",
    ],
)
def test_ordinary_outputs_are_not_even_looked_at(text):
    assert SIGNS.places(text.encode()) == []


def test_shapes_stand_for_letters_and_digits():
    sieve = Sieve(shapes=(b"aa00", b"000-00"))
    text = b"nothing\nDE89 3704\n12-34\n078-05-1120\n"
    assert [text[start:end] for start, end in sieve.places(text)] == [b"DE89 3704", b"078-05-1120"]


def test_lines_that_are_cut_by_a_piece_s_end_are_put_together():
    pieces = [("one\ntw", True), ("o\nthree", False), ("four", False)]
    assert b"".join(whole_lines(pieces)).split() == [b"one", b"two", b"three", b"four"]
    endless = list(whole_lines([("a" * WINDOW + "sec", True), ("ret" + "b" * WINDOW, False)]))
    assert any(b"secret" in part for part in endless)
