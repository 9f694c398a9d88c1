"""Old tokens of both applications, each exchanged once; and every attack of RFC 8725 that applies."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm

from cutover.errors import CutoverError
from mula_platform import limits
from mula_platform.settings import Settings
from mula_platform.tokens import LINK, LINK_LIFETIME

from .conftest import SECRETS, URL, Site, old_token


def b64(value: object) -> str:
    """JSON, or bytes, as a part of a token."""
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def by_hand(header: dict[str, Any], claims: dict[str, Any], key: bytes | None) -> str:
    """A token that a library would not make: signed with HMAC-SHA256, or with nothing."""
    signed = f"{b64(header)}.{b64(claims)}"
    signature = b"" if key is None else hmac.new(key, signed.encode(), hashlib.sha256).digest()
    return f"{signed}.{b64(signature)}"


def claims_of(number: object = 5, **others: Any) -> dict[str, Any]:
    """What an old token says."""
    return {"user_id": number, "email": "ana@example.com", "exp": int(time.time()) + 3600, **others}


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("dasha", {"birth_charts": 1, "dasha_data": 1, "compatibility_results": 0, "subscriptions": 1}),
        ("compatibility", {"birth_charts": 2, "dasha_data": 0, "compatibility_results": 1, "subscriptions": 1}),
    ],
)
def test_a_token_of_either_application_opens_its_own_account(site: Site, source: str, shown: dict[str, int]) -> None:
    answer = site.exchange(old_token(source, 5), source)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert (body["token_type"], body["expires_in"]) == ("Bearer", 30 * 24 * 3600)
    assert body["issued_token_type"] == "urn:ietf:params:oauth:token-type:access_token"
    assert answer.headers["cache-control"] == "no-store"
    (jwk,) = site.client.get("/.well-known/jwks.json").json()["keys"]
    header = jwt.get_unverified_header(body["access_token"])
    assert (header["alg"], header["typ"], header["kid"]) == ("ES256", "at+jwt", jwk["kid"])
    # anybody can verify it with what the JWKS shows, and with no secret
    claims = jwt.decode(
        body["access_token"], ECAlgorithm.from_jwk(jwk), algorithms=["ES256"], audience="mula", issuer=URL
    )
    assert 0 <= claims["exp"] - claims["iat"] - 30 * 24 * 3600 <= 1
    identity = site.identity(source, 5)
    assert (claims["sub"], identity["proved_by"]) == (str(identity["user_id"]), "token")
    me = site.me(body["access_token"]).json()
    assert me["shown"] == shown
    assert (me["accounts"], me["not_proved"]) == ([{"source": source, "legacy_user_id": "5"}], 1)
    log = site.rows("select metadata from activity_log where action = 'legacy_login_migrated'")
    assert [row["metadata"]["source"] for row in log] == [source]


def test_the_address_in_a_token_is_not_believed(site: Site) -> None:
    answer = site.exchange(old_token("dasha", 5, email="ben@example.com")).json()
    assert site.me(answer["access_token"]).json()["email"] == "ana@example.com"


def test_the_number_counts_in_its_own_application_alone(site: Site) -> None:
    """Number 8 is niña in Compatibility, and nobody in the Dasha Timer."""
    assert site.exchange(old_token("dasha", 8)).status_code == 400
    assert site.exchange(old_token("compatibility", 8), "compatibility").status_code == 200


def test_a_token_works_once_however_it_is_written(site: Site) -> None:
    token = old_token("dasha", 5)
    assert site.exchange(token).status_code == 200
    assert site.exchange(token).status_code == 400
    # the same token in other letters: what fills up the signature is not signed
    padded = f"{token}="
    assert jwt.decode(padded, SECRETS["dasha"], algorithms=["HS256"])["user_id"] == 5
    assert site.exchange(padded).status_code == 400
    assert site.value("select count(*) from platform.session") == 1


def test_of_many_exchanges_at_once_one_wins(site: Site) -> None:
    token = old_token("dasha", 5)
    with ThreadPoolExecutor(8) as pool:
        codes = list(pool.map(lambda _: site.exchange(token).status_code, range(16)))
    assert sorted(codes) == [200] + [400] * 15
    assert site.value("select count(*) from platform.session") == 1


def test_a_refused_token_is_not_used_up(make_site: Callable[..., Site]) -> None:
    site = make_site()
    site.rows("update platform.launch set swapped_at = now() - interval '91 days'")
    token = old_token("dasha", 5)
    assert site.exchange(token).status_code == 400
    site.rows("update platform.launch set swapped_at = now() - interval '89 days'")
    assert site.exchange(token).status_code == 200


@pytest.mark.parametrize(("seconds", "status"), [(-50, 200), (-70, 400), (3600, 200)])
def test_a_clock_may_be_wrong_by_a_minute(site: Site, seconds: int, status: int) -> None:
    assert site.exchange(old_token("dasha", 5, exp=int(time.time()) + seconds)).status_code == status


REFUSED: dict[str, Callable[[], str]] = {
    "no end": lambda: old_token("dasha", 5, exp=None),
    "an end that is no time": lambda: by_hand({"alg": "HS256"}, claims_of(exp="soon"), SECRETS["dasha"].encode()),
    "an end beyond all times": lambda: old_token("dasha", 5, exp=10**18),
    "from the future": lambda: old_token("dasha", 5, iat=int(time.time()) + 300),
    "not yet": lambda: old_token("dasha", 5, nbf=int(time.time()) + 300),
    "no account": lambda: old_token("dasha", None),
    "an account that is a list": lambda: old_token("dasha", [5]),
    "an account that is true": lambda: old_token("dasha", True),
    "an account that is SQL": lambda: old_token("dasha", "5' or '1'='1"),
    "an account in other digits": lambda: old_token("dasha", "٥"),
    "nobody's account": lambda: old_token("dasha", 999),
    "for another audience": lambda: old_token("dasha", 5, aud="https://elsewhere"),
    "for us, said by nobody": lambda: old_token("dasha", 5, aud="mula"),
    "the other application's key": lambda: old_token("dasha", 5, key=SECRETS["compatibility"]),
    "no key": lambda: old_token("dasha", 5, key=" " * 40),
    "alg none": lambda: by_hand({"alg": "none"}, claims_of(), None),
    "alg None": lambda: by_hand({"alg": "None"}, claims_of(), None),
    "alg nOnE, signed": lambda: by_hand({"alg": "nOnE"}, claims_of(), SECRETS["dasha"].encode()),
    "no alg": lambda: by_hand({"typ": "JWT"}, claims_of(), SECRETS["dasha"].encode()),
    "another HMAC": lambda: jwt.encode(claims_of(), SECRETS["dasha"] * 2, algorithm="HS512"),
    "a header that must be understood": lambda: by_hand(
        {"alg": "HS256", "crit": ["exp"], "exp": 1}, claims_of(), SECRETS["dasha"].encode()
    ),
    "unsigned": lambda: by_hand({"alg": "HS256"}, claims_of(), None),
    "nothing": lambda: "",
    "no token": lambda: "a.b.c",
    "one part": lambda: "abc",
    "NUL": lambda: old_token("dasha", 5) + "\0",
    "longer than any": lambda: old_token("dasha", 5, more="x" * 10_000),
    "claims that are no object": lambda: by_hand({"alg": "HS256"}, [1], SECRETS["dasha"].encode()),  # type: ignore[arg-type]
}


def test_what_is_no_token_of_theirs_is_refused(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "CLIENT", 2 * len(REFUSED))
    answers = {what: site.exchange(make()) for what, make in REFUSED.items()}
    values = {what: (answer.status_code, answer.json()) for what, answer in answers.items()}
    # it tells nobody what was wrong with it
    nothing = {"error": "invalid_request", "error_description": "the subject_token is not accepted"}
    assert {what: answer for what, answer in values.items() if answer != (400, nothing)} == {}
    assert site.value("select count(*) from platform.session") == 0


def test_a_token_of_the_one_application_is_none_of_the_other(site: Site) -> None:
    assert site.exchange(old_token("dasha", 5), "compatibility").status_code == 400
    assert site.exchange(old_token("compatibility", 5), "dasha").status_code == 400


def test_equal_secrets_are_refused_before_anybody_is_served(tmp_path) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(CutoverError, match=r"platform\.equal-secrets"):
        Settings(dsn="", keys=tmp_path, old_secrets=dict.fromkeys(SECRETS, "the same secret"))


def test_an_application_without_a_key_has_no_way_in(make_site: Callable[..., Site]) -> None:
    site = make_site(old_secrets={"compatibility": SECRETS["compatibility"]})
    for key in (SECRETS["dasha"], SECRETS["compatibility"], "", " "):
        token = by_hand({"alg": "HS256", "typ": "JWT"}, claims_of(), key.encode())
        assert site.exchange(token).status_code == 400
    assert site.exchange(old_token("compatibility", 5), "compatibility").status_code == 200


def test_what_the_standard_knows_and_we_do_not(site: Site) -> None:
    token = old_token("dasha", 5)
    asked = [
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"subject_token_type": "urn:mula:elsewhere"}, "invalid_request"),
        ({"requested_token_type": "urn:ietf:params:oauth:token-type:refresh_token"}, "invalid_request"),
        ({"actor_token": "x"}, "invalid_request"),
        ({"audience": "elsewhere"}, "invalid_target"),
        ({"scope": "admin"}, "invalid_scope"),
    ]
    for changed, error in asked:
        assert site.exchange(token, **changed).json()["error"] == error
    assert site.exchange(token).status_code == 200


def test_a_feature_flag_stops_the_exchange(site: Site) -> None:
    site.rows("update platform.feature_flag set is_on = false where name = 'token_exchange'")
    assert site.exchange(old_token("dasha", 5)).status_code == 503


def test_who_tries_many_tokens_is_stopped(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "CLIENT", 3)
    codes = [site.exchange(old_token("dasha", number)).status_code for number in range(100, 105)]
    assert codes == [400, 400, 400, 429, 429]
    assert site.exchange(old_token("dasha", 5)).headers["retry-after"]


# our own tokens


@pytest.fixture
def token(site: Site) -> str:
    """A good token of Ana's."""
    given: str = site.exchange(old_token("dasha", 5)).json()["access_token"]
    assert site.me(given).status_code == 200
    return given


def _parts(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    header, body, _ = token.split(".")
    return tuple(json.loads(base64.urlsafe_b64decode(part + "==")) for part in (header, body))  # type: ignore[return-value]


def test_a_token_that_is_not_signed_by_us_is_refused(site: Site, token: str) -> None:
    header, claims = _parts(token)
    encoded = token.split(".")
    (jwk,) = site.client.get("/.well-known/jwks.json").json()["keys"]
    public = ECAlgorithm.from_jwk(jwk)
    assert isinstance(public, ec.EllipticCurvePublicKey)
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    der = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    mine = ec.generate_private_key(ec.SECP256R1())
    my_jwk = ECAlgorithm.to_jwk(mine.public_key(), as_dict=True)

    def signed(**changed: Any) -> str:
        return jwt.encode(claims, mine, algorithm="ES256", headers={**header, **changed})

    attacks = {
        "none": by_hand({**header, "alg": "none"}, claims, None),
        "nothing signed": token.rpartition(".")[0] + ".",
        **{
            f"HS256 with the public key, {name}": by_hand({**header, "alg": "HS256"}, claims, key)
            for name, key in {
                "PEM": pem, "PEM without its end": pem.strip(), "DER": der, "JWK": json.dumps(jwk).encode(),
                "x": jwk["x"].encode(),
            }.items()
        },
        "an old secret": by_hand({**header, "alg": "HS256"}, claims, SECRETS["dasha"].encode()),
        "another key under our id": signed(),
        "a key that the header brings": signed(jwk=my_jwk),
        "a key that the header leads to": signed(jku="https://elsewhere/jwks.json", x5u="https://elsewhere"),
        "an id that is a path": signed(kid="../../../../dev/null"),
        "an id that is SQL": signed(kid="x' union select '{}'::jsonb --"),
        "an id with NUL": signed(kid="\0"),
        "an id that is a number": by_hand({**header, "kid": 1}, claims, b"x"),
        "an id that is a list": by_hand({**header, "kid": [jwk["kid"]]}, claims, b"x"),
        "no id": by_hand({"alg": "ES256", "typ": "at+jwt"}, claims, b"x"),
        "a zero signature": token.rpartition(".")[0] + "." + b64(bytes(64)),
        "claims that were changed": ".".join(
            [encoded[0], b64({**claims, "sub": str(site.identity("dasha", 6)["user_id"])}), encoded[2]]
        ),
        "an old token itself": old_token("dasha", 5),
    }  # fmt: skip
    believed = [name for name, attack in attacks.items() if site.me(attack).status_code != 401]
    assert believed == []
    assert site.me(token).status_code == 200


def test_a_token_of_ours_for_something_else_is_refused(site: Site, token: str) -> None:
    _, claims = _parts(token)
    given = {name: claims[name] for name in ("sub", "jti")}
    session, nobody = ("at+jwt", "mula"), "11111111-1111-1111-1111-111111111111"

    def asked(kind: tuple[str, str], issuer: str, **changed: Any) -> int:
        issued = site.platform.ring.issue(kind, issuer, given | changed, LINK_LIFETIME)
        return int(site.me(issued).status_code)

    assert asked(session, URL) == 200
    others = {
        "for another audience": asked(("at+jwt", "elsewhere"), URL),
        "by another issuer": asked(session, "https://elsewhere"),
        "a link in a mail": asked(LINK, URL),
        "a link that says it is for us": asked((LINK[0], "mula"), URL),
        "of no kind": asked(("JWT", "mula"), URL),
        "of no session": asked(session, URL, jti=nobody),
        "of an id that is none": asked(session, URL, jti="no id"),
        "of another person": asked(session, URL, sub=nobody),
        "over": asked(session, URL, exp=1),
        "for a list": asked(session, URL, aud=["elsewhere"]),
    }
    assert set(others.values()) == {401}, others


def test_a_rotated_key_is_believed_until_its_tokens_have_ended(site: Site, token: str) -> None:
    old = jwt.get_unverified_header(token)["kid"]
    new = site.platform.ring.rotate()
    second = site.exchange(old_token("compatibility", 5), "compatibility").json()["access_token"]
    assert jwt.get_unverified_header(second)["kid"] == new != old
    assert [site.me(given).status_code for given in (token, second)] == [200, 200]
    assert [key["kid"] for key in site.client.get("/.well-known/jwks.json").json()["keys"]] == [new, old]
    # nothing of the private key is shown
    assert {name for key in site.client.get("/.well-known/jwks.json").json()["keys"] for name in key} == {
        "kty", "crv", "x", "y", "kid", "alg", "use",
    }  # fmt: skip
    # one that somebody else may have is believed no more at once
    assert site.platform.ring.revoke(new)
    third = site.platform.ring.rotate()
    assert [site.me(given).status_code for given in (token, second)] == [200, 401]
    site.rows("update platform.signing_key set retired_at = now() - interval '32 days' where kid = %s", old)
    fourth = site.platform.ring.rotate()
    assert [key["kid"] for key in site.client.get("/.well-known/jwks.json").json()["keys"]] == [fourth, third]
    assert site.me(token).status_code == 401


def test_another_process_hears_of_a_rotation(make_site: Callable[..., Site], site: Site, token: str) -> None:
    from mula_platform.tokens import KeyRing

    KeyRing(site.platform.database, site.settings.keys).rotate()
    site.platform.ring.refresh()
    other = KeyRing(site.platform.database, site.settings.keys)
    other.refresh()
    _, claims = _parts(token)
    issued = other.issue(("at+jwt", "mula"), URL, {name: claims[name] for name in ("sub", "jti")}, LINK_LIFETIME)
    # an id that is not known is looked for, at most once a second
    site.platform.ring._read_at -= 2
    assert site.me(issued).status_code == 200


def test_private_keys_are_for_the_service_alone(site: Site) -> None:
    site.platform.ring.rotate()
    assert {path.stat().st_mode & 0o777 for path in site.settings.keys.glob("*")} == {0o600}
    assert "PRIVATE" not in str(site.rows("select * from platform.signing_key"))
