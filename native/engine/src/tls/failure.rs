//! Why a handshake has failed, in the words of the contract: the same in both engines.

use rustls::{CertificateError, Error, PeerIncompatible};

/// Why a handshake has failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "docs/errors.md has a row for each")]
pub enum HandshakeFailure {
    Timeout,
    Closed,
    Protocol,
    Version,
    NoSharedCipher,
    UnrecognizedName,
    NoCertificate,
    CertificateExpired,
    CertificateRevoked,
    UnknownCa,
    BadCertificate,
    NameMismatch,
    PeerAlert,
    MaxHandshakes,
}

impl HandshakeFailure {
    /// All of them, in the order of the contract.
    pub const ALL: [Self; 14] = [
        Self::Timeout,
        Self::Closed,
        Self::Protocol,
        Self::Version,
        Self::NoSharedCipher,
        Self::UnrecognizedName,
        Self::NoCertificate,
        Self::CertificateExpired,
        Self::CertificateRevoked,
        Self::UnknownCa,
        Self::BadCertificate,
        Self::NameMismatch,
        Self::PeerAlert,
        Self::MaxHandshakes,
    ];

    /// Name in the contract.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Closed => "closed",
            Self::Protocol => "protocol",
            Self::Version => "version",
            Self::NoSharedCipher => "no_shared_cipher",
            Self::UnrecognizedName => "unrecognized_name",
            Self::NoCertificate => "no_certificate",
            Self::CertificateExpired => "certificate_expired",
            Self::CertificateRevoked => "certificate_revoked",
            Self::UnknownCa => "unknown_ca",
            Self::BadCertificate => "bad_certificate",
            Self::NameMismatch => "name_mismatch",
            Self::PeerAlert => "peer_alert",
            Self::MaxHandshakes => "max_handshakes",
        }
    }

    /// What an error of rustls comes to, and what to say of it; `peer` is the other side's role in the handshake.
    pub fn told(error: &Error, peer: &str) -> (Self, String) {
        let why = match error {
            Error::InvalidCertificate(why) => format!("{peer} certificate: {why:?}"),
            Error::NoCertificatesPresented => format!("no {peer} certificate"),
            _ => error.to_string(),
        };
        (Self::of(error), why)
    }

    /// What an error of rustls comes to.
    pub fn of(error: &Error) -> Self {
        match error {
            Error::AlertReceived(_) => Self::PeerAlert,
            Error::NoCertificatesPresented => Self::NoCertificate,
            Error::InvalidCertificate(error) => Self::of_certificate(error),
            Error::PeerIncompatible(error) => Self::of_offer(error),
            // What rustls says when none of the domain's certificates is for a client (a test holds it to that).
            Error::General(text) if text == "no server certificate chain resolved" => Self::NoSharedCipher,
            _ => Self::Protocol,
        }
    }

    fn of_certificate(error: &CertificateError) -> Self {
        match error {
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. } => Self::CertificateExpired,
            CertificateError::Revoked => Self::CertificateRevoked,
            CertificateError::UnknownIssuer => Self::UnknownCa,
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => Self::NameMismatch,
            _ => Self::BadCertificate,
        }
    }

    fn of_offer(error: &PeerIncompatible) -> Self {
        match error {
            PeerIncompatible::NoCipherSuitesInCommon
            | PeerIncompatible::NoKxGroupsInCommon
            | PeerIncompatible::NoSignatureSchemesInCommon
            | PeerIncompatible::NoCertificateRequestSignatureSchemesInCommon
            | PeerIncompatible::KeyShareExtensionRequired
            | PeerIncompatible::NamedGroupsExtensionRequired
            | PeerIncompatible::EcPointsExtensionRequired => Self::NoSharedCipher,
            // The extension came with TLS 1.2: who does not send it speaks nothing newer than 1.1.
            PeerIncompatible::ServerDoesNotSupportTls12Or13
            | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
            | PeerIncompatible::SupportedVersionsExtensionRequired
            | PeerIncompatible::SignatureAlgorithmsExtensionRequired
            | PeerIncompatible::Tls12NotOffered
            | PeerIncompatible::Tls12NotOfferedOrEnabled
            | PeerIncompatible::Tls13RequiredForQuic => Self::Version,
            _ => Self::Protocol,
        }
    }
}
