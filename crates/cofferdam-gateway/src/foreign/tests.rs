use super::*;

const STAND_IN: &str = "sk-cFd7Mx-1";

/// Splits the query off, as a target has it.
fn asked<T>(target: &str, headers: &[(&str, &str)], ask: impl FnOnce(&Request<'_>) -> T) -> T {
    let (path, query) = target.split_once('?').map_or((target, None), |(p, q)| (p, Some(q)));
    let headers: Vec<(&str, &[u8])> =
        headers.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
    ask(&Request { method: "POST", path, query, headers: &headers, websocket: false })
}

/// What comes of it: the query, or the field, with the secret `r/l`; or what is wrong with which part.
fn checked(
    target: &str,
    headers: &[(&str, &str)],
    expected: &Inject,
) -> Result<String, (String, Kind)> {
    asked(target, headers, |request| {
        let own = check(request, expected, STAND_IN.as_bytes())
            .map_err(|foreign| (foreign.carrier, foreign.kind))?;
        let (whole, bytes) = match &own {
            Own::Field { at, bytes } | Own::Cookie { at, bytes } | Own::Basic { at, bytes, .. } => {
                (request.headers[*at].1, bytes.clone())
            }
            Own::Parameter { bytes } => (request.query.unwrap().as_bytes(), bytes.clone()),
            Own::Body => return Ok("body".into()),
            Own::Signature => return Ok("signature".into()),
        };
        let mut out = whole.to_vec();
        out.splice(bytes, own.written(b"r/l").unwrap().iter().copied());
        Ok(String::from_utf8(out).unwrap())
    })
}

/// Fields that may bear an identity.
const BEARING_FIELDS: &str = "Authorization Proxy-Authorization Cookie Cookie2 X-Api-Key api-key api_key apikey \
    x-goog-api-key X-Auth-Token Private-Token Job-Token Deploy-Token X-Amz-Security-Token \
    X-Access-Token X-Gitlab-Token X-Vault-Token DPoP X-Shopify-Access-Token DD-API-KEY \
    DD-APPLICATION-KEY X-Figma-Token X-Auth-Key Ocp-Apim-Subscription-Key x-functions-key \
    X-RapidAPI-Key X-Hub-Signature-256 Signature-Input X-Secret X-Password X-Passwd \
    X-Credential X-Client-Cert X-Forwarded-User X-Remote-User Cf-Access-Jwt-Assertion \
    Cf-Access-Client-Id Cf-Access-Client-Secret X-MS-TOKEN-AAD-ACCESS-TOKEN X_API_KEY \
    X.Api.Key X-Session-Id X-Goog-IAM-Authorization-Token Authentication \
    X-Authenticated-User Api-Secret-Key anthropic-auth-token openai-api-key \
    X-Stainless-Api-Key X-Sentry-Auth Key X-Master-Key x-ms-authorization-auxiliary";
/// Fields that bear none.
const OTHER_FIELDS: &str = "Host Accept Content-Type Content-Length User-Agent Origin Referer Range Idempotency-Key \
    X-Idempotency-Key Sec-WebSocket-Key Sec-WebSocket-Protocol Sec-Fetch-Mode Sec-Fetch-Site \
    X-CSRF-Token X-XSRF-TOKEN Surrogate-Key anthropic-version anthropic-beta \
    anthropic-dangerous-direct-browser-access OpenAI-Organization OpenAI-Project OpenAI-Beta \
    ChatGPT-Account-ID originator session_id conversation_id Mcp-Session-Id \
    X-Claude-Code-Session-Id x-app X-Stainless-Lang X-Stainless-Package-Version \
    X-Stainless-Runtime-Version X-Stainless-Retry-Count X-Stainless-Helper-Method \
    x-stainless-timeout X-Request-Id x-amz-date x-amz-content-sha256 x-amz-target \
    X-Amz-User-Agent amz-sdk-request amz-sdk-invocation-id x-amz-acl x-amz-checksum-crc32 \
    x-amz-meta-name x-amz-server-side-encryption-customer-key \
    x-amz-server-side-encryption-customer-key-MD5 X-Goog-User-Project x-goog-api-client \
    Git-Protocol npm-auth-type npm-command npm-session pacote-version X-GitHub-Api-Version Traceparent \
    If-None-Match Access-Control-Request-Headers Monkey Turkey";
/// Queries with one parameter that may bear an identity.
const BEARING_PARAMETERS: &str = "key=a KEY=a k%65y=a api_key=a apikey=a apiKey=a api-key=a access_token=a accessToken=a \
    auth_token=a token=a sig=a signature=a X-Amz-Signature=a x-amz-date=a \
    X-Goog-Credential=a code=a password=a passwd=a pwd=a client_secret=a client_assertion=a \
    refresh_token=a AWSAccessKeyId=a Key-Pair-Id=a sid=a PHPSESSID=a user[password]=a \
    a.token=a auth[x]=a q=1;token=a q=1&+token=a subscription-key=a hapikey=a %=a %zz=a \
    %2574oken=a tok%00en=a \u{ff54}oken=a %ff=a token token[]=a jwt=a appid=a SAMLResponse=a";
/// Queries without one.
const OTHER_PARAMETERS: &str = "q=token page_token=a pageToken=a nextPageToken=a continuation-token=a NextToken=a \
    list-type=2 prefix=a%2Fb x-id=GetObject author=a authors=a max_tokens=1 model=a \
    beta=true monkey=a sort=key uploadId=a partNumber=1 =a client_id=a client_version=a \
    filter[name]=a sortKey=a service=git-receive-pack";

#[test]
fn fields_that_may_bear_an_identity_are_known() {
    for name in BEARING_FIELDS.split_whitespace() {
        assert!(is_carrier_field(name.as_bytes()), "{name}");
    }
    for name in OTHER_FIELDS.split_whitespace() {
        assert!(!is_carrier_field(name.as_bytes()), "{name}");
    }
}

#[test]
fn parameters_that_may_bear_an_identity_are_known() {
    let found = |target: &str| asked(target, &[], |request| carriers(request).len());
    for query in BEARING_PARAMETERS.split_whitespace() {
        assert_eq!(found(&format!("/?{query}")), 1, "{query}");
    }
    for query in OTHER_PARAMETERS.split_whitespace() {
        assert_eq!(found(&format!("/?{query}")), 0, "{query}");
    }
    for (target, count, why) in [
        ("/a;jsessionid=b/c", 1, "in the path"),
        ("/a;v=1/token", 0, "another of the path"),
        ("http://user:secret@host/", 1, "before the host"),
        ("/@user/a", 0, "a name of a path"),
        ("*", 0, "no path"),
        ("/?a=b&key=1&token=2", 2, "two"),
    ] {
        assert_eq!(found(target), count, "{why}: {target}");
    }
}

#[test]
fn values_are_never_told() {
    let told = |target: &str, headers: &[(&str, &str)]| {
        asked(target, headers, |request| {
            carriers(request).into_iter().map(|carrier| carrier.name).collect::<Vec<_>>()
        })
    };
    assert_eq!(told("/?token=v", &[("X-Key", "v")]), ["X-Key", "token"]);
    assert_eq!(told("/?sk-token-v", &[]), ["parameter"], "it may be the value");
    assert_eq!(told("/?%00v=1", &[]), ["parameter"], "odd");
    let long = format!("/?{}token=v", "a".repeat(100));
    assert_eq!(told(&long, &[]), ["a".repeat(64)]);
    let foreign = Foreign { carrier: "x-api-key".into(), kind: Kind::Other };
    assert_eq!(foreign.code(), "foreign-other");
    assert!(foreign.to_string().contains("`x-api-key`"));
}

#[test]
fn a_field_bears_the_stand_in_alone() {
    let key = Inject::Header("x-api-key".into());
    let own = ("X-Api-Key", STAND_IN);
    let bare = ("accept", "*/*");
    let is = |kind| Err(("x-api-key", kind));
    let longer = format!("{STAND_IN}1");
    for (target, headers, want, why) in [
        ("/", vec![own], Ok("r/l"), "alone"),
        ("/?beta=true", vec![bare, own, ("anthropic-version", "1")], Ok("r/l"), "among others"),
        ("/", vec![], is(Kind::Missing), "none"),
        ("/", vec![own, own], is(Kind::Twice), "twice"),
        ("/", vec![own, ("X_Api_Key", STAND_IN)], is(Kind::Twice), "twice to some"),
        ("/", vec![("x_api_key", STAND_IN)], is(Kind::Additional), "under another spelling"),
        ("/", vec![("x-api-key", "sk-foreign")], is(Kind::Other), "a foreign one"),
        ("/", vec![("x-api-key", &longer)], is(Kind::Other), "one byte more"),
        ("/", vec![("x-api-key", &STAND_IN[1..])], is(Kind::Other), "one byte less"),
        ("/", vec![("x-api-key", "")], is(Kind::Other), "empty"),
        ("/", vec![("x-api-key", "SK-CFD7MX-1")], is(Kind::Other), "case counts"),
        (
            "/",
            vec![own, ("Authorization", "Bearer a")],
            Err(("Authorization", Kind::Additional)),
            "a bearer beside it",
        ),
        (
            "/",
            vec![own, ("Cookie", "a=b")],
            Err(("Cookie", Kind::Additional)),
            "a cookie beside it",
        ),
        (
            "/",
            vec![("Authorization", "Bearer a")],
            Err(("Authorization", Kind::Additional)),
            "instead of it",
        ),
        (
            "/",
            vec![own, ("Authorization", &format!("Bearer {STAND_IN}"))],
            Err(("Authorization", Kind::Additional)),
            "the same again elsewhere",
        ),
        ("/?key=a", vec![own], Err(("key", Kind::Additional)), "a parameter beside it"),
        ("/?a=1;token=b", vec![own], Err(("token", Kind::Additional)), "behind a semicolon"),
        ("/a;sid=1", vec![own], Err(("sid", Kind::Additional)), "in the path"),
    ] {
        let want =
            want.map(str::to_owned).map_err(|(name, kind): (&str, _)| (name.to_owned(), kind));
        assert_eq!(checked(target, &headers, &key), want, "{why}");
    }
}

#[test]
fn bearer_and_basic_have_one_form() {
    let basic = |plain: &str| {
        use base64::Engine as _;
        format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(plain))
    };
    let git = basic(&format!("git:{STAND_IN}"));
    let real = basic("git:r/l");
    let git_user = Inject::Basic(Some("git".into()));
    let other = Err(Kind::Other);
    let bits = basic(&format!("a:{STAND_IN}")).replace("==", "=").replace('=', "");
    for (expected, value, want, why) in [
        (Inject::Bearer, format!("Bearer {STAND_IN}"), Ok("Bearer r/l"), "as it is written"),
        (Inject::Bearer, format!("bEARER {STAND_IN}"), Ok("bEARER r/l"), "any case"),
        (Inject::Bearer, format!("Bearer  {STAND_IN}"), other, "two blanks"),
        (Inject::Bearer, format!("Bearer\t{STAND_IN}"), other, "a tab"),
        (Inject::Bearer, format!("Bearer {STAND_IN} "), other, "a blank behind"),
        (Inject::Bearer, format!("Bearer {STAND_IN}, Basic a"), other, "two schemes"),
        (Inject::Bearer, STAND_IN.into(), other, "no scheme"),
        (Inject::Bearer, format!("token {STAND_IN}"), Ok("token r/l"), "as GitHub's programs do"),
        (Inject::Bearer, format!("Tokens {STAND_IN}"), other, "another scheme"),
        (Inject::Bearer, "Bearer sk-foreign".into(), other, "a foreign one"),
        (Inject::Bearer, git.clone(), other, "the other scheme"),
        (git_user.clone(), git.clone(), Ok(real.as_str()), "user and password"),
        (Inject::Basic(None), git.clone(), Ok(real.as_str()), "any user"),
        (
            git_user.clone(),
            git.replace("Basic", "basic"),
            Ok(&real.replace("Basic", "basic")),
            "any case",
        ),
        (git_user.clone(), basic(&format!("root:{STAND_IN}")), other, "another user"),
        (git_user.clone(), basic(STAND_IN), other, "no colon"),
        (git_user.clone(), basic(&format!("git::{STAND_IN}")), other, "a colon more"),
        (git_user.clone(), basic(&format!("{STAND_IN}:git")), other, "as the user"),
        (git_user.clone(), git.replace("Basic ", "Basic  "), other, "two blanks"),
        (Inject::Basic(None), bits, other, "no padding"),
        (git_user, format!("{git}="), other, "too much of it"),
        (Inject::Basic(None), basic(&format!("a\n:{STAND_IN}")), other, "a control character"),
    ] {
        let got = checked("/", &[("authorization", &value)], &expected);
        assert_eq!(got.map_err(|(_, kind)| kind), want.map(str::to_owned), "{why}: {value}");
    }
}

#[test]
fn cookies_and_parameters_stand_alone() {
    let cookie = Inject::Cookie("sid".into());
    let is = |name, kind| Err((name, kind));
    for (value, want, why) in [
        (format!("sid={STAND_IN}"), Ok("sid=r/l"), "alone"),
        (format!("sid={STAND_IN}; a=b"), is("cookie", Kind::Other), "another behind"),
        (format!("a=b; sid={STAND_IN}"), is("cookie", Kind::Other), "another before"),
        (format!("sid=\"{STAND_IN}\""), is("cookie", Kind::Other), "in quotes"),
        (format!("SID={STAND_IN}"), is("cookie", Kind::Other), "case counts"),
        ("sid=foreign".into(), is("cookie", Kind::Other), "a foreign one"),
    ] {
        let want =
            want.map(str::to_owned).map_err(|(name, kind): (&str, _)| (name.to_owned(), kind));
        assert_eq!(checked("/", &[("Cookie", &value)], &cookie), want, "{why}: {value}");
    }
    let two = [("Cookie", format!("sid={STAND_IN}")), ("cookie", "a=b".into())];
    let two = two.each_ref().map(|(name, value)| (*name, value.as_str()));
    assert_eq!(checked("/", &two, &cookie), Err(("cookie".into(), Kind::Twice)));

    let key = Inject::Query("api_key".into());
    for (query, want, why) in [
        ("api_key=S".to_owned(), Ok("api_key=r%2Fl"), "alone"),
        ("a=1&api_key=S&b".to_owned(), Ok("a=1&api_key=r%2Fl&b"), "among others"),
        ("api_key=%73k-cFd7Mx-1".to_owned(), Ok("api_key=r%2Fl"), "coded"),
        ("a=1".to_owned(), is("api_key", Kind::Missing), "none"),
        ("api_key=S&api_key=S".to_owned(), is("api_key", Kind::Twice), "twice"),
        ("api_key=S&API_KEY=S".to_owned(), is("api_key", Kind::Additional), "twice to some"),
        ("api_key=S&api%5fkey=S".to_owned(), is("api_key", Kind::Additional), "coded"),
        ("api_key=S&api.key=S".to_owned(), is("api_key", Kind::Additional), "as PHP has it"),
        ("api_key=S&api_key[]=S".to_owned(), is("api_key", Kind::Additional), "as a list"),
        ("api_key=foreign".to_owned(), is("api_key", Kind::Other), "a foreign one"),
        ("api_key=S;a=b".to_owned(), is("api_key", Kind::Other), "a semicolon"),
        ("api_key=S&token=b".to_owned(), is("token", Kind::Additional), "another beside it"),
        (
            "api_key=S&a=b;api_key=c".to_owned(),
            is("api_key", Kind::Additional),
            "again behind a semicolon",
        ),
        ("api_key=S%".to_owned(), is("api_key", Kind::Other), "half coded"),
    ] {
        let query = query.replace("=S", &format!("={STAND_IN}"));
        let want =
            want.map(str::to_owned).map_err(|(name, kind): (&str, _)| (name.to_owned(), kind));
        assert_eq!(checked(&format!("/?{query}"), &[], &key), want, "{why}: {query}");
    }
}

#[test]
fn bodies_and_signatures_have_nothing_beside_them() {
    let signed = Inject::SigV4 { service: "s3".into(), region: "eu-central-1".into() };
    let authorization = ("authorization", "AWS4-HMAC-SHA256 a");
    let token = ("x-amz-security-token", "a");
    let missing = |name: &str| Err((name.to_owned(), Kind::Missing));
    let more = |name: &str| Err((name.to_owned(), Kind::Additional));
    for (expected, target, headers, want, why) in [
        (Inject::Json(vec!["a".into()]), "/", vec![], Ok("body".to_owned()), "in JSON"),
        (Inject::Form("a".into()), "/", vec![], Ok("body".to_owned()), "in a form"),
        (Inject::Form("a".into()), "/", vec![authorization], more("authorization"), "and a field"),
        (Inject::Json(Vec::new()), "/?token=a", vec![], more("token"), "and a parameter"),
        (signed.clone(), "/", vec![authorization], Ok("signature".to_owned()), "signed"),
        (
            signed.clone(),
            "/",
            vec![authorization, token],
            Ok("signature".to_owned()),
            "with a token",
        ),
        (signed.clone(), "/", vec![token], missing("authorization"), "a token alone"),
        (signed.clone(), "/?X-Amz-Signature=a", vec![], more("X-Amz-Signature"), "in the URL"),
        (signed, "/", vec![authorization, ("cookie", "a")], more("cookie"), "and a cookie"),
    ] {
        assert_eq!(checked(target, &headers, &expected), want, "{why}");
    }
}

#[test]
fn a_secret_goes_only_where_it_fits() {
    let field = Own::Field { at: 0, bytes: 0..1 };
    let cookie = Own::Cookie { at: 0, bytes: 0..1 };
    let basic = Own::Basic { at: 0, bytes: 0..1, user: "u".into() };
    let parameter = Own::Parameter { bytes: 0..1 };
    for (own, real, want, why) in [
        (&field, "a b", Some("a b"), "a blank in a field"),
        (&field, "a\r\nb: c", None, "another field"),
        (&field, " a", None, "a blank before"),
        (&field, "", None, "nothing"),
        (&cookie, "a=b", Some("a=b"), "a cookie"),
        (&cookie, "a;b", None, "another cookie"),
        (&basic, "a:\u{e9}", Some("dTphOsOp"), "a password"),
        (&basic, "a\n", None, "a control character"),
        (&parameter, "a&b=\n", Some("a%26b%3D%0A"), "a parameter"),
        (&Own::Body, "a", None, "elsewhere"),
        (&Own::Signature, "a", None, "never"),
    ] {
        let got = own.written(real.as_bytes());
        let got = got.map(|bytes| String::from_utf8(bytes.to_vec()).unwrap());
        assert_eq!(got.as_deref(), want, "{why}: {real}");
    }
}
