//! TLS domains of msrp-engine for JavaScript: PEM texts go down once, handles from then on.
#![allow(clippy::needless_pass_by_value, reason = "napi hands texts and objects over by value")]

use crate::engine::EngineHandle;
use msrp_engine::tls::{Domain, DomainSpec, Identity, Server, Version};
use napi::bindgen_prelude::{ClassInstance, Error, Result, Status};
use napi_derive::napi;
use std::sync::Arc;

/// A certificate (PEM, the chain behind it follows) and its private key (PEM).
#[napi(object, object_to_js = false)]
#[allow(missing_docs, reason = "as in the contract")]
pub struct IdentitySettings {
    pub certificate: String,
    pub private_key: String,
}

/// A TLS domain, as `TlsDomain` of the contract has it.
#[napi(object, object_to_js = false)]
#[allow(missing_docs, reason = "as in the contract")]
pub struct DomainSettings {
    pub name: String,
    pub identities: Vec<IdentitySettings>,
    pub ca: Option<String>,
    pub crl: Option<String>,
    pub min_version: String,
    pub max_version: String,
    pub ciphers: Option<Vec<String>>,
    pub curves: Option<Vec<String>>,
    pub verify_cert: bool,
    pub require_cert: bool,
}

/// A TLS domain that is ready for handshakes, of one engine.
#[napi]
pub struct DomainHandle {
    pub(crate) domain: Arc<Domain>,
}

#[napi]
impl DomainHandle {
    /// Its name.
    #[napi(getter)]
    pub fn name(&self) -> String {
        self.domain.name().to_owned()
    }
}

/// What a TLS listener serves.
#[napi]
pub struct ServerHandle {
    pub(crate) server: Server,
}

#[napi]
impl ServerHandle {
    /// Patterns of SNI that have a domain of their own.
    #[napi(getter)]
    pub fn patterns(&self) -> u32 {
        u32::try_from(self.server.patterns()).unwrap_or(u32::MAX)
    }
}

#[napi]
impl EngineHandle {
    /// Makes a domain; throws with what is wrong with the texts.
    #[napi]
    pub fn tls_domain(&self, settings: DomainSettings) -> Result<DomainHandle> {
        let identity = |IdentitySettings { certificate, private_key }| Identity { certificate, private_key };
        let spec = DomainSpec {
            name: settings.name,
            identities: settings.identities.into_iter().map(identity).collect(),
            ca: settings.ca,
            crl: settings.crl,
            min_version: version(&settings.min_version)?,
            max_version: version(&settings.max_version)?,
            ciphers: settings.ciphers,
            curves: settings.curves,
            verify_cert: settings.verify_cert,
            require_cert: settings.require_cert,
        };
        let domain = self.engine.domain(&spec).map_err(|error| Error::new(Status::InvalidArg, error))?;
        Ok(DomainHandle { domain })
    }

    /// Puts domains together by SNI: patterns, and the domain of each.
    #[napi]
    #[allow(clippy::unused_self, reason = "a method beside that which makes domains")]
    pub fn tls_server(
        &self,
        patterns: Vec<String>,
        domains: Vec<ClassInstance<'_, DomainHandle>>,
        fallback: Option<ClassInstance<'_, DomainHandle>>,
    ) -> ServerHandle {
        let of = |handle: ClassInstance<'_, DomainHandle>| Arc::clone(&handle.domain);
        let by_name = patterns.into_iter().zip(domains.into_iter().map(of)).collect();
        ServerHandle { server: Server::new(by_name, fallback.map(of)) }
    }
}

fn version(name: &str) -> Result<Version> {
    match name {
        "TLSv1.2" => Ok(Version::Tls12),
        "TLSv1.3" => Ok(Version::Tls13),
        _ => Err(Error::new(Status::InvalidArg, format!("{name} is no version of TLS that this engine has"))),
    }
}
