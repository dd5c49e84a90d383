//! What the machine knows of names: its hosts file and its name servers.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use cofferdam_policy::Name;
use hickory_resolver::config::{
    LookupIpStrategy, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts,
};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr;
use hickory_resolver::{Resolver, TokioResolver, system_conf};

use super::fault::DialFault;

const RESOLVER_FILE: &str = "/etc/resolv.conf";
const HOSTS_FILE: &str = "/etc/hosts";
/// Longest `/etc/resolv.conf`. Bytes; the C library reads three servers and six domains of it.
pub const RESOLVER_BYTES_MAX: u64 = 64 << 10;
/// Longest `/etc/hosts`. Bytes: the largest lists against advertisers are some 10 MiB.
pub const HOSTS_BYTES_MAX: u64 = 64 << 20;
/// Answers that the resolver keeps for as long as they live. A sandbox talks to tens of hosts.
const CACHE_ENTRIES: u64 = 64;

/// Read once.
#[derive(Debug)]
pub(super) struct System {
    hosts: HashMap<Name, Vec<IpAddr>>,
    config: ResolverConfig,
    options: ResolverOpts,
}

impl System {
    /// Both files; of the hosts file the names that are `wanted`.
    pub(super) fn read(wanted: &dyn Fn(&Name) -> bool) -> io::Result<Self> {
        let mut text = Vec::new();
        if let Some(mut file) = open(RESOLVER_FILE, RESOLVER_BYTES_MAX)? {
            file.read_to_end(&mut text)?;
        }
        let (config, options) = servers(&text)?;
        let hosts = match open(HOSTS_FILE, HOSTS_BYTES_MAX)? {
            Some(file) => read_hosts(BufReader::new(file), wanted)?,
            None => HashMap::new(),
        };
        Ok(Self { hosts, config, options })
    }

    pub(super) fn with_servers(servers: &[SocketAddr]) -> Self {
        let server = |address: &SocketAddr| {
            let mut server = NameServerConfig::udp_and_tcp(address.ip());
            for connection in &mut server.connections {
                connection.port = address.port();
            }
            server
        };
        let config =
            ResolverConfig::from_parts(None, Vec::new(), servers.iter().map(server).collect());
        Self { hosts: HashMap::new(), config, options: ResolverOpts::default() }
    }

    /// The addresses that the hosts file has for `name`.
    pub(super) fn hosts(&self, name: &Name) -> Option<&[IpAddr]> {
        self.hosts.get(name).map(Vec::as_slice)
    }

    /// Opens no file: the configuration is here, and the hosts file is not the resolver's.
    pub(super) fn resolver(&self) -> Result<TokioResolver, DialFault> {
        let mut options = self.options.clone();
        options.use_hosts_file = ResolveHosts::Never;
        options.ip_strategy = LookupIpStrategy::Ipv6AndIpv4;
        options.cache_size = CACHE_ENTRIES;
        let provider = TokioRuntimeProvider::default();
        let builder = Resolver::builder_with_config(self.config.clone(), provider);
        let built = builder.with_options(options).build();
        built.map_err(|_error| DialFault::ResolverFailed("its configuration cannot be used"))
    }
}

/// `None` for what is not there. An error for what is longer than `bytes_max`: half a file would give
/// other answers than the rest of the machine has.
fn open(path: &str, bytes_max: u64) -> io::Result<Option<io::Take<File>>> {
    let named = |error: io::Error| io::Error::new(error.kind(), format!("{path}: {error}"));
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(named(error)),
    };
    if file.metadata().map_err(named)?.len() > bytes_max {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("{path}: longer than {bytes_max} bytes"),
        ));
    }
    Ok(Some(file.take(bytes_max)))
}

/// `resolv.conf(5)`. Without a name server in it, the one of this machine is asked, as the C library
/// does.
fn servers(text: &[u8]) -> io::Result<(ResolverConfig, ResolverOpts)> {
    let none = || text.split(|byte| *byte == b'\n').all(|line| !line.starts_with(b"nameserver"));
    if none() {
        let own = NameServerConfig::udp_and_tcp(Ipv4Addr::LOCALHOST.into());
        let config = ResolverConfig::from_parts(None, Vec::new(), vec![own]);
        return Ok((config, ResolverOpts::default()));
    }
    let read = system_conf::parse_resolv_conf(text);
    read.map_err(|error| io::Error::other(format!("{RESOLVER_FILE}: {error}")))
}

/// `hosts(5)`: an address, then its names. A line that is anything else is skipped, as the C library
/// does.
fn read_hosts(
    file: impl BufRead,
    wanted: &dyn Fn(&Name) -> bool,
) -> io::Result<HashMap<Name, Vec<IpAddr>>> {
    let mut hosts: HashMap<Name, Vec<IpAddr>> = HashMap::new();
    for line in file.split(b'\n') {
        let line = line?;
        let text = line.split(|byte| *byte == b'#').next().unwrap_or_default();
        let mut words = text.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
        let address = words.next().and_then(|word| std::str::from_utf8(word).ok());
        let Some(address) = address.and_then(|word| word.parse::<IpAddr>().ok()) else {
            continue;
        };
        for name in words.filter_map(|word| Name::parse(word).ok()).filter(|name| wanted(name)) {
            hosts.entry(name).or_default().push(address);
        }
    }
    Ok(hosts)
}

/// Asking the name servers.
pub(super) trait Resolving {
    /// Every address of `name`, after all aliases; A and AAAA are asked for at once.
    ///
    /// A name with a dot is asked for as it is: the judge has allowed that one, not one below a domain
    /// of the machine's. A name without is nobody's but below such a domain (`search`).
    async fn resolve(&self, name: &Name) -> Result<Vec<IpAddr>, DialFault>;
}

impl Resolving for TokioResolver {
    async fn resolve(&self, name: &Name) -> Result<Vec<IpAddr>, DialFault> {
        let asked = question(name).ok_or(DialFault::NoSuchName)?;
        let found = self.lookup_ip(asked).await.map_err(|error| fault_of(&error))?;
        Ok(found.iter().collect())
    }
}

/// What name servers are asked for a name: the very labels that were judged. A single one is looked for
/// in the machine's search domains.
#[must_use]
pub fn question(name: &Name) -> Option<rr::Name> {
    let mut asked = rr::Name::from_labels(name.as_str().split('.').map(str::as_bytes)).ok()?;
    asked.set_fqdn(name.as_str().contains('.'));
    Some(asked)
}

fn fault_of(error: &NetError) -> DialFault {
    if let NetError::Dns(DnsError::NoRecordsFound(none)) = error
        && [ResponseCode::NXDomain, ResponseCode::NoError].contains(&none.response_code)
    {
        return DialFault::NoSuchName;
    }
    if let NetError::Dns(DnsError::ResponseCode(ResponseCode::NXDomain)) = error {
        return DialFault::NoSuchName;
    }
    if let NetError::Timeout = error {
        return DialFault::ResolverFailed("no answer in time");
    }
    if let NetError::Dns(_) = error {
        return DialFault::ResolverFailed("it answers with an error");
    }
    DialFault::ResolverFailed("none is reached")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_file() {
        let text = b"127.0.0.1 localhost\n# 9.9.9.9 commented.test\n\
            8.8.8.8\tGood.test alias.test # why\n8.8.4.4 good.test\n\
            not-an-address good.test\n1.1.1.1 other.test\n1.1.1.1 b\xffd good.test\n\
            ::1 good.test\n2.2.2.2";
        let wanted = |name: &Name| name.as_str() != "other.test";
        let hosts = read_hosts(&text[..], &wanted).unwrap();
        let of = |name: &str| {
            let found = hosts.get(&Name::parse(name.as_bytes()).unwrap());
            found.map(|all| all.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "))
        };
        for (name, want, why) in [
            ("good.test", Some("8.8.8.8 8.8.4.4 1.1.1.1 ::1"), "all of its lines, in order"),
            ("alias.test", Some("8.8.8.8"), "a second name"),
            ("localhost", Some("127.0.0.1"), "ordinary"),
            ("commented.test", None, "a comment"),
            ("other.test", None, "not wanted"),
        ] {
            assert_eq!(of(name).as_deref(), want, "{name}: {why}");
        }
    }

    #[test]
    fn resolver_file() {
        let of = |text: &str| {
            let (config, options) = servers(text.as_bytes()).unwrap();
            let all = config.name_servers.iter().map(|server| server.ip.to_string());
            (all.collect::<Vec<_>>().join(" "), config.search.len(), options.ndots)
        };
        assert_eq!(of(""), ("127.0.0.1".into(), 0, 1), "the machine's own");
        assert_eq!(of("search a.test b.test\n").0, "127.0.0.1", "the machine's own");
        let text = "# x\nnameserver 9.9.9.9\nnameserver 2620:fe::fe\nsearch a.test b.test\n\
            options ndots:5 edns0 trust-ad\n";
        assert_eq!(of(text), ("9.9.9.9 2620:fe::fe".into(), 2, 5));
    }

    #[test]
    fn a_file_that_is_not_there_is_empty() {
        assert!(open("/nonexistent/hosts", 1).unwrap().is_none());
        assert!(open("/proc/self/exe", 1).is_err(), "longer than its bound");
        assert!(open("/proc/self/exe", u64::MAX).unwrap().is_some());
    }
}
