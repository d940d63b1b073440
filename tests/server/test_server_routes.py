"""Every route that the extension registers, found by walking what tornado got: described, authenticated, authorized, and shut to other pages."""

import functools
import importlib
import pkgutil
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
import requests
import yaml
from jupyter_server.auth.decorator import authorized
from jupyter_server.base.handlers import APIHandler
from tornado import web

import jupyter_guardrails.server
from jupyter_guardrails.server import app

API = yaml.safe_load((Path(jupyter_guardrails.server.__file__).parent / "openapi.yaml").read_text())
OURS = "jupyter_guardrails."
TOKEN = "token-of-the-test-server"
RESOURCES = {"/guardrails": "guardrails", "/scheduler": "guardrails", "/api/terminals": "terminals"}
READS = ("get", "head")


def registered():
    """(pattern, handler) of everything that loading the extension adds."""
    server = SimpleNamespace(base_url="/", web_app=web.Application())
    app._add_routes(server, context=None)
    inside = [rule.target.rules for rule in server.web_app.default_router.rules if hasattr(rule.target, "rules")]
    return [(rule.matcher.regex.pattern.rstrip("$"), rule.target) for rules in inside for rule in rules if rule.target.__module__.startswith(OURS)]


def methods_of(handler):
    """What it answers: its own and what it inherits from Jupyter; OPTIONS is Jupyter's for all, and says nothing."""
    found = {name.lower(): getattr(handler, name.lower()) for name in handler.SUPPORTED_METHODS}
    return [name for name, method in found.items() if method not in (web.RequestHandler._unimplemented_method, APIHandler.options)]


ROUTES = [(path, handler, method) for path, handler in registered() for method in methods_of(handler)]
IN_OUR_API = [route for route in ROUTES if route[0].startswith("/guardrails/")]
BY_NAME = {"ids": lambda value: str(getattr(value, "__name__", value))}


def nothing():
    """To be decorated."""


AUTHENTICATED, AUTHORIZED = web.authenticated(nothing).__code__, authorized("read", resource="x")(nothing).__code__


def lacking(handler, name, resource):
    """What a method of a handler lacks of the two decorators, by what they made of it and not by how that is written; "" when it has both."""
    outer = getattr(handler, name)
    inner = getattr(outer, "__wrapped__", None)
    if getattr(outer, "__code__", None) is not AUTHENTICATED:
        return "@web.authenticated, outermost"
    if getattr(inner, "__code__", None) is not AUTHORIZED:
        return "@authorized, next"
    said = dict(zip(inner.__code__.co_freevars, (cell.cell_contents for cell in inner.__closure__), strict=True))
    theirs = not said["method"].__module__.startswith(OURS)  # Jupyter's own method: its class names the resource
    wanted = (None, None) if theirs else ("read" if name in READS else "write", resource)
    return "" if (said["action"], said["resource"]) == wanted else f"@authorized{wanted}, not {said['action'], said['resource']}"


def resource_of(path):
    return next((resource for start, resource in RESOURCES.items() if path.startswith(start)), None)


@pytest.mark.parametrize(("path", "handler", "method"), ROUTES, **BY_NAME)
def test_every_method_has_both_decorators_with_an_explicit_resource(path, handler, method):
    assert lacking(handler, method, resource_of(path)) == "", f"{handler.__name__}.{method} of {path}"


@pytest.mark.parametrize(("path", "handler", "method"), ROUTES, **BY_NAME)
def test_a_decorator_that_is_removed_or_says_nothing_is_missed(path, handler, method):
    """The twin: the same method of the same handler, with less."""
    whole = getattr(handler, method)
    bare = whole.__wrapped__.__wrapped__
    ways = [bare, whole.__wrapped__, web.authenticated(bare), authorized("read", resource="guardrails")(web.authenticated(bare))]
    if bare.__module__.startswith(OURS):
        ways += [web.authenticated(authorized(bare)), web.authenticated(authorized("write")(bare))]
        ways += [web.authenticated(authorized("execute", resource=resource_of(path))(bare))]
        ways += [web.authenticated(authorized("read" if method in READS else "write", resource="contents")(bare))]
    for less in ways:
        assert lacking(type("Less", (handler,), {method: less}), method, resource_of(path)), less


def all_handlers():
    """Each class of ours that tornado could route to, in any module of the package."""
    for module in pkgutil.walk_packages(jupyter_guardrails.server.__path__, jupyter_guardrails.server.__name__ + "."):
        importlib.import_module(module.name)
    found, waiting = set(), [web.RequestHandler]
    while waiting:
        for kind in waiting.pop().__subclasses__():
            waiting.append(kind)
            found |= {kind} if kind.__module__.startswith(OURS) and kind.__name__ != "Less" else set()
    return found


def test_no_handler_is_registered_elsewhere():
    """What is no route's, and no base of a route's, would be reached by a way that nobody looked at."""
    routed = {handler for _, handler in registered()}
    assert routed <= all_handlers()
    assert {kind for kind in all_handlers() if not any(issubclass(handler, kind) for handler in routed)} == set()


def plain(path):
    """A route with its parts unnamed."""
    return re.sub(r"\{\w+\}|\(\[\^/\]\+\)", "{}", path)


def test_every_route_is_in_the_openapi_file_and_nothing_else_is():
    written = {(plain(path), method) for path, item in API["paths"].items() for method in item if method != "parameters"}
    assert {(plain(path), method) for path, _, method in IN_OUR_API} == written


@pytest.mark.parametrize("path", API["paths"])
def test_what_the_file_says_of_a_route_is_enough_to_use_it(path):
    """A summary, what a path's parts are, and the shape of each answer that has a body."""
    item = API["paths"][path]
    for method, operation in item.items():
        if method == "parameters":
            continue
        assert operation.get("summary"), f"{method} {path}"
        named = {one["name"] for one in map(resolved, [*item.get("parameters", []), *operation.get("parameters", [])]) if one["in"] == "path"}
        assert named == set(re.findall(r"\{(\w+)\}", path)), f"{method} {path}"
        for code, answer in operation["responses"].items():
            contents = resolved(answer).get("content", {})
            assert [kind for kind, content in contents.items() if "schema" in content] == list(contents) != [], f"{method} {path}: {code}"


def resolved(value):
    """A part of the file, or what it refers to."""
    names = value["$ref"].removeprefix("#/").split("/") if "$ref" in value else []
    return functools.reduce(lambda found, name: found[name], names, API) if names else value


def address(path):
    """An address that a route's pattern matches."""
    for pattern, text in ((r"\([^)]*\\w\+-[^)]*\)", "a-a-a-a-a"), (r"\(\?P<action>(\w+)[^)]*\)", r"\1"), (r"\(\[\^/\]\+\)", "x"), (r"\.\*", "x")):
        path = re.sub(pattern, text, path)
    return path


@pytest.fixture(scope="module")
def browser(server):
    """A browser that came in with the token: from now on its cookie does."""
    with requests.Session() as session:
        session.get(server.url + "tree", params={"token": TOKEN}, timeout=60)
        assert session.get(server.url + "guardrails/me", timeout=60).status_code == 200
        yield session


def ask(server, session, method, path, **headers):
    """As a form of a page would: text that is JSON, and no token."""
    body = b"{}" if method not in READS else None
    return session.request(method, server.url + path.lstrip("/"), data=body, headers={"Content-Type": "text/plain"} | headers, timeout=60)


@pytest.mark.parametrize(("path", "handler", "method"), ROUTES, **BY_NAME)
def test_nobody_gets_in_without_a_token(server, path, handler, method):
    """WEB-03; the twins are the answers of test_server_api.py."""
    assert re.fullmatch(path, address(path))
    answer = ask(server, requests, method, address(path))
    assert answer.status_code == 403
    assert_shut(answer)


def assert_shut(answer):
    """WEB-10: whatever an answer is, no page runs it, frames it, or guesses another kind of it; WEB-02: no page of another origin reads it."""
    policy = [part.split() for part in answer.headers["Content-Security-Policy"].split(";")]
    assert ["frame-ancestors", "'self'"] in policy
    assert ["default-src", "'none'"] in policy
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "Access-Control-Allow-Origin" not in answer.headers
    kind = answer.headers["Content-Type"].partition(";")[0]
    assert kind in ("application/json", "application/zip") or (kind == "text/html" and ["sandbox"] in policy)  # a page is nobody's, and runs nothing


@pytest.mark.parametrize(("path", "handler", "method"), ROUTES, **BY_NAME)
def test_a_page_of_another_origin_gets_nothing_with_the_persons_cookie(server, browser, path, handler, method):
    """It reads no answer and writes nothing, with the header that a browser sends for it or without any."""
    foreign = ask(server, browser, method, address(path), Origin="https://evil.example.com")
    assert foreign.status_code in (403, 404)
    assert_shut(foreign)
    if method not in READS:
        assert ask(server, browser, method, address(path)).status_code == 403, "no XSRF token"


@pytest.mark.parametrize(("path", "handler", "method"), IN_OUR_API, **BY_NAME)
def test_the_persons_own_page_gets_an_answer_of_ours(server, browser, path, handler, method):
    """The allow twin: own origin and, for what writes, the XSRF token. What makes no sense is refused for that, and the headers are the same."""
    own = {"Origin": server.url.rstrip("/"), "X-XSRFToken": browser.cookies["_xsrf"]}
    answer = ask(server, browser, method, address(path), **own)
    assert answer.status_code in (200, 400, 404) or "decisions are not made from JupyterLab" in answer.json()["message"], answer.text
    assert_shut(answer)
    if not answer.ok and answer.headers["Content-Type"].startswith("application/json"):
        assert answer.json()["code"] != "forbidden"


@pytest.mark.parametrize("method", ["get", "put"])
def test_headers_hold_for_what_is_not_there(server, browser, method):
    """A method that a route doesn't have, and an error of tornado's own."""
    path = "guardrails/profile" if method == "get" else "guardrails/me"
    answer = ask(server, browser, method, path, **{"X-XSRFToken": browser.cookies["_xsrf"]})
    assert answer.status_code == 405
    assert_shut(answer)
