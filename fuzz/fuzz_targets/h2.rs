//! HTTP/2 of a client, after its preface: whatever frames come, what the host gets has the judged method,
//! path and authority, and each request that was judged has come to its end.
#![no_main]

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use bytes::Bytes;
use cofferdam_gateway::head::Scheme;
use cofferdam_gateway::http2::{
    Broken, Judge, Misread, Place, Refusal, Requested, Whom, begin, is_there, serve,
};
use cofferdam_policy::Name;
use cofferdam_policy::judge::hosts::Host;
use cofferdam_policy::judge::requests::{Request, Requests};
use h2::client::SendRequest;
use libfuzzer_sys::fuzz_target;
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use tokio::task::{LocalSet, spawn_local, yield_now};

/// What a client says first (RFC 9113, 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// How often everybody gets a turn after the last byte.
const TURNS: usize = 60;

#[derive(Default)]
struct Fake {
    /// Method, path and query of each that was let through.
    judged: Rc<RefCell<Vec<(String, String)>>>,
    open: Rc<Cell<usize>>,
    up: RefCell<Option<SendRequest<Bytes>>>,
    requests: Requests,
}

struct Open(Rc<Cell<usize>>, Requests);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

fn refusal(status: u16) -> Refusal {
    Refusal { status, code: "refused", body: "{}".into(), retry_after: None }
}

impl Place for Open {
    fn requests(&self) -> &Requests {
        &self.1
    }

    fn sent(&self, _: usize) {}

    fn received(&self, _: usize) {}

    fn noted(&self, _: String) {}

    fn answered(&self, status: u16) {
        assert!((200..600).contains(&status));
    }

    fn broken(&self, _: &Broken) -> Refusal {
        refusal(502)
    }
}

impl Judge for Fake {
    type Place = Open;

    async fn admit(&self, request: &Request<'_>, about: Requested) -> Result<Open, Refusal> {
        assert_eq!((request.method, request.path), (&*about.method, &*about.path));
        assert!(!["CONNECT", "TRACE"].contains(&request.method));
        assert!(request.path.starts_with('/') || request.path == "*");
        assert!(request.path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'?'));
        if request.path.contains("no") {
            return Err(refusal(403));
        }
        let query = request.query.map(|query| format!("?{query}")).unwrap_or_default();
        let target = format!("{}{query}", request.path);
        self.judged.borrow_mut().push((request.method.into(), target));
        self.open.set(self.open.get() + 1);
        Ok(Open(Rc::clone(&self.open), self.requests.clone()))
    }

    async fn refuse(&self, _: Option<Requested>, misread: &Misread) -> Refusal {
        refusal(misread.status())
    }

    async fn reach(&self, _: &mut Open) -> Result<SendRequest<Bytes>, Refusal> {
        if let Some(up) = self.up.borrow().as_ref().filter(|up| is_there(up)) {
            return Ok(up.clone());
        }
        let (near, far) = duplex(64 << 10);
        spawn_local(host(far, Rc::clone(&self.judged)));
        let (up, driver) = begin(near).await.map_err(|_| refusal(502))?;
        spawn_local(driver);
        *self.up.borrow_mut() = Some(up.clone());
        Ok(up)
    }

    async fn idle(&self) {
        std::future::pending().await
    }
}

/// A host that looks at what comes, and answers.
async fn host(pipe: tokio::io::DuplexStream, judged: Rc<RefCell<Vec<(String, String)>>>) {
    let Ok(mut host) = h2::server::handshake(pipe).await else { return };
    while let Some(Ok((request, mut respond))) = host.accept().await {
        let uri = request.uri();
        assert_eq!(uri.scheme_str(), Some("https"));
        assert_eq!(uri.authority().map(|place| place.as_str()), Some("good.test"));
        let target = uri.path_and_query().map_or("", |target| target.as_str());
        let is_it = |(method, path): &(String, String)| {
            method == request.method().as_str() && path == target
        };
        assert!(judged.borrow().iter().any(is_it), "{} {target}", request.method());
        for name in request.headers().keys() {
            let name = name.as_str();
            let gone = ["host", "connection", "upgrade", "x-http-method-override", "x-http-method"];
            assert!(!gone.contains(&name) && !name.starts_with("proxy-"), "{name}");
            assert!(name != "te" || request.headers()["te"] == "trailers");
        }
        if let Ok(mut to) = respond.send_response(http::Response::new(()), false) {
            drop(to.send_data(Bytes::from_static(b"hi"), true));
        }
    }
}

async fn all(bytes: &[u8], graphql: bool) {
    let mut fake = Fake::default();
    if graphql {
        fake.requests.graphql = Some(cofferdam_policy::judge::requests::GraphQl::Query);
        fake.requests.max_request_bytes = Some(100);
    }
    let fake = Rc::new(fake);
    let host = Host::Name(Name::parse(b"good.test").expect("a name"));
    let whom = Whom { scheme: Scheme::Https, host, port: 443 };
    let (client, gateway) = duplex(64 << 10);
    let (mut from, mut to) = tokio::io::split(client);
    let served = spawn_local(serve(gateway, Rc::clone(&fake), whom));
    let reads = spawn_local(async move {
        let mut answers = Vec::new();
        drop(from.read_to_end(&mut answers).await);
    });
    // It may end the connection in the midst of them.
    drop(to.write_all(&[PREFACE, bytes].concat()).await);
    for _ in 0..TURNS {
        yield_now().await;
    }
    drop(to.shutdown().await);
    served.await.expect("no panic");
    drop(reads.await);
    assert_eq!(fake.open.get(), 0, "each has come to its end");
}

fuzz_target!(|bytes: &[u8]| {
    let Some((first, bytes)) = bytes.split_first() else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let runtime = runtime.expect("a runtime");
    LocalSet::new().block_on(&runtime, all(bytes, first & 1 == 1));
});
