use cofferdam_policy::judge::requests::{MemberFault as PatternFault, PARTS_MAX};

use super::*;

fn asked(pattern: &str, body: &[u8]) -> Result<(), JsonFault> {
    refuse(&[pattern.parse().unwrap()], body)
}

#[test]
fn patterns_find_what_they_name() {
    let deep = |depth: usize, inner: &str| {
        format!("{}{inner}{}", "{\"a\":[".repeat(depth), "]}".repeat(depth))
    };
    for (pattern, found, not, why) in [
        ("mcp_servers", r#"{"mcp_servers":[]}"#, r#"{"a":{"mcp_servers":[]}}"#, "at the top"),
        ("mcp_servers", r#"{"mcp_servers":null}"#, r#"{"mcp_server":1}"#, "whatever it holds"),
        ("mcp_servers", r#"{"mcp\u005fservers":1}"#, r#"{"mcp\\u005fservers":1}"#, "escaped"),
        ("mcp_servers", r#"{"MCP_Servers":1}"#, r#"{"mcp-servers":1}"#, "any case"),
        ("mcp_servers", "{\"mcp_\u{17F}ervers\":1}", "{\"mcp_\u{df}ervers\":1}", "a long s"),
        ("kind", "{\"\u{212A}ind\":1}", "{\"\u{3ba}ind\":1}", "the sign of Kelvin"),
        ("a.b", r#"{"a":{"b":1}}"#, r#"{"a":[{"b":1}]}"#, "no list between"),
        ("a.b", r#"{"a":{"b":1}}"#, r#"{"b":{"a":1}}"#, "in order"),
        ("a.*.b", r#"{"a":[1,{"b":1}]}"#, r#"{"a":{"b":1}}"#, "one between"),
        ("a.*.b", r#"{"a":{"c":{"b":1}}}"#, r#"{"a":[[{"b":1}]]}"#, "one, not two"),
        ("**.b", r#"{"b":1}"#, r#"{"a":"b"}"#, "none before"),
        ("**.b", r#"[[{"a":[{"b":1}]}]]"#, r#"["b"]"#, "any before"),
        ("a.**.b", r#"{"a":{"b":1}}"#, r#"{"b":{"a":1}}"#, "none between"),
        ("a.**.b", r#"{"a":{"c":[{"b":1}]}}"#, r#"{"c":{"a":{"b":1}}}"#, "any between"),
        ("a.**.a.*.c", r#"{"a":{"a":{"a":{"c":1}}}}"#, r#"{"a":{"a":{"c":1}}}"#, "several ways"),
        ("*", r"[1]", r"[]", "a place"),
        ("*", r#"{"a":1}"#, r"{}", "a member"),
        ("*.*", r"[[1]]", r"[1,[]]", "two"),
        ("**.*.a", r#"{"b":{"a":1}}"#, r#"{"a":1}"#, "at least one before"),
        ("**.type=url", r#"{"a":[{"type":"url"}]}"#, r#"{"a":[{"type":"urls"}]}"#, "a value"),
        ("**.type=url", r#"{"type":"\u0075RL"}"#, r#"{"type":["url"]}"#, "as a text alone"),
        ("type=", r#"{"type":""}"#, r#"{"type":null}"#, "an empty text"),
        ("type=*", r#"{"type":"a"}"#, r#"{"type":1}"#, "any text"),
        ("**.source.type=url", r#"{"m":[{"source":{"type":"url"}}]}"#, r#"{"type":"url"}"#, "both"),
        (
            "tools.*.type=web_fetch*",
            r#"{"tools":[{"type":"web_fetch_1"}]}"#,
            r#"{"tools":[{"type":"web"}]}"#,
            "a start",
        ),
        ("**.url=http*", r#"{"url":"HTTPS://a"}"#, r#"{"url":"data:a"}"#, "a URL"),
        ("**.url=http*", r#"{"url":" \u0001\nhttps://a"}"#, r#"{"url":"a http"}"#, "blanks before"),
        ("**.url=http*", r#"{"url":"ht\ntp://a"}"#, r#"{"url":"ht tp://a"}"#, "a line's end in it"),
        ("**=http*", r#"["a",["http:"]]"#, r#"{"http":1}"#, "any text, not a name"),
        ("**=http*", r#""http:""#, r#""ftp:""#, "the whole value"),
        (
            "**.type!=a|b*",
            r#"{"type":"c"}"#,
            r#"[{"type":"A"},{"type":" bc"},{"type":{}}]"#,
            "none of these",
        ),
        ("type=a|b*", r#"{"type":"bc"}"#, r#"{"type":"ac"}"#, "one of these"),
        ("a!b", r#"{"a!b":1}"#, r#"{"a":1}"#, "a sign alone"),
        ("a.b=c=d", r#"{"a":{"b":"c=d"}}"#, r#"{"a":{"b":"c"}}"#, "the first sign parts"),
        ("**.b", &deep(60, r#"{"b":1}"#), &deep(60, "1"), "deep"),
        ("\u{fc}", "{\"\\u00fc\":1}", "{\"\u{dc}\":1}", "other letters have their case"),
    ] {
        let want = Err(JsonFault::Found { pattern: pattern.into() });
        assert_eq!(asked(pattern, found.as_bytes()), want, "{why}: {pattern} {found}");
        assert_eq!(asked(pattern, not.as_bytes()), Ok(()), "{why}: {pattern} {not}");
    }
    let two = ["a".parse().unwrap(), "b".parse().unwrap()];
    let second = Err(JsonFault::Found { pattern: "b".into() });
    assert_eq!(refuse(&two, br#"{"b":1}"#), second, "the second of two");
    assert_eq!(refuse(&[], b"{}"), Ok(()), "none");
}

#[test]
fn what_is_no_json_to_somebody_is_refused() {
    let deep = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    for (body, want, why) in [
        (b"".as_slice(), JsonFault::Syntax, "nothing"),
        (b"{} {}", JsonFault::Syntax, "two values"),
        (b"{}a", JsonFault::Syntax, "bytes behind"),
        (b"\xef\xbb\xbf{}", JsonFault::Syntax, "a byte order mark"),
        (b"{\"a\":\"\xff\"}", JsonFault::Syntax, "no UTF-8"),
        (b"{\"a\":\"\xed\xa0\x80\"}", JsonFault::Syntax, "a surrogate in UTF-8"),
        (br#"{"a":"\ud800"}"#, JsonFault::Syntax, "half a pair"),
        (br#"{"a":"\udc00\ud800"}"#, JsonFault::Syntax, "a pair the wrong way"),
        (br#"{"\ud800":1}"#, JsonFault::Syntax, "in a name"),
        (b"{\"a\":\"\n\"}", JsonFault::Syntax, "a line's end in a text"),
        (br#"{"a":"\x41"}"#, JsonFault::Syntax, "no such escape"),
        (b"{'a':1}", JsonFault::Syntax, "single quotes"),
        (b"{a:1}", JsonFault::Syntax, "no quotes"),
        (br#"{"a":1,}"#, JsonFault::Syntax, "a comma behind"),
        (b"{}//a", JsonFault::Syntax, "a comment"),
        (b"/**/{}", JsonFault::Syntax, "a comment before"),
        (b"NaN", JsonFault::Syntax, "no number"),
        (b"-Infinity", JsonFault::Syntax, "none either"),
        (b"01", JsonFault::Syntax, "a zero before"),
        (b"+1", JsonFault::Syntax, "a plus"),
        (b"0x1", JsonFault::Syntax, "another base"),
        (b"1e999", JsonFault::Syntax, "too large for most"),
        (b"\x0c{}", JsonFault::Syntax, "a blank that is none"),
        (br#"{"a":1,"a":1}"#, JsonFault::Twice, "twice"),
        (br#"{"a":1,"\u0061":1}"#, JsonFault::Twice, "escaped"),
        (br#"[{"b":{"a":1,"c":2,"a":1}}]"#, JsonFault::Twice, "within"),
        (br#"{"a\u0000b":1}"#, JsonFault::Name, "a name that ends early to some"),
        (deep(128).as_bytes(), JsonFault::Syntax, "too deep"),
        (deep(100_000).as_bytes(), JsonFault::Syntax, "far too deep"),
    ] {
        assert_eq!(asked("z", body), Err(want.clone()), "{why}");
        let replaced = replace_member(body, &["a".into()], b"", b"");
        assert_eq!(replaced, Err(want), "{why}");
    }
    for (body, why) in [
        (b" \t\r\n{ } \n".as_slice(), "blanks"),
        (br#"{"a":1,"A":2}"#, "names of two cases"),
        (br#"{"a":"\ud83d\ude00\u0000"}"#, "a pair, and a byte 0 in a text"),
        (b"[0,-0,1.5e-3,123456789012345678901234567890,true,false,null]", "values"),
        (deep(127).as_bytes(), "deep enough"),
    ] {
        assert_eq!(asked("z", body), Ok(()), "{why}");
    }
}

#[test]
fn patterns_are_read_in_one_way() {
    let long = vec!["a"; PARTS_MAX + 1].join(".");
    for (text, want, why) in [
        ("", PatternFault::Empty, "nothing"),
        ("=a", PatternFault::Empty, "a value alone"),
        ("a..b", PatternFault::Empty, "two dots"),
        (".a", PatternFault::Empty, "a dot before"),
        ("a.", PatternFault::Empty, "a dot behind"),
        ("**", PatternFault::Star, "everything"),
        ("a.**", PatternFault::Star, "everything in it"),
        ("**.**.a", PatternFault::Star, "the same twice"),
        ("a*", PatternFault::Star, "a part of a name"),
        ("***", PatternFault::Star, "three"),
        ("a=*b", PatternFault::Star, "the end of a value"),
        ("a=b**", PatternFault::Star, "two at the end"),
        ("a!=b|*c", PatternFault::Star, "the end of one of two"),
        ("!=a", PatternFault::Empty, "no place"),
        (&"a".repeat(1025), PatternFault::TooLong, "too many bytes"),
        (&long, PatternFault::TooLong, "too long"),
    ] {
        assert_eq!(text.parse::<Pattern>(), Err(want), "{why}: {text}");
    }
    for text in ["a", "*", "**=a", "a.*", "**.a.**.b=*", long.strip_prefix("a.").unwrap()] {
        assert_eq!(text.parse::<Pattern>().map(|pattern| pattern.to_string()), Ok(text.into()));
    }
}

/// A pattern with many ways, on a body with as many: tried one by one they would never end.
#[test]
fn many_ways_are_one_walk() {
    let pattern = format!("{}**.z", "**.a.".repeat(15));
    let body = |inner: &str| {
        let deep = format!("{}{inner}{}", r#"{"a":"#.repeat(120), "}".repeat(120));
        format!("[{}1]", format!("{deep},").repeat(100))
    };
    assert_eq!(asked(&pattern, body("1").as_bytes()), Ok(()));
    let found = Err(JsonFault::Found { pattern: pattern.clone() });
    assert_eq!(asked(&pattern, body(r#"{"z":1}"#).as_bytes()), found);
}

#[test]
fn one_member_is_replaced_and_nothing_else() {
    let way = |path: &str| path.split('.').map(str::to_owned).collect::<Vec<_>>();
    for (body, path, want, why) in [
        (r#"{"a":"S"}"#, "a", Ok(r#"{"a":"r\"\\\n"}"#), "alone"),
        (
            r#" {"b":"S", "a" : "S" , "c":[ 1.0 ]}"#,
            "a",
            Ok(r#" {"b":"S", "a" : "r\"\\\n" , "c":[ 1.0 ]}"#),
            "as it was",
        ),
        (r#"{"a":"\u0053"}"#, "a", Ok(r#"{"a":"r\"\\\n"}"#), "escaped"),
        (r#"{"\u0061":"S"}"#, "a", Ok(r#"{"\u0061":"r\"\\\n"}"#), "an escaped name"),
        (
            r#"{"a":{"b":{"c":"S"},"c":"S"}}"#,
            "a.b.c",
            Ok(r#"{"a":{"b":{"c":"r\"\\\n"},"c":"S"}}"#),
            "within",
        ),
        (r#"{"a":"s"}"#, "a", Err(JsonFault::Other), "another"),
        (r#"{"a":"S "}"#, "a", Err(JsonFault::Other), "a blank more"),
        (r#"{"a":null}"#, "a", Err(JsonFault::Kind), "null"),
        (r#"{"a":["S"]}"#, "a", Err(JsonFault::Kind), "a list"),
        (r#"{"b":"S"}"#, "a", Err(JsonFault::Absent), "not there"),
        (r#"{"a":"S"}"#, "a.b", Err(JsonFault::Absent), "not so deep"),
        (r#"[{"a":"S"}]"#, "a", Err(JsonFault::Absent), "in a list"),
        (r#"{"a":"S","A":"S"}"#, "a", Err(JsonFault::Twice), "twice to some"),
        (r#"{"A":"S"}"#, "a", Err(JsonFault::Twice), "under another name alone"),
        (r#"{"a":{"b":"S"},"A":{"b":"S"}}"#, "a.b", Err(JsonFault::Twice), "above"),
    ] {
        let got = replace_member(body.as_bytes(), &way(path), b"S", b"r\"\\\n");
        let got = got.map(|bytes| String::from_utf8(bytes).unwrap());
        assert_eq!(got, want.map(str::to_owned), "{why}: {body}");
    }
    assert_eq!(replace_member(br#""S""#, &[], b"S", b"r"), Err(JsonFault::Absent), "no way");
    let odd = replace_member(br#"{"a":"S"}"#, &way("a"), b"S", b"\xff");
    assert_eq!(odd, Err(JsonFault::Real), "a secret that is no text");
}

#[test]
fn what_a_request_says_of_its_body_is_asked_too() {
    let ask = |fields: &[(&str, &[u8])], body: &[u8]| {
        let (method, path) = ("POST", "/");
        let request = Request { method, path, query: None, headers: fields, websocket: false };
        refuse_of(&["a".parse().unwrap()], &request, body)
    };
    let json: (&str, &[u8]) = ("Content-Type", b"application/json");
    let utf8: (&str, &[u8]) = ("content-type", b"Application/JSON; charset=UTF-8");
    for (fields, body, want, why) in [
        (&[json][..], &b"{}"[..], Ok(()), "JSON"),
        (&[utf8], b"{}", Ok(()), "in UTF-8"),
        (&[], b"", Ok(()), "no body"),
        (&[("content-type", b"text/plain")], b"", Ok(()), "none of another kind"),
        (&[json], br#"{"a":1}"#, Err(JsonFault::Found { pattern: "a".into() }), "refused"),
        (&[], b"{}", Err(JsonFault::Type), "says nothing"),
        (&[("content-type", b"text/json")], b"{}", Err(JsonFault::Type), "another kind"),
        (
            &[("content-type", b"application/json; charset=utf-7")],
            b"{}",
            Err(JsonFault::Type),
            "coded",
        ),
        (&[json, utf8], b"{}", Err(JsonFault::Type), "twice"),
        (&[json, ("Content_Type", b"text/x")], b"{}", Err(JsonFault::Type), "twice, to some"),
        (&[("Content_Type", b"application/json")], b"{}", Err(JsonFault::Type), "to some alone"),
        (&[json, ("content-encoding", b"identity")], b"{}", Err(JsonFault::Coded), "packed"),
        (&[json, ("Content_Encoding", b"gzip")], b"{}", Err(JsonFault::Coded), "packed, to some"),
    ] {
        assert_eq!(ask(fields, body), want, "{why}");
    }
    let many = format!("[{}1]", "1,".repeat(VALUES_MAX));
    assert_eq!(ask(&[json], many.as_bytes()), Err(JsonFault::Many));
    let text = format!("[\"{}\\\",\"]", "[{,".repeat(VALUES_MAX));
    assert_eq!(ask(&[json], text.as_bytes()), Ok(()), "signs in a text are none");
}
