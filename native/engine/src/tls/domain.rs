//! TLS domains: PEM texts made into what handshakes need, once.

use super::provider;
use super::suite;
use super::verify::{Trust, Verifier, crl_of};
use ahash::{AHashMap, RandomState};
use rustls::client::{ResolvesClientCert, Resumption};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer, TrustAnchor};
use rustls::server::{ClientHello, NoServerSessionStorage, ProducesTickets, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{
    CipherSuite, ClientConfig, NamedGroup, ServerConfig, SignatureAlgorithm, SignatureScheme, SupportedCipherSuite,
    SupportedProtocolVersion,
};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// A version of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Version {
    Tls12,
    Tls13,
}

/// A certificate (PEM, the chain behind it follows) and its private key (PEM).
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "as in the contract")]
pub struct Identity {
    pub certificate: String,
    pub private_key: String,
}

/// A TLS domain as data; see `TlsDomain` of the contract.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "as in the contract")]
pub struct DomainSpec {
    pub name: String,
    pub identities: Vec<Identity>,
    pub ca: Option<String>,
    pub crl: Option<String>,
    pub min_version: Version,
    pub max_version: Version,
    pub ciphers: Option<Vec<String>>,
    pub curves: Option<Vec<String>>,
    pub verify_cert: bool,
    pub require_cert: bool,
}

impl DomainSpec {
    /// A domain of that name which shows nothing, trusts the system and refuses nobody.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            identities: Vec::new(),
            ca: None,
            crl: None,
            min_version: Version::Tls12,
            max_version: Version::Tls13,
            ciphers: None,
            curves: None,
            verify_cert: false,
            require_cert: false,
        }
    }
}

/// Why no domain can be made of a specification: which part of it, and what is wrong.
pub type DomainError = String;

/// A TLS domain, ready for handshakes. Shared by all workers, listeners and dials that use it.
pub struct Domain {
    pub(crate) name: Arc<str>,
    /// None: it has no certificate to show.
    pub(crate) server: Option<Arc<ServerConfig>>,
    pub(crate) client: Arc<ClientConfig>,
    pub(crate) trust: Arc<Trust>,
    pub(crate) verify_cert: bool,
}

impl fmt::Debug for Domain {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Domain").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Domain {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Makes a domain. `tickets`: those of the engine.
    ///
    /// # Errors
    /// When the PEM texts cannot be read, or do not fit together.
    pub(crate) fn new(spec: &DomainSpec, tickets: &Tickets) -> Result<Arc<Self>, DomainError> {
        let versions = versions(spec.min_version, spec.max_version)?;
        let provider = Arc::new(suite::select(&provider::all(), spec.ciphers.as_deref(), spec.curves.as_deref())?);
        let identities = Arc::new(Identities::new(spec, &provider)?);
        let anchors = match &spec.ca {
            Some(pem) => anchors_of(pem)?,
            None => system_anchors(),
        };
        let crls = crls_of(spec.crl.as_deref().unwrap_or_default())?;
        let trust = Arc::new(Trust { anchors, crls, algorithms: provider.signature_verification_algorithms });
        let verifier = Arc::new(Verifier { trust: Arc::clone(&trust), strict: spec.verify_cert, required: spec.require_cert });
        let text = |error: rustls::Error| error.to_string();
        let mut client = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&versions)
            .map_err(text)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::clone(&verifier) as _)
            .with_client_cert_resolver(Arc::clone(&identities) as _);
        client.resumption = Resumption::in_memory_sessions(CLIENT_SESSIONS);
        let server = if spec.identities.is_empty() {
            None
        } else {
            let mut server = ServerConfig::builder_with_provider(provider)
                .with_protocol_versions(&versions)
                .map_err(text)?
                .with_client_cert_verifier(verifier)
                .with_cert_resolver(identities);
            // The order of suites is ours, as it is in the other engine.
            server.ignore_client_order = true;
            server.session_storage = Arc::new(NoServerSessionStorage {});
            server.ticketer = tickets.of(spec, &trust).map_err(text)?;
            server.send_tls13_tickets = TICKETS_PER_HANDSHAKE;
            Some(Arc::new(server))
        };
        let name = Arc::from(spec.name.as_str());
        Ok(Arc::new(Self { name, server, client: Arc::new(client), trust, verify_cert: spec.verify_cert }))
    }
}

/// Servers whose sessions a domain remembers for its dials.
const CLIENT_SESSIONS: usize = 256;

/// A ticket is good for one connection, and brings the next one.
const TICKETS_PER_HANDSHAKE: usize = 1;

/// The domains of a listener, by SNI.
#[derive(Clone, Debug, Default)]
pub struct Server {
    exact: AHashMap<String, Arc<Domain>>,
    /// What follows the `*`, with its dot.
    wildcards: AHashMap<String, Arc<Domain>>,
    fallback: Option<Arc<Domain>>,
}

impl Server {
    /// `by_name`: lower case, exact names and `*.example.com`. Without a fallback, a client whose name matches none is refused.
    #[must_use]
    pub fn new(by_name: Vec<(String, Arc<Domain>)>, fallback: Option<Arc<Domain>>) -> Self {
        let mut server = Self { fallback, ..Self::default() };
        for (pattern, domain) in by_name {
            // The first one of a name counts.
            match pattern.strip_prefix('*') {
                Some(rest) => server.wildcards.entry(rest.to_owned()).or_insert(domain),
                None => server.exact.entry(pattern).or_insert(domain),
            };
        }
        server
    }

    /// Patterns that have a domain of their own.
    #[must_use]
    pub fn patterns(&self) -> usize {
        self.exact.len() + self.wildcards.len()
    }

    /// The domain for a client that has asked for that name.
    pub(crate) fn choose(&self, name: Option<&str>) -> Option<&Arc<Domain>> {
        let named = name.and_then(|name| {
            let name = name.to_ascii_lowercase();
            let wild = || self.wildcards.get(&name[name.find('.')?..]);
            self.exact.get(&name).or_else(wild)
        });
        named.or(self.fallback.as_ref())
    }
}

/// Ticket keys of an engine by domain: a domain that is made again keeps them while it trusts the same.
#[derive(Default)]
pub struct Tickets {
    hasher: RandomState,
    known: Mutex<AHashMap<String, Keys>>,
}

/// What a domain trusted when its keys were made (a hash), and the keys.
type Keys = (u64, Arc<dyn ProducesTickets>);

impl Tickets {
    fn of(&self, spec: &DomainSpec, trust: &Trust) -> Result<Arc<dyn ProducesTickets>, rustls::Error> {
        let anchors: Vec<&[u8]> = trust.anchors.iter().map(|anchor| anchor.subject_public_key_info.as_ref()).collect();
        let kept = self.hasher.hash_one((anchors, &spec.crl, spec.require_cert, spec.verify_cert));
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((same, ticketer)) = known.get(&spec.name)
            && *same == kept
        {
            return Ok(Arc::clone(ticketer));
        }
        let ticketer = provider::ticketer()?;
        known.insert(spec.name.clone(), (kept, Arc::clone(&ticketer)));
        Ok(ticketer)
    }
}

/// Certificates of a domain, one for each kind of key.
#[derive(Debug)]
struct Identities {
    /// ECDSA first: it costs a tenth.
    keys: Vec<OwnKey>,
    /// Suites that the domain has, of the versions that it has.
    suites: Vec<CipherSuite>,
}

/// A certificate with its key, and the curve that it is on if it is on one.
#[derive(Debug)]
struct OwnKey {
    certified: Arc<CertifiedKey>,
    curve: Option<NamedGroup>,
}

impl OwnKey {
    fn algorithm(&self) -> SignatureAlgorithm {
        self.certified.key.algorithm()
    }
}

impl Identities {
    fn new(spec: &DomainSpec, provider: &CryptoProvider) -> Result<Self, DomainError> {
        let mut keys = spec
            .identities
            .iter()
            .map(|identity| {
                let certified = certified_key(identity, provider).map(Arc::new)?;
                Ok(OwnKey { curve: curve_of(&certified), certified })
            })
            .collect::<Result<Vec<_>, DomainError>>()?;
        keys.sort_by_key(|key| key.algorithm() == SignatureAlgorithm::RSA);
        let of_versions = |suite: &CipherSuite| {
            let version = if of_tls13(*suite) { Version::Tls13 } else { Version::Tls12 };
            (spec.min_version..=spec.max_version).contains(&version)
        };
        let suites = provider.cipher_suites.iter().map(SupportedCipherSuite::suite).filter(of_versions).collect();
        Ok(Self { keys, suites })
    }

    fn choose(&self, schemes: &[SignatureScheme], usable: impl Fn(&OwnKey) -> bool) -> Option<Arc<CertifiedKey>> {
        let fits = |key: &&OwnKey| key.certified.key.choose_scheme(schemes).is_some() && usable(key);
        self.keys.iter().find(fits).map(|key| Arc::clone(&key.certified))
    }
}

impl ResolvesServerCert for Identities {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        // Suites of TLS 1.2 are for one kind of key each, those of 1.3 for any. Up to 1.2 the groups of a client say on which
        // curves it can verify, too (RFC 8422 section 5.1.1).
        let shared = || hello.cipher_suites().iter().filter(|suite| self.suites.contains(suite));
        let can_verify = |key: &OwnKey| {
            let among = |curve| hello.named_groups().is_none_or(|groups| groups.contains(&curve));
            key.curve.is_none_or(among)
        };
        let usable =
            |key: &OwnKey| shared().any(|suite| of_tls13(*suite) || (key_of(*suite) == Some(key.algorithm()) && can_verify(key)));
        self.choose(hello.signature_schemes(), usable)
    }
}

impl ResolvesClientCert for Identities {
    fn resolve(&self, _issuers: &[&[u8]], schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.choose(schemes, |_| true)
    }

    fn has_certs(&self) -> bool {
        !self.keys.is_empty()
    }
}

/// Each curve goes with one scheme.
fn curve_of(certified: &CertifiedKey) -> Option<NamedGroup> {
    let curves = [
        (SignatureScheme::ECDSA_NISTP256_SHA256, NamedGroup::secp256r1),
        (SignatureScheme::ECDSA_NISTP384_SHA384, NamedGroup::secp384r1),
        (SignatureScheme::ECDSA_NISTP521_SHA512, NamedGroup::secp521r1),
    ];
    curves.into_iter().find(|(scheme, _)| certified.key.choose_scheme(&[*scheme]).is_some()).map(|(_, curve)| curve)
}

fn of_tls13(suite: CipherSuite) -> bool {
    matches!(
        suite,
        CipherSuite::TLS13_AES_128_GCM_SHA256
            | CipherSuite::TLS13_AES_256_GCM_SHA384
            | CipherSuite::TLS13_CHACHA20_POLY1305_SHA256
    )
}

fn key_of(suite: CipherSuite) -> Option<SignatureAlgorithm> {
    let name = suite::name_of(suite);
    if name.starts_with("ECDHE-RSA") {
        Some(SignatureAlgorithm::RSA)
    } else if name.starts_with("ECDHE-ECDSA") {
        Some(SignatureAlgorithm::ECDSA)
    } else {
        None
    }
}

fn certified_key(identity: &Identity, provider: &CryptoProvider) -> Result<CertifiedKey, DomainError> {
    let chain = certificates(&identity.certificate).map_err(|error| format!("certificate: {error}"))?;
    if chain.is_empty() {
        return Err("certificate: no certificate in it".to_owned());
    }
    let key = PrivateKeyDer::from_pem_slice(identity.private_key.as_bytes()).map_err(|error| format!("private key: {error}"))?;
    let certified = CertifiedKey::from_der(chain, key, provider);
    certified.map_err(|error| format!("certificate and private key: {error}"))
}

fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<_, _>>().map_err(|error| error.to_string())
}

fn anchors_of(pem: &str) -> Result<Vec<TrustAnchor<'static>>, DomainError> {
    let certificates = certificates(pem).map_err(|error| format!("CA: {error}"))?;
    let anchor = |der: &CertificateDer<'_>| webpki::anchor_from_trusted_cert(der).map(|anchor| anchor.to_owned());
    certificates.iter().map(anchor).collect::<Result<_, _>>().map_err(|error| format!("CA: {error}"))
}

/// The CAs of the system. What cannot be read is left out: nothing that it has issued verifies, and that is said then.
fn system_anchors() -> Vec<TrustAnchor<'static>> {
    let loaded = rustls_native_certs::load_native_certs();
    let anchor = |der: &CertificateDer<'_>| webpki::anchor_from_trusted_cert(der).ok().map(|anchor| anchor.to_owned());
    loaded.certs.iter().filter_map(anchor).collect()
}

fn crls_of(pem: &str) -> Result<Vec<webpki::CertRevocationList<'static>>, DomainError> {
    let mut crls = Vec::new();
    for der in CertificateRevocationListDer::pem_slice_iter(pem.as_bytes()) {
        let der = der.map_err(|error| format!("CRL: {error}"))?;
        crls.push(crl_of(&der).map_err(|error| format!("CRL: {error}"))?);
    }
    Ok(crls)
}

fn versions(min: Version, max: Version) -> Result<Vec<&'static SupportedProtocolVersion>, DomainError> {
    let all = [(Version::Tls12, &rustls::version::TLS12), (Version::Tls13, &rustls::version::TLS13)];
    let versions: Vec<_> =
        all.into_iter().filter(|(version, _)| (min..=max).contains(version)).map(|(_, version)| version).collect();
    if versions.is_empty() { Err("the lowest version is above the highest".to_owned()) } else { Ok(versions) }
}
