//! Digest of RFC 4976 section 9.1, client side.

use md5::{Digest, Md5};

/// Who authenticates.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// User.
    pub user: String,
    /// Password.
    pub password: String,
}

/// The value of Authorization that answers a challenge for the AUTH to `uri`; none when the challenge has no realm or nonce.
pub fn authorization(challenge: &str, credentials: &Credentials, uri: &str, cnonce: &str) -> Option<String> {
    let (realm, nonce) = (parameter(challenge, "realm")?, parameter(challenge, "nonce")?);
    let Credentials { user, password } = credentials;
    let ha1 = hash(&format!("{user}:{realm}:{password}"));
    let ha2 = hash(&format!("AUTH:{uri}"));
    let response = hash(&format!("{ha1}:{nonce}:00000001:{cnonce}:auth:{ha2}"));
    let opaque = parameter(challenge, "opaque").map(|text| format!(", opaque=\"{text}\"")).unwrap_or_default();
    Some(format!(
        "Digest username=\"{user}\", realm=\"{realm}\", nonce=\"{nonce}\", qop=auth, nc=00000001, \
         cnonce=\"{cnonce}\", response=\"{response}\"{opaque}"
    ))
}

/// A parameter of a challenge, quoted or not, without its quotes.
pub fn parameter<'c>(challenge: &'c str, name: &str) -> Option<&'c str> {
    let list = challenge.strip_prefix("Digest")?;
    let mut rest = list.trim_start();
    loop {
        let (key, behind) = rest.split_once('=')?;
        let (value, next) = match behind.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => behind.split_once(',').map_or((behind, ""), |(value, next)| (value.trim_end(), next)),
        };
        if key.trim().eq_ignore_ascii_case(name) {
            return Some(value);
        }
        rest = next.trim_start_matches([',', ' ']);
    }
}

fn hash(text: &str) -> String {
    let digest: [u8; 16] = Md5::digest(text.as_bytes()).into();
    format!("{:032x}", u128::from_be_bytes(digest))
}

#[cfg(test)]
mod tests {
    use super::{Credentials, authorization, parameter};

    #[test]
    fn a_challenge_is_answered() {
        let credentials = Credentials { user: "alice".to_owned(), password: "wonderland".to_owned() };
        let challenge = r#"Digest realm="relay.example", nonce="n0nceAAAABBBBCCCCDDDD1234", qop="auth", algorithm=MD5"#;
        let answer = authorization(challenge, &credentials, "msrps://relay.example:2855;tcp", "c0ffee0123456789").unwrap();
        assert!(answer.contains(r#"response="7c096d5b9d279e2f25e2bde21d8f1c5f""#), "{answer}");
        assert!(!answer.contains("opaque"));
    }

    #[test]
    fn parameters_in_any_order_and_form() {
        let challenge = r#"Digest algorithm=MD5,qop="auth",  nonce="a,b=c" , stale=true, realm="x""#;
        assert_eq!(parameter(challenge, "realm"), Some("x"));
        assert_eq!(parameter(challenge, "Nonce"), Some("a,b=c"));
        assert_eq!(parameter(challenge, "stale"), Some("true"));
        assert_eq!(parameter(challenge, "opaque"), None);
        assert_eq!(parameter("Basic realm=\"x\"", "realm"), None);
    }
}
