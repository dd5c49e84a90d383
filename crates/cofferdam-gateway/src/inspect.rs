//! Looking into TLS: the connection of the workload's ends here, and another one begins here.
//!
//! The host is reached first, and the client gets the protocol that the host has chosen among those it
//! offered itself: HTTP/1.1 is carried to HTTP/1.1 and HTTP/2 to HTTP/2. Nothing is translated, so nothing
//! can be read in two ways. Where either side cannot be, the connection ends; nothing is ever passed on
//! unseen.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use cofferdam_plan::message::Believed;
use cofferdam_policy::judge::hosts::{Host, Pattern};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::ServerName;
use rustls::server::Acceptor;
use rustls::{AlertDescription, CertificateError, ClientConfig};
use tokio::time::timeout;
use tokio_rustls::server::StartHandshake;
use tokio_rustls::{LazyConfigAcceptor, TlsConnector, TlsStream};

use crate::crowd::Crowd;
use crate::denial::{Again, Denial, Side};
use crate::gate::{Asked, Entry, Gate, Granted};
use crate::inside::Inside;
use crate::relay::{self, Asks, Up};
use crate::stream::{Rewound, Secure, Stream};

pub(crate) mod h2;
mod issuer;
mod pool;
mod roots;

use issuer::Issuer;
pub(crate) use issuer::Speaks;
use pool::{Pool, Shared};

/// How long either side's handshake may take.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);

/// What looks into TLS.
#[derive(Debug)]
pub(crate) struct Inspector {
    issuer: Issuer,
    beginning: Arc<ClientConfig>,
    pool: Pool,
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// A new authority for the hosts of `patterns`.
///
/// # Errors
/// What could not be done.
pub(crate) fn issuer(patterns: &[&Pattern]) -> Result<Issuer, String> {
    Issuer::new(patterns, provider()).map_err(|fault| fault.to_string())
}

impl Inspector {
    /// With this authority, and whom hosts are believed by.
    ///
    /// # Errors
    /// What could not be done.
    pub(crate) fn new(issuer: Issuer, believed: Believed) -> Result<Self, String> {
        let beginning = roots::beginning(believed, provider());
        let beginning = beginning.map_err(|fault| fault.to_string())?;
        Ok(Self { issuer, beginning: Arc::new(beginning), pool: Pool::default() })
    }

    /// A connection to the host with TLS begun, one that is there already if it can be. A failure is set
    /// in the entry.
    pub(crate) async fn connect(
        &self,
        gate: &Rc<Gate>,
        asked: &Asked,
        (rule, entry): (&Granted, &mut Entry),
        offers: &[Speaks],
    ) -> Result<Up, Box<Denial>> {
        if let Some(up) = self.pool.take(asked, &rule.lane(), offers)
            && gate.may_go_to(rule, up.address)
        {
            entry.reached(up.address);
            return Ok(up);
        }
        let stream = gate.reach(asked, rule, entry).await?;
        let (_, address) = entry.to();
        let name = match &asked.host {
            Host::Name(name) => ServerName::try_from(name.as_str().to_owned()).ok(),
            Host::Address(address) => Some(ServerName::IpAddress((*address).into())),
        };
        let begun = match name {
            None => Err(("tls-name", "the name is none that TLS has".to_owned(), Again::Never)),
            Some(name) => {
                let alpn = offers.iter().map(|speaks| speaks.alpn().to_vec()).collect();
                let connector = TlsConnector::from(Arc::clone(&self.beginning));
                let begins = connector.with_alpn(alpn);
                let begins = begins.connect(name, Rewound::new(Vec::new(), stream));
                match timeout(HANDSHAKE_WITHIN, begins).await {
                    Ok(Ok(begun)) => Ok(begun),
                    Ok(Err(error)) => Err(unbelieved(&error)),
                    Err(_) => {
                        let why = "the host does not finish its TLS handshake".to_owned();
                        Err(("timeout", why, Again::Later))
                    }
                }
            }
        };
        match begun {
            Ok(begun) => {
                let stream = Stream::Tls(Box::new(Secure::new(TlsStream::Client(begun))));
                let (asked, lane, offers) = (asked.clone(), rule.lane(), offers.to_vec());
                Ok(Up { asked, lane, stream, ahead: Vec::new(), offers, address, used: false })
            }
            Err((code, why, again)) => {
                let denial = Denial::spoken(code, why, &rule.clause);
                let denial = Denial { side: Side::Network(again), ..denial };
                entry.set(&denial);
                Err(Box::new(denial))
            }
        }
    }

    /// Keeps a connection that may carry another request.
    pub(crate) fn keep(&self, up: Up) {
        if matches!(up.stream, Stream::Tls(_)) {
            self.pool.give(up);
        }
    }
}

/// Why a host's TLS did not come about.
fn unbelieved(error: &std::io::Error) -> (&'static str, String, Again) {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match inner {
        Some(rustls::Error::InvalidCertificate(because)) => {
            use CertificateError as Because;
            let why = if matches!(because, Because::UnknownIssuer) {
                "the host's certificate is of no authority that is trusted: if it is meant, \
                 network.trust_ca names that authority's file"
                    .to_owned()
            } else if matches!(
                because,
                Because::NotValidForName | Because::NotValidForNameContext { .. }
            ) {
                "the host's certificate is for another name".to_owned()
            } else if matches!(because, Because::Expired | Because::ExpiredContext { .. }) {
                "the host's certificate has expired".to_owned()
            } else {
                format!("the host's certificate is refused: {because}")
            };
            ("certificate", why, Again::Never)
        }
        Some(error) => ("tls", format!("TLS with the host failed: {error}"), Again::Never),
        None => ("tls", "the host ended its TLS handshake".into(), Again::Later),
    }
}

/// Ends the TLS of a connection whose ClientHello is `inside.ahead` and was read before, and carries its
/// requests.
pub(crate) async fn serve(
    gate: &Rc<Gate>,
    inside: Inside,
    (asked, rule): (&Asked, &Granted),
    mut entry: Entry,
) {
    let (stream, ahead, crowd) = inside.into_parts();
    let (Stream::Plain(stream), Some(inspector)) = (stream, &gate.inspector) else {
        // Rules that look inside came with no authority: nothing passes.
        entry.set(&Denial::spoken("no-authority", "no TLS can be ended here", &rule.clause));
        return;
    };
    let accepts = LazyConfigAcceptor::new(Acceptor::default(), Rewound::new(ahead, stream));
    let begun = match crowd.within(HANDSHAKE_WITHIN, accepts).await {
        Some(Ok(begun)) => begun,
        Some(Err(_)) | None => {
            let why = "the ClientHello cannot be read by who ends TLS";
            return entry.set(&Denial::unreadable("tls-hello", why, &rule.clause));
        }
    };
    let offers = offers(&begun);
    let shared = inspector.pool.shared(asked, &rule.lane());
    let shared = shared.filter(|up| gate.may_go_to(rule, up.address));
    let reached = match shared.filter(|_| offers.contains(&Speaks::Http2)) {
        Some(shared) => {
            entry.reached(shared.address);
            Ok(Reached::Shared(shared))
        }
        None => {
            let up = inspector.connect(gate, asked, (rule, &mut entry), &offers).await;
            up.map(Reached::Alone)
        }
    };
    let speaks = match &reached {
        Ok(Reached::Alone(up)) => spoken(up),
        Ok(Reached::Shared(_)) => Speaks::Http2,
        // Whatever the client can be told in.
        Err(_) if offers.contains(&Speaks::Http1) => Speaks::Http1,
        Err(_) => Speaks::Http2,
    };
    let ended = end(inspector, (begun, &crowd), (asked, speaks)).await;
    let stream = match ended {
        Ok(stream) => stream,
        Err((code, why)) => {
            if reached.is_ok() {
                let denial = Denial::spoken(code, why, &rule.clause);
                entry.set(&Denial { fix: fix(code).into(), ..denial });
            }
            return;
        }
    };
    carry(gate, (stream, crowd), (asked, entry), (reached, speaks)).await;
}

/// A connection to the host.
enum Reached {
    /// For this client.
    Alone(Up),
    /// For others too: it carries HTTP/2.
    Shared(Shared),
}

/// Carries requests in the protocol that both sides speak.
async fn carry(
    gate: &Rc<Gate>,
    (stream, crowd): (Stream, Rc<Crowd>),
    (asked, entry): (&Asked, Entry),
    (reached, speaks): (Result<Reached, Box<Denial>>, Speaks),
) {
    let (asked, entry) = (asked.clone(), Box::new(entry));
    let asks = match (speaks, reached) {
        (Speaks::Http2, Ok(Reached::Shared(shared))) => {
            return h2::serve(gate, (stream, crowd), (asked, *entry), Ok(Some(shared))).await;
        }
        (Speaks::Http2, Ok(Reached::Alone(up))) => {
            let shared = h2::share(gate, up).await;
            return h2::serve(gate, (stream, crowd), (asked, *entry), Ok(shared)).await;
        }
        (Speaks::Http2, Err(denial)) => {
            return h2::serve(gate, (stream, crowd), (asked, *entry), Err(*denial)).await;
        }
        (Speaks::Http1, Ok(Reached::Alone(up))) => Asks::Inside(asked, entry, up),
        (Speaks::Http1, Err(denial)) => Asks::Unreached(asked, entry, denial),
        // It carries another protocol than the client's.
        (Speaks::Http1, Ok(Reached::Shared(_))) => return,
    };
    relay::serve(gate, Inside::within(stream, crowd), asks).await;
}

/// What the client offers of what is carried here, in the order of preference that everybody has.
fn offers(begun: &StartHandshake<Rewound>) -> Vec<Speaks> {
    let hello = begun.client_hello();
    let Some(offered) = hello.alpn() else { return vec![Speaks::Http1] };
    let offered: Vec<&[u8]> = offered.collect();
    let all = [Speaks::Http2, Speaks::Http1];
    all.into_iter().filter(|speaks| offered.contains(&speaks.alpn())).collect()
}

/// What the host has chosen; nothing chosen is HTTP/1.1 (RFC 9112).
fn spoken(up: &Up) -> Speaks {
    match &up.stream {
        Stream::Tls(stream) if stream.protocol() == Some(Speaks::Http2.alpn()) => Speaks::Http2,
        Stream::Tls(_) | Stream::Plain(_) | Stream::Again(_) => Speaks::Http1,
    }
}

async fn end(
    inspector: &Inspector,
    (begun, crowd): (StartHandshake<Rewound>, &Crowd),
    (asked, speaks): (&Asked, Speaks),
) -> Result<Stream, (&'static str, String)> {
    let ending = inspector.issuer.ending(&asked.host, speaks);
    let ending = ending.map_err(|fault| ("no-authority", fault.to_string()))?;
    match crowd.within(HANDSHAKE_WITHIN, begun.into_stream(ending)).await {
        Some(Ok(stream)) => Ok(Stream::Tls(Box::new(Secure::new(TlsStream::Server(stream))))),
        Some(Err(error)) => Err(distrusted(&error)),
        None => Err(("tls-late", "the client does not finish its TLS handshake".into())),
    }
}

/// Why the client's TLS did not come about.
fn distrusted(error: &std::io::Error) -> (&'static str, String) {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match inner {
        Some(rustls::Error::AlertReceived(
            AlertDescription::UnknownCA
            | AlertDescription::BadCertificate
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnsupportedCertificate,
        )) => {
            let why = "the client does not trust the session's authority";
            ("client-distrusts", why.into())
        }
        Some(error) => ("client-tls", format!("TLS with the client failed: {error}")),
        None => ("client-tls", "the client ended its TLS handshake".into()),
    }
}

/// What helps where a client's TLS did not come about.
fn fix(code: &str) -> &'static str {
    match code {
        "client-distrusts" => {
            "let the client use the authorities of $SSL_CERT_FILE; or, to look at nothing, in that rule: \
             inspect = \"never\""
        }
        _ => "",
    }
}
