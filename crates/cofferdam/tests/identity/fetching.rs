//! C03: an API that is allowed is not made to fetch for its caller. The presets of Anthropic's and OpenAI's
//! API, for a host of ours: what would have it fetch, keep or run something is refused, its twin passes
//! byte for byte.

use crate::internet::Internet;
use crate::lodging::{BOTH, SECRET, bound, credential};
use crate::looking::{Row, rule};

const ANTHROPIC: &str = include_str!("../../../cofferdam-policy/src/presets/anthropic.toml");
const OPENAI: &str = include_str!("../../../cofferdam-policy/src/presets/openai.toml");

/// The rules of a preset, for our host.
fn preset(text: &str, host: &str) -> String {
    let (_, rules) = text.split_once("version = 1\n").unwrap();
    let ours = rules.replace(&format!("\"{host}\""), "\"new.test\"");
    assert_eq!(ours.matches("new.test").count(), 2, "{ours}");
    ours
}

/// A request with a body of JSON, as Python.
fn post(path: &str, body: &str) -> String {
    format!(
        "get('{path}', method='POST', more='Content-Type: application/json\\r\\n', \
         body=json.dumps({body}).encode())"
    )
}

/// The same in HTTP/2.
fn two(path: &str, body: &str) -> String {
    format!(
        "lambda: two('{path}', method='POST', more=[('content-type', 'application/json')], \
         body=json.dumps({body}).encode())"
    )
}

/// Each body that passes and each that does not, in HTTP/1 and in HTTP/2, by both ways.
#[track_caller]
fn bodies(net: &Internet, rules: &str, path: &str, good: &[(&str, &str)], bad: &[(&str, &str)]) {
    let all: Vec<(&str, String, u16, &str)> = good
        .iter()
        .map(|row| (row, 200, "-"))
        .chain(bad.iter().map(|row| (row, 403, "json-refused-member")))
        .flat_map(|((why, body), status, code)| {
            [(*why, post(path, body), status, code), (*why, two(path, body), status, code)]
        })
        .collect();
    let rows: Vec<Row<'_>> =
        all.iter().map(|(why, ask, status, code)| (*why, ask.as_str(), *status, *code)).collect();
    net.table(rules, &rows);
}

#[test]
fn anthropics_api_fetches_nothing() {
    let Some(net) = Internet::take() else { return };
    let rules = preset(ANTHROPIC, "api.anthropic.com");
    let good = [
        ("a message", "dict(model='m', messages=[dict(role='user', content='hello')])"),
        (
            "words alone",
            "dict(messages=[dict(role='user', content='{\"mcp_servers\": [], \"type\": \"url\"}')])",
        ),
        (
            "a picture",
            "dict(messages=[dict(content=[dict(type='image', source=dict(type='base64', data='aGk='))])])",
        ),
        (
            "tools that run here",
            "dict(tools=[dict(name='web_fetch', input_schema=dict(type='object')), \
             dict(type='custom', name='a'), dict(type='bash_20250124', name='bash')])",
        ),
        (
            "what a tool was told",
            "dict(messages=[dict(content=[dict(type='tool_use', name='fetch', input=dict(url='https://a.test'))])])",
        ),
    ];
    let bad = [
        ("a tool that fetches", "dict(tools=[dict(type='web_fetch_20250910', name='web_fetch')])"),
        ("the next one of it", "dict(tools=[dict(type='web_fetch_20990101', name='web_fetch')])"),
        ("in capitals", "dict(tools=[dict(TYPE='Web_Fetch_20250910', name='web_fetch')])"),
        ("one that searches", "dict(tools=[dict(name='a'), dict(type='web_search_20250305')])"),
        ("one that runs code", "dict(tools=[dict(type='code_execution_20250825', name='x')])"),
        ("one that nobody knows", "dict(tools=[dict(type='new_20300101', name='x')])"),
        ("one of a server", "dict(tools=[dict(type='mcp_toolset', mcp_server_name='x')])"),
        ("a server", "dict(mcp_servers=[dict(type='url', url='https://evil.test/sse', name='x')])"),
        ("what code runs in", "dict(container=dict(skills=[]))"),
        (
            "a picture elsewhere",
            "dict(messages=[dict(content=[dict(type='image', source=dict(type='url', url='https://evil.test/?q=1'))])])",
        ),
        (
            "a document elsewhere, told by a tool",
            "dict(messages=[dict(content=[dict(type='tool_result', content=[dict(type='document', \
             source=dict(type='url', url='https://evil.test/'))])])])",
        ),
        (
            "a picture in a document",
            "dict(messages=[dict(content=[dict(type='document', source=dict(type='content', \
             content=[dict(type='image', source=dict(type='url', url='https://evil.test/'))]))])])",
        ),
    ];
    bodies(&net, &rules, "/v1/messages?beta=true", &good, &bad);
    let asks = [
        ("tokens", post("/v1/messages/count_tokens", "dict(messages=[])"), 200, "-"),
        ("models", "get('/v1/models')".to_owned(), 200, "-"),
        ("a file", post("/v1/files", "dict(a=1)"), 403, "path-not-allowed"),
        ("many", post("/v1/messages/batches", "dict(requests=[])"), 403, "path-not-allowed"),
        ("a key", "get('/v1/organizations/api_keys')".to_owned(), 403, "path-not-allowed"),
    ];
    let rows: Vec<Row<'_>> =
        asks.iter().map(|(why, ask, s, c)| (*why, ask.as_str(), *s, *c)).collect();
    net.table(&rules, &rows);
}

#[test]
fn openais_api_fetches_nothing() {
    let Some(net) = Internet::take() else { return };
    let rules = preset(OPENAI, "api.openai.com");
    let good = [
        ("words", "dict(model='m', input='hello', stream=True)"),
        (
            "a picture",
            "dict(input=[dict(content=[dict(type='input_image', image_url='data:image/png;base64,aGk=')])])",
        ),
        (
            "tools that run here",
            "dict(tools=[dict(type='function', name='web_search', parameters=dict(type='object', \
             properties=dict(file_url=dict(type='string'), tools=dict(type='array', \
             items=dict(type='string'))))), dict(type='local_shell'), dict(type='custom', name='x')])",
        ),
        (
            "in a group, in an item",
            "dict(input=[dict(type='additional_tools', tools=[dict(type='namespace', name='n', \
             tools=[dict(type='function', name='f')])])])",
        ),
    ];
    let bad = [
        ("a tool that searches", "dict(tools=[dict(type='web_search')])"),
        ("another name of it", "dict(tools=[dict(type='web_search_preview_2025_03_11')])"),
        (
            "a server",
            "dict(tools=[dict(type='mcp', server_label='x', server_url='https://evil.test/sse')])",
        ),
        ("files", "dict(tools=[dict(type='file_search', vector_store_ids=['vs_1'])])"),
        ("code", "dict(tools=[dict(type='code_interpreter', container=dict(type='auto'))])"),
        (
            "a shell there",
            "dict(tools=[dict(type='shell', environment=dict(type='container_auto'))])",
        ),
        (
            "in a group, in an item",
            "dict(input=[dict(type='additional_tools', tools=[dict(type='namespace', name='n', \
             tools=[dict(type='mcp', server_url='https://evil.test')])])])",
        ),
        (
            "a picture elsewhere",
            "dict(input=[dict(content=[dict(type='input_image', image_url='https://evil.test/?q=1')])])",
        ),
        (
            "a file elsewhere",
            "dict(input=[dict(content=[dict(type='input_file', file_url='https://evil.test/a.pdf')])])",
        ),
        ("a stored text", "dict(prompt=dict(id='pmpt_1'))"),
        ("in the background", "dict(input='x', background=True)"),
    ];
    bodies(&net, &rules, "/v1/responses", &good, &bad);
}

#[test]
fn a_chat_fetches_nothing_and_uploads_have_no_path() {
    let Some(net) = Internet::take() else { return };
    let rules = preset(OPENAI, "api.openai.com");
    let good = [(
        "a picture",
        "dict(messages=[dict(content=[dict(type='image_url', image_url=dict(url='data:image/png;base64,aGk='))])])",
    )];
    let bad = [
        (
            "a picture elsewhere",
            "dict(messages=[dict(content=[dict(type='image_url', image_url=dict(url='\\thttps://evil.test/'))])])",
        ),
        ("a search", "dict(messages=[], web_search_options=dict())"),
        ("a model that searches", "dict(messages=[], model='gpt-4o-search-preview')"),
    ];
    bodies(&net, &rules, "/v1/chat/completions", &good, &bad);
    let asks = [
        ("models", "get('/v1/models')".to_owned(), 200, "-"),
        ("a file", post("/v1/files", "dict(a=1)"), 403, "path-not-allowed"),
        ("many", post("/v1/batches", "dict(a=1)"), 403, "path-not-allowed"),
        ("stores", post("/v1/vector_stores", "dict(a=1)"), 403, "path-not-allowed"),
    ];
    let rows: Vec<Row<'_>> =
        asks.iter().map(|(why, ask, s, c)| (*why, ask.as_str(), *s, *c)).collect();
    net.table(&rules, &rows);
}

/// Whatever is no JSON to everybody is refused, each with a name of its own.
#[test]
fn what_two_readers_read_differently_is_refused() {
    let Some(net) = Internet::take() else { return };
    let rules = rule("refuse_body = ['mcp_servers', '**.url=http*']");
    let json = "'Content-Type: application/json\\r\\n'";
    let raw =
        |more: &str, body: &str| format!("get('/a', method='POST', more={more}, body={body})");
    let chunks = "b'5\\r\\n{\"a\":\\r\\n2\\r\\n1}\\r\\n0\\r\\n\\r\\n'";
    let chunked = "'Content-Type: application/json\\r\\nTransfer-Encoding: chunked\\r\\n'";
    let refused = "b'7\\r\\n{\"mcp_s\\r\\n9\\r\\nervers\":1\\r\\n1\\r\\n}\\r\\n0\\r\\n\\r\\n'";
    let rows: Vec<(&str, String, u16, &str)> = vec![
        ("JSON", raw(json, "b' {\"a\" : [1.50, \"\\\\u0041\"]}\\n'"), 200, "-"),
        ("in chunks", raw(chunked, chunks), 200, "-"),
        ("no body", "get('/a')".into(), 200, "-"),
        ("an empty one", raw("'Content-Length: 0\\r\\n'", "b''"), 200, "-"),
        ("a long one", raw(json, "b'[\"' + b'x' * 5000000 + b'\"]'"), 200, "-"),
        ("found", raw(json, "b'{\"mcp_servers\":1}'"), 403, "json-refused-member"),
        ("found in chunks", raw(chunked, refused), 403, "json-refused-member"),
        ("found, escaped", raw(json, "b'{\"mcp\\\\u005fservers\":1}'"), 403, "json-refused-member"),
        ("found deep", raw(json, "b'[{\"a\":{\"url\":\"HTTPS:x\"}}]'"), 403, "json-refused-member"),
        ("no JSON", raw(json, "b'a=b'"), 403, "json-syntax"),
        ("twice", raw(json, "b'{\"a\":1,\"\\\\u0061\":2}'"), 403, "json-twice"),
        ("a name that ends", raw(json, "b'{\"a\\\\u0000\":1}'"), 403, "json-name"),
        ("another kind", raw("'Content-Type: text/plain\\r\\n'", "b'{}'"), 403, "json-type"),
        ("no kind", raw("''", "b'{}'"), 403, "json-type"),
        (
            "a form with files",
            raw("'Content-Type: multipart/form-data; boundary=x\\r\\n'", "b'--x--'"),
            403,
            "json-type",
        ),
        (
            "packed",
            raw("'Content-Type: application/json\\r\\nContent-Encoding: gzip\\r\\n'", "gzip.compress(b'{}')"),
            403,
            "json-coded",
        ),
        ("too long", raw(json, "b'[\"' + b'x' * (16 << 20) + b'\"]'"), 403, "json-long"),
        ("too many", raw(json, "b'[' + b'1,' * (1 << 20) + b'1]'"), 403, "json-many"),
        (
            "HTTP/2",
            "lambda: two('/a', method='POST', more=[('content-type', 'application/json')], body=b'{\"a\":1}')".into(),
            200,
            "-",
        ),
        (
            "HTTP/2, another kind",
            "lambda: two('/a', method='POST', body=b'{\"a\":1}')".into(),
            403,
            "json-type",
        ),
    ];
    let rows: Vec<Row<'_>> =
        rows.iter().map(|(why, ask, s, c)| (*why, ask.as_str(), *s, *c)).collect();
    net.table(&rules, &rows);
}

/// With a credential beside it both are asked: in a header, and where the body itself bears it.
#[test]
fn a_body_that_is_read_bears_an_identity_too() {
    let Some(net) = Internet::take() else { return };
    for (inject, head, member) in
        [("header = 'x-api-key'", true, "ignored"), ("json = 'auth.key'", false, "key")]
    {
        let act = format!(
            "
own = os.environ['API_KEY']
def asks(**more):
    kind = [('content-type', 'application/json')] + ([('x-api-key', own)] if {} else [])
    body = json.dumps(dict(auth=dict({member}=own if {} else 'x'), **more)).encode()
    one = get('/v1', method='POST', more=''.join(f'{{k}}: {{v}}\\r\\n' for k, v in kind), body=body)
    table([one, lambda: two('/v1', method='POST', more=kind, body=body)])
asks()
asks(mcp_servers=[])
",
            if head { "True" } else { "False" },
            if head { "False" } else { "True" },
        );
        let more = "refuse_body = ['mcp_servers']";
        let rules = format!("{}{}", bound(more), credential(inject));
        for way in BOTH {
            net.forget();
            let ran = net.bears(&rules, way, &act).works(inject);
            let want = "200 -\n200 -\n403 json-refused-member\n403 json-refused-member\n";
            assert_eq!(ran.out, want, "{inject}: {ran:?}");
            let asked = net.asked();
            assert_eq!(asked.len(), 2, "the host saw what passes: {asked:?}");
            for one in &asked {
                let all = format!("{}{}", one.head, String::from_utf8_lossy(&one.body));
                assert!(all.contains(SECRET) && !all.contains("mcp_servers"), "{all}");
            }
        }
    }
}
