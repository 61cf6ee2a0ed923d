//! Cipher suites and groups by the names that both engines know them by.

use rustls::crypto::{CryptoProvider, SupportedKxGroup};
use rustls::{CipherSuite, NamedGroup, SupportedCipherSuite};

/// Suites with their OpenSSL names, which are what Node calls them; the first is preferred.
const SUITES: [(CipherSuite, &str); 9] = [
    (CipherSuite::TLS13_AES_256_GCM_SHA384, "TLS_AES_256_GCM_SHA384"),
    (CipherSuite::TLS13_AES_128_GCM_SHA256, "TLS_AES_128_GCM_SHA256"),
    (CipherSuite::TLS13_CHACHA20_POLY1305_SHA256, "TLS_CHACHA20_POLY1305_SHA256"),
    (CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, "ECDHE-ECDSA-AES256-GCM-SHA384"),
    (CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, "ECDHE-RSA-AES256-GCM-SHA384"),
    (CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, "ECDHE-ECDSA-AES128-GCM-SHA256"),
    (CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, "ECDHE-RSA-AES128-GCM-SHA256"),
    (CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, "ECDHE-ECDSA-CHACHA20-POLY1305"),
    (CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256, "ECDHE-RSA-CHACHA20-POLY1305"),
];

const GROUPS: [(NamedGroup, &str); 3] =
    [(NamedGroup::X25519, "X25519"), (NamedGroup::secp256r1, "P-256"), (NamedGroup::secp384r1, "P-384")];

/// What a domain takes of a provider; the error names what is not there.
pub fn select(
    provider: &CryptoProvider,
    ciphers: Option<&[String]>,
    curves: Option<&[String]>,
) -> Result<CryptoProvider, String> {
    let names: Vec<&str> = match ciphers {
        Some(names) => names.iter().map(String::as_str).collect(),
        None => SUITES.map(|(_, name)| name).to_vec(),
    };
    let curve_names: Vec<&str> = match curves {
        Some(names) => names.iter().map(String::as_str).collect(),
        None => GROUPS.map(|(_, name)| name).to_vec(),
    };
    let cipher_suites = names.into_iter().map(|name| suite(provider, name)).collect::<Result<_, _>>()?;
    let kx_groups = curve_names.into_iter().map(|name| group(provider, name)).collect::<Result<_, _>>()?;
    Ok(CryptoProvider { cipher_suites, kx_groups, ..provider.clone() })
}

/// Name of the suite that a connection has.
pub fn name_of(suite: CipherSuite) -> &'static str {
    SUITES.iter().find(|(known, _)| *known == suite).map_or("unknown", |(_, name)| name)
}

fn suite(provider: &CryptoProvider, name: &str) -> Result<SupportedCipherSuite, String> {
    let known = SUITES.iter().find(|(_, known)| *known == name).map(|(suite, _)| *suite);
    let found = known.and_then(|known| provider.cipher_suites.iter().find(|suite| suite.suite() == known));
    found.copied().ok_or_else(|| format!("cipher suite {name} is unknown"))
}

fn group(provider: &CryptoProvider, name: &str) -> Result<&'static dyn SupportedKxGroup, String> {
    let known = GROUPS.iter().find(|(_, known)| *known == name).map(|(group, _)| *group);
    let found = known.and_then(|known| provider.kx_groups.iter().find(|group| group.name() == known));
    found.copied().ok_or_else(|| format!("curve {name} is unknown"))
}
