//! The way out: a name's addresses, checked, and a connection to one that was.
//!
//! A name is resolved once. What the judge of ranges says of the final addresses counts, whatever
//! names lead to them, and the very address that was checked is dialled: there is no second lookup
//! that could answer otherwise. `dial` of the policy and an upstream proxy are named by a person, so
//! their addresses are not checked.
//!
//! Files are read by [`Upstream::read`] only. Later nothing here opens one or starts a thread: the
//! process has confined itself by then.

use std::cell::OnceCell;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use cofferdam_policy::network::{ProxyHost, UpstreamProxy};
use cofferdam_policy::{Host, HostRules, Name};
use hickory_proto::op::Message;
use hickory_resolver::TokioResolver;
use tokio::net::TcpStream;
use tokio::time::timeout;

mod check;
mod connect;
mod fault;
mod own;
mod proxy;
mod system;

pub use connect::{DIAL_WITHIN, KEEPALIVE_AFTER, STAGGER};
pub use fault::{DialFault, Retry, Why};
pub use proxy::{PROXY_ANSWER_BYTES_MAX, PROXY_WITHIN};
pub use system::{HOSTS_BYTES_MAX, RESOLVER_BYTES_MAX, question};

use own::Routes;
use system::{Resolving, System};

/// Longest wait for a name's addresses, over all name servers and their repetitions. Clients of the
/// gateway wait 10 seconds and more for a connection.
pub const RESOLVE_WITHIN: Duration = Duration::from_secs(8);
/// Longest `/etc/hosts` of which every name is kept. Bytes: some 30,000 names.
pub const HOSTS_WHOLE_BYTES: u64 = 1 << 20;
const HOSTS_FILE: &str = "/etc/hosts";
/// Addresses of one name that are looked at, of each family. Real names have up to a dozen; each one
/// that does not answer costs a client time.
pub const ANSWERS_MAX: usize = 16;

/// How this machine reaches others, as it was when the gateway began.
#[derive(Debug)]
pub struct Upstream {
    system: System,
    /// Made when it is first needed: not every sandbox resolves a name.
    resolver: OnceCell<Result<TokioResolver, DialFault>>,
    proxy: Option<UpstreamProxy>,
    /// Where the kernel cannot be asked, every address is this machine's.
    routes: Option<Routes>,
}

/// Whom to dial.
#[derive(Clone, Copy)]
pub struct To<'a> {
    /// By name, or by an address that a rule allows as such.
    pub host: &'a Host,
    /// The port.
    pub port: u16,
    /// `dial` of the rule: this address instead, as a person wrote it.
    pub dial: Option<SocketAddr>,
    /// Whether a rule denies an address.
    pub denied: &'a dyn Fn(IpAddr) -> bool,
}

impl std::fmt::Debug for To<'_> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{}:{} by {:?}", self.host, self.port, self.dial)
    }
}

/// A connection.
#[derive(Debug)]
pub struct Dialled {
    /// Bytes go to the host from here on.
    pub stream: TcpStream,
    /// Whom it is to: the host, or the proxy that dials it.
    pub address: SocketAddr,
    /// Which of them.
    pub by: By,
}

/// How a host is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// An address of its own, which was checked.
    Itself,
    /// The address that `dial` names.
    Dial,
    /// The upstream proxy, which resolves names itself.
    Proxy,
}

impl Upstream {
    /// Reads `/etc/resolv.conf` and `/etc/hosts`. Of the latter it keeps every name, for rules may come
    /// to know more of them; of one that is longer than [`HOSTS_WHOLE_BYTES`] those that `rules` know
    /// now, and the proxy's: lists against advertisers are megabytes. It also opens `/dev/urandom` in a
    /// static program: no descriptor that is open now may be closed by whoever confines the process.
    ///
    /// # Errors
    /// A file cannot be read, or is longer than its bound, or the kernel cannot be asked for routes. A
    /// file that is not there is empty, as to the C library.
    pub fn read(proxy: Option<UpstreamProxy>, rules: &HostRules) -> io::Result<Self> {
        let own = |name: &Name| match &proxy {
            Some(proxy) => proxy.host == ProxyHost::Name(name.clone()),
            None => false,
        };
        let hosts = std::fs::metadata(HOSTS_FILE);
        let whole = hosts.is_ok_and(|hosts| hosts.len() <= HOSTS_WHOLE_BYTES);
        let system = System::read(&|name| whole || own(name) || rules.knows(name).is_ok())?;
        Ok(Self::new(system, proxy, Some(Routes::open()?)))
    }

    /// These name servers, and no file of the system's.
    #[must_use]
    pub fn with_servers(servers: &[SocketAddr], proxy: Option<UpstreamProxy>) -> Self {
        Self::new(System::with_servers(servers), proxy, Routes::open().ok())
    }

    fn new(system: System, proxy: Option<UpstreamProxy>, routes: Option<Routes>) -> Self {
        // A static program has no `getrandom` that the resolver's source of random numbers finds, so
        // that opens `/dev/urandom` when the first number is drawn, once, and keeps it.
        let _drawn: u16 = Message::query().metadata.id;
        Self { system, resolver: OnceCell::new(), proxy, routes }
    }

    /// Connects to `to`. Nothing is sent on the connection but what asks a proxy.
    ///
    /// # Errors
    /// [`DialFault`]: what went wrong, for a person and for a program.
    pub async fn dial(&self, to: &To<'_>) -> Result<Dialled, DialFault> {
        if let Some(address) = to.dial {
            let (stream, address) = connect::first(vec![address]).await?;
            return Ok(Dialled { stream, address, by: By::Dial });
        }
        let Some(proxy) = &self.proxy else {
            let found = match to.host {
                Host::Name(name) => self.addresses(name).await?,
                Host::Address(address) => vec![*address],
            };
            let checked = self.only_global(found, to)?;
            let targets = checked.into_iter().map(|address| (address, to.port).into());
            let (stream, address) = connect::first(targets.collect()).await?;
            return Ok(Dialled { stream, address, by: By::Itself });
        };
        // The proxy resolves names; an address is judged here all the same.
        if let Host::Address(address) = to.host {
            self.only_global(vec![*address], to)?;
        }
        let reached = self.reach(proxy).await;
        let (mut stream, address) =
            reached.map_err(|fault| DialFault::ProxyUnreached(Box::new(fault)))?;
        proxy::ask(&mut stream, proxy.speaks, to.host, to.port).await?;
        Ok(Dialled { stream, address, by: By::Proxy })
    }

    /// A connection to the proxy.
    async fn reach(&self, proxy: &UpstreamProxy) -> Result<(TcpStream, SocketAddr), DialFault> {
        let found = match &proxy.host {
            ProxyHost::Name(name) => self.addresses(name).await?,
            ProxyHost::Address(address) => vec![*address],
        };
        let targets = found.into_iter().map(|address| (address, proxy.port).into());
        connect::first(targets.collect()).await
    }

    fn only_global(&self, found: Vec<IpAddr>, to: &To<'_>) -> Result<Vec<IpAddr>, DialFault> {
        let own = |address| self.routes.as_ref().is_none_or(|routes| routes.is_own(address));
        check::only_global(found, to.denied, &own)
    }

    /// All addresses of `name`, IPv6 and IPv4 by turns, unchecked. The hosts file goes first.
    async fn addresses(&self, name: &Name) -> Result<Vec<IpAddr>, DialFault> {
        if let Some(addresses) = self.system.hosts(name) {
            return Ok(by_turns(addresses));
        }
        let resolver = self.resolver.get_or_init(|| self.system.resolver());
        let resolver = resolver.as_ref().map_err(Clone::clone)?;
        let found = timeout(RESOLVE_WITHIN, resolver.resolve(name)).await;
        let found = found.map_err(|_elapsed| DialFault::ResolverFailed("no answer in time"))??;
        if found.is_empty() {
            return Err(DialFault::NoSuchName);
        }
        Ok(by_turns(&found))
    }
}

/// IPv6 first, then one of each family for as long as there are (RFC 8305, 4), at most
/// [`ANSWERS_MAX`] of each.
fn by_turns(found: &[IpAddr]) -> Vec<IpAddr> {
    let mut once: Vec<IpAddr> = Vec::new();
    for address in found.iter().map(IpAddr::to_canonical) {
        if !once.contains(&address) {
            once.push(address);
        }
    }
    let mut v6 = once.iter().filter(|address| address.is_ipv6()).take(ANSWERS_MAX);
    let mut v4 = once.iter().filter(|address| address.is_ipv4()).take(ANSWERS_MAX);
    let turns = std::iter::repeat_with(|| [v6.next(), v4.next()]);
    let turns = turns.take_while(|turn| turn.iter().any(Option::is_some));
    turns.flatten().flatten().copied().collect()
}

#[cfg(test)]
mod tests;
