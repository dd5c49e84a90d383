//! Whom hosts are believed by: the authorities of this machine, and those that the policy adds.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use cofferdam_policy::network::TrustedFile;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

/// Longest file of authorities. Bytes; the system's have about 250 KiB.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// Why hosts could not be believed.
#[derive(Debug)]
pub(crate) enum NoRoots {
    /// A file of `network.trust_ca` cannot be read.
    File(String, io::Error),
    /// It has no certificate, or one that is none.
    NoCertificate(String),
    /// There is no authority at all.
    Nobody,
    /// The library takes none of its own protocols.
    Library(rustls::Error),
}

impl std::fmt::Display for NoRoots {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path, _) => write!(out, "read the authorities of {path}"),
            Self::NoCertificate(path) => write!(
                out,
                "find certificates in {path}, of network.trust_ca: it takes PEM, BEGIN CERTIFICATE"
            ),
            Self::Nobody => out.write_str(
                "look into TLS: this machine has no certificate authorities; install \
                 ca-certificates, or name a file in network.trust_ca",
            ),
            Self::Library(error) => write!(out, "begin TLS: {error}"),
        }
    }
}

impl NoRoots {
    /// `errno(3)`, 0 where no system call failed.
    pub(crate) fn errno(&self) -> i32 {
        match self {
            Self::File(_, error) => error.raw_os_error().unwrap_or(0),
            Self::NoCertificate(_) | Self::Nobody | Self::Library(_) => 0,
        }
    }
}

/// How TLS is begun with hosts. Reads files: to be called before the process is confined.
pub(crate) fn beginning(
    trusted: &[TrustedFile],
    provider: Arc<CryptoProvider>,
) -> Result<ClientConfig, NoRoots> {
    let mut roots = RootCertStore::empty();
    // One that cannot be read makes hosts unbelievable, never believable.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    for file in trusted {
        add(&mut roots, &file.path)?;
    }
    if roots.is_empty() {
        return Err(NoRoots::Nobody);
    }
    let config = ClientConfig::builder_with_provider(provider);
    let config = config.with_safe_default_protocol_versions().map_err(NoRoots::Library)?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

fn add(roots: &mut RootCertStore, path: &Path) -> Result<(), NoRoots> {
    let shown = || path.display().to_string();
    let mut text = Vec::new();
    let read = File::open(path).and_then(|file| file.take(FILE_BYTES_MAX).read_to_end(&mut text));
    read.map_err(|error| NoRoots::File(shown(), error))?;
    let mut found = 0;
    for certificate in CertificateDer::pem_slice_iter(&text) {
        let certificate = certificate.map_err(|_| NoRoots::NoCertificate(shown()))?;
        roots.add(certificate).map_err(|_| NoRoots::NoCertificate(shown()))?;
        found += 1;
    }
    if found == 0 { Err(NoRoots::NoCertificate(shown())) } else { Ok(()) }
}
