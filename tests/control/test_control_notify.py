"""Notices reach a real webhook and a real mail server: signed, over TLS, once too often rather than never, and never in anybody's way."""

import asyncio
import email
import hashlib
import hmac
import json
import os
import signal
import threading
from datetime import timedelta

import pytest
from decision_world import POLICY, DecisionWorld
from receivers import WAIT_S, Drip, MailServer, Webhook, free_port, make_certificate

from jupyter_guardrails.control import announcing, lifecycle, notify
from jupyter_guardrails.control.interface.decisions import RequestDecide
from jupyter_guardrails.control.interface.messages import KernelAdmit, RequestCreate
from jupyter_guardrails.control.interface.notices import MoreAsk, MoreDecide, MoreRevoke
from jupyter_guardrails.control.interface.oversight import NotifyCheck
from jupyter_guardrails.control.interface.stops import Suspend
from jupyter_guardrails.errors import LimitReached, Refused
from jupyter_guardrails.records import budgets, outbox, submissions
from jupyter_guardrails.records.windows import Amounts

MAIL = ', smtp: "{place}", from: guardrails@example.com, to: [carol@example.com, kim@example.com]'


@pytest.fixture
def opened():
    """Receivers that are closed at the end."""
    kept = []

    def keep(receiver):
        kept.append(receiver)
        return receiver

    yield keep
    for receiver in kept:
        receiver.close()


@pytest.fixture
def world(tmp_path):
    world = DecisionWorld(tmp_path, POLICY)
    world.dataset("hr/headcount", "confidential")
    yield world
    world.close()


def tell_to(world, text):
    """The policy with this `notify`, in force."""
    world.policy_file.write_text(f"{POLICY}notify: {{{text}}}\n")
    state = world.state()
    asyncio.run(state.refresh())
    assert not state.policies.errors, state.policies.errors


def suspend(world, name="ben", reason="an incident"):
    return world.ask("carol", Suspend(kind="user", name=name, reason=reason))


def deliver(world, **more):
    asyncio.run(notify.deliver(world.state(), **more))


def waiting(world):
    return world.records.read_sync(outbox.waiting)


def test_a_webhook_gets_a_signed_message_with_an_idempotency_key(world, opened):
    hook = opened(Webhook())
    secret = world.root / "notify.secret"
    secret.write_text("# for the receiver\nwebhook_secret=s3cret\n")
    secret.chmod(0o600)
    tell_to(world, f'webhook: "{hook.url}", credentials: "{secret}"')
    suspend(world)
    deliver(world)
    headers, body = hook.next()
    said = json.loads(body)
    assert (said["kind"], said["title"], said["reason"]) == ("suspend", "carol suspended user ben", "an incident")
    assert headers["Idempotency-Key"] == said["id"]
    expected = hmac.new(b"s3cret", f"{headers['X-Guardrails-Timestamp']}.".encode() + body, hashlib.sha256).hexdigest()
    assert headers["X-Guardrails-Signature"] == f"sha256={expected}"
    deliver(world)
    assert (hook.asked, waiting(world)) == (1, {})


def test_without_a_secret_it_is_not_signed(world, opened):
    hook = opened(Webhook())
    tell_to(world, f'webhook: "{hook.url}"')
    suspend(world)
    deliver(world)
    assert "X-Guardrails-Signature" not in hook.next()[0]


def test_requests_reviews_and_failed_jobs_are_told(world, opened):
    hook = opened(Webhook())
    tell_to(world, f'webhook: "{hook.url}"')
    asked = world.ask("ana", RequestCreate(dataset="hr/headcount", purpose="a churn study"))
    world.pass_time(seconds=1)
    world.ask("dana", RequestDecide(id=asked["id"], decision="grant"))
    world.submission()
    world.pass_time(seconds=1)
    world.ask("rita", world.decision("reject", "it is wrong"))
    world.submission("s2", state="checking")
    world.pass_time(seconds=1)
    failed = {"now": world.now, "actor": "ana", "error": "secret output of a cell"}
    world.records.write_sync(lifecycle.moved, world.state(), "s2", "checks_failed", **failed)
    deliver(world)
    told = [json.loads(hook.next()[1]) for _ in range(5)]
    assert [one["kind"] for one in told[:2]] == ["request.open", "request.granted"]
    assert [one["kind"] for one in told[2:]] == ["submission.in_review", "submission.rejected", "submission.checks_failed"]
    assert told[0]["next_step"] == f"jupyter guardrails data grant {asked['id']}"
    assert "secret output" not in json.dumps(told), "what a cell said is for its author to see"


def test_more_of_a_limit_is_told_when_asked_for_decided_and_taken_back(world, opened):
    hook = opened(Webhook())
    tell_to(world, f'webhook: "{hook.url}"')
    until = world.now + timedelta(hours=6)
    asking = MoreAsk(resource="kernels.max", amount=5, until=until, purpose="a workshop")
    asked = world.ask("ana", asking)
    assert world.ask("ana", asking)["id"] == asked["id"], "told once, however often it is sent"
    world.pass_time(seconds=1)
    world.ask("carol", MoreDecide(id=asked["id"], grant=True, reason="it is for the workshop"))
    world.pass_time(seconds=1)
    world.ask("carol", MoreRevoke(id=asked["id"], reason="the machine is full"))
    world.pass_time(seconds=1)
    refused = world.ask("ana", MoreAsk(resource="profile.large", until=until, purpose="bigger frames"))
    world.pass_time(seconds=1)
    world.ask("carol", MoreDecide(id=refused["id"], grant=False, reason="not this week"))
    deliver(world)
    told = [json.loads(hook.next()[1]) for _ in range(5)]
    assert [(one["kind"], one["person"], one["resource"]) for one in told] == [
        ("request.open", "ana", "kernels.max"),
        ("request.granted", "carol", "kernels.max"),
        ("limit.revoke", "ana", "kernels.max"),
        ("request.open", "ana", "profile.large"),
        ("request.refused", "carol", "profile.large"),
    ]
    assert told[0]["title"] == f"ana asks for kernels.max 5 until {until:%Y-%m-%d %H:%M} UTC"
    assert told[0]["next_step"] == f"jupyter guardrails requests approve {asked['id']}"
    assert told[2]["title"] == "carol took back kernels.max 5 of ana"
    assert (told[2]["reason"], told[3]["title"]) == ("the machine is full", f"ana asks for profile.large until {until:%Y-%m-%d %H:%M} UTC")


def test_what_is_undone_is_not_told(world, opened):
    """The notice lies in the same transaction as what it tells."""
    hook = opened(Webhook())
    tell_to(world, f'webhook: "{hook.url}"')
    world.submission("s2", state="checking")

    def fails(connection, state):
        lifecycle.moved(connection, state, "s2", "checks_failed", now=world.now, actor="ana")
        raise RuntimeError("afterwards")

    with pytest.raises(RuntimeError):
        world.records.write_sync(fails, world.state())
    assert world.records.read_sync(submissions.get, "s2")["state"] == "checking"
    assert waiting(world) == {}


@pytest.mark.parametrize("status", [500, 503, 404, 302])
def test_a_receiver_that_refuses_is_asked_again_later_and_no_redirect_is_followed(world, opened, status):
    hook = opened(Webhook(status))
    tell_to(world, f'webhook: "{hook.url}"')
    suspend(world)
    deliver(world)
    deliver(world)
    assert (hook.asked, waiting(world)) == (1, {"webhook": 1}), "not at once again, and not to where it was led"
    world.pass_time(seconds=2)
    deliver(world)
    assert json.loads(hook.next()[1])["kind"] == "suspend"


def test_it_is_given_up_on_the_record(world):
    tell_to(world, f'webhook: "http://127.0.0.1:{free_port()}/"')
    suspend(world)
    for _ in range(outbox.MOST_ATTEMPTS):
        assert not world.audited("notice.given_up")
        deliver(world)
        world.pass_time(hours=2)
    (record,) = world.audited("notice.given_up")
    assert (record["principal"], record["allowed"], record["resource"]) == ("control", False, "suspend to webhook")
    assert waiting(world) == {}


def test_one_target_that_is_away_keeps_the_other_from_nothing(world, opened):
    mail = opened(MailServer())
    tell_to(world, f'webhook: "http://127.0.0.1:{free_port()}/", starttls: false' + MAIL.format(place=mail.place))
    suspend(world)
    suspend(world, "kim")
    deliver(world)
    assert waiting(world) == {"webhook": 2}
    subjects = [email.message_from_bytes(mail.mails.get(timeout=WAIT_S).content)["Subject"] for _ in range(2)]
    assert subjects == ["guardrails: carol suspended user ben", "guardrails: carol suspended user kim"]


def test_a_receiver_that_never_ends_its_answer_is_cut_off(world, opened):
    drip = opened(Drip())
    tell_to(world, f'webhook: "http://127.0.0.1:{drip.port}/"')
    suspend(world)
    deliver(world, total_s=0.5)
    assert "no answer within 0.5 s" in only_row(world)["error"]
    assert drip.ended.wait(WAIT_S), "its connection was cut"


def test_a_mail_server_that_never_ends_its_greeting_is_cut_off(world, opened):
    drip = opened(Drip())
    tell_to(world, "starttls: false" + MAIL.format(place=f"127.0.0.1:{drip.port}"))
    suspend(world)
    deliver(world, total_s=0.5)
    assert "no answer within 0.5 s" in only_row(world)["error"]
    assert drip.ended.wait(WAIT_S)


def only_row(world):
    (row,) = world.records.read_sync(outbox.due, now=world.now + timedelta(days=1))
    return row


def test_a_webhook_over_tls_is_trusted_by_the_companys_certificate_only(world, opened):
    certificate = make_certificate(world.root / "receiver.pem")
    hook = opened(Webhook(certificate=certificate))
    tell_to(world, f'webhook: "{hook.url}"')
    suspend(world)
    deliver(world)
    assert "certificate verify failed" in only_row(world)["error"]
    (world.root / "network.yaml").write_text(f"ca_bundle: {certificate}\n")
    world.pass_time(seconds=2)
    deliver(world)
    assert json.loads(hook.next()[1])["kind"] == "suspend"


def test_mails_go_over_tls_with_a_login(world, opened):
    certificate = make_certificate(world.root / "receiver.pem")
    (world.root / "network.yaml").write_text(f"ca_bundle: {certificate}\n")
    secret = world.root / "notify.secret"
    secret.write_text("smtp_login=guardrails:pass:word\n")
    secret.chmod(0o600)
    mail = opened(MailServer(tls=certificate, login="guardrails:pass:word"))
    tell_to(world, f'credentials: "{secret}"' + MAIL.format(place=mail.place))
    suspend(world)
    deliver(world)
    sent = mail.mails.get(timeout=WAIT_S)
    message = email.message_from_bytes(sent.content)
    assert (sent.mail_from, sent.rcpt_tos) == ("guardrails@example.com", ["carol@example.com", "kim@example.com"])
    assert message["X-Guardrails-Id"] in message["Message-ID"]
    assert "why:    an incident" in message.get_payload()


def test_without_tls_nothing_is_said_where_tls_is_asked_for(world, opened):
    mail = opened(MailServer())
    tell_to(world, MAIL.format(place=mail.place)[2:])
    suspend(world)
    deliver(world)
    assert "STARTTLS" in only_row(world)["error"]
    assert mail.mails.empty()


@pytest.mark.parametrize(
    "nasty", ["x\r\nBcc: eve@example.com\r\n\r\nhello", "x\n.\nRCPT TO:<eve@example.com>", "\x1b[2J\u202e\u2028Subject: y", "=?utf-8?q?x?="]
)
def test_nothing_that_people_write_ends_a_header_or_a_mail(world, opened, nasty):
    mail = opened(MailServer())
    tell_to(world, "starttls: false" + MAIL.format(place=mail.place))
    title = f"a title {nasty}"
    event = announcing.notice(world.state(), "suspend", title, resource=nasty, person=nasty, reason=nasty, next_step=nasty)
    world.records.write_sync(lambda connection: event.put(connection))
    deliver(world)
    sent = mail.mails.get(timeout=WAIT_S)
    message = email.message_from_bytes(sent.content)
    assert sent.rcpt_tos == ["carol@example.com", "kim@example.com"]
    assert message["Bcc"] is None
    assert message.keys().count("Subject") == 1
    text = message.get_payload(decode=True).decode()
    assert [line for line in text.splitlines() if line.startswith(("Bcc", "Subject", "hello", "RCPT"))] == []
    assert "\x1b" not in text


@pytest.mark.parametrize(
    ("mode", "text", "why"), [(0o644, "webhook_secret=x\n", "may be read by others"), (0o600, "password x\n", ":1 is not one of")]
)
def test_credentials_that_are_not_as_they_should_be_send_nothing_and_are_not_quoted(world, opened, mode, text, why):
    hook = opened(Webhook())
    secret = world.root / "notify.secret"
    secret.write_text(text)
    secret.chmod(mode)
    tell_to(world, f'webhook: "{hook.url}", credentials: "{secret}"')
    suspend(world)
    deliver(world)
    error = only_row(world)["error"]
    assert why in error
    assert "password x" not in error
    assert hook.asked == 0


def test_credentials_that_kernels_read_are_refused_where_they_run_as_controls_account(world, opened):
    hook = opened(Webhook())
    shared = world.root / "shared"
    shared.mkdir()
    secret = shared / "notify.secret"
    secret.write_text("webhook_secret=x\n")
    secret.chmod(0o600)
    world.policy_file.write_text(f'{POLICY}paths: {{read: ["{shared}"]}}\nnotify: {{webhook: "{hook.url}", credentials: "{secret}"}}\n')
    world.service = False
    asyncio.run(world.state().refresh())
    suspend(world)
    deliver(world)
    assert "kernels of this same account may read" in only_row(world)["error"]
    world.service = True
    world.pass_time(seconds=2)
    deliver(world)
    assert hook.next()


def test_too_many_that_wait_push_the_oldest_out_on_the_record(world, monkeypatch):
    monkeypatch.setattr(outbox, "MOST_WAITING", 3)
    tell_to(world, f'webhook: "http://127.0.0.1:{free_port()}/"')
    for name in ("a", "b", "c", "d"):
        suspend(world, name)
        world.pass_time(seconds=1)
    assert waiting(world) == {"webhook": 3}
    (record,) = world.audited("notice.given_up")
    assert "carol suspended user a" in record["reason"]


def test_the_same_event_is_told_once(world):
    tell_to(world, 'webhook: "https://hooks.example.com/"')
    for _ in range(3):
        event = announcing.notice(world.state(), "budget", "the budget of ana is used up", resource="budget", id="budget-ana-2031-05-01")
        world.records.write_sync(lambda connection, event=event: event.put(connection))
    assert waiting(world) == {"webhook": 1}


def test_a_budget_that_is_used_up_is_told_once_a_day(world, opened):
    hook = opened(Webhook())
    tell_to(world, f'webhook: "{hook.url}"')
    budget = world.policy_file.read_text().replace(
        "kernels: {profiles: [small], max: 3}", "kernels: {profiles: [small], max: 3}\n    budget: {cpu_hours: 1}"
    )
    world.policy_file.write_text(budget)
    asyncio.run(world.state().refresh())
    world.records.write_sync(budgets.charge, "ana", Amounts(cpu_s=7200.0), now=world.now)
    for key in ("one", "two"):
        with pytest.raises(LimitReached):
            world.ask("ana", KernelAdmit(kernel_id=key, kernelspec="python3", workspace=str(world.root), key=key))
    deliver(world)
    assert json.loads(hook.next()[1])["title"] == "the budget of ana is used up"
    assert (hook.asked, waiting(world)) == (1, {})


def test_admins_are_told_whether_targets_answer(world, opened):
    hook = opened(Webhook())
    tell_to(world, f'webhook: "{hook.url}"' + MAIL.format(place=f"127.0.0.1:{free_port()}"))
    with pytest.raises(Refused):
        world.ask("ana", NotifyCheck())
    found = world.ask("carol", NotifyCheck())
    assert [(one["target"], one["ok"]) for one in found["targets"]] == [("webhook", True), ("smtp", False)]
    assert "refused" in found["targets"][1]["error"]
    assert hook.asked == 0, "it connects and sends nothing"


def tell_real(world, url):
    """The policy of a real control, with this webhook."""
    text = world.policy.read_text().partition("notify:")[0]
    world.policy.write_text(f'{text}notify: {{webhook: "{url}"}}\n')


@pytest.mark.slow
def test_a_notice_survives_the_kill_of_control(calm_world, opened):
    port = free_port()
    tell_real(calm_world, f"http://127.0.0.1:{port}/")
    carol = calm_world.start(person="carol")
    carol.client.call(Suspend(kind="dataset", name="nyc/flights", reason="an incident"))
    os.kill(carol.process.pid, signal.SIGKILL)
    carol.process.wait()
    hook = opened(Webhook(port=port))
    again = calm_world.start(person="carol")
    assert json.loads(hook.next()[1])["title"] == "carol suspended dataset nyc/flights"
    again.stop()


@pytest.mark.slow
def test_a_slow_receiver_delays_no_request(calm_world, opened):
    """Sent beside the requests: control answers while a receiver keeps it waiting."""
    asked, go = threading.Event(), threading.Event()

    def keep_waiting(handler):
        asked.set()
        go.wait(WAIT_S)

    hook = opened(Webhook(keep_waiting))
    tell_real(calm_world, hook.url)
    carol = calm_world.start(person="carol")
    carol.client.call(Suspend(kind="dataset", name="nyc/other", reason="an incident"))
    assert asked.wait(WAIT_S)
    carol.client.call(Suspend(kind="dataset", name="nyc/third", reason="an incident"))
    assert not go.is_set()
    go.set()
    carol.stop()
