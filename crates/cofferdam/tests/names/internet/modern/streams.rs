//! Answers of HTTP/2 that go on for a while, or that HTTP/1.1 has otherwise: `/sink`, `/pattern/BYTES`,
//! `/events`, `/trailers`, `/hints`, `/reset`, and calls of gRPC, whatever they are called.

use std::io::Read;
use std::time::Duration;

use bytes::Bytes;
use h2::{Error, Reason, RecvStream, SendStream};
use http::{HeaderMap, HeaderValue, Response};

use super::Answer;
use crate::internet::http::{EVENT_EACH, EVENTS, event, header};
use crate::internet::log::Request;
use crate::internet::pattern::{Digest, Pattern};

/// What is given to the connection at a time. Bytes.
const PIECE: usize = 64 << 10;

pub fn wanted(request: &Request) -> bool {
    let path = request.target.split('?').next().unwrap_or_default();
    matches!(path, "/sink" | "/chunked" | "/events" | "/trailers" | "/hints" | "/reset")
        || path.starts_with("/pattern/")
        || is_grpc(request)
}

fn is_grpc(request: &Request) -> bool {
    header(&request.head, "content-type").any(|kind| kind.starts_with("application/grpc"))
}

pub async fn serve(request: &Request, body: RecvStream, answer: Answer) -> Result<(), Error> {
    let path = request.target.split('?').next().unwrap_or_default();
    match path {
        _ if is_grpc(request) => grpc(body, answer).await,
        "/sink" => sink(body, answer).await,
        "/chunked" => pieces(answer).await,
        "/events" => events(answer).await,
        "/trailers" => trailers(body, answer).await,
        "/hints" => hints(answer).await,
        "/reset" => {
            let mut answer = answer;
            answer.send_reset(Reason::ENHANCE_YOUR_CALM);
            Ok(())
        }
        _ => {
            let size = path.rsplit('/').next().and_then(|size| size.parse().ok());
            pattern(size.unwrap_or_default(), answer).await
        }
    }
}

fn head(status: u16, fields: &[(&'static str, &str)]) -> Response<()> {
    let mut head = Response::new(());
    *head.status_mut() = http::StatusCode::from_u16(status).unwrap_or_default();
    for (name, value) in fields {
        if let Ok(value) = HeaderValue::from_str(value) {
            head.headers_mut().insert(*name, value);
        }
    }
    head
}

/// Gives bytes as the other side has room for them.
async fn send(out: &mut SendStream<Bytes>, mut bytes: Bytes) -> Result<(), Error> {
    while !bytes.is_empty() {
        out.reserve_capacity(bytes.len());
        let room = std::future::poll_fn(|context| out.poll_capacity(context)).await;
        let room = room.ok_or(Error::from(Reason::CANCEL))??;
        out.send_data(bytes.split_to(room.min(bytes.len())), false)?;
    }
    Ok(())
}

/// The next bytes of a body, whose room is given back.
async fn next(body: &mut RecvStream) -> Option<Result<Bytes, Error>> {
    let piece = body.data().await?;
    Some(piece.and_then(|piece| {
        body.flow_control().release_capacity(piece.len())?;
        Ok(piece)
    }))
}

async fn sink(mut body: RecvStream, mut answer: Answer) -> Result<(), Error> {
    let mut digest = Digest::default();
    while let Some(piece) = next(&mut body).await {
        digest.add(&piece?);
    }
    let mut out = answer.send_response(head(200, &[]), false)?;
    out.send_data(Bytes::from(digest.line()), true)
}

async fn pattern(size: u64, mut answer: Answer) -> Result<(), Error> {
    let length = size.to_string();
    let mut out = answer.send_response(head(200, &[("content-length", &length)]), size == 0)?;
    let mut bytes = Pattern::of(size);
    let mut piece = vec![0; PIECE];
    loop {
        let size = bytes.read(&mut piece).unwrap_or_default();
        if size == 0 {
            return out.send_data(Bytes::new(), true);
        }
        send(&mut out, Bytes::copy_from_slice(&piece[..size])).await?;
    }
}

/// An answer of no known length.
async fn pieces(mut answer: Answer) -> Result<(), Error> {
    let mut out = answer.send_response(head(200, &[]), false)?;
    for piece in ["one ", "two ", "three\n"] {
        send(&mut out, Bytes::from_static(piece.as_bytes())).await?;
    }
    out.send_data(Bytes::new(), true)
}

async fn events(mut answer: Answer) -> Result<(), Error> {
    let mut out =
        answer.send_response(head(200, &[("content-type", "text/event-stream")]), false)?;
    for number in 0..EVENTS {
        send(&mut out, Bytes::from(event(number))).await?;
        tokio::time::sleep(EVENT_EACH).await;
    }
    out.send_data(Bytes::new(), true)
}

/// Sends the body back, and the fields behind it.
async fn trailers(mut body: RecvStream, mut answer: Answer) -> Result<(), Error> {
    let mut out = answer.send_response(head(200, &[]), false)?;
    while let Some(piece) = next(&mut body).await {
        send(&mut out, piece?).await?;
    }
    let mut fields = body.trailers().await?.unwrap_or_default();
    fields.insert("x-last", HeaderValue::from_static("yes"));
    out.send_trailers(fields)
}

async fn hints(mut answer: Answer) -> Result<(), Error> {
    answer.send_informational(head(103, &[("link", "</style.css>; rel=preload")]))?;
    tokio::time::sleep(Duration::from_millis(50)).await;
    let mut out = answer.send_response(head(200, &[]), false)?;
    out.send_data(Bytes::from_static(b"hinted\n"), true)
}

/// Sends each message back as it comes, and says that all went well: unary and streaming calls alike.
async fn grpc(mut body: RecvStream, mut answer: Answer) -> Result<(), Error> {
    let mut out =
        answer.send_response(head(200, &[("content-type", "application/grpc")]), false)?;
    while let Some(piece) = next(&mut body).await {
        send(&mut out, piece?).await?;
    }
    let mut fields = HeaderMap::new();
    fields.insert("grpc-status", HeaderValue::from_static("0"));
    out.send_trailers(fields)
}
