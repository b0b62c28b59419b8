//! TLS: as a client, of checks; as a server, of the API. Knows nothing of what is said inside.

use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, ServerConfig, SignatureScheme,
    client::{
        Resumption,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject},
    server::WebPkiClientVerifier,
};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::SystemTime,
};

/// Where machines keep the certificates that they trust, by distribution.
const MACHINES: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem"];

/// Whose certificates a client believes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trust {
    /// Those that the machine does.
    Machine,
    /// Those signed by one in this file.
    File(PathBuf),
    /// Anybody's.
    Anybody,
}

/// Clients that were made, and of which file as it was when.
type Clients = BTreeMap<Trust, (Option<SystemTime>, Arc<ClientConfig>)>;

/// What a client of TLS speaks. Made once for each file as it is: reading a machine's certificates takes longer than a check.
///
/// # Errors
/// What is wrong with the certificates, in a few words.
pub fn client(trust: &Trust) -> Result<Arc<ClientConfig>, String> {
    static MADE: OnceLock<Mutex<Clients>> = OnceLock::new();
    let file = match trust {
        Trust::Machine => Some(machine()?),
        Trust::File(path) => Some(path.clone()),
        Trust::Anybody => None,
    };
    let changed = file.as_ref().and_then(|path| fs::metadata(path).and_then(|about| about.modified()).ok());
    let mut made = MADE.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((then, client)) = made.get(trust).filter(|(then, _)| *then == changed) {
        let _ = then;
        return Ok(client.clone());
    }
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|why| why.to_string())?;
    let mut client = match &file {
        Some(path) => builder.with_root_certificates(roots(path)?).with_no_client_auth(),
        None => builder.dangerous().with_custom_certificate_verifier(Arc::new(Anybody(provider))).with_no_client_auth(),
    };
    client.alpn_protocols = vec![b"http/1.1".to_vec()];
    // A certificate is looked at each time.
    client.resumption = Resumption::disabled();
    let client = Arc::new(client);
    made.insert(trust.clone(), (changed, client.clone()));
    Ok(client)
}

/// What a client speaks that shows a certificate itself, if it has one: files with the chain, and with the key. Files are
/// read anew each time: certificates are renewed.
///
/// # Errors
/// What is wrong with the files, in a few words.
pub fn member(trust: &Trust, shown: Option<&(PathBuf, PathBuf)>) -> Result<Arc<ClientConfig>, String> {
    let Some((certificate, key)) = shown else { return client(trust) };
    let file = match trust {
        Trust::Machine => machine()?,
        Trust::File(path) => path.clone(),
        Trust::Anybody => return Err("who shows a certificate wants to know to whom".into()),
    };
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|why| why.to_string())?
        .with_root_certificates(roots(&file)?);
    let secret =
        PrivateKeyDer::from_pem_file(key).map_err(|why| format!("{}: no private key: {why}", key.display()))?;
    let client = builder.with_client_auth_cert(certificates(certificate)?, secret);
    let mut client = client.map_err(|why| format!("{} and {}: {why}", certificate.display(), key.display()))?;
    client.alpn_protocols = vec![b"http/1.1".to_vec()];
    client.resumption = Resumption::disabled();
    Ok(Arc::new(client))
}

/// What a server of TLS speaks: with a chain of certificates and their key; `clients`: only to those who show a certificate
/// that one in this file has signed.
///
/// # Errors
/// What is wrong with the files, in a few words.
pub fn server(certificate: &Path, key: &Path, clients: Option<&Path>) -> Result<Arc<ServerConfig>, String> {
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|why| why.to_string())?;
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots(path)?), provider).build();
            builder.with_client_cert_verifier(verifier.map_err(|why| format!("{}: {why}", path.display()))?)
        }
    };
    let secret =
        PrivateKeyDer::from_pem_file(key).map_err(|why| format!("{}: no private key: {why}", key.display()))?;
    let config = builder.with_single_cert(certificates(certificate)?, secret);
    let mut config = config.map_err(|why| format!("{} and {}: {why}", certificate.display(), key.display()))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// Why TLS came to nothing, as users know it.
#[must_use]
pub fn words(why: &Error) -> String {
    match why {
        Error::InvalidCertificate(why) => match why {
            CertificateError::UnknownIssuer => "the certificate is signed by nobody who is trusted".into(),
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => "the certificate has expired".into(),
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                "the certificate is not valid yet".into()
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                "the certificate is for another name".into()
            }
            other => format!("the certificate is not accepted: {other}"),
        },
        other => format!("TLS: {other}"),
    }
}

/// The file of the machine's certificates.
fn machine() -> Result<PathBuf, String> {
    let said = std::env::var_os("SSL_CERT_FILE").map(PathBuf::from);
    let known = MACHINES.iter().map(PathBuf::from);
    let found = said.into_iter().chain(known).find(|path| path.exists());
    found.ok_or_else(|| "this machine has no certificates that it trusts: `ca = FILE` says which are".into())
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let wrong = |why: String| format!("{}: no certificates: {why}", path.display());
    let all = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let all = all.map_err(|why| wrong(why.to_string()))?;
    if all.is_empty() { Err(wrong("there is none in it".into())) } else { Ok(all) }
}

pub(crate) fn roots(path: &Path) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    // Old ones of a machine may be of kinds that nobody uses any more.
    let (taken, _) = roots.add_parsable_certificates(certificates(path)?);
    if taken == 0 { Err(format!("{}: no certificates that can be used", path.display())) } else { Ok(roots) }
}

/// Believes that a server is whoever it says, but not that it has a key that it has not.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
