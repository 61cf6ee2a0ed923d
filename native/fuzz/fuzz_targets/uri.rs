//! URIs and paths: an input is two URIs or paths with a line feed between them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use msrp_core::syntax::path::{check_path, uris};
use msrp_core::syntax::uri::{Uri, is_same_uri};

fuzz_target!(|data: &[u8]| {
    let mut lines = data.splitn(2, |&byte| byte == b'\n');
    let (a, b) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    assert!(is_same_uri(a, a));
    let same = is_same_uri(a, b);
    assert_eq!(same, is_same_uri(b, a));
    if let Some(uri) = Uri::parse(a) {
        assert!(uri.is_same(&uri));
        assert_ne!(uri.port, Some(0));
        assert!(uri.session_id.is_none_or(|session| !session.is_empty()) && !uri.transport.is_empty());
        // Case of what has none does not matter; userinfo and parameters do not, either.
        let scheme = if uri.secure { 5 } else { 4 };
        let mut other = a[..scheme].to_ascii_uppercase();
        other.extend_from_slice(&a[scheme..]);
        other.extend_from_slice(b";q=1");
        assert!(is_same_uri(a, &other));
        if same && a != b {
            assert!(Uri::parse(b).is_some_and(|b| b.is_same(&uri)));
        }
    }
    for strict in [false, true] {
        let parts: Vec<&[u8]> = a.split(|&byte| byte == b' ').collect();
        let dense = parts.iter().all(|part| !part.is_empty());
        let outside = a.starts_with(b" ") || a.ends_with(b" ") || a.is_empty();
        let good = uris(a).all(|part| Uri::parse(part).is_some()) && !outside && (dense || !strict);
        let checked = check_path(a, 0, strict);
        assert_eq!(checked.is_some(), good);
        if let Some(start) = checked {
            let session = &a[start.session[0] as usize..start.session[1] as usize];
            let first = uris(a).next().and_then(Uri::parse).and_then(|uri| uri.session_id);
            assert_eq!(session, first.unwrap_or_default());
            let count = uris(a).count();
            assert!(check_path(a, count, strict).is_some() && (count == 1 || check_path(a, count - 1, strict).is_none()));
        }
    }
});
