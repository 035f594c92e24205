"""Who may look at the dashboard, and what a browser may do with it."""

from urllib.parse import quote, urlencode, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetenv.errors import InputError
from fleetenv.web.access import SESSION_SECONDS, Token, is_local_name, is_loopback, local_path, new_token, read_token

from .conftest import TOKEN

ALLOWED = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; base-uri 'none'; "
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def signed_in(server, token=TOKEN, wanted="/", **headers):
    body = urlencode({"token": token, "next": wanted})
    return server.ask("/login", method="POST", body=body, headers={**FORM, **headers})


def test_every_answer_carries_the_policy(dashboard):
    for path in ("/", "/nowhere", "/hosts/nobody", "/?page=x", "/findings?format=json"):
        headers = dashboard.ask(path).headers
        assert headers["Content-Security-Policy"] == ALLOWED + "form-action 'self'; frame-ancestors 'none'"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "same-origin"
        assert headers["Server"] is None


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_nothing_but_reading_is_allowed(dashboard, method):
    answer = dashboard.ask("/", method=method)
    assert (answer.status, answer.headers["Allow"]) == (405, "GET, HEAD")


def test_head_is_a_get_without_the_page(dashboard):
    answer = dashboard.ask("/runs", method="HEAD")
    assert (answer.status, answer.body) == (200, b"")
    assert int(answer.headers["Content-Length"]) > 1000


@pytest.mark.parametrize(
    "name", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "localhost.", "", "[::2]"]
)
def test_another_name_for_this_machine_is_refused(dashboard, name):
    assert dashboard.ask("/", headers={"Host": name}).status in (400, 421)


@pytest.mark.parametrize("name", ["localhost", "localhost:8300", "127.0.0.1", "127.0.0.1:1", "[::1]:8300", "[::1]"])
def test_its_own_names_are_not(dashboard, name):
    assert dashboard.ask("/", headers={"Host": name}).status == 200


def test_without_the_token_a_browser_is_asked_for_it_and_a_program_is_refused(guarded):
    answer = guarded.ask("/hosts/gpu001?x=1")
    assert (answer.status, answer.headers["Location"]) == (303, "/login?next=" + quote("/hosts/gpu001?x=1", safe=""))
    for path in ("/?format=json", "/hosts/gpu001?format=json"):
        answer = guarded.ask(path)
        assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, 'Bearer realm="fleetenv"')
        assert "gpu" not in answer.text
    assert guarded.ask("/", headers={"Accept": "*/*"}).status == 401


def test_programs_send_the_token_as_bearer(guarded):
    assert guarded.ask("/", headers={"Authorization": f"Bearer {TOKEN}"}).status == 200
    for wrong in (f"Bearer {TOKEN}x", "Bearer", "Bearer ", f"Basic {TOKEN}", TOKEN):
        assert guarded.ask("/?format=json", headers={"Authorization": wrong}).status == 401


def test_a_browser_exchanges_the_token_for_a_cookie(guarded):
    answer = signed_in(guarded, wanted="/hosts/gpu001?a=b", Origin=guarded.url.rstrip("/"))
    assert (answer.status, answer.headers["Location"]) == (303, "/hosts/gpu001?a=b")
    cookie = answer.headers["Set-Cookie"]
    assert "httponly" in cookie.lower()
    assert "samesite=strict" in cookie.lower()
    assert TOKEN not in cookie
    session = cookie.partition(";")[0]
    page = guarded.ask("/hosts/gpu001", headers={"Cookie": session})
    assert "sign out" in page.text
    assert page.headers["Cache-Control"] == "no-store"
    forged = "fleetenv=9999999999." + session.rpartition(".")[2]
    assert guarded.ask("/hosts/gpu001", headers={"Cookie": forged}).status == 303


def test_signing_out_takes_the_cookie_away(guarded):
    answer = guarded.ask("/logout", method="POST", headers=FORM, body="")
    assert answer.status == 303
    assert "Max-Age=0" in answer.headers["Set-Cookie"]


def test_a_wrong_token_is_told_and_gives_nothing(guarded):
    answer = signed_in(guarded, token="wrong")
    assert answer.status == 401
    assert "That is not the token." in answer.text
    assert answer.headers["Set-Cookie"] is None
    assert signed_in(guarded, token="x" * 10_000).status == 413


def test_a_login_sent_by_another_site_is_refused(guarded):
    assert signed_in(guarded, Origin="http://evil.example").status == 403
    assert signed_in(guarded, Origin="null").status == 403
    assert signed_in(guarded, **{"Sec-Fetch-Site": "cross-site"}).status == 403


@pytest.mark.parametrize(
    "wanted", ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)", ""]
)
def test_the_login_leads_nowhere_else(guarded, wanted):
    assert signed_in(guarded, wanted=wanted).headers["Location"] == "/"


def test_there_is_no_login_where_no_token_is_asked_for(dashboard):
    assert dashboard.ask("/login").status == 404
    assert dashboard.ask("/login", method="POST", body="token=x", headers=FORM).status == 405


def test_a_session_ends():
    token = Token(TOKEN)
    session = token.session(now=1000)
    assert token.is_session(session, now=1000 + SESSION_SECONDS - 1)
    assert not token.is_session(session, now=1000 + SESSION_SECONDS)
    assert not Token(TOKEN + "2").is_session(session, now=1000)


@given(st.text())
def test_nothing_but_the_token_and_its_sessions_opens(text):
    token = Token(new_token())
    assert not token.is_right(text)
    assert not token.is_session(text)


@given(st.text())
def test_where_a_login_leads_is_a_path_of_this_server(text):
    target = urlsplit(local_path("/" + text))
    assert (target.scheme, target.netloc) == ("", "")


@pytest.mark.parametrize(
    ("address", "is_local"),
    [("127.0.0.1", True), ("127.8.8.8", True), ("::1", True), ("0.0.0.0", False), ("::", False),
     ("10.0.0.1", False), ("controller", False), ("localhost", False)],
)  # fmt: skip
def test_only_loopback_needs_no_token(address, is_local):
    assert is_loopback(address) is is_local


def test_names_of_loopback_addresses_are_local():
    assert is_local_name("127.0.0.2:80")
    assert not is_local_name("2130706433")  # also 127.0.0.1, and no browser sends it so


@pytest.mark.parametrize("text", ["", "short", "two words that are long enough", "käse" * 8, "x" * 2000])
def test_a_token_that_is_not_safe_is_refused(tmp_path, text):
    file = tmp_path / "token"
    file.write_text(text)
    with pytest.raises(InputError, match="one word of 16 to 1024 ASCII"):
        read_token(file)


@pytest.mark.parametrize("name", ["x/static/", "x/login?", "x/login#", "127.0.0.1/static/x"])
def test_no_host_header_opens_what_the_address_does_not(guarded, name):
    answer = guarded.ask("/findings", headers={"Host": name})
    assert answer.status in (303, 400, 401, 421)
    assert b"gpu0" not in answer.body
