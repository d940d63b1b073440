"""Whoever comes in with token, password or cookie is the one person that control knows; the key of the cookies is in no file."""

import hashlib
import hmac
import json
import stat

import pytest
import requests
from tornado.web import create_signed_value

PASSWORD = "a-password-for-tests"
HOOKED = "['name', 'display_name', 'initials', 'color']"


def me(server, session=requests, **arguments):
    return session.get(server.url + "api/me", timeout=30, **arguments)


def login(server, password):
    """A browser that filled in the login form; its answer to /api/me."""
    browser = requests.Session()
    browser.get(server.url + "login", timeout=30)
    browser.post(server.url + "login", data={"password": password, "_xsrf": browser.cookies["_xsrf"]}, timeout=30)
    return browser


def cookie_name(server):
    return f"username-127-0-0-1-{server.port}"


def test_each_client_is_the_same_person_that_control_names(server):
    """WEB-06; the panel's person and the user menu's are one."""
    people = {server.rest("GET", "api/me").json()["identity"]["username"] for _ in range(3)}
    assert people == {server.account.pw_name} == {server.rest("GET", "guardrails/me").json()["person"]}


def test_the_form_opens_the_server_with_the_token_and_its_cookie_lasts(server):
    browser = login(server, "token-of-the-test-server")
    assert me(server, browser).json()["identity"]["username"] == server.account.pw_name
    refused = login(server, "another-token")
    assert me(server, refused).status_code == 403
    assert me(server).status_code == 403


@pytest.mark.parametrize("field", ["username", "name", "display_name", "initials", "color", "avatar_url"])
def test_nothing_of_a_person_is_changed_from_a_browser(server, field):
    """WEB-05, by cookie as a page would; a page may still read."""
    browser = login(server, "token-of-the-test-server")
    before = me(server, browser).json()
    answer = browser.patch(server.url + "api/me", json={field: "admin"}, headers={"X-XSRFToken": browser.cookies["_xsrf"]}, timeout=30)
    assert answer.status_code == 400
    assert server.account.pw_name in answer.json()["message"]
    assert me(server, browser).json() == before
    assert before["permissions"]["updatable_fields"] == []


def signed(server, key):
    """A login cookie for `admin` that is signed with `key`, as SEC-04 makes it."""
    claim = {"username": "admin", "name": "admin", "display_name": "Admin", "initials": "A", "color": None, "avatar_url": None}
    return {cookie_name(server): create_signed_value(key, cookie_name(server), json.dumps(claim)).decode()}


def test_no_file_holds_the_key_of_the_cookies(server):
    """SEC-04: neither a new file, nor one that a plain Jupyter left, with or without the password's hash."""
    assert me(server, login(server, "token-of-the-test-server")).status_code == 200  # a cookie has been made by now
    assert not (server.root / "runtime" / "jupyter_cookie_secret").exists()
    assert not list(server.root.rglob("*cookie_secret*"))


@pytest.mark.slow
def test_a_key_that_a_plain_jupyter_left_signs_nothing(make_server, tmp_path):
    key = b"0" * 44
    (tmp_path / "jupyter_cookie_secret").write_bytes(key)
    (tmp_path / "jupyter_cookie_secret").chmod(0o600)
    late = make_server(environment={"JUPYTER_RUNTIME_DIR": str(tmp_path)}).wait_ready()
    for secret in (key, hmac.new(key, digestmod=hashlib.sha256).digest()):
        assert me(late, cookies=signed(late, secret)).status_code == 403
    assert me(late, cookies=login(late, "token-of-the-test-server").cookies).status_code == 200


def test_files_with_the_token_are_for_the_account_alone_and_kernels_read_none(server, kernel):
    """SEC-03: what jupyter_server writes about itself holds the token."""
    found = list((server.root / "runtime").glob("jpserver-*.json"))
    assert found
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in found)
    assert json.loads(found[0].read_text())["token"]
    said = kernel.run(f"print(open({str(found[0])!r}).read())")
    assert "FileNotFoundError" in said
    assert "token-of-the-test-server" not in said
    assert kernel.run(f"print(open({str(server.workspace / 'seen.txt')!r}, 'w').write('x'))").strip() == "1"


@pytest.mark.slow
def test_a_password_opens_the_server_as_the_same_person(make_server):
    from jupyter_server.auth import passwd

    arguments = [f"--PasswordIdentityProvider.hashed_password={passwd(PASSWORD)}", f"--IdentityProvider.updatable_fields={HOOKED}"]
    guarded = make_server(arguments=arguments).wait_ready()
    browser = login(guarded, PASSWORD)
    assert me(guarded, browser).json()["identity"]["username"] == guarded.account.pw_name
    assert me(guarded, browser).json()["permissions"]["updatable_fields"] == []  # also where a configuration asks for more
    assert me(guarded, login(guarded, "wrong")).status_code == 403


PROVIDER = """\
from jupyter_server.auth.identity import IdentityProvider, User

class FromHeader(IdentityProvider):
    def get_user(self, handler):
        name = handler.request.headers.get("X-Company-User")
        return User(name) if name else None
"""


@pytest.mark.slow
def test_a_provider_that_an_admin_chose_stays_and_kernels_count_for_the_owner(make_server, tmp_path):
    (tmp_path / "zz_company.py").write_text(PROVIDER)
    tmp_path.chmod(0o755)
    chosen = make_server(
        arguments=["--ServerApp.identity_provider_class=zz_company.FromHeader"], environment={"PYTHONPATH": str(tmp_path)}
    ).wait_ready()
    known = me(chosen, headers={"X-Company-User": "ana"})
    assert known.json()["identity"]["username"] == "ana"
    assert me(chosen).status_code == 403
    owner = requests.get(chosen.url + "guardrails/me", headers={"X-Company-User": "ana"}, timeout=30).json()["person"]
    assert owner == chosen.account.pw_name
