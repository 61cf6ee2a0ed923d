//! Whether a peer's certificate chains to a trusted CA, is in force, not revoked, and for the right purpose and name.

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, TrustAnchor, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, SignatureScheme};
use std::fmt;
use std::sync::Arc;
use webpki::{
    CertRevocationList, EndEntityCert, ExpirationPolicy, KeyUsage, OwnedCertRevocationList, RevocationCheckDepth,
    RevocationOptionsBuilder, UnknownStatusPolicy,
};

/// What a peer is to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role<'a> {
    /// A client.
    Client,
    /// A server that was dialled by that name.
    Server(&'a ServerName<'static>),
}

/// What a domain trusts.
pub struct Trust {
    pub anchors: Vec<TrustAnchor<'static>>,
    /// Of the whole chain; when there are any, a CA without one is a failure.
    pub crls: Vec<CertRevocationList<'static>>,
    pub algorithms: WebPkiSupportedAlgorithms,
}

impl Trust {
    /// Judges a chain: the peer's certificate, and what it has sent behind it.
    ///
    /// # Errors
    /// The first thing that is wrong, in rustls' words, so that the right alert goes out.
    pub fn verify(&self, chain: &[CertificateDer<'_>], role: Role<'_>, now: UnixTime) -> Result<(), Error> {
        let (end_entity, intermediates) = chain.split_first().ok_or(Error::NoCertificatesPresented)?;
        let certificate = EndEntityCert::try_from(end_entity).map_err(refused)?;
        let crls: Vec<&CertRevocationList<'_>> = self.crls.iter().collect();
        let revocation = if crls.is_empty() { None } else { RevocationOptionsBuilder::new(&crls).ok() };
        let revocation = revocation.map(|builder| {
            builder
                .with_depth(RevocationCheckDepth::Chain)
                .with_status_policy(UnknownStatusPolicy::Deny)
                .with_expiration_policy(ExpirationPolicy::Enforce)
                .build()
        });
        let usage = match role {
            Role::Client => KeyUsage::client_auth(),
            Role::Server(_) => KeyUsage::server_auth(),
        };
        let (algorithms, anchors) = (self.algorithms.all, &self.anchors);
        certificate.verify_for_usage(algorithms, anchors, intermediates, now, usage, revocation, None).map_err(refused)?;
        match role {
            Role::Client => Ok(()),
            Role::Server(name) => certificate.verify_is_valid_for_subject_name(name).map_err(refused),
        }
    }
}

/// rustls' view of [`Trust`]: asks for certificates, and refuses those that do not verify where the domain says so.
pub struct Verifier {
    pub trust: Arc<Trust>,
    /// What does not verify is refused; else it is accepted, and `verified` is false.
    pub strict: bool,
    /// A client without a certificate is refused.
    pub required: bool,
}

impl fmt::Debug for Verifier {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Verifier").field("strict", &self.strict).field("required", &self.required).finish_non_exhaustive()
    }
}

impl ClientCertVerifier for Verifier {
    fn client_auth_mandatory(&self) -> bool {
        self.required
    }

    /// None: a client shows what it has, whoever has issued it.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        if self.strict {
            self.trust.verify(&whole(end_entity, intermediates), Role::Client, now)?;
        }
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.trust.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.trust.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.trust.algorithms.supported_schemes()
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if self.strict {
            self.trust.verify(&whole(end_entity, intermediates), Role::Server(&server_name.to_owned()), now)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.trust.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.trust.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.trust.algorithms.supported_schemes()
    }
}

/// CRLs of a PEM text.
pub fn crl_of(der: &[u8]) -> Result<CertRevocationList<'static>, webpki::Error> {
    OwnedCertRevocationList::from_der(der).map(CertRevocationList::from)
}

fn whole<'a>(end_entity: &CertificateDer<'a>, intermediates: &[CertificateDer<'a>]) -> Vec<CertificateDer<'a>> {
    std::iter::once(end_entity).chain(intermediates).cloned().collect()
}

/// The error of rustls for one of webpki: it chooses the alert.
fn refused(error: webpki::Error) -> Error {
    use webpki::Error as Why;
    Error::InvalidCertificate(match error {
        Why::CertExpired { .. } => CertificateError::Expired,
        Why::CertNotValidYet { .. } => CertificateError::NotValidYet,
        Why::CertRevoked => CertificateError::Revoked,
        Why::UnknownIssuer => CertificateError::UnknownIssuer,
        Why::UnknownRevocationStatus => CertificateError::UnknownRevocationStatus,
        Why::CrlExpired { .. } => CertificateError::ExpiredRevocationList,
        Why::CertNotValidForName(_) => CertificateError::NotValidForName,
        Why::BadDer | Why::BadDerTime => CertificateError::BadEncoding,
        Why::InvalidSignatureForPublicKey => CertificateError::BadSignature,
        Why::RequiredEkuNotFoundContext(_) => CertificateError::InvalidPurpose,
        other => CertificateError::Other(OtherError(Arc::new(other))),
    })
}
