//! TLS to NEW, by the name that is asked for: HTTP/2 and HTTP/1.1, one of them, or a certificate that
//! nobody is to believe. On 8080 it speaks HTTP/2 without TLS.
//!
//! HTTP/1.1 goes on to the one server of it, byte for byte. HTTP/2 is read here, and answered by the
//! same server where an answer has a length; what streams is in streams.rs.

mod streams;

use std::collections::HashMap;
use std::io::{Error, Result};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use h2::server::SendResponse;
use http::{HeaderMap, Request as Head, Response};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::server::TlsStream;

use super::http::{Origin, header};
use super::log::{Log, Request, Visit, plain};

/// Connections, each with its place in the log.
pub type Taken = UnboundedSender<(TcpStream, Visit)>;

/// Names beside `new.test` and `*.new.test` that are at NEW.
pub const NAMES: &[&str] =
    &["one.test", "two.test", "expired.test", "self.test", "stranger.test", "wrong.test"];
/// Where HTTP/2 is spoken in the clear, by who takes it for granted (RFC 9113, 3.3).
pub const H2C: u16 = 8080;
/// No longer body is kept.
const BODY_MAX: usize = 64 << 20;
/// What a stream and a connection of HTTP/2 may have under way: enough for a fast one. Bytes.
const WINDOW: u32 = 4 << 20;

/// Which certificate and which versions are for whom.
#[derive(Debug)]
struct Faces {
    named: HashMap<String, Arc<ServerConfig>>,
    usual: Arc<ServerConfig>,
}

impl Faces {
    fn read(folder: &Path) -> Result<Self> {
        let usual = face(folder, "leaf", &["h2", "http/1.1"])?;
        let mut named = HashMap::new();
        named.insert("one.test".to_owned(), face(folder, "leaf", &["http/1.1"])?);
        named.insert("two.test".to_owned(), face(folder, "leaf", &["h2"])?);
        for name in ["expired", "self", "stranger", "wrong"] {
            named.insert(format!("{name}.test"), face(folder, name, &["h2", "http/1.1"])?);
        }
        Ok(Self { named, usual })
    }
}

fn face(folder: &Path, certificate: &str, versions: &[&str]) -> Result<Arc<ServerConfig>> {
    let chain = CertificateDer::from_pem_file(folder.join(format!("{certificate}.pem")));
    let key = PrivateKeyDer::from_pem_file(folder.join(format!("{certificate}.key")));
    let mut config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![chain.map_err(Error::other)?], key.map_err(Error::other)?)
        .map_err(Error::other)?;
    config.alpn_protocols = versions.iter().map(|name| name.as_bytes().to_vec()).collect();
    Ok(Arc::new(config))
}

/// Serves connections on a thread of its own.
pub fn start(folder: &Path) -> Result<Taken> {
    let (give, take) = unbounded_channel();
    let faces = Arc::new(Faces::read(folder)?);
    let folder: PathBuf = folder.to_owned();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::spawn(move || runtime.block_on(serve(take, faces, folder)));
    Ok(give)
}

async fn serve(
    mut taken: UnboundedReceiver<(TcpStream, Visit)>,
    faces: Arc<Faces>,
    folder: PathBuf,
) {
    while let Some((stream, visit)) = taken.recv().await {
        let one = One { faces: Arc::clone(&faces), folder: folder.clone() };
        // A client that ends in the middle is what tests do.
        tokio::spawn(async move { drop(one.serve(stream, visit).await) });
    }
}

/// One connection.
#[derive(Debug)]
struct One {
    faces: Arc<Faces>,
    folder: PathBuf,
}

impl One {
    async fn serve(self, stream: TcpStream, visit: Visit) -> Result<()> {
        stream.set_nonblocking(true)?;
        let to = plain(stream.local_addr()?);
        let log = Arc::clone(&visit.log);
        let visit = Arc::new(visit);
        let stream = tokio::net::TcpStream::from_std(stream)?;
        let wire = Wire { stream, visit: Arc::clone(&visit) };
        if to.port() == H2C {
            return Two { log, to, tls: false, folder: self.folder }.serve(wire).await;
        }
        let begun = LazyConfigAcceptor::new(<_>::default(), wire).await?;
        let name = begun.client_hello().server_name().map(str::to_owned);
        let named = name.as_ref().and_then(|name| self.faces.named.get(name));
        let face = Arc::clone(named.unwrap_or(&self.faces.usual));
        visit.sni(name);
        drop(visit);
        let tls = begun.into_stream(face).await?;
        if tls.get_ref().1.alpn_protocol() == Some(b"h2") {
            return Two { log, to, tls: true, folder: self.folder }.serve(tls).await;
        }
        self.one(tls, log, to).await
    }

    /// HTTP/1.1, by the one server of it.
    async fn one(self, mut tls: TlsStream<Wire>, log: Arc<Log>, to: SocketAddr) -> Result<()> {
        let (here, there) = std::os::unix::net::UnixStream::pair()?;
        here.set_nonblocking(true)?;
        let mut here = tokio::net::UnixStream::from_std(here)?;
        let from = there.try_clone()?;
        std::thread::spawn(move || {
            let origin = Origin { log, visit: None, to, folder: &self.folder };
            drop(origin.serve(from, there));
        });
        tokio::io::copy_bidirectional_with_sizes(&mut tls, &mut here, 64 << 10, 64 << 10).await?;
        Ok(())
    }
}

/// A connection whose bytes are in the log.
#[derive(Debug)]
struct Wire {
    stream: tokio::net::TcpStream,
    visit: Arc<Visit>,
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        to: &mut ReadBuf<'_>,
    ) -> Poll<Result<()>> {
        let before = to.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, to);
        self.visit.received(&to.filled()[before..]);
        polled
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// A connection of HTTP/2.
#[derive(Clone, Debug)]
struct Two {
    log: Arc<Log>,
    to: SocketAddr,
    tls: bool,
    folder: PathBuf,
}

type Asked = Head<h2::RecvStream>;
type Answer = SendResponse<Bytes>;

impl Two {
    async fn serve(self, wire: impl AsyncRead + AsyncWrite + Unpin) -> Result<()> {
        let mut builder = h2::server::Builder::new();
        builder.initial_window_size(WINDOW).initial_connection_window_size(WINDOW);
        builder.max_concurrent_streams(200);
        let mut connection = builder.handshake(wire).await.map_err(Error::other)?;
        while let Some(asked) = connection.accept().await {
            let (asked, answer) = asked.map_err(Error::other)?;
            let two = self.clone();
            tokio::spawn(async move { drop(two.one(asked, answer).await) });
        }
        Ok(())
    }

    async fn one(self, asked: Asked, mut answer: Answer) -> Result<()> {
        let (head, mut body) = asked.into_parts();
        let mut request = self.request(&head);
        if streams::wanted(&request) {
            self.log.request(request.clone());
            return streams::serve(&request, body, answer).await.map_err(Error::other);
        }
        while let Some(piece) = body.data().await {
            let piece = piece.map_err(Error::other)?;
            body.flow_control().release_capacity(piece.len()).map_err(Error::other)?;
            request.body.extend(&piece);
            if request.body.len() > BODY_MAX {
                return Err(Error::other("too long"));
            }
        }
        let trailers = body.trailers().await.map_err(Error::other)?.unwrap_or_default();
        request.trailers = lines(&trailers);
        self.log.request(request.clone());
        let is_head = request.method == "HEAD";
        let bytes = self.answer(request).await?;
        let (head, body) = response(&bytes)?;
        let body = if is_head { &[] } else { body };
        let mut out = answer.send_response(head, body.is_empty()).map_err(Error::other)?;
        if !body.is_empty() {
            out.send_data(Bytes::copy_from_slice(body), true).map_err(Error::other)?;
        }
        Ok(())
    }

    fn request(&self, head: &http::request::Parts) -> Request {
        let target = head.uri.path_and_query().map_or("*", |target| target.as_str()).to_owned();
        let authority = head.uri.authority().map(|one| one.as_str().to_owned());
        let mut text = format!(":method {} {target}\n", head.method);
        text += &lines(&head.headers);
        let hosts = authority.into_iter().chain(header(&text, "host").map(str::to_owned)).collect();
        Request {
            to: self.to,
            tls: self.tls,
            method: head.method.to_string(),
            target,
            hosts,
            head: text,
            body: Vec::new(),
            two: true,
            framed: Vec::new(),
            trailers: String::new(),
        }
    }

    /// What the server of HTTP/1.1 answers.
    async fn answer(&self, request: Request) -> Result<Vec<u8>> {
        let two = self.clone();
        let asked = move || {
            let origin = Origin { log: two.log, visit: None, to: two.to, folder: &two.folder };
            origin.answers(&request)
        };
        tokio::task::spawn_blocking(asked).await.map_err(Error::other)?
    }
}

/// A line for each field.
fn lines(fields: &HeaderMap) -> String {
    let value = |value: &http::HeaderValue| -> String {
        value.as_bytes().iter().copied().map(char::from).collect()
    };
    fields.iter().map(|(name, one)| format!("{name}: {}\n", value(one))).collect()
}

/// An answer of HTTP/1.1 with a length, as HTTP/2 has it.
fn response(bytes: &[u8]) -> Result<(Response<()>, &[u8])> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n");
    let end = end.ok_or(Error::other("an answer that HTTP/2 has not"))?;
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let status = head.split(' ').nth(1).unwrap_or_default();
    let mut out = Response::builder().status(status);
    for line in head.lines().skip(1) {
        let (name, value) = line.split_once(':').unwrap_or_default();
        out = out.header(name.trim().to_ascii_lowercase(), value.trim());
    }
    Ok((out.body(()).map_err(Error::other)?, &bytes[end + 4..]))
}
