//! Whom hosts are believed by: the authorities that the engine read, of this machine and of the policy.

use std::sync::Arc;

use cofferdam_plan::message::Believed;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};

/// Why hosts could not be believed.
#[derive(Debug)]
pub(crate) enum NoRoots {
    /// A certificate of `network.trust_ca` is none that a host can be believed by.
    Unfit(rustls::Error),
    /// There is no authority at all.
    Nobody,
    /// The library takes none of its own protocols.
    Library(rustls::Error),
}

impl std::fmt::Display for NoRoots {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unfit(error) => write!(
                out,
                "believe a certificate of network.trust_ca ({error}): it takes those of authorities"
            ),
            Self::Nobody => out.write_str(
                "look into TLS: this machine has no certificate authorities; install \
                 ca-certificates, or name a file in network.trust_ca",
            ),
            Self::Library(error) => write!(out, "begin TLS: {error}"),
        }
    }
}

/// How TLS is begun with hosts.
pub(crate) fn beginning(
    believed: Believed,
    provider: Arc<CryptoProvider>,
) -> Result<ClientConfig, NoRoots> {
    let mut roots = RootCertStore::empty();
    // One that cannot be read makes hosts unbelievable, never believable.
    roots.add_parsable_certificates(believed.system.into_iter().map(CertificateDer::from));
    for certificate in believed.named {
        roots.add(certificate.into()).map_err(NoRoots::Unfit)?;
    }
    if roots.is_empty() {
        return Err(NoRoots::Nobody);
    }
    let config = ClientConfig::builder_with_provider(provider);
    let config = config.with_safe_default_protocol_versions().map_err(NoRoots::Library)?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_believed() {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::default();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let good = params.self_signed(&key).unwrap().der().to_vec();
        let none = vec![0x30, 2, 8, 9];
        let list = |system: &[&Vec<u8>], named: &[&Vec<u8>]| {
            let owned = |list: &[&Vec<u8>]| list.iter().map(|one| (*one).clone()).collect();
            let believed = Believed { system: owned(system), named: owned(named) };
            beginning(believed, super::super::provider()).map(drop)
        };
        assert!(list(&[&none, &good], &[]).is_ok(), "what the system has beside authorities");
        assert!(list(&[], &[&good]).is_ok(), "the policy's alone");
        assert!(matches!(list(&[&good], &[&none]), Err(NoRoots::Unfit(_))), "a person named it");
        assert!(matches!(list(&[], &[]), Err(NoRoots::Nobody)));
        assert!(matches!(list(&[&none], &[]), Err(NoRoots::Nobody)));
    }
}
