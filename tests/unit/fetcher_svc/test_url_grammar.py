"""What a URL may look like: tables of what is refused and what must keep working, and anything at all from hypothesis."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from yarl import URL

from fetcher_svc.address_policy import AddressPolicy
from fetcher_svc.url_grammar import Target, parse_url
from mesh.errors import InvalidUrl


def words(text: str) -> list[str]:
    return text.split()


NOT_CANONICAL_IPV4 = words("""
    http://2130706433/ http://017700000001/ http://0x7f000001/ http://0x7f.1/ http://0177.0.0.1/ http://127.1/ http://127.0.1/
    http://0/ http://127.0.0.01/ http://127.0.0.1./ http://425.510.425.510/ http://7147006462/ http://0x41414141A9FEA9FE/
    http://1.2.3.4.5/ http://0xA9FEA9FE/ http://0XA9.0xFE.0xA9.0xFE/ http://1.2.3.256/ http://example.1/ http://example.0x1/
    http://256.256.256.256/ http://1.2.3/ http://127.0.0.1.2/ http://00000127.0.0.1/ http://4294967296/
""")

NOT_PLAIN_IPV6 = words("""
    http://[fe80::1%25eth0]/ http://[fe80::1%eth0]/ http://[127.0.0.1]/ http://[v1.x]/ http://[::ffff:127.0.0.1]/ http://[::127.0.0.1]/
    http://[]/ http://[::1/ http://::1/ http://[::1]x/ http://x[::1]/ http://[::1]:/ http://[:::1]/ http://[1::2::3]/ http://[12345::]/
    http://[0:0:0:0:0:0:0:0:1]/ http://[[::1]]/ http://[::g]/
""")

FOLDED = words("""
    http://①②⑦.⓪.⓪.①/ http://127。0。0。1/ http://127．0．0．1/ http://１２７.0.0.1/ http://ⓛⓞⓒⓐⓛⓗⓞⓢⓣ/ http://ⓛocalhost/ http://a.ⓛocalhost/
    http://example.com:٨٠/ http://example.com：80/ http://example.com／a/ http://example.com？a/ http://example.com＃a/
    http://good.com＠evil.com/ http://exam\u00adple.com/ http://exam\u200bple.com/ http://exam\u200dple.com/ http://exam\u202eple.com/
    http://exam\u2060ple.com/ http://example\ufeff.com/ http://\ufe52example.com/ http://ﬁ..com/
    http://169。254。169。254/ http://①⑥⑨.②⑤④.①⑥⑨.②⑤④/ http://metadata.google。internal/ ht\u212ap://example.com/ http\u017f://example.com/
""")

USERINFO_AND_DELIMITERS = [
    "http://example.com@127.0.0.1/",
    "http://u:p@example.com/",
    "http://@example.com/",
    "http://:@example.com/",
    "http://127.0.0.1%2f@example.com/",
    "http://example.com\\@127.0.0.1/",
    "http://127.1.1.1:80\\@127.2.2.2:80/",
    "http://1.1.1.1 &@2.2.2.2# @3.3.3.3/",
    "http:\\\\example.com/",
    "http://example.com%2eevil.com/",
    "http://127.0.0.1%00.example.com/",
    "http://example.com%23@127.0.0.1/",
    "http://%31%32%37.0.0.1/",
    "http://exa%6dple.com/",
    "http://example.com,127.0.0.1/",
    "http://example.com;127.0.0.1/",
    "http://example.com&127.0.0.1/",
    "http://foo$bar.com/",
    "http://*.example.com/",
    "http://(example.com)/",
]

WHITESPACE_AND_CONTROLS = [
    " http://example.com/",
    "http://example.com/ ",
    "\thttp://example.com/",
    "ht\ntp://example.com/",
    "http://example.com/\r\nX: y",
    "http://exam\tple.com/",
    "http://example.com: 80/",
    "http://example.com /",
    "http://example.com/a b.png",
    "http://example.com/\x00.png",
    "http://example.com/\x7f.png",
    "http://example.com/\x85.png",
    "http://example.com/\xa0.png",
    "http://example.com/\u3000.png",
    "http://example.com\u2028/",
    'http://example.com/".png',
    "http://example.com/<a>.png",
    "http://example.com/{a}.png",
    "http://example.com/`a.png",
    "http://example.com/a\\b.png",
    "http://example.com/\ud800.png",
    "http://example.com/#\n",
]

OTHER_SCHEMES = words("""
    file:///etc/passwd ftp://example.com/a gopher://example.com/ dict://example.com:11211/ data:image/png;base64,AAAA jar:http://a.com!/b
    unix:///run/a.sock http+unix://run/a ws://example.com/ wss://example.com/ tcp://example.com/ concat:a|b //127.0.0.1/x //example.com/x
    http:/127.0.0.1/ http:127.0.0.1 http:example.com http:///127.0.0.1 http:///example.com http:// https:// http:/// example.com /a.png
    javascript:alert(1) httpx://example.com/ shttp://example.com/ http.://example.com/ http://? http://# http:?a url:http://example.com/
""")

PORTS = words("""
    http://example.com:0/ http://example.com:65536/ http://example.com:99999/ http://example.com:-1/ http://example.com:80:80/
    http://example.com:/ http://example.com:080/ http://example.com:+80/ http://example.com:8_0/ http://example.com:0x50/
    http://example.com:80a/ http://example.com:1e2/ http://example.com:100000/ http://:80/ http://:/
""")

NAMES = [
    *words("""
    http://localhost/ http://LOCALHOST/ http://LOCALHOST./ http://a.localhost/ http://localhost.localdomain/ http://a.local/ http://a.LOCAL./
    http://metadata.google.internal/ http://a.svc/ http://a.svc.cluster.local/ http://kubernetes.default.svc/ http://router.home.arpa/
    http://a.onion/ http://metadata/ http://instance-data/ http://image-matcher:50051/ http://kubernetes/ http://a.lan/ http://a.home/
    http://a.corp/ http://a.intranet/ http://a.private/ http://a.alt/ http://home.arpa/ http://localhost../
    http://a..b/ http://.example.com/ http://example.com../ http://./ http://../ http://xn--/ http://a.xn--/ http://-a.com/ http://a-.com/
    http://a_b.com/ http://a.com_/ http://a.-b/ http://a.b-/
"""),
    f"http://{'a' * 64}.com/",
    f"http://{'.'.join(['a' * 49] * 5)}.info/",
    "http://" + "ü" * 64 + ".com/",
    "http://example.com/" + "a" * 2030,
    "http://" + "a." * 1100 + "com/",
    "",
]


def short(value: object) -> str:
    return ascii(value)[:60]


REFUSED = NOT_CANONICAL_IPV4 + NOT_PLAIN_IPV6 + FOLDED + USERINFO_AND_DELIMITERS + WHITESPACE_AND_CONTROLS + OTHER_SCHEMES + PORTS + NAMES

LONGEST_NAME = ".".join(["a" * 49] * 5) + ".com"

TAKEN = [
    ("http://example.com", "http", "example.com", 80, "http://example.com/"),
    ("HTTPS://EXAMPLE.com:443/x.png", "https", "example.com", 443, "https://example.com/x.png"),
    ("hTTp://example.com./a", "http", "example.com", 80, "http://example.com/a"),
    ("http://example.com:443/", "http", "example.com", 443, "http://example.com:443/"),
    ("https://example.com:80/", "https", "example.com", 80, "https://example.com:80/"),
    ("http://example.com:8080?a=b", "http", "example.com", 8080, "http://example.com:8080/?a=b"),
    ("https://example.com/a#b@c", "https", "example.com", 443, "https://example.com/a"),
    ("http://bücher.example-cdn.de/x.png", "http", "xn--bcher-kva.example-cdn.de", 80, "http://xn--bcher-kva.example-cdn.de/x.png"),
    ("http://xn--bcher-kva.de/", "http", "xn--bcher-kva.de", 80, "http://xn--bcher-kva.de/"),
    ("http://faß.de/", "http", "xn--fa-hia.de", 80, "http://xn--fa-hia.de/"),
    ("http://例え。テスト/", "http", "xn--r8jz45g.xn--zckzah", 80, "http://xn--r8jz45g.xn--zckzah/"),
    ("http://r3---sn-4g5e6nz7.example.com/", "http", "r3---sn-4g5e6nz7.example.com", 80, "http://r3---sn-4g5e6nz7.example.com/"),
    ("http://1.example.com/", "http", "1.example.com", 80, "http://1.example.com/"),
    ("http://127.0.0.1.nip.io/", "http", "127.0.0.1.nip.io", 80, "http://127.0.0.1.nip.io/"),
    ("http://kubernetes.default/", "http", "kubernetes.default", 80, "http://kubernetes.default/"),
    ("http://93.184.216.34/a", "http", "93.184.216.34", 80, "http://93.184.216.34/a"),
    ("http://[2606:2800:0::1]:8443/a", "http", "2606:2800::1", 8443, "http://[2606:2800::1]:8443/a"),
    ("http://[2A00::ABCD]/", "http", "2a00::abcd", 80, "http://[2a00::abcd]/"),
    # What an origin may have signed goes out as it came in.
    ("https://e.com/%2F..%2f/a%20b?X=%2Fa%3D&y=a+b&&=", "https", "e.com", 443, "https://e.com/%2F..%2f/a%20b?X=%2Fa%3D&y=a+b&&="),
    ("https://e.com/a/../b/./c//d;v=1", "https", "e.com", 443, "https://e.com/a/../b/./c//d;v=1"),
    ("https://e.com/Katze/süß.jpg?q=ü", "https", "e.com", 443, "https://e.com/Katze/s%C3%BC%C3%9F.jpg?q=%C3%BC"),
    ("https://e.com/%zz%", "https", "e.com", 443, "https://e.com/%zz%"),
    ("https://e.com/@user:80/a|b^c'd?u=http://127.0.0.1/", "https", "e.com", 443, "https://e.com/@user:80/a|b^c'd?u=http://127.0.0.1/"),
    (f"http://{LONGEST_NAME}/", "http", LONGEST_NAME, 80, f"http://{LONGEST_NAME}/"),
    (f"http://{'a' * 63}.com/", "http", "a" * 63 + ".com", 80, f"http://{'a' * 63}.com/"),
    ("http://example.com/" + "a" * 2029, "http", "example.com", 80, "http://example.com/" + "a" * 2029),
]


@pytest.mark.parametrize("text", REFUSED, ids=short)
def test_what_two_parsers_could_read_differently_is_refused(text: str) -> None:
    with pytest.raises(InvalidUrl):
        parse_url(text)


@pytest.mark.parametrize("value", [None, 5, [], {}, b"http://example.com/", 1.5, True], ids=repr)
def test_what_is_no_text_is_refused(value: object) -> None:
    with pytest.raises(InvalidUrl):
        parse_url(value)  # type: ignore[arg-type]


@pytest.mark.parametrize(("text", "scheme", "host", "port", "sent"), TAKEN, ids=short)
def test_real_urls_keep_working(text: str, scheme: str, host: str, port: int, sent: str) -> None:
    target = parse_url(text)
    assert (target.scheme, target.host, target.port, str(target.url)) == (scheme, host, port, sent)


@pytest.mark.parametrize(
    "text", ["http://127.0.0.1:9/", "http://[::1]/", "http://169.254.169.254/", "http://0.0.0.0/", "http://[fe80::1]/"]
)
def test_a_literal_comes_out_as_the_address_that_the_policy_will_judge(text: str) -> None:
    target = parse_url(text)
    assert target.address == ip_address(target.host)
    assert not AddressPolicy().may_dial(target.host, target.address, 80)


@pytest.mark.parametrize("name", ["localhost", "image-store", "store.internal", "a_b", "minio.storage.svc"])
def test_a_name_that_the_operator_allows_is_exempt_from_the_rules_on_names(name: str) -> None:
    with pytest.raises(InvalidUrl):
        parse_url(f"http://{name}:9000/a")
    target = parse_url(f"http://{name.upper()}.:9000/a", frozenset({name}))
    assert (target.host, target.port, target.address, str(target.url)) == (name, 9000, None, f"http://{name}:9000/a")


def test_an_allowed_name_exempts_no_other() -> None:
    for text in ("http://a.localhost/", "http://localhost.internal/", "http://localhost@evil.com/", "http://127.1/"):
        with pytest.raises(InvalidUrl):
            parse_url(text, frozenset({"localhost"}))


def test_the_message_states_the_cap_and_the_actual_length() -> None:
    with pytest.raises(InvalidUrl, match=r"2049 .* 2048"):
        parse_url("http://example.com/" + "a" * 2030)


def is_plain(target: Target) -> bool:
    """The URL that is sent, read by an independent parser of the simplest kind."""
    sent = str(target.url)
    scheme, _, rest = sent.partition("://")
    authority = rest.partition("/")[0]
    host, port = authority, {"http": "80", "https": "443"}[scheme]
    if authority.rpartition(":")[2].isdigit():
        host, _, port = authority.rpartition(":")
    return (
        sent.isascii()
        and sent.isprintable()
        and " " not in sent
        and not set("@%\\#?") & set(authority)
        and (scheme, host.strip("[]"), int(port)) == (target.scheme, target.host, target.port)
    )


PIECES = st.sampled_from(
    [
        *words(
            "http https file : // / \\ @ # ? % %2f %00 . .. [ ] ::1 127.0.0.1 127.1 0x7f localhost example com xn-- 80 8080 22 。 ① ⓛ ß - _"
        ),
        *(" ", "\t", "\n", "\0", "\u200b", "\ud800"),
    ]
)
ANY_TEXT = st.one_of(
    st.text(),
    st.lists(PIECES, max_size=12).map("".join),
    st.builds("http://{}{}".format, st.text(max_size=30), st.just("/a")),
    st.builds("http://{}/".format, st.lists(PIECES, max_size=8).map("".join)),
    st.builds("http://{}/".format, st.integers(0, 2**33).map(str)),
    st.builds("http://[{}]:{}/".format, st.ip_addresses(v=6), st.integers(-1, 70000)),
)


@given(ANY_TEXT)
@example("http://\u1806a.de/")
def test_any_text_is_refused_or_read_as_one_plain_target(text: str) -> None:
    try:
        target = parse_url(text)
    except InvalidUrl:
        return
    assert is_plain(target)
    assert (target.url.scheme, target.url.raw_host, target.url.port) == (target.scheme, target.host, target.port)
    assert target.url == URL(str(target.url), encoded=True)
    if target.address is not None and AddressPolicy().may_dial(target.host, target.address, target.port):
        assert target.address.is_global
        assert not target.address.is_multicast
    if target.address is None:
        labels = target.host.split(".")
        assert len(labels) >= 2
        assert labels[-1][0].isalpha()
        assert labels[-1] not in ("localhost", "local", "internal")
