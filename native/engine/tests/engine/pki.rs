//! Authorities and certificates for tests, made anew in each.

use msrp_engine::Engine;
use msrp_engine::tls::{Domain, DomainSpec, Identity, Server};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DnType, IsCa, KeyIdMethod, KeyPair,
    PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256, RevokedCertParams, SerialNumber, date_time_ymd,
};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion};
use std::sync::Arc;

/// An authority.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// What is to be in a certificate.
#[derive(Clone, Copy)]
pub struct Leaf<'a> {
    pub names: &'a [&'a str],
    pub serial: u64,
    pub rsa: bool,
    pub expired: bool,
}

impl<'a> Leaf<'a> {
    pub fn named(names: &'a [&'a str]) -> Self {
        Self { names, serial: 7, rsa: false, expired: false }
    }
}

impl Authority {
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        Self { issuer: CertifiedIssuer::self_signed(params, key).unwrap() }
    }

    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    pub fn issue(&self, leaf: Leaf<'_>) -> Identity {
        let mut params = CertificateParams::new(leaf.names.iter().map(ToString::to_string).collect::<Vec<_>>()).unwrap();
        params.serial_number = Some(SerialNumber::from(leaf.serial));
        params.distinguished_name.push(DnType::CommonName, leaf.names[0]);
        params.distinguished_name.push(DnType::OrganizationName, "Example, Inc.");
        if leaf.expired {
            (params.not_before, params.not_after) = (date_time_ymd(2001, 1, 1), date_time_ymd(2002, 1, 1));
        }
        let key = KeyPair::generate_for(if leaf.rsa { &PKCS_RSA_SHA256 } else { &PKCS_ECDSA_P256_SHA256 }).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Identity { certificate: certificate.pem(), private_key: key.serialize_pem() }
    }

    pub fn crl(&self, serials: &[u64]) -> String {
        let revoked = |&serial: &u64| RevokedCertParams {
            serial_number: SerialNumber::from(serial),
            revocation_time: date_time_ymd(2020, 1, 1),
            reason_code: None,
            invalidity_date: None,
        };
        let params = CertificateRevocationListParams {
            this_update: date_time_ymd(2020, 1, 1),
            next_update: date_time_ymd(2200, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: serials.iter().map(revoked).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&self.issuer).unwrap().pem().unwrap()
    }

    /// A domain with a certificate of this authority, which it trusts.
    pub fn spec(&self, name: &str, leaf: Leaf<'_>) -> DomainSpec {
        DomainSpec { identities: vec![self.issue(leaf)], ca: Some(self.pem()), ..DomainSpec::new(name) }
    }

    /// A listener with one domain, for `relay.example`.
    pub fn server(&self, engine: &Engine) -> Server {
        fallback(engine, &self.spec("main", Leaf::named(&["relay.example"])))
    }

    /// A client that trusts this authority, and shows a certificate if it has one.
    pub fn client(&self, identity: Option<&Identity>) -> Arc<ClientConfig> {
        self.client_with(identity, rustls::ALL_VERSIONS)
    }

    pub fn client_with(&self, identity: Option<&Identity>, versions: &[&'static SupportedProtocolVersion]) -> Arc<ClientConfig> {
        let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(self.roots());
        Arc::new(match identity {
            None => builder.with_no_client_auth(),
            Some(identity) => {
                let (chain, key) = der(identity);
                builder.with_client_auth_cert(chain, key).unwrap()
            }
        })
    }

    /// A server that is no relay, and asks for a certificate of this authority if it is to.
    pub fn far_server(&self, identity: &Identity, asks: bool) -> Arc<ServerConfig> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder =
            ServerConfig::builder_with_provider(Arc::clone(&provider)).with_protocol_versions(rustls::ALL_VERSIONS).unwrap();
        let (chain, key) = der(identity);
        let builder = if asks {
            let verifier = rustls::server::WebPkiClientVerifier::builder_with_provider(Arc::new(self.roots()), provider);
            builder.with_client_cert_verifier(verifier.build().unwrap())
        } else {
            builder.with_no_client_auth()
        };
        Arc::new(builder.with_single_cert(chain, key).unwrap())
    }

    fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).unwrap();
        roots
    }
}

/// A listener with that one domain.
pub fn fallback(engine: &Engine, spec: &DomainSpec) -> Server {
    Server::new(Vec::new(), Some(domain(engine, spec)))
}

pub fn domain(engine: &Engine, spec: &DomainSpec) -> Arc<Domain> {
    engine.domain(spec).unwrap()
}

fn der(identity: &Identity) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
    let chain = CertificateDer::pem_slice_iter(identity.certificate.as_bytes()).collect::<Result<_, _>>().unwrap();
    (chain, PrivateKeyDer::from_pem_slice(identity.private_key.as_bytes()).unwrap())
}
