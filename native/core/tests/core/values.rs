//! URIs, paths and header values.
use crate::random::{Random, uri};
use msrp_core::syntax::byte_range::ByteRange;
use msrp_core::syntax::header_value::{is_content_type, is_message_id, is_seconds, report_value};
use msrp_core::syntax::path::{check_path, uris};
use msrp_core::syntax::status::Status;
use msrp_core::syntax::uri::{Host, Uri, is_same_uri};

#[test]
fn uris_are_taken_apart() {
    let uri = Uri::parse(b"MSRPS://bob%40home@Relay.Example:2855/aB~.-_+=/x;TCP;p=q").unwrap();
    assert!(uri.secure);
    assert_eq!(uri.userinfo, Some(&b"bob%40home"[..]));
    assert!(matches!(uri.host, Host::Name(b"Relay.Example")));
    assert_eq!((uri.port, uri.session_id, uri.transport), (Some(2855), Some(&b"aB~.-_+=/x"[..]), &b"TCP"[..]));
    let uri = Uri::parse(b"msrp://@[::1];ws").unwrap();
    assert_eq!((uri.userinfo, uri.port, uri.session_id), (Some(&b""[..]), None, None));
}

#[test]
fn what_is_no_uri_is_refused() {
    for text in [
        "",
        "undefined",
        "msrp://",
        "msrp://a",
        "msrp://a;",
        "msrp://a:0/x;tcp",
        "msrp://a:65536/x;tcp",
        "msrp://a:/x;tcp",
        "msrp://a:000001/x;tcp",
        "msrp://a/;tcp",
        "msrp://a b/x;tcp",
        "msrp://[::1/x;tcp",
        "msrp://::1/x;tcp",
        "msrp://[fe80::1%25eth0]:1/x;tcp",
        "msrp://[::01.2.3.4]:1/x;tcp",
        "msrp://[::256.2.3.4]:1/x;tcp",
        "msrp://[12345::]:1/x;tcp",
        "msrp://[1:2:3:4:5:6:7:8::]:1/x;tcp",
        "msrp://[1.2.3.4]:1/x;tcp",
        "msrp://a/x;tcp;=y",
        "msrp://a/x;tcp;a=",
        "msrp://a/x;tcp;",
        "msrp://a/x;tcp\n",
        "msrp://a/x;t-p",
        "sip:a@b",
        "msrp://a%4/x;tcp",
        "msrp://a%gg/x;tcp",
        "msrp://a@b@c/x;tcp",
        "msrp://\u{fc}/x;tcp",
        "msrpx://a/x;tcp",
        " msrp://a/x;tcp",
        "msrp://a/x;tcp ",
    ] {
        assert!(Uri::parse(text.as_bytes()).is_none(), "{text}");
    }
}

#[test]
fn uris_are_compared() {
    for (a, b, same) in [
        ("msrp://a:1/x;tcp", "MSRP://A:1/x;TCP", true),
        ("msrp://u@a:1/x;tcp", "msrp://v@a:1/x;tcp", true),
        ("msrp://a:1/x;tcp;p=1", "msrp://a:1/x;tcp;q", true),
        ("msrp://a:01/x;tcp", "msrp://a:1/x;tcp", true),
        ("msrp://%61:1/x;tcp", "msrp://a:1/x;tcp", true),
        ("msrp://a%2db:1/x;tcp", "msrp://A-B:1/x;tcp", true),
        ("msrp://%C3%bc:1/x;tcp", "msrp://%c3%BC:1/x;tcp", true),
        ("msrp://%2561:1/x;tcp", "msrp://%61:1/x;tcp", false),
        ("msrp://[::1]:1/x;tcp", "msrp://[0:0:0:0:0:0:0:1]:1/x;tcp", true),
        ("msrp://[::ffff:1.2.3.4]:1/x;tcp", "msrp://[::ffff:102:304]:1/x;tcp", true),
        ("msrp://[::1]:1/x;tcp", "msrp://[::2]:1/x;tcp", false),
        ("msrp://1.2.3.4:1/x;tcp", "msrp://[::ffff:1.2.3.4]:1/x;tcp", false),
        ("msrp://a:1/x;tcp", "msrps://a:1/x;tcp", false),
        ("msrp://a:1/x;tcp", "msrp://a:2/x;tcp", false),
        ("msrp://a/x;tcp", "msrp://a:2855/x;tcp", false),
        ("msrp://a:1/x;tcp", "msrp://a:1/X;tcp", false),
        ("msrp://a:1/x;tcp", "msrp://a:1;tcp", false),
        ("msrp://a:1/x;tcp", "msrp://a:1/x;ws", false),
        ("nothing", "anything", false),
    ] {
        assert_eq!(is_same_uri(a.as_bytes(), b.as_bytes()), same, "{a} {b}");
        assert_eq!(is_same_uri(b.as_bytes(), a.as_bytes()), same, "{b} {a}");
    }
}

#[test]
fn sameness_of_uris_is_an_equivalence() {
    let random = &mut Random(1);
    let near = |random: &mut Random| {
        let scheme = random.pick(&["msrp", "MSRP", "msrps"]);
        let userinfo = random.pick(&["", "", "u@"]);
        let host = random.pick(&["a%2Db", "A-B", "%41-b", "%c3%bc", "%C3%BC", "[::1]", "[0::0:1]", "[::0.0.0.1]"]);
        let rest = random.pick(&[":1/x;tcp", ":01/x;TCP", ":1/x;tcp;a=b", ":1/X;tcp", ";tcp", ":2/x;tcp"]);
        format!("{scheme}://{userinfo}{host}{rest}")
    };
    let mut texts: Vec<String> = (0..100).map(|_| near(random)).collect();
    texts.extend((0..100).map(|_| uri(random)).filter(|text| Uri::parse(text.as_bytes()).is_some()));
    assert!(texts.len() > 110);
    let same = |a: &str, b: &str| is_same_uri(a.as_bytes(), b.as_bytes());
    let mut pairs = 0;
    for a in &texts {
        assert!(Uri::parse(a.as_bytes()).unwrap().is_same(&Uri::parse(a.as_bytes()).unwrap()));
        for b in &texts {
            assert_eq!(same(a, b), same(b, a), "{a} {b}");
            if same(a, b) {
                pairs += usize::from(a != b);
                assert!(texts.iter().all(|c| same(a, c) == same(b, c)), "{a} {b}");
            }
        }
    }
    assert!(pairs > 200, "{pairs}");
}

#[test]
fn paths_are_good_when_every_uri_is() {
    let random = &mut Random(2);
    let mut seen = [0, 0];
    for _ in 0..4000 {
        let strict = random.once_in(2);
        let limit = random.below(4);
        let parts: Vec<String> = (0..=random.below(4))
            .map(|_| if random.once_in(8) { uri(random) } else { "msrp://u@a:1/s-id;tcp".to_owned() })
            .collect();
        let gaps = random.once_in(4);
        let value = parts.join(if gaps { "  " } else { " " });
        let good = parts.iter().all(|part| Uri::parse(part.as_bytes()).is_some());
        let fits = limit == 0 || parts.len() <= limit;
        let expected = good && fits && !(strict && gaps && parts.len() > 1);
        let checked = check_path(value.as_bytes(), limit, strict);
        assert_eq!(checked.is_some(), expected, "{value:?}");
        if let Some(start) = checked {
            let session = &value[start.session[0] as usize..start.session[1] as usize];
            assert_eq!(session.as_bytes(), Uri::parse(parts[0].as_bytes()).unwrap().session_id.unwrap_or_default());
            assert!(uris(value.as_bytes()).eq(parts.iter().map(String::as_bytes)));
        }
        seen[usize::from(expected)] += 1;
    }
    assert!(seen[0] > 500 && seen[1] > 500, "{seen:?}");
    for value in ["", " ", " msrp://a:1/x;tcp", "msrp://a:1/x;tcp ", "msrp://a:1/x;tcp\tmsrp://a:1/x;tcp"] {
        assert_eq!(check_path(value.as_bytes(), 0, false), None, "{value:?}");
    }
}

#[test]
fn byte_ranges_are_written_as_they_are_read() {
    let random = &mut Random(3);
    let mut good = 0;
    for _ in 0..20_000 {
        let mut number = |star: bool| match random.below(5) {
            0 if star => "*".to_owned(),
            1 => (random.below(1 << 53) + random.below(3)).to_string(),
            2 => format!("{:0width$}", random.below(50), width = random.below(18)),
            _ => random.below(20).to_string(),
        };
        let text = format!("{}-{}/{}", number(false), number(true), number(true));
        let Some(range) = ByteRange::parse(text.as_bytes()) else { continue };
        good += 1;
        assert!(range.start >= 1 && range.end.is_none_or(|end| end + 1 >= range.start));
        assert!(range.total.is_none_or(|total| range.end.is_none_or(|end| end <= total)));
        assert_eq!(ByteRange::parse(range.to_string().as_bytes()), Some(range), "{text}");
    }
    assert!(good > 4000, "{good}");
}

#[test]
fn single_values() {
    assert!(is_message_id(b"a@b_c", false) && !is_message_id(b"a@b_c", true) && is_message_id(b"ab.c-+%=", true));
    assert!(!is_message_id(b"", false) && !is_message_id(b"a b", false) && !is_message_id("\u{fc}".as_bytes(), false));
    assert!(is_message_id(&[b'x'; 255], false) && !is_message_id(&[b'x'; 256], false));
    assert_eq!([&b"YES"[..], b"no", b"Partial", b"", b"ye"].map(report_value), [1, 2, 3, 0, 0]);
    assert!(
        is_seconds(b"0") && is_seconds(b"9999999999") && !is_seconds(b"99999999999") && !is_seconds(b"") && !is_seconds(b"-1")
    );
    let status = Status::parse(b"000 200 ").unwrap();
    assert_eq!((&status.namespace, status.code, status.comment), (b"000", 200, Some(&b""[..])));
    assert_eq!(Status::parse(b"000 200").unwrap().comment, None);
    for bad in ["000 20", "000  200", "0000 200", "000 200x", "abc 200", ""] {
        assert_eq!(Status::parse(bad.as_bytes()), None, "{bad}");
    }
}

#[test]
fn content_types() {
    for (value, tolerant, strict) in [
        ("text/plain", true, true),
        ("text/plain;charset=utf-8", true, true),
        ("a/b;c=d;e;f=\"g \\\" \\\\ \u{fc}\u{10ffff}\"", true, true),
        ("text/plain ;\tcharset=utf-8", true, false),
        ("text/plain; charset = utf-8", false, false),
        ("text/plain;", false, false),
        ("text", false, false),
        ("/plain", false, false),
        ("text/", false, false),
        ("a/b;c=\"", false, false),
        ("a/b;c=\"\\x\"", false, false),
        ("a/b;c=\"d\"e", false, false),
        ("\u{fc}/b", false, false),
        ("", false, false),
    ] {
        assert_eq!(is_content_type(value.as_bytes(), false), tolerant, "{value}");
        assert_eq!(is_content_type(value.as_bytes(), true), strict, "{value}");
    }
}
