//! The authority of one session: trusted inside the sandbox alone, for the hosts of its policy alone.
//!
//! Its key is made here and never leaves this process's memory. The certificate is constrained to the
//! names that rules look into (RFC 5280, 4.2.1.10), so that even who steals the key can pose as no
//! other host to the workload.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cofferdam_policy::judge::hosts::{Host, Pattern};
use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, Issuer as Signs, KeyPair, KeyUsagePurpose,
    NameConstraints, SanType,
};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ServerSessionMemoryCache, StoresServerSessions};
use rustls::{CipherSuite, ServerConfig};
use time::OffsetDateTime;

/// Certificates begin so long ago: clocks inside and outside are the same, those of programs that were
/// stopped for a while are not.
const BACK_DATED: Duration = Duration::from_secs(24 * 60 * 60);
/// How long the authority holds: longer than any run.
const AUTHORITY_FOR: Duration = Duration::from_secs(365 * 24 * 60 * 60);
/// How long a host's certificate holds: clients refuse those of more than 398 days.
const LEAF_FOR: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// When a new one is made.
const LEAF_USED_FOR: Duration = Duration::from_secs(24 * 60 * 60);
/// Most sessions that are kept, so that they may be taken up again.
const SESSIONS_MAX: usize = 1_024;
/// Most certificates that are kept: names below a wildcard are the workload's to choose.
const LEAVES_MAX: usize = 1_024;
/// Bytes of a serial number: below the 20 of RFC 5280, 4.1.2.2, and never negative.
const SERIAL_BYTES: usize = 16;

/// A protocol that the client is offered (RFC 7301).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Speaks {
    /// HTTP/1.1, said so or not said.
    Http1,
    /// HTTP/2.
    Http2,
}

impl Speaks {
    /// The protocol's name in ALPN.
    pub(crate) const fn alpn(self) -> &'static [u8] {
        match self {
            Self::Http1 => b"http/1.1",
            Self::Http2 => b"h2",
        }
    }
}

/// What a host's certificate is used with.
type Leaf = (Instant, Arc<ServerConfig>);

/// The authority.
pub(crate) struct Issuer {
    signs: Signs<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    /// One key for every host: it lives as long as the authority's, in the same memory.
    leaf_key: KeyPair,
    provider: Arc<CryptoProvider>,
    /// Sessions of every host together: rustls takes one up again under its own name alone, and addresses
    /// have none; whom a connection is for is not read from it.
    sessions: Arc<ServerSessionMemoryCache>,
    /// Whom it may be for.
    patterns: Vec<Pattern>,
    leaves: RefCell<BTreeMap<(Host, Speaks), Leaf>>,
}

/// Without the keys.
impl std::fmt::Debug for Issuer {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Issuer({} leaves)", self.leaves.borrow().len())
    }
}

/// No certificate could be made.
#[derive(Debug)]
pub(crate) struct NoCertificate(String);

impl std::fmt::Display for NoCertificate {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "no certificate can be made: {}", self.0)
    }
}

impl From<rcgen::Error> for NoCertificate {
    fn from(error: rcgen::Error) -> Self {
        Self(error.to_string())
    }
}

impl From<rustls::Error> for NoCertificate {
    fn from(error: rustls::Error) -> Self {
        Self(error.to_string())
    }
}

/// Whether the processor has instructions for AES and for the sums of GCM. Without them the client's order
/// holds, which then begins with another cipher.
fn has_aes() -> bool {
    #[cfg(target_arch = "x86_64")]
    return is_x86_feature_detected!("aes") && is_x86_feature_detected!("pclmulqdq");
    #[cfg(target_arch = "aarch64")]
    return std::arch::is_aarch64_feature_detected!("aes")
        && std::arch::is_aarch64_feature_detected!("pmull");
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    return false;
}

/// The same ciphers; first those with keys of 128 bits, which cost the least: ten rounds for fourteen.
fn fastest_first(provider: &CryptoProvider) -> CryptoProvider {
    let mut provider = provider.clone();
    provider.cipher_suites.sort_by_key(|suite| {
        !matches!(
            suite.suite(),
            CipherSuite::TLS13_AES_128_GCM_SHA256
                | CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
        )
    });
    provider
}

impl Issuer {
    /// A new authority for the hosts of `patterns`.
    pub(crate) fn new(
        patterns: &[&Pattern],
        provider: Arc<CryptoProvider>,
    ) -> Result<Self, NoCertificate> {
        let provider = if has_aes() { Arc::new(fastest_first(&provider)) } else { provider };
        let key = KeyPair::generate()?;
        let mut params = lasting(AUTHORITY_FOR);
        params.distinguished_name = named("cofferdam: the authority of this sandbox alone");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params.serial_number = Some(serial()?);
        params.name_constraints = constraints(patterns);
        let certificate = params.self_signed(&key)?.der().clone();
        let (signs, leaf_key) = (Signs::new(params, key), KeyPair::generate()?);
        let sessions = ServerSessionMemoryCache::new(SESSIONS_MAX);
        let patterns = patterns.iter().map(|pattern| (*pattern).clone()).collect();
        let leaves = RefCell::default();
        Ok(Self { signs, certificate, leaf_key, provider, sessions, patterns, leaves })
    }

    /// The certificate, as the sandbox gets it.
    pub(crate) fn certificate(&self) -> &[u8] {
        &self.certificate
    }

    /// How TLS is ended for `host`, with a certificate for this name alone.
    pub(crate) fn ending(
        &self,
        host: &Host,
        speaks: Speaks,
    ) -> Result<Arc<ServerConfig>, NoCertificate> {
        let key = (host.clone(), speaks);
        if let Some((made, config)) = self.leaves.borrow().get(&key)
            && made.elapsed() < LEAF_USED_FOR
        {
            return Ok(Arc::clone(config));
        }
        if !self.patterns.iter().any(|pattern| pattern.holds(host)) {
            let why = "the session's authority is not for this host: start again";
            return Err(NoCertificate(why.into()));
        }
        let config = Arc::new(self.leaf(host, speaks)?);
        let mut leaves = self.leaves.borrow_mut();
        if leaves.len() >= LEAVES_MAX {
            leaves.clear();
        }
        leaves.insert(key, (Instant::now(), Arc::clone(&config)));
        Ok(config)
    }

    fn leaf(&self, host: &Host, speaks: Speaks) -> Result<ServerConfig, NoCertificate> {
        let mut params = lasting(LEAF_FOR);
        params.distinguished_name = named("cofferdam");
        params.subject_alt_names = vec![match host {
            Host::Name(name) => SanType::DnsName(name.as_str().try_into()?),
            Host::Address(address) => SanType::IpAddress(*address),
        }];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        params.serial_number = Some(serial()?);
        let certificate = params.signed_by(&self.leaf_key, &self.signs)?.der().clone();
        let key = PrivateKeyDer::Pkcs8(self.leaf_key.serialize_der().into());
        // TLS 1.2 and 1.3; early data, which could be played again, is never taken (RFC 8446, 8).
        let config = ServerConfig::builder_with_provider(Arc::clone(&self.provider));
        let config = config.with_safe_default_protocol_versions()?.with_no_client_auth();
        let mut config = config.with_single_cert(vec![certificate], key)?;
        config.session_storage = Arc::clone(&self.sessions) as Arc<dyn StoresServerSessions>;
        config.alpn_protocols = vec![speaks.alpn().to_vec()];
        if has_aes() {
            // Both ends are on this machine, so what is fast for one is so for the other: of the ciphers that
            // the client offers the one is taken that costs the least.
            config.ignore_client_order = true;
        }
        Ok(config)
    }
}

fn named(name: &str) -> DistinguishedName {
    let mut named = DistinguishedName::new();
    named.push(DnType::CommonName, name);
    named
}

/// What every certificate of ours has: when it holds.
fn lasting(time: Duration) -> CertificateParams {
    let now = OffsetDateTime::now_utc();
    let mut params = CertificateParams::default();
    params.not_before = now.saturating_sub(signed(BACK_DATED));
    params.not_after = now.saturating_add(signed(time));
    params
}

fn signed(time: Duration) -> time::Duration {
    time.try_into().unwrap_or(time::Duration::DAY)
}

fn serial() -> Result<rcgen::SerialNumber, NoCertificate> {
    let mut bytes = [0_u8; SERIAL_BYTES];
    let drawn = rustix::rand::getrandom(&mut bytes[..], rustix::rand::GetRandomFlags::empty());
    match drawn {
        Ok(SERIAL_BYTES) => {}
        Ok(_) | Err(_) => return Err(NoCertificate("no random numbers".into())),
    }
    // Positive, and of full length.
    if let Some(first) = bytes.first_mut() {
        *first = (*first & 0x7F) | 0x40;
    }
    Ok(bytes.to_vec().into())
}

/// The subtrees that `patterns` are about. A kind of name that no pattern has is excluded as a whole: a
/// constraint on one kind says nothing of the others.
fn constraints(patterns: &[&Pattern]) -> Option<NameConstraints> {
    let (mut names, mut nets, mut any) = (Vec::new(), Vec::new(), false);
    for pattern in patterns {
        match pattern {
            // A subtree of names holds the name itself and all below it: of `*.x` it is the nearest.
            Pattern::Exact(name) | Pattern::Below(name) => {
                names.push(GeneralSubtree::DnsName(name.as_str().into()));
            }
            Pattern::AnyName => any = true,
            Pattern::Net(net) => nets.push(GeneralSubtree::IpAddress(
                CidrSubnet::from_addr_prefix(net.address(), net.prefix()),
            )),
        }
    }
    names.dedup();
    nets.dedup();
    let whole = |address: std::net::IpAddr| {
        GeneralSubtree::IpAddress(CidrSubnet::from_addr_prefix(address, 0))
    };
    let mut excluded = Vec::new();
    if nets.is_empty() {
        excluded.push(whole(std::net::Ipv4Addr::UNSPECIFIED.into()));
        excluded.push(whole(std::net::Ipv6Addr::UNSPECIFIED.into()));
    }
    if names.is_empty() && !any {
        excluded.push(GeneralSubtree::DnsName(String::new()));
    }
    let permitted = if any { nets } else { names.into_iter().chain(nets).collect() };
    Some(NameConstraints { permitted_subtrees: permitted, excluded_subtrees: excluded })
}

#[cfg(test)]
mod tests {
    use cofferdam_policy::Name;
    use cofferdam_policy::judge::hosts::Net;
    use rustls::RootCertStore;
    use rustls::client::WebPkiServerVerifier;
    use rustls::client::danger::ServerCertVerifier as _;
    use rustls::pki_types::{ServerName, UnixTime};

    use super::*;

    fn name(text: &str) -> Name {
        Name::parse(text.as_bytes()).unwrap()
    }

    fn issuer(patterns: &[Pattern]) -> Issuer {
        let patterns: Vec<&Pattern> = patterns.iter().collect();
        Issuer::new(&patterns, Arc::new(rustls::crypto::ring::default_provider())).unwrap()
    }

    /// Whether a client that trusts the authority believes a certificate for `leaf` to be `asked`'s.
    fn believes(issuer: &Issuer, leaf: &str, asked: &str) -> bool {
        let mut params = CertificateParams::new(vec![leaf.to_owned()]).unwrap();
        params.not_before = lasting(LEAF_FOR).not_before;
        params.not_after = lasting(LEAF_FOR).not_after;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let signed = params.signed_by(&issuer.leaf_key, &issuer.signs).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from(issuer.certificate().to_vec())).unwrap();
        let verifier = WebPkiServerVerifier::builder_with_provider(
            Arc::new(roots),
            Arc::clone(&issuer.provider),
        );
        let asked = ServerName::try_from(asked.to_owned()).unwrap();
        let verifier = verifier.build().unwrap();
        verifier.verify_server_cert(signed.der(), &[], &asked, &[], UnixTime::now()).is_ok()
    }

    /// Even with the key in hand nobody poses as a host that no rule looks into.
    #[test]
    fn the_authority_holds_for_its_hosts_alone() {
        let net = Net::new("192.0.2.0".parse().unwrap(), 24).unwrap();
        let exact = issuer(&[Pattern::Exact(name("good.test"))]);
        let below = issuer(&[Pattern::Below(name("wide.test")), Pattern::Net(net)]);
        let any = issuer(&[Pattern::AnyName]);
        for (issuer, leaf, want, why) in [
            (&exact, "good.test", true, "the policy's"),
            (&exact, "evil.test", false, "another name"),
            (&exact, "evilgood.test", false, "another name that ends so"),
            (&exact, "192.0.2.1", false, "an address, where rules have none"),
            (&below, "a.b.wide.test", true, "below"),
            (&below, "good.test", false, "elsewhere"),
            (&below, "192.0.2.1", true, "in the block"),
            (&below, "192.0.3.1", false, "outside of it"),
            (&any, "good.test", true, "any name"),
            (&any, "192.0.2.1", false, "no address"),
        ] {
            assert_eq!(believes(issuer, leaf, leaf), want, "{leaf}: {why}");
            let host = leaf.parse().map_or_else(|_| Host::Name(name(leaf)), Host::Address);
            assert_eq!(issuer.ending(&host, Speaks::Http1).is_ok(), want, "{leaf}: nor is it made");
        }
        assert!(!believes(&exact, "good.test", "evil.test"), "a leaf is for its name");
    }

    /// The cipher that a client gets which offers these, in this order.
    fn cipher(offered: &[rustls::SupportedCipherSuite]) -> CipherSuite {
        let issuer = issuer(&[Pattern::Exact(name("good.test"))]);
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from(issuer.certificate().to_vec())).unwrap();
        let mut provider = rustls::crypto::ring::default_provider();
        provider.cipher_suites = offered.to_vec();
        let client = rustls::ClientConfig::builder_with_provider(Arc::new(provider));
        let client = client.with_safe_default_protocol_versions().unwrap();
        let mut client = client.with_root_certificates(roots).with_no_client_auth();
        client.alpn_protocols = vec![b"http/1.1".to_vec()];
        let asked = ServerName::try_from("good.test").unwrap();
        let mut client = rustls::ClientConnection::new(Arc::new(client), asked).unwrap();
        let ending = issuer.ending(&Host::Name(name("good.test")), Speaks::Http1).unwrap();
        let mut server = rustls::ServerConnection::new(ending).unwrap();
        while client.is_handshaking() || server.is_handshaking() {
            let (mut up, mut down) = (Vec::new(), Vec::new());
            client.write_tls(&mut up).unwrap();
            server.read_tls(&mut up.as_slice()).unwrap();
            server.process_new_packets().unwrap();
            server.write_tls(&mut down).unwrap();
            client.read_tls(&mut down.as_slice()).unwrap();
            client.process_new_packets().unwrap();
        }
        server.negotiated_cipher_suite().unwrap().suite()
    }

    #[test]
    fn the_cheapest_cipher_of_those_that_the_client_offers() {
        use rustls::crypto::ring::cipher_suite as suite;
        let long = suite::TLS13_AES_256_GCM_SHA384;
        let (short, other) =
            (suite::TLS13_AES_128_GCM_SHA256, suite::TLS13_CHACHA20_POLY1305_SHA256);
        let fast = |first: rustls::SupportedCipherSuite| {
            if has_aes() { CipherSuite::TLS13_AES_128_GCM_SHA256 } else { first.suite() }
        };
        assert_eq!(cipher(&[long, short, other]), fast(long));
        assert_eq!(cipher(&[other, long, short]), fast(other));
        for only in [long, short, other] {
            assert_eq!(cipher(&[only]), only.suite(), "nothing else is offered");
        }
    }

    #[test]
    fn certificates_are_kept_and_bounded() {
        let issuer = issuer(&[Pattern::Below(name("wide.test"))]);
        let host = |n: usize| Host::Name(name(&format!("n{n}.wide.test")));
        let first = issuer.ending(&host(0), Speaks::Http2).unwrap();
        assert!(Arc::ptr_eq(&first, &issuer.ending(&host(0), Speaks::Http2).unwrap()));
        assert_eq!(first.alpn_protocols, [b"h2".to_vec()]);
        assert_eq!(first.max_early_data_size, 0, "nothing that can be played again");
        for n in 0..LEAVES_MAX {
            issuer.ending(&host(n), Speaks::Http1).unwrap();
        }
        assert!(issuer.leaves.borrow().len() <= LEAVES_MAX);
        assert!(!format!("{issuer:?}").contains("KEY"));
    }
}
