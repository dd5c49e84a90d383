//! Rows of requests: which bear the session's own identity and no other.

use super::*;
use crate::head::{Scheme, parse_in};

const MINE: &str = "sk-MINE0123456789";

fn head(target: &str, fields: &[(&str, &str)]) -> Head {
    let fields: String =
        fields.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let text = format!("GET {target} HTTP/1.1\r\nHost: good.test\r\n{fields}\r\n");
    parse_in(Scheme::Https, text.as_bytes()).unwrap().unwrap()
}

fn foreign(found: Result<Own, Foreign>) -> String {
    found.map_or_else(|foreign| foreign.to_string(), |_| "own".into())
}

#[test]
fn in_a_header() {
    let (mine, none) = (MINE, "it bears no identity");
    let header = Inject::Header("x-api-key".into());
    for (target, fields, want, why) in [
        ("/", &[("x-api-key", mine)][..], "own", "its own"),
        ("/?page=2", &[("X-Api-Key", mine), ("accept", "*/*")], "own", "case says nothing"),
        ("/?page_token=a&keyword=b", &[("x-api-key", mine)], "own", "parameters of other kinds"),
        ("/?pageToken=a", &[("x-api-key", mine), ("idempotency-key", "k")], "own", "the same"),
        ("/", &[], none, "none"),
        (
            "/",
            &[("x-api-key", "sk-OTHER")],
            "the header `x-api-key` is not this session's own",
            "another",
        ),
        (
            "/",
            &[("x-api-key", "sk-MINE0123456789x")],
            "the header `x-api-key` is not this session's own",
            "longer",
        ),
        (
            "/",
            &[("x-api-key", mine), ("x-api-key", mine)],
            "the header `x-api-key` is there twice",
            "twice",
        ),
        (
            "/",
            &[("x-api-key", mine), ("x_api_key", "o")],
            "the header `x-api-key` is there twice",
            "to CGI",
        ),
        (
            "/",
            &[("x_api_key", mine)],
            "the header `x-api-key` is not this session's own",
            "to CGI alone",
        ),
        (
            "/",
            &[("x-api-key", mine), ("authorization", "Bearer o")],
            "the header `authorization` is a further identity",
            "one more",
        ),
        (
            "/",
            &[("x-api-key", mine), ("cookie", "a=b")],
            "the header `cookie` is a further identity",
            "a cookie",
        ),
        (
            "/",
            &[("x-api-key", mine), ("x-goog-api-key", "o")],
            "the header `x-goog-api-key` is a further identity",
            "another's name",
        ),
        (
            "/",
            &[("x-api-key", mine), ("Private-Token", "o")],
            "the header `private-token` is a further identity",
            "GitLab's",
        ),
        (
            "/",
            &[("x-api-key", mine), ("X-Shopify-Access-Token", "o")],
            "the header `x-shopify-access-token` is a further identity",
            "Shopify's",
        ),
        (
            "/?key=o",
            &[("x-api-key", mine)],
            "the parameter `key` is a further identity",
            "in the query",
        ),
        (
            "/?API%5fKEY=o",
            &[("x-api-key", mine)],
            "the parameter `API_KEY` is a further identity",
            "spelt otherwise",
        ),
        (
            "/?a=b&access_token=o",
            &[("x-api-key", mine)],
            "the parameter `access_token` is a further identity",
            "behind another",
        ),
        (
            "/?X-Amz-Signature=o",
            &[("x-api-key", mine)],
            "the parameter `X-Amz-Signature` is a further identity",
            "a signature",
        ),
    ] {
        assert_eq!(foreign(find(&head(target, fields), &header, mine)), want, "{why}");
    }
}

#[test]
fn in_other_places() {
    let basic = |pair: &str| format!("Basic {}", STANDARD.encode(pair));
    let (user, other) = (basic("x:sk-MINE0123456789"), basic("x:sk-OTHER"));
    let bearer = format!("bearer {MINE}");
    let two = format!("Bearer  {MINE}");
    let (cookie, cookies) = (format!("session={MINE}"), format!("session={MINE}; a=b"));
    let (query, percent) = (format!("/?a=b&key={MINE}&c=d"), format!("/?key=%73{}", &MINE[1..]));
    let twice = format!("/?key={MINE}&key={MINE}");
    for (inject, target, fields, want, why) in [
        (
            Inject::Bearer,
            "/",
            &[("authorization", bearer.as_str())][..],
            "own",
            "case says nothing",
        ),
        (
            Inject::Bearer,
            "/",
            &[("authorization", &two)],
            "the header `authorization` is not this session's own",
            "two blanks",
        ),
        (
            Inject::Bearer,
            "/",
            &[("authorization", MINE)],
            "the header `authorization` is not this session's own",
            "no scheme",
        ),
        (
            Inject::Bearer,
            "/",
            &[("authorization", &user)],
            "the header `authorization` is not this session's own",
            "another scheme",
        ),
        (Inject::Basic(None), "/", &[("authorization", &user)], "own", "any user"),
        (Inject::Basic(Some("x".into())), "/", &[("authorization", &user)], "own", "this user"),
        (
            Inject::Basic(Some("y".into())),
            "/",
            &[("authorization", &user)],
            "the header `authorization` is not this session's own",
            "another user",
        ),
        (
            Inject::Basic(None),
            "/",
            &[("authorization", &other)],
            "the header `authorization` is not this session's own",
            "another password",
        ),
        (Inject::Basic(None), "/", &[], "it bears no identity", "none: it is asked for"),
        (Inject::Cookie("session".into()), "/", &[("cookie", &cookie)], "own", "the only one"),
        (
            Inject::Cookie("session".into()),
            "/",
            &[("cookie", &cookies)],
            "the header `cookie` is not this session's own",
            "and another",
        ),
        (Inject::Query("key".into()), &query, &[], "own", "among others"),
        (Inject::Query("key".into()), &percent, &[], "own", "coded"),
        (Inject::Query("key".into()), &twice, &[], "the parameter `key` is there twice", "twice"),
        (
            Inject::Query("key".into()),
            "/?key=o",
            &[],
            "the parameter `key` is not this session's own",
            "another",
        ),
        (Inject::Query("key".into()), "/", &[], "it bears no identity", "none"),
        (Inject::Json(vec!["a".into()]), "/", &[], "own", "its body is asked later"),
        (
            Inject::Json(vec!["a".into()]),
            "/",
            &[("authorization", "o")],
            "the header `authorization` is a further identity",
            "and one in front",
        ),
    ] {
        assert_eq!(foreign(find(&head(target, fields), &inject, MINE)), want, "{why}");
    }
}

/// Where it was found it is replaced, and nothing else is.
#[test]
fn the_place_is_exact() {
    let mut one = head("/", &[("a", "b"), ("authorization", &format!("Bearer {MINE}"))]);
    let Ok(Own::Field(at, range)) = find(&one, &Inject::Bearer, MINE) else { panic!("not found") };
    replace(&mut one.headers[at], range, b"REAL");
    assert_eq!(one.headers[at].value, b"Bearer REAL");
    let target = format!("/p?a=b&key={MINE}&c=d");
    let Ok(Own::Query(range)) = find(&head(&target, &[]), &Inject::Query("key".into()), MINE)
    else {
        panic!("not found")
    };
    assert_eq!(&target[range], MINE);
    assert_eq!(in_query(b"a+b/c=").as_slice(), b"a%2Bb%2Fc%3D");
    assert_eq!(basic_value(b"u", b"p").as_slice(), b"Basic dTpw");
}

#[test]
fn names_that_carry_an_identity() {
    for (name, want, why) in [
        ("authorization", true, "the one"),
        ("x-auth-token", true, "a word"),
        ("X-Custom-Secret", true, "a word"),
        ("xAccessToken", true, "words without signs"),
        ("authtoken", true, "one word"),
        ("ocp-apim-subscription-key", true, "a key of an account"),
        ("dd-application-key", true, "the same"),
        ("idempotency-key", false, "another key"),
        ("sec-websocket-key", false, "the handshake's"),
        ("x-csrf-token", false, "what guards a form"),
        ("author", false, "no such word"),
        ("x-max-tokens", false, "a number of them"),
        ("anthropic-version", false, "another header"),
        ("content-type", false, "another header"),
    ] {
        assert_eq!(carries(name), want, "{why}: {name}");
    }
}
