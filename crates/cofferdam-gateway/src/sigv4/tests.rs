use super::*;

/// The day of the vectors: 2015-08-30T12:36:00Z.
const NOW: u64 = 1_440_938_160;
const STAND_IN: Keys<'_> =
    Keys { id: b"AKIDEXAMPLE", secret: b"wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", token: None };
const REAL: Keys<'_> = Keys { id: b"AKIAREAL", secret: b"real/secret", token: None };
const SIGNER: Signer<'_> = Signer { stand_in: STAND_IN, real: REAL, scope: SCOPE };
const SCOPE: Scope<'_> = Scope { region: "us-east-1", service: "service" };

/// Owned, so that a row can change it.
#[derive(Clone)]
struct Sent {
    method: String,
    path: String,
    query: Option<String>,
    headers: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
}

impl Sent {
    fn asked<T>(&self, ask: impl FnOnce(&Request<'_>) -> T) -> T {
        let headers: Vec<(&str, &[u8])> =
            self.headers.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect();
        ask(&Request {
            method: &self.method,
            path: &self.path,
            query: self.query.as_deref(),
            headers: &headers,
            websocket: false,
        })
    }

    fn hash(&self) -> [u8; 32] {
        sha256(&self.body).as_ref().try_into().unwrap()
    }

    fn resign(&self, signer: Signer<'_>) -> Result<Resigned, SigV4Fault> {
        self.asked(|request| signer.resign(request, Some(self.hash()), NOW))
    }

    fn set(&mut self, name: &str, value: Option<&[u8]>) {
        self.headers.retain(|(field, _)| !field.eq_ignore_ascii_case(name));
        self.headers.extend(value.map(|value| (name.to_owned(), value.to_vec())));
    }

    /// Changes what is signed, then signs with the stand-in.
    fn signed(mut self, stand_in: Keys<'_>, scope: Scope<'_>, names: &str) -> Self {
        let signer = Signer { stand_in, real: stand_in, scope };
        let (date, body) = ("20150830T123600Z", self.hash());
        let signature = self.asked(|request| {
            let payload = payload(request, Some(body)).unwrap();
            let mut canonical = canonical::Canonical::of(request, scope.service, &payload).unwrap();
            let names: Vec<String> = names.split(';').map(str::to_owned).collect();
            let hash = canonical.hash(request, &names, None).unwrap();
            hmac::sign(&signer.key(&stand_in, date), signer.text(date, &hash).as_bytes())
        });
        let value = format!(
            "{ALGORITHM} Credential={}/{}, SignedHeaders={names}, Signature={}",
            String::from_utf8_lossy(stand_in.id),
            signer.range(date),
            hex(signature.as_ref())
        );
        self.set("Authorization", Some(value.as_bytes()));
        self
    }
}

fn plain() -> Sent {
    Sent {
        method: "GET".into(),
        path: "/".into(),
        query: None,
        headers: vec![
            ("Host".into(), b"example.amazonaws.com".to_vec()),
            ("X-Amz-Date".into(), b"20150830T123600Z".to_vec()),
        ],
        body: Vec::new(),
    }
}

/// Name and request of each of Amazon's.
fn vectors() -> Vec<(String, Sent)> {
    let text = include_str!("vectors.txt");
    let mut found = Vec::new();
    for block in text.split("\n@ ").skip(1) {
        let (head, body) = block.split_once("\n\n").unwrap_or((block, ""));
        let mut lines = head.lines();
        let name = lines.next().unwrap();
        let (method, target) = lines.next().unwrap().split_once(' ').unwrap();
        let (path, query) = target.split_once('?').map_or((target, None), |(p, q)| (p, Some(q)));
        let field = |line: &str| {
            let (name, value) = line.split_once(':').unwrap();
            (name.to_owned(), value.trim().as_bytes().to_vec())
        };
        let sent = Sent {
            method: method.into(),
            path: path.into(),
            query: query.map(str::to_owned),
            headers: lines.map(field).collect(),
            body: body.trim_end().into(),
        };
        found.push((name.to_owned(), sent));
    }
    found
}

#[test]
fn amazons_vectors_verify_and_are_signed_anew() {
    let vectors = vectors();
    assert_eq!(vectors.len(), 33);
    for (name, sent) in vectors {
        let of = |field: &str| {
            let mut found =
                sent.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case(field));
            found.next().map(|(_, value)| value.clone())
        };
        let token = of(TOKEN);
        let stand_in = Keys { token: token.as_deref(), ..STAND_IN };
        // The same key on both sides: what comes out is Amazon's own text.
        let same = sent.resign(Signer { stand_in, real: stand_in, scope: SCOPE });
        if name == "post-sts-header-after" {
            assert_eq!(same, Err(SigV4Fault::Unsigned), "{name}");
            continue;
        }
        let same = same.unwrap_or_else(|fault| panic!("{name}: {fault}"));
        assert_eq!(Some(same.authorization.into_bytes()), of("Authorization"), "{name}");
        assert_eq!(same.token, token, "{name}");

        // Another key, then back.
        let there = Signer { stand_in, real: REAL, scope: SCOPE };
        let back = Signer { stand_in: REAL, real: stand_in, scope: SCOPE };
        let mut other = sent.clone();
        let resigned = sent.resign(there).unwrap();
        assert_eq!(resigned.token, None, "{name}");
        other.set("Authorization", Some(resigned.authorization.as_bytes()));
        other.set(TOKEN, None);
        assert_eq!(other.resign(there), Err(SigV4Fault::KeyId), "{name}");
        let again = other.resign(back).unwrap();
        assert_eq!(Some(again.authorization.into_bytes()), of("Authorization"), "{name}");
        assert_eq!(again.token, token, "{name}");
    }
}

type Example<'a> = (&'a str, &'a str, Option<&'a str>, &'a [(&'a str, &'a str)], &'a str, &'a str);
/// The SHA-256 of nothing.
const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
/// That of what is put.
const PUT: &str = "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072";
/// The four requests that Amazon's documentation of S3 signs: 2013-05-24, bucket `examplebucket`.
const EXAMPLES: [Example<'_>; 4] = [
    (
        "GET",
        "/test.txt",
        None,
        &[("Range", "bytes=0-9")],
        EMPTY,
        "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
    ),
    (
        "PUT",
        "/test%24file.text",
        None,
        &[("Date", "Fri, 24 May 2013 00:00:00 GMT"), ("x-amz-storage-class", "REDUCED_REDUNDANCY")],
        PUT,
        "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
    ),
    (
        "GET",
        "/",
        Some("lifecycle"),
        &[],
        EMPTY,
        "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
    ),
    (
        "GET",
        "/",
        Some("max-keys=2&prefix=J"),
        &[],
        EMPTY,
        "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
    ),
];

#[test]
fn the_examples_of_s3_verify() {
    let keys = Keys {
        id: b"AKIAIOSFODNN7EXAMPLE",
        secret: b"wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        token: None,
    };
    let scope = Scope { region: "us-east-1", service: "s3" };
    for (method, path, query, fields, content, signature) in EXAMPLES {
        let mut headers: Vec<(String, Vec<u8>)> = vec![
            ("Host".into(), b"examplebucket.s3.amazonaws.com".to_vec()),
            ("x-amz-content-sha256".into(), content.into()),
            ("x-amz-date".into(), b"20130524T000000Z".to_vec()),
        ];
        headers.extend(fields.iter().map(|(name, value)| ((*name).into(), (*value).into())));
        let mut names: Vec<String> =
            headers.iter().map(|(name, _)| name.to_ascii_lowercase()).collect();
        names.sort();
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,\
             SignedHeaders={},Signature={signature}",
            names.join(";")
        );
        headers.push(("Authorization".into(), authorization.into_bytes()));
        let query = query.map(str::to_owned);
        let sent =
            Sent { method: method.into(), path: path.into(), query, headers, body: Vec::new() };
        let signer = Signer { stand_in: keys, real: keys, scope };
        let resigned = sent.asked(|request| {
            assert_eq!(needs(request), Ok(Needs::Nothing));
            signer.resign(request, None, 1_369_353_600)
        });
        let resigned = resigned.unwrap_or_else(|fault| panic!("{method} {path}: {fault}"));
        assert!(resigned.authorization.ends_with(signature), "{method} {path}");
    }
}

impl Sent {
    fn with(&self, from: &str, to: &str) -> Self {
        let value = String::from_utf8(self.headers.last().unwrap().1.clone()).unwrap();
        assert!(value.contains(from), "{from}");
        self.field("Authorization", Some(value.replace(from, to).as_bytes()))
    }

    fn field(&self, name: &str, value: Option<&[u8]>) -> Self {
        let mut sent = self.clone();
        sent.set(name, value);
        sent
    }

    fn more(&self, name: &str, value: &str) -> Self {
        let mut sent = self.clone();
        sent.headers.push((name.into(), value.into()));
        sent
    }

    fn query(&self, query: &str) -> Self {
        Self { query: Some(query.into()), ..self.clone() }
    }
}

/// What passes; each row below changes one thing of it.
fn good() -> Sent {
    let good = plain().signed(STAND_IN, SCOPE, "host;x-amz-date");
    assert!(good.resign(SIGNER).is_ok(), "the positive twin");
    good
}

#[test]
fn another_authorization_is_refused() {
    use SigV4Fault::{
        Absent, Algorithm, Form, Host, KeyId, Names, Scope as Range, Signature, Twice, Unsigned,
    };
    let good = good();
    let value = String::from_utf8(good.headers.last().unwrap().1.clone()).unwrap();
    let (start, last) = value.split_at(value.len() - 1);
    let other = format!("{start}{}", if last == "0" { "1" } else { "0" });
    for (sent, want, why) in [
        (good.field("Authorization", Some(other.as_bytes())), Signature, "the last digit"),
        (good.field("Authorization", None), Absent, "no signature"),
        (good.more("authorization", &value), Twice, "the same twice"),
        (good.more("Authorization", "Bearer a"), Twice, "another beside it"),
        (good.field("Authorization", Some(b"Bearer a")), Algorithm, "another scheme"),
        (good.with("AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256"), Algorithm, "version 4A"),
        (good.with("AWS4-HMAC-SHA256", "aws4-hmac-sha256"), Algorithm, "in small letters"),
        (good.with("Signature=", "Signature=0"), Form, "65 digits"),
        (good.with("Credential=", "credential="), Form, "a part in small letters"),
        (good.with("Credential=", "Region=a, Credential="), Form, "one part more"),
        (good.with(", SignedHeaders", ", Signed=a, SignedHeaders"), Form, "between"),
        (good.with("aws4_request,", "aws4_request;"), Form, "no comma"),
        (good.with("AKIDEXAMPLE", "AKIAFOREIGN"), KeyId, "a foreign key"),
        (good.with("AKIDEXAMPLE", "akidexample"), KeyId, "case counts"),
        (good.with("AKIDEXAMPLE", "A B"), Form, "no name of a key"),
        (good.with("/20150830/", "/20150831/"), Range, "another day"),
        (good.with("us-east-1", "eu-central-1"), Range, "another region"),
        (good.with("/service/", "/s3/"), Range, "another service"),
        (good.with("aws4_request", "aws4_requests"), Range, "another end"),
        (good.with("aws4_request", "aws4_request/a"), Range, "one part more of the scope"),
        (good.with("host;x-amz-date", "x-amz-date;host"), Names, "not in order"),
        (good.with("host;x-amz-date", "host;host;x-amz-date"), Names, "one twice"),
        (good.with("host;x-amz-date", "Host;x-amz-date"), Names, "a capital letter"),
        (good.with("host;x-amz-date", "host;;x-amz-date"), Names, "an empty one"),
        (good.with("host;x-amz-date", "connection;host;x-amz-date"), Names, "of one connection"),
        (good.with("host;x-amz-date", "x-amz-date"), Host, "the host is not signed"),
        (good.with("host;x-amz-date", "host"), Unsigned, "the date is not signed"),
        (good.with("host;", "host;origin;"), SigV4Fault::Missing, "signed and not there"),
    ] {
        assert_eq!(sent.resign(SIGNER), Err(want), "{why}");
    }
}

#[test]
fn other_fields_are_refused() {
    use SigV4Fault::{Date, Host, Signature, Time, Token, Unsigned};
    let good = good();
    for (sent, want, why) in [
        (good.field("Host", None), Host, "no host"),
        (good.more("host", "other.example"), Host, "two hosts"),
        (good.more("X-Amz-Acl", "public-read"), Unsigned, "a field of Amazon's added"),
        (good.more("x_amz_acl", "public-read"), Unsigned, "under another spelling"),
        (good.more("X-Amz-Security-Token", "a"), Token, "a token added"),
        (good.more("x-amz-security_token", "a"), Token, "under another spelling"),
        (good.field("X-Amz-Date", None), Date, "no date"),
        (good.more("X-Amz-Date", "20150830T123600Z"), Date, "two dates"),
        (good.field("X-Amz-Date", Some(b"20150830T1236Z")), Date, "no seconds"),
        (good.field("X-Amz-Date", Some(b"20150230T123600Z")), Date, "no such day"),
        (good.field("X-Amz-Date", Some(b"2015083\xd9\xa0T12360Z")), Date, "no digits"),
        (good.field("X-Amz-Date", Some(b"+0150830T123600Z")), Date, "a sign"),
        (good.field("X-Amz-Date", Some(b"20150830T122059Z")), Time, "too old"),
        (good.field("X-Amz-Date", Some(b"20150830T125101Z")), Time, "too early"),
        (good.field("X-Amz-Date", Some(b"20150830T122100Z")), Signature, "not too old, not signed"),
        (
            good.field("X-Amz-Date", Some(b"20150830T125100Z")),
            Signature,
            "not too early, not signed",
        ),
        (good.field("Host", Some(b"other.example")), Signature, "another host"),
        (
            good.more("X-Amz-Content-SHA256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"),
            Unsigned,
            "first",
        ),
    ] {
        assert_eq!(sent.resign(SIGNER), Err(want), "{why}");
    }
}

#[test]
fn another_target_or_body_is_refused() {
    use SigV4Fault::{Presigned, Query, Signature};
    let good = good();
    for (sent, want, why) in [
        (Sent { method: "POST".into(), ..good.clone() }, Signature, "another method"),
        (Sent { path: "/a".into(), ..good.clone() }, Signature, "another path"),
        (Sent { body: b"a".to_vec(), ..good.clone() }, Signature, "another body"),
        (Sent { path: "a".into(), ..good.clone() }, SigV4Fault::Path, "no slash"),
        (good.query("a=b"), Signature, "a parameter added"),
        (good.query("a=b+c"), Query, "a plus"),
        (good.query("a=%4"), Query, "half coded"),
        (good.query("a&&b"), Query, "an empty parameter"),
        (good.query("X-Amz-Signature=a"), Presigned, "signed in the URL"),
        (good.query("a=b&x-amz-EXPIRES=1"), Presigned, "in other letters"),
        (good.query("X%2dAmz%2DCredential=a"), Presigned, "coded"),
        (good.query("a=b;X-Amz-Algorithm=c"), Presigned, "behind a semicolon"),
        (good.query("X_Amz_Signature"), Presigned, "under another spelling"),
        (good.query("AWSAccessKeyId=a&Signature=b"), Presigned, "version 2"),
    ] {
        assert_eq!(sent.resign(SIGNER), Err(want), "{why}");
    }
}

#[test]
fn what_the_head_says_of_the_body_is_known() {
    use SigV4Fault::{Chunks, Content};
    let names = "host;x-amz-content-sha256;x-amz-date";
    for (content, want, why) in [
        ("UNSIGNED-PAYLOAD", None, "not signed"),
        ("STREAMING-UNSIGNED-PAYLOAD-TRAILER", None, "with a checksum behind"),
        ("STREAMING-AWS4-HMAC-SHA256-PAYLOAD", Some(Chunks), "each chunk"),
        ("STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER", Some(Chunks), "and the trailer"),
        ("STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD", Some(Chunks), "of version 4A"),
        ("unsigned-payload", Some(Content), "in small letters"),
        ("", Some(Content), "empty"),
        ("E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855", Some(Content), "big"),
    ] {
        let mut sent = plain();
        sent.set("X-Amz-Content-SHA256", Some(b"UNSIGNED-PAYLOAD"));
        let mut sent = match want {
            None => {
                sent.set("X-Amz-Content-SHA256", Some(content.as_bytes()));
                sent.signed(STAND_IN, SCOPE, names)
            }
            Some(_) => sent.signed(STAND_IN, SCOPE, names),
        };
        sent.set("X-Amz-Content-SHA256", Some(content.as_bytes()));
        let got = sent.resign(SIGNER).map(drop);
        assert_eq!(got, want.map_or(Ok(()), Err), "{why}: {content}");
    }
}

#[test]
fn the_body_is_the_one_that_was_signed() {
    let signer = Signer { stand_in: STAND_IN, real: REAL, scope: SCOPE };
    let sent = Sent { body: b"{}".to_vec(), ..plain() };
    let hash = sent.hash();
    let bare = sent.clone().signed(STAND_IN, SCOPE, "host;x-amz-date");
    bare.asked(|request| {
        assert_eq!(needs(request), Ok(Needs::BodyHash));
        assert_eq!(signer.resign(request, None, NOW), Err(SigV4Fault::BodyUnread));
        assert!(signer.resign(request, Some(hash), NOW).is_ok());
        assert_eq!(signer.resign(request, Some([0; 32]), NOW), Err(SigV4Fault::Signature));
    });
    let mut named = sent;
    named.set("x-amz-content-sha256", Some(hex(&hash).as_bytes()));
    let named = named.signed(STAND_IN, SCOPE, "host;x-amz-content-sha256;x-amz-date");
    named.asked(|request| {
        assert_eq!(needs(request), Ok(Needs::Nothing));
        assert!(signer.resign(request, None, NOW).is_ok());
        assert!(signer.resign(request, Some(hash), NOW).is_ok());
        assert_eq!(signer.resign(request, Some([0; 32]), NOW), Err(SigV4Fault::Body));
    });
}

#[test]
fn a_token_goes_where_its_key_goes() {
    let with = Keys { token: Some(b"stand-in-token"), ..STAND_IN };
    let real = Keys { token: Some(b"real  token"), ..REAL };
    let mut sent = plain();
    sent.set("X-Amz-Security-Token", Some(b"stand-in-token"));
    let sent = sent.signed(with, SCOPE, "host;x-amz-date;x-amz-security-token");
    let bare = plain().signed(STAND_IN, SCOPE, "host;x-amz-date");
    for (sent, stand_in, real, want, why) in [
        (&sent, with, real, Ok(Some(real)), "one for another"),
        (&sent, with, REAL, Ok(Some(REAL)), "it goes"),
        (&bare, STAND_IN, real, Ok(Some(real)), "it comes"),
        (&bare, STAND_IN, REAL, Ok(Some(REAL)), "none on both sides"),
        (&sent, STAND_IN, real, Err(SigV4Fault::Token), "none is expected"),
        (&bare, with, real, Err(SigV4Fault::Token), "one is expected"),
        (
            &sent,
            Keys { token: Some(b"stand-in-Token"), ..with },
            real,
            Err(SigV4Fault::Token),
            "other",
        ),
    ] {
        let got = sent.resign(Signer { stand_in, real, scope: SCOPE });
        assert_eq!(got.as_ref().map(drop), want.as_ref().map(drop), "{why}");
        let (Ok(got), Ok(Some(real))) = (got, want) else { continue };
        assert_eq!(got.token.as_deref(), real.token, "{why}");
        let mut further = sent.clone();
        further.set("X-Amz-Security-Token", real.token);
        further.set("Authorization", Some(got.authorization.as_bytes()));
        assert!(
            further.resign(Signer { stand_in: real, real: STAND_IN, scope: SCOPE }).is_ok(),
            "{why}"
        );
    }
    let odd = Keys { id: b"AKIA/REAL", ..REAL };
    let odd = bare.resign(Signer { stand_in: STAND_IN, real: odd, scope: SCOPE });
    assert_eq!(odd, Err(SigV4Fault::Key), "a key whose name would be another scope");
}

#[test]
fn paths_are_signed_as_their_service_has_them() {
    for (service, given, want, why) in [
        ("s3", "/a//b/../c%20d", "/a//b/../c%20d", "as written"),
        ("s3express", "/a/./b", "/a/./b", "as written"),
        ("execute-api", "/a//b/../c%20d", "/a/c%2520d", "normal, and coded again"),
        ("execute-api", "/a/b/", "/a/b/", "a slash at the end"),
        ("execute-api", "/../a", "/a", "not above the root"),
        ("execute-api", "/a:b$c", "/a%3Ab%24c", "reserved"),
    ] {
        let sent = Sent { path: given.into(), ..plain() };
        let path = sent.asked(|request| {
            format!("{:?}", canonical::Canonical::of(request, service, b"").unwrap())
        });
        let want = format!("path: {:?}", want.as_bytes());
        assert!(path.contains(&want), "{why}: {path}");
    }
}

#[test]
fn nothing_of_a_key_is_shown() {
    let signer = Signer { stand_in: STAND_IN, real: REAL, scope: SCOPE };
    let sent = plain().signed(STAND_IN, SCOPE, "host;x-amz-date");
    let shown = format!("{signer:?} {:?}", sent.resign(signer));
    for secret in ["AKI", "wJal", "real/secret", "Signature="] {
        assert!(!shown.contains(secret), "{shown}");
    }
}
