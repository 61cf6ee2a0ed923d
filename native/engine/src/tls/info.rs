//! What is known of a connection after its handshake: the certificate's names, and whether it is to be believed.

use super::domain::Domain;
use super::suite;
use super::verify::Role;
use crate::contract::{PeerCertificate, TlsInfo};
use rustls::pki_types::UnixTime;
use rustls::{CommonState, Error, HandshakeKind, ProtocolVersion};
use std::net::{Ipv4Addr, Ipv6Addr};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate, X509Name};

/// Describes a handshake that is done.
///
/// # Errors
/// When the certificate of a resumed session does not verify (any more) in a domain that refuses such.
pub fn describe(connection: &CommonState, domain: &Domain, server_name: Option<&str>, role: Role<'_>) -> Result<TlsInfo, Error> {
    let resumed = connection.handshake_kind() == Some(HandshakeKind::Resumed);
    let chain = connection.peer_certificates().unwrap_or_default();
    let mut peer = None;
    if let Some(certificate) = chain.first() {
        // A full handshake in a strict domain has been through this already.
        let verified = if domain.verify_cert && !resumed {
            true
        } else {
            let verdict = domain.trust.verify(chain, role, UnixTime::now());
            if domain.verify_cert {
                verdict?;
                true
            } else {
                verdict.is_ok()
            }
        };
        peer = Some(PeerCertificate { verified, ..names_of(certificate) });
    }
    Ok(TlsInfo {
        domain: domain.name.to_string(),
        protocol: match connection.protocol_version() {
            Some(ProtocolVersion::TLSv1_2) => "TLSv1.2",
            _ => "TLSv1.3",
        },
        cipher: connection.negotiated_cipher_suite().map_or("unknown", |suite| suite::name_of(suite.suite())),
        server_name: server_name.map(str::to_owned),
        resumed,
        peer,
    })
}

/// Its names, those of subjectAltName that are host names or addresses in lower case; whether it is verified is not said.
fn names_of(der: &[u8]) -> PeerCertificate {
    let Ok((_, certificate)) = X509Certificate::from_der(der) else { return PeerCertificate::default() };
    let mut alt_names = Vec::new();
    if let Ok(Some(extension)) = certificate.subject_alternative_name() {
        for name in &extension.value.general_names {
            match name {
                GeneralName::DNSName(name) => alt_names.push(name.to_ascii_lowercase()),
                GeneralName::IPAddress(bytes) => alt_names.extend(address(bytes)),
                _ => {}
            }
        }
    }
    PeerCertificate { verified: false, alt_names, subject: text(certificate.subject()), issuer: text(certificate.issuer()) }
}

fn address(bytes: &[u8]) -> Option<String> {
    let v4 = <[u8; 4]>::try_from(bytes).map(|bytes| Ipv4Addr::from(bytes).to_string());
    v4.ok().or_else(|| Some(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?).to_string()))
}

/// `CN=relay.example, O=Example`, in the order of the certificate.
fn text(name: &X509Name<'_>) -> String {
    let attributes = name.iter_attributes().map(|attribute| {
        let oid = attribute.attr_type().to_id_string();
        let known = SHORT_NAMES.iter().find(|(known, _)| *known == oid);
        format!("{}={}", known.map_or(oid.as_str(), |(_, short)| short), attribute.as_str().unwrap_or_default())
    });
    attributes.collect::<Vec<_>>().join(", ")
}

/// Attributes of names by the short names of OpenSSL (RFC 4519 and others).
const SHORT_NAMES: [(&str, &str); 11] = [
    ("2.5.4.3", "CN"),
    ("2.5.4.4", "SN"),
    ("2.5.4.5", "serialNumber"),
    ("2.5.4.6", "C"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("2.5.4.42", "GN"),
    ("0.9.2342.19200300.100.1.25", "DC"),
    ("1.2.840.113549.1.9.1", "emailAddress"),
];
