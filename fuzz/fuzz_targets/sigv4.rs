//! Signatures of version 4 against a slow and obvious signer of our own: what is taken for the stand-in's is
//! signed by it, and what goes out is signed by the real key.

#![no_main]

use cofferdam_gateway::sigv4::{Keys, Scope, SigV4Fault, Signer};
use cofferdam_policy::judge::requests::Request;
use libfuzzer_sys::fuzz_target;
use ring::digest::{SHA256, digest};

const NOW: u64 = 1_440_938_160;
const DATE: &str = "20150830T123600Z";
const REGION: &str = "us-east-1";
const STAND_IN: Keys<'_> = Keys { id: b"AKIDEXAMPLE", secret: b"stand-in", token: None };
const REAL: Keys<'_> = Keys { id: b"AKIAREAL", secret: b"real", token: Some(b"real  token") };

type Fields = Vec<(String, Vec<u8>)>;

fn sha256(bytes: &[u8]) -> Vec<u8> {
    digest(&SHA256, bytes).as_ref().to_vec()
}

/// RFC 2104, as it is defined.
fn hmac(key: &[u8], text: &[u8]) -> Vec<u8> {
    let mut block = if key.len() > 64 { sha256(key) } else { key.to_vec() };
    block.resize(64, 0);
    let pad = |with: u8| block.iter().map(|byte| byte ^ with).collect::<Vec<u8>>();
    let inner = sha256(&[pad(0x36), text.to_vec()].concat());
    sha256(&[pad(0x5c), inner].concat())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn coded(bytes: &[u8]) -> String {
    let one = |byte: &u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
            char::from(*byte).to_string()
        }
        byte => format!("%{byte:02X}"),
    };
    bytes.iter().map(one).collect()
}

fn decoded(text: &str) -> Vec<u8> {
    let (mut bytes, mut rest) = (Vec::new(), text);
    while let Some(byte) = rest.bytes().next() {
        let digits = rest.get(1..3).and_then(|two| u8::from_str_radix(two, 16).ok());
        match digits.filter(|_| byte == b'%') {
            Some(other) => {
                bytes.push(other);
                rest = &rest[3..];
            }
            None => {
                let letter = rest.chars().next().expect("a letter");
                bytes.extend_from_slice(letter.to_string().as_bytes());
                rest = &rest[letter.len_utf8()..];
            }
        }
    }
    bytes
}

fn path(path: &str, service: &str) -> String {
    if service == "s3" {
        return path.into();
    }
    let mut kept: Vec<String> = Vec::new();
    for part in path.split('/').filter(|part| !part.is_empty() && *part != ".") {
        if part == ".." {
            kept.pop();
        } else {
            kept.push(coded(part.as_bytes()));
        }
    }
    let end = if path.ends_with('/') && !kept.is_empty() { "/" } else { "" };
    format!("/{}{end}", kept.join("/"))
}

fn query(query: &str) -> String {
    let mut pairs: Vec<(String, String)> = Vec::new();
    for part in query.split('&').filter(|part| !part.is_empty()) {
        let at = part.find('=').unwrap_or(part.len());
        let value = part.get(at + 1..).unwrap_or("");
        pairs.push((coded(&decoded(&part[..at])), coded(&decoded(value))));
    }
    pairs.sort();
    let lines: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
    lines.join("&")
}

fn values(fields: &Fields, name: &str) -> Vec<u8> {
    let of = fields.iter().filter(|(field, _)| field.to_ascii_lowercase() == name);
    let folded = of.map(|(_, value)| {
        let mut value = value.trim_ascii().to_vec();
        while let Some(at) = value.windows(2).position(|two| two == b"  ") {
            value.remove(at);
        }
        value
    });
    folded.collect::<Vec<_>>().join(&b',')
}

/// The signature of the fields `names`.
fn signature(
    request: &Request<'_>,
    fields: &Fields,
    names: &[&str],
    of: (&str, &[u8], &[u8]),
) -> String {
    let (service, secret, body) = of;
    let content = values(fields, "x-amz-content-sha256");
    let content = if content.is_empty() { hex(&sha256(body)).into_bytes() } else { content };
    let mut text = format!(
        "{}\n{}\n{}\n",
        request.method,
        path(request.path, service),
        query(request.query.unwrap_or(""))
    )
    .into_bytes();
    for name in names {
        text.extend_from_slice(format!("{name}:").as_bytes());
        text.extend(values(fields, name));
        text.push(b'\n');
    }
    text.extend_from_slice(format!("\n{}\n", names.join(";")).as_bytes());
    text.extend(content);
    let date = String::from_utf8_lossy(&values(fields, "x-amz-date")).into_owned();
    let day = date.get(..8).unwrap_or("").to_owned();
    let text = format!(
        "AWS4-HMAC-SHA256\n{date}\n{day}/{REGION}/{service}/aws4_request\n{}",
        hex(&sha256(&text))
    );
    let mut key = [b"AWS4", secret].concat();
    for part in [&day, REGION, service, "aws4_request"] {
        key = hmac(&key, part.as_bytes());
    }
    hex(&hmac(&key, text.as_bytes()))
}

/// What stands behind `SignedHeaders=` and `Signature=`.
fn parts(value: &[u8]) -> (Vec<String>, String) {
    let text = std::str::from_utf8(value).expect("text");
    let names = text.split("SignedHeaders=").nth(1).expect("names").split([',', ' ']).next();
    let signature = text.rsplit("Signature=").next().expect("a signature").trim();
    (names.expect("names").split(';').map(str::to_owned).collect(), signature.to_owned())
}

fn with(
    request: &Request<'_>,
    fields: &Fields,
    body: &[u8],
    service: &str,
) -> Result<(), SigV4Fault> {
    let headers: Vec<(&str, &[u8])> =
        fields.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect();
    let request = Request { headers: &headers, ..*request };
    let hash: [u8; 32] = sha256(body).try_into().expect("32 bytes");
    let scope = Scope { region: REGION, service };
    let signer = Signer { stand_in: STAND_IN, real: REAL, scope };
    let resigned = signer.resign(&request, Some(hash), NOW)?;

    let names = |names: &[String]| names.iter().map(String::as_str).collect::<Vec<_>>().join(";");
    let (came, found) = parts(&values(fields, "authorization"));
    let list = names(&came);
    let list: Vec<&str> = list.split(';').collect();
    let of = (service, STAND_IN.secret, body);
    assert_eq!(found, signature(&request, fields, &list, of), "the stand-in's");

    let mut out = fields.clone();
    out.push(("x-amz-security-token".into(), resigned.token.expect("a token")));
    let (signed, found) = parts(resigned.authorization.as_bytes());
    let list = names(&signed);
    let list: Vec<&str> = list.split(';').collect();
    assert_eq!(found, signature(&request, &out, &list, (service, REAL.secret, body)), "the real");
    let all = out.iter().map(|(name, _)| name.to_ascii_lowercase());
    for name in all.filter(|name| name.starts_with("x-amz-") || name == "host") {
        assert!(list.contains(&name.as_str()), "{name} is signed");
    }
    Ok(())
}

fuzz_target!(|bytes: &[u8]| {
    let mut lines = bytes.split(|byte| *byte == b'\n');
    let first = lines.next().and_then(|line| std::str::from_utf8(line).ok());
    let Some((method, target)) = first.and_then(|line| line.split_once(' ')) else { return };
    let (path, query) = target.split_once('?').map_or((target, None), |(p, q)| (p, Some(q)));
    let mut fields = Fields::new();
    let mut body = Vec::new();
    while let Some(line) = lines.next() {
        if line.is_empty() {
            body = lines.by_ref().collect::<Vec<_>>().join(&b'\n');
            break;
        }
        let mut parts = line.splitn(2, |byte| *byte == b':');
        let name = parts.next().and_then(|name| std::str::from_utf8(name).ok());
        let (Some(name), Some(value)) = (name, parts.next()) else { return };
        let is_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
        if name.is_empty() || !name.bytes().all(is_token) {
            return;
        }
        fields.push((name.to_owned(), value.trim_ascii().to_vec()));
    }
    let request = Request { method, path, query, headers: &[], websocket: false };
    for service in ["s3", "sqs"] {
        let _as_it_came = with(&request, &fields, &body, service);
        // Signed by the book: taken, but for what is refused before a signature is looked at.
        let mut signed = fields.clone();
        let apart = ["authorization", "x-amz-date", "host", "x-amz-security-token"];
        let folded = |name: &str| {
            name.to_ascii_lowercase().replace(|c: char| !c.is_ascii_alphanumeric(), "-")
        };
        signed.retain(|(name, _)| !apart.contains(&folded(name).as_str()));
        signed.push(("Host".into(), b"example.com".to_vec()));
        signed.push(("X-Amz-Date".into(), DATE.into()));
        let mut names: Vec<String> =
            signed.iter().map(|(name, _)| name.to_ascii_lowercase()).collect();
        names.sort();
        names.dedup();
        let list: Vec<&str> = names.iter().map(String::as_str).collect();
        let signature = signature(&request, &signed, &list, (service, STAND_IN.secret, &body));
        let value = format!(
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/{REGION}/{service}/aws4_request, \
             SignedHeaders={}, Signature={signature}",
            list.join(";")
        );
        signed.push(("Authorization".into(), value.into_bytes()));
        if let Err(fault) = with(&request, &signed, &body, service) {
            let is_strict = matches!(
                fault,
                SigV4Fault::Presigned
                    | SigV4Fault::Path
                    | SigV4Fault::Query
                    | SigV4Fault::Content
                    | SigV4Fault::Chunks
                    | SigV4Fault::Body
                    | SigV4Fault::Names
                    | SigV4Fault::Unsigned
            );
            assert!(is_strict, "{fault}");
        }
    }
});
