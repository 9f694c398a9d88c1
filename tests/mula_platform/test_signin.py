"""E-mail and password of either application."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from mula_platform import limits, passwords

from .conftest import Site, argon2_hash, bcrypt_hash, django_hash


@pytest.mark.parametrize(
    ("email", "password", "account"),
    [
        ("ana@example.com", "ana at dasha", ("dasha", 5)),
        (" ANA@example.COM ", "ana at compat", ("compatibility", 5)),
        ("niña@example.com", "pässwörd", ("compatibility", 8)),
    ],
    ids=["bcrypt", "pbkdf2", "argon2"],
)
def test_each_scheme_lets_in_and_becomes_argon2id(
    site: Site, email: str, password: str, account: tuple[str, int]
) -> None:
    identity = site.identity(*account)
    assert identity["proved_at"] is None
    page = site.browser().sign_in(email, password)
    assert page.status_code == 200 and "Your Personal Astrology Hub" in page.text
    stored = site.value("select hash from platform.credential where identity_id = %s", identity["id"])
    assert passwords.is_ours(stored) and passwords.fits(stored, password)
    proved = site.identity(*account)
    assert proved["proved_by"] == "password" and proved["proved_at"] is not None
    assert site.value("select last_login from users where id = %s", identity["user_id"]) is not None
    # again, now by our own hash, which stays as it is
    assert "Your Personal Astrology Hub" in site.browser().sign_in(email, password).text
    assert site.value("select hash from platform.credential where identity_id = %s", identity["id"]) == stored
    # the other account of the person was not touched
    others = site.rows("select source from legacy_identities where proved_by = 'password'")
    assert [row["source"] for row in others] == [account[0]]


WRONG = [
    ("ana@example.com", "ana at elsewhere"),
    ("nobody@example.com", "ana at dasha"),
    # a provider signs her in, and there is no password
    ("cleo@example.com", ""),
    ("cleo@example.com", "None"),
    # a hash of a scheme that nobody can verify
    ("dora@example.com", "dora"),
    ("ana@example.com\0", "ana at dasha"),
    ("ana@example.com", "ana at dasha\0"),
    ("ana@example.com", "x" * 5_000),
    ("' or true --", "' or true --"),
]


def test_what_is_wrong_says_the_same_whatever_is_wrong(site: Site) -> None:
    for email, password in WRONG:
        browser = site.browser()
        page = browser.sign_in(email, password)
        assert page.status_code == 401 and "E-mail or password is wrong." in page.text, (email, password)
        assert "__Host-mula" not in browser.client.cookies
    assert site.value("select count(*) from platform.session") == 0


def test_one_password_for_both_accounts_proves_both(site: Site) -> None:
    browser = site.browser()
    page = browser.sign_in("ben@example.com", "ben everywhere")
    assert "Another account has your address" not in page.text
    proofs = site.rows("select proved_by from legacy_identities where legacy_user_id = '6'")
    assert [row["proved_by"] for row in proofs] == ["password", "password"]
    assert browser.get("/settings").text.count("Make default") + browser.get("/settings").text.count(">Default<") == 2


def test_a_client_that_guesses_is_stopped_however_many_it_sends_at_once(site: Site) -> None:
    browsers = [site.browser() for _ in range(4 * limits.PAIR)]
    for browser in browsers:
        browser.get("/sign-in")
    with ThreadPoolExecutor(8) as pool:
        pages = list(pool.map(lambda browser: browser.sign_in("Ana@example.com", "a guess"), browsers))
    codes = [page.status_code for page in pages]
    assert codes.count(401) <= limits.PAIR and codes.count(429) == len(codes) - codes.count(401)
    stopped = site.browser().sign_in("ana@example.com", "ana at dasha")
    assert stopped.status_code == 429 and 0 < int(stopped.headers["retry-after"]) <= 900
    # others come in from there, and what they mistyped before is forgiven
    assert "Astrology" in site.browser().sign_in("ben@example.com", "ben everywhere").text


def test_whoever_signs_in_is_not_counted_as_a_guess(site: Site) -> None:
    for _ in range(2 * limits.PAIR):
        assert site.browser().sign_in("niña@example.com", "pässwörd").status_code == 200
    assert site.value("select max(attempts) from platform.failure") == 0


def test_the_table_of_failures_is_bounded(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "CLIENT", 5)
    for number in range(20):
        site.browser().sign_in(f"somebody{number}@example.com", "a guess")
    # beyond the client's own limit nothing is written for an address that it invents
    assert site.value("select count(*) from platform.failure") == 1 + 2 * 5
    site.rows("update platform.failure set window_start = window_start - interval '2 hours'")
    site.browser().sign_in("ben@example.com", "ben everywhere")
    assert site.value("select count(*) from platform.failure") == 3


def test_two_sign_ins_at_once_by_the_old_hash_both_succeed(site: Site) -> None:
    browsers = [site.browser() for _ in range(4)]
    for browser in browsers:
        browser.get("/sign-in")
    with ThreadPoolExecutor(4) as pool:
        pages = list(pool.map(lambda browser: browser.sign_in("niña@example.com", "pässwörd"), browsers))
    assert [page.status_code for page in pages] == [200] * 4


@pytest.mark.parametrize("make", [bcrypt_hash, django_hash, argon2_hash, passwords.make])
def test_a_hash_fits_its_password_alone(make) -> None:  # type: ignore[no-untyped-def]
    stored = make("correct horse")
    assert passwords.fits(stored, "correct horse")
    assert not passwords.fits(stored, "correct hors")
    assert not passwords.fits(stored, "")
    assert passwords.fits(f"argon2{stored}", "correct horse") == (passwords.scheme(stored) == "argon2")


def test_a_password_beyond_72_bytes_fits_as_it_did_under_bcrypt() -> None:
    long = "pässwörd " * 12
    assert passwords.fits(bcrypt_hash(long), long)


@pytest.mark.parametrize(
    "stored",
    ["", "x", "$2b$31$" + "a" * 53, "pbkdf2_sha256$999999999$salt$AAAA", "pbkdf2_md5$1$salt$AAAA", "$argon2id$v=19$",
     "pbkdf2_sha256$0$salt$AAAA", "argon2$argon2id$v=19$m=99999999,t=1,p=1$AAAA$AAAA", "!", "\ud800"],
)  # fmt: skip
def test_a_hash_that_is_none_fits_nothing_and_takes_no_time(stored: str) -> None:
    assert not passwords.fits(stored, "x")
