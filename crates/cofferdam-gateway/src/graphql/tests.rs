use super::*;

const JSON: &[(&str, &[u8])] = &[("Content-Type", b"application/json")];

#[track_caller]
fn asked(
    (method, query): (&str, Option<&str>),
    headers: &[(&str, &[u8])],
    body: &str,
    want: Result<(), GraphQlFault>,
    why: &str,
) {
    let request = Request { method, path: "/graphql", query, headers, websocket: false };
    assert_eq!(queries_only(&request, body.as_bytes()), want, "{why}: {body}{query:?}");
}

#[track_caller]
fn posted(body: &str, want: Result<(), GraphQlFault>, why: &str) {
    asked(("POST", None), JSON, body, want, why);
}

/// The same document in each place that it may stand in.
#[track_caller]
fn document(text: &str, want: Result<(), GraphQlFault>, why: &str) {
    let member = serde_json::json!({ "query": text }).to_string();
    posted(&member, want, why);
    posted(&format!("[{{\"query\":\"{{a}}\"}},{member}]"), want, why);
    asked(("POST", None), &[("content-type", b"application/graphql")], text, want, why);
    let coded: String = text.bytes().map(|byte| format!("%{byte:02x}")).collect();
    asked(("GET", Some(&format!("query={coded}"))), &[], "", want, why);
}

#[test]
fn documents_of_queries_pass() {
    for (text, why) in [
        ("{a}", "the shortest"),
        ("query { a }", "named by its kind"),
        ("query A($b: [C!]! = {d: [1]}) @e(f: {g: 1}) { h(i: $b) { ...J } }", "with all parts"),
        ("query A { a } query B { b } fragment C on D { e }", "several"),
        ("fragment C on D { e } query A { ...C ... on D { f } }", "a fragment first"),
        ("{ mutation subscription { query } }", "fields of such names"),
        ("query mutation { a }", "a query of such a name"),
        ("{ a(b: \"} mutation { c }\") }", "in a string"),
        ("{ a(b: \"\\\"} mutation { c }\") }", "after a quote in it"),
        ("{ a(b: \"\"\"} \\\"\"\" mutation { c } \"\"\") }", "in a block string"),
        ("{ a(b: \"\") c(d: \"\"\"\"\"\") }", "empty strings"),
        ("{ a # } mutation { c }\n }", "in a comment"),
        ("# comment\r\nquery { a }", "lines of two bytes"),
        (",,{a},,", "commas are blanks"),
        ("{ a(b: 1, c: -2.5e3, d: E, e: null, f: true, g: [1 2], h: {i: 1}) }", "values"),
        ("query IntrospectionQuery { __schema { types { name kind } } }", "about the schema"),
        ("{ a(b: \"b\u{fc}cher \u{1F600}\") }", "letters in a string"),
    ] {
        document(text, Ok(()), why);
    }
}

#[test]
fn other_documents_do_not() {
    use GraphQlFault::{Definition, Document, Mutation, NoDocument, Subscription};
    let deep = |depth: usize| format!("{}a{}", "{a".repeat(depth), "}".repeat(depth));
    for (text, want, why) in [
        ("mutation { a }", Mutation, "a mutation"),
        ("mutation A { a }", Mutation, "with a name"),
        ("subscription { a }", Subscription, "a subscription"),
        ("{a} mutation B { b }", Mutation, "after a query"),
        ("query A {a} subscription B { b }", Subscription, "after a named one"),
        ("fragment C on D { e } mutation { ...C }", Mutation, "after a fragment"),
        ("{a}mutation{b}", Mutation, "without a blank"),
        ("{ a # \r } mutation { c }", Mutation, "a comment ends at CR"),
        ("{ a(b: \"\"\"\\\\\"\"\") }\n mutation { c }", Document, "an escape in a block string"),
        ("{ a(b: \"\n\") } mutation { c }", Document, "a line's end in a string"),
        ("{ a(b: \"\\\n\") }", Document, "behind a backslash"),
        ("", NoDocument, "nothing"),
        (" \n", NoDocument, "blanks"),
        ("# only\n", Document, "a comment"),
        ("fragment C on D { e }", NoDocument, "nothing to run"),
        ("type A { b: C }", Definition, "a schema"),
        ("{a} extend type A { b: C }", Definition, "a schema's extension"),
        ("{", Document, "no end"),
        ("{a}}", Document, "an end too many"),
        ("{}", Document, "nothing selected"),
        ("query", Document, "half"),
        ("{a(b: \"c)}", Document, "a string without end"),
        ("{a(b: \"\"\"c)}", Document, "a block string without end"),
        ("{a} garbage", Document, "a word behind"),
        ("{a} 1", Document, "a number behind"),
        ("{a(b: \"\\x\")}", Document, "no such escape"),
        ("\u{FEFF}{a}", Document, "a byte order mark"),
        ("{a # \u{2028} }", Document, "an end of line to some"),
        ("{a \u{0} b}", Document, "NUL"),
        ("{\u{a0}a}", Document, "a blank to some"),
        ("query\u{ff5b}a}", Document, "a wide bracket"),
        (&deep(200), Document, "too deep"),
        (&format!("{{{}}}", "a ".repeat(20_000)), Document, "too many tokens"),
        (&format!("{{a(b: {}{})}}", "[".repeat(50_000), "]".repeat(50_000)), Document, "lists"),
    ] {
        document(text, Err(want), why);
    }
    document(&deep(90), Ok(()), "not too deep");
}

#[test]
fn members_are_known_and_stand_once() {
    use GraphQlFault::{Member, Mutation, NoDocument, Persisted, TooLong, Twice};
    let hash = r#"{"query":"{a}","extensions":{"persistedQuery":{"version":1,"sha256Hash":"a"}}}"#;
    let batch = |count: usize| format!("[{}]", vec![r#"{"query":"{a}"}"#; count].join(","));
    for (body, want, why) in [
        (
            r#"{"query":"{a}","variables":{"b":[1,-1,1.5,true,null,"c"]},"operationName":"D"}"#,
            Ok(()),
            "whole",
        ),
        (
            r#"{"query":"{a}","variables":null,"operationName":null,"extensions":null}"#,
            Ok(()),
            "null",
        ),
        (r#"{"query":"{a}","extensions":{"trace":true}}"#, Ok(()), "other extensions"),
        (r#" [ {"query":"{a}"} , {"query":"{b}"} ] "#, Ok(()), "a batch"),
        (&batch(100), Ok(()), "the largest"),
        (&batch(101), Err(TooLong), "one more"),
        (r#"[{"query":"{a}"},{"query":"mutation{b}"}]"#, Err(Mutation), "one of a batch"),
        (
            r#"{"query":"query A{a} mutation B{b}","operationName":"A"}"#,
            Err(Mutation),
            "whatever is picked",
        ),
        (r#"{"query":"{a}","query":"mutation{b}"}"#, Err(Twice), "two documents"),
        (r#"{"query":"{a}","qu\u0065ry":"mutation{b}"}"#, Err(Twice), "in two spellings"),
        (r#"{"query":"{a}","variables":{"b":1,"b":2}}"#, Err(Twice), "further inside"),
        (r#"{"query":"{a}","extensions":{"a":[{"b":1,"b":1}]}}"#, Err(Twice), "further still"),
        (r#"{"query":"{a}","Query":"mutation{b}"}"#, Err(Member), "case says nothing to some"),
        (r#"{"query":"{a}","id":"b"}"#, Err(Member), "a stored document"),
        (r#"{"query":"{a}","mutation":"b"}"#, Err(Member), "another"),
        (hash, Err(Persisted), "a hash beside it"),
        (r#"{"query":"{a}","extensions":{"PERSISTEDquery":1}}"#, Err(Persisted), "in any case"),
        (
            r#"{"extensions":{"persistedQuery":{"version":1,"sha256Hash":"a"}}}"#,
            Err(Persisted),
            "a hash",
        ),
        (r#"{"variables":{}}"#, Err(NoDocument), "no document"),
        (r#"{"query":null}"#, Err(NoDocument), "null"),
        (r#"{"query":""}"#, Err(NoDocument), "empty"),
        ("{}", Err(NoDocument), "nothing"),
        ("[]", Err(NoDocument), "a batch of none"),
    ] {
        posted(body, want, why);
    }
}

#[test]
fn bodies_have_one_reading() {
    use GraphQlFault::{Json, TooLong};
    for (body, want, why) in [
        (r#"{"query":["{a}"]}"#, Err(Json), "a list of documents"),
        (r#"{"query":1}"#, Err(Json), "a number"),
        (r#"{"query":"{a}","variables":"{}"}"#, Err(Json), "JSON in a string"),
        (r#"{"query":"{a}","extensions":[]}"#, Err(Json), "a list"),
        (r#"{"query":"{a}","operationName":1}"#, Err(Json), "a number"),
        (r#"[[{"query":"{a}"}]]"#, Err(Json), "a batch of batches"),
        (r#""{a}""#, Err(Json), "a string"),
        ("", Err(Json), "nothing at all"),
        (r#"{"query":"{a}"}{"query":"mutation{b}"}"#, Err(Json), "two values"),
        (r#"{"query":"{a}",}"#, Err(Json), "a comma too many"),
        (r#"{'query':'{a}'}"#, Err(Json), "other quotes"),
        (r#"{"query":"{a}"/* */}"#, Err(Json), "a comment"),
        (r#"{"query":"\ud800"}"#, Err(Json), "half a letter"),
        (r#"{"query":"{a}","variables":{"b":NaN}}"#, Err(Json), "no number"),
        ("\u{FEFF}{\"query\":\"{a}\"}", Err(Json), "a byte order mark"),
        ("query={a}", Err(Json), "a form"),
    ] {
        posted(body, want, why);
    }
    let deep = format!(
        r#"{{"query":"{{a}}","variables":{{"b":{}{}}}}}"#,
        "[".repeat(200),
        "]".repeat(200)
    );
    posted(&deep, Err(Json), "too deep");
    let long =
        format!(r#"{{"query":"{{a}}","variables":{{"b":"{}"}}}}"#, "c".repeat(BODY_BYTES_MAX));
    posted(&long, Err(TooLong), "too long");
    let request =
        Request { method: "POST", path: "/", query: None, headers: JSON, websocket: false };
    assert_eq!(queries_only(&request, b"{\"query\":\"\xff\"}"), Err(Json), "no UTF-8");
}

#[test]
fn urls_have_one_reading() {
    use GraphQlFault::{Json, Mutation, NoDocument, Parameter, Persisted, Twice};
    for (query, want, why) in [
        ("query=%7Ba%7D", Ok(()), "coded"),
        ("query={a}", Ok(()), "plain"),
        ("query=query+A+{a}&operationName=A&variables=%7B%22b%22:1%7D", Ok(()), "all parts"),
        ("query={a}&extensions=null", Ok(()), "null"),
        ("query=mutation+{a}", Err(Mutation), "a mutation"),
        ("query=mutation%20%7Ba%7D", Err(Mutation), "coded"),
        ("query=%6dutation%7ba%7d", Err(Mutation), "coded needlessly"),
        ("query={a}&query=mutation{b}", Err(Parameter), "twice"),
        ("query={a};query=mutation{b}", Err(Parameter), "parted in the old way"),
        ("query={a}&%71uery=mutation{b}", Err(Parameter), "a coded name"),
        ("query={a}&Query=mutation{b}", Err(Parameter), "in another case"),
        ("query[]={a}", Err(Parameter), "a list to some"),
        ("query={a}&id=b", Err(Parameter), "a stored document"),
        ("query={a}&", Err(Parameter), "an empty one"),
        ("query", Err(Parameter), "no value"),
        ("query=%7", Err(Parameter), "half"),
        ("query=%zz", Err(Parameter), "no digits"),
        ("query=%u007Ba}", Err(Parameter), "another coding"),
        ("query=%ff", Err(Parameter), "no UTF-8"),
        ("query={a}&variables=1", Err(Json), "a number"),
        ("query={a}&variables=", Err(Json), "nothing"),
        ("query={a}&extensions=[]", Err(Json), "a list"),
        ("query={a}&variables={%22b%22:1,%22b%22:2}", Err(Twice), "a member twice"),
        ("query={a}&extensions={%22persistedQuery%22:{}}", Err(Persisted), "a hash beside it"),
        ("extensions={%22persistedQuery%22:{}}", Err(Persisted), "a hash"),
        ("operationName=A", Err(NoDocument), "no document"),
        ("query=", Err(NoDocument), "an empty one"),
        ("", Err(Parameter), "nothing"),
    ] {
        asked(("GET", Some(query)), &[], "", want, why);
    }
}

#[test]
fn heads_leave_no_doubt() {
    use GraphQlFault::{Coded, Method, NoDocument, Parameter, Type};
    let body = r#"{"query":"{a}"}"#;
    let typed = |value: &'static str| [("content-type", value.as_bytes())];
    for (asks, headers, want, why) in [
        (("POST", None), &typed("application/json; charset=utf-8")[..], Ok(()), "with a charset"),
        (("POST", None), &typed("Application/JSON;charset=\"UTF-8\""), Ok(()), "in any case"),
        (("POST", None), &typed("application/json; charset=utf-16"), Err(Type), "another charset"),
        (("POST", None), &typed("application/json; a=b"), Err(Type), "another parameter"),
        (("POST", None), &typed("text/plain"), Err(Type), "guessing"),
        (("POST", None), &typed("application/x-www-form-urlencoded"), Err(Type), "a form"),
        (("POST", None), &typed("multipart/form-data; boundary=a"), Err(Type), "files"),
        (("POST", None), &typed("\u{1c}application/json"), Err(Type), "an odd byte"),
        (("POST", None), &[], Err(Type), "none"),
        (
            ("POST", None),
            &[("content-type", b"application/json"), ("Content-Type", b"application/graphql")],
            Err(Type),
            "two",
        ),
        (
            ("POST", None),
            &[("content-type", b"application/json"), ("Content_Type", b"text/plain")],
            Err(Type),
            "two to some readers",
        ),
        (("POST", None), &[("content_type", b"application/json")], Err(Type), "none to others"),
        (
            ("POST", None),
            &[("content-type", b"application/json"), ("Content-Encoding", b"identity")],
            Err(Coded),
            "any coding",
        ),
        (
            ("POST", None),
            &[("content-type", b"application/json"), ("content_encoding", b"gzip")],
            Err(Coded),
            "a coding to some readers",
        ),
        (("POST", Some("query={a}")), JSON, Err(Parameter), "two places"),
        (("POST", Some("")), JSON, Err(Parameter), "an empty one"),
        (("GET", Some("query={a}")), JSON, Err(NoDocument), "a body of GET"),
        (("GET", None), JSON, Err(NoDocument), "no parameter"),
        (("PUT", None), JSON, Err(Method), "another method"),
        (("post", None), JSON, Err(Method), "case counts"),
        (("HEAD", Some("query={a}")), JSON, Err(Method), "another that reads"),
    ] {
        asked(asks, headers, body, want, why);
    }
}
