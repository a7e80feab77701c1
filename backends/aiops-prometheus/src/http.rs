//! What client and scraper share: one way to make an HTTP client, one way to read a bounded body.

use std::sync::Arc;
use std::time::Duration;

use reqwest::{Client, Response};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use crate::client::TlsConfig;

/// Why an HTTP client could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SetUpError {
    /// A setting is out of range.
    #[error(transparent)]
    Config(#[from] crate::ConfigError),
    /// A certificate file cannot be read or holds no certificate.
    #[error("cannot read certificates from {path}")]
    Certificates {
        /// The file.
        path: String,
        /// Reason, where the file could be opened.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The TLS set-up was refused.
    #[error("cannot set up TLS")]
    Tls(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The HTTP client was refused.
    #[error("cannot set up the HTTP client")]
    Http(#[source] reqwest::Error),
}

/// Redirects are not followed: a server that sends its readers elsewhere is misconfigured, and following would turn a
/// POST into a GET and might carry credentials to a stranger. System proxies are not read from the environment.
pub(crate) fn http_client(
    tls: &TlsConfig,
    secure: bool,
    timeout: Duration,
    connect_timeout: Duration,
) -> Result<Client, SetUpError> {
    Client::builder()
        .tls_backend_preconfigured(tls_config(tls, secure)?)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .timeout(timeout)
        .connect_timeout(connect_timeout)
        .user_agent(concat!("aiops-prometheus/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(SetUpError::Http)
}

/// rustls with ring passed explicitly: nothing is installed process-wide, so two providers can meet in one program.
fn tls_config(tls: &TlsConfig, secure: bool) -> Result<rustls::ClientConfig, SetUpError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| SetUpError::Tls(error.into()))?;
    let mut extra = Vec::new();
    for path in &tls.ca_files {
        let shown = path.display().to_string();
        let refuse = |source: Box<dyn std::error::Error + Send + Sync>| SetUpError::Certificates {
            path: shown.clone(),
            source,
        };
        let before = extra.len();
        for certificate in CertificateDer::pem_file_iter(path).map_err(|error| refuse(error.into()))? {
            extra.push(certificate.map_err(|error| refuse(error.into()))?);
        }
        if extra.len() == before {
            return Err(refuse("no certificate in it".into()));
        }
    }
    // A plain http:// address never comes to TLS; the roots of the system are then not read, and need not exist.
    if tls.only_ca_files || !secure {
        let mut roots = rustls::RootCertStore::empty();
        for certificate in extra {
            roots.add(certificate).map_err(|error| SetUpError::Tls(error.into()))?;
        }
        return Ok(builder.with_root_certificates(roots).with_no_client_auth());
    }
    let verifier = rustls_platform_verifier::Verifier::new_with_extra_roots(extra, provider)
        .map_err(|error| SetUpError::Tls(error.into()))?;
    Ok(builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth())
}

/// Why a body could not be read.
#[derive(Debug)]
pub(crate) enum BodyError {
    TooLarge,
    Transport(reqwest::Error),
}

/// Hands the body to `sink` chunk by chunk, up to `limit` bytes.
pub(crate) async fn read_body(
    response: &mut Response,
    limit: u64,
    mut sink: impl FnMut(&[u8]),
) -> Result<u64, BodyError> {
    if response.content_length().is_some_and(|length| length > limit) {
        return Err(BodyError::TooLarge);
    }
    let mut read = 0_u64;
    while let Some(chunk) = response.chunk().await.map_err(BodyError::Transport)? {
        read = read.saturating_add(chunk.len() as u64);
        if read > limit {
            return Err(BodyError::TooLarge);
        }
        sink(&chunk);
    }
    Ok(read)
}

/// Text of a stranger, cut to 200 characters and without control characters, fit for an error message.
pub(crate) fn excerpt(bytes: &[u8]) -> String {
    let head = bytes.get(..bytes.len().min(1_024)).unwrap_or_default();
    let text = String::from_utf8_lossy(head);
    let clean: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(200).collect();
    clean.trim().to_owned()
}
