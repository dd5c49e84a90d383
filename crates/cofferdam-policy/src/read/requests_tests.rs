//! The judge of requests, by policies as people write them; the tables of `docs/requests.md`.

use crate::document::{Document, Source};
use crate::hostname::Name;
use crate::judge::hosts::{Decision, Host, HostRules, Protocol, Unwanted};
use crate::judge::requests::{PathPattern, Request, Sight, Trick};
use crate::model::Clause;

const PAGE: &str = include_str!("../../../../docs/requests.md");

/// The rules of a text below `version = 1`.
fn rules(text: &str) -> HostRules {
    let text = format!("version = 1\n{text}");
    let document = Document::parse(Source { name: "p".into(), text: text.clone() });
    let document = document.unwrap_or_else(|why| panic!("{why}: {text}"));
    let network = document.network;
    HostRules { allow: network.allow, deny: network.deny, base: Clause::built_in("network") }
}

/// One rule for `a.test` with these lines.
fn one(lines: &str) -> HostRules {
    rules(&format!("[[network.allow]]\nhost = 'a.test'\n{lines}\n"))
}

fn host(text: &str) -> Host {
    Host::Name(Name::parse(text.as_bytes()).unwrap())
}

/// `METHOD TARGET`, then `Name: value` in further lines.
fn decide(rules: &HostRules, asked: &str) -> Result<String, Unwanted> {
    let mut lines = asked.lines();
    let (method, target) = lines.next().and_then(|line| line.split_once(' ')).unwrap();
    let (path, query) = target.split_once('?').unzip();
    let headers: Vec<(&str, &[u8])> = lines
        .map(|line| line.split_once(": ").unwrap())
        .map(|(name, value)| (name, value.as_bytes()))
        .collect();
    let websocket = headers.iter().any(|(name, _)| *name == "Upgrade");
    let path = path.unwrap_or(target);
    let request = Request { method, path, query, headers: &headers, websocket };
    match rules.about(&host("a.test")).decide_request(443, Protocol::Tls, &request) {
        Decision::Allow(rule) => Ok(rule.clause.name.clone()),
        Decision::Deny(_, because) => Err(because),
    }
}

/// In the words of the page.
fn told(decision: &Result<String, Unwanted>) -> &'static str {
    match decision {
        Ok(_) => "yes",
        Err(Unwanted::Path) => "path",
        Err(Unwanted::Repository) => "repository",
        Err(Unwanted::GitAccess) => "git access",
        Err(Unwanted::NotGit) => "not git",
        Err(Unwanted::Ambiguous(trick)) => trick,
        Err(other) => panic!("{other:?}"),
    }
}

/// The cells of the table whose header is `header`, row by row.
fn table(header: &str) -> Vec<Vec<&'static str>> {
    let lines = PAGE.lines().skip_while(|line| *line != header).skip(2);
    let lines = lines.take_while(|line| line.starts_with('|'));
    let inner = lines.filter_map(|line| line.strip_prefix('|')?.strip_suffix('|'));
    inner.map(|line| line.split('|').map(str::trim).collect()).collect()
}

/// What stands between ticks.
fn quoted(cell: &'static str) -> Vec<&'static str> {
    cell.split('`').skip(1).step_by(2).collect()
}

fn targets() -> usize {
    let rows = table("| target | what two readers differ about | verdict |");
    let (judged, plain) = (one("paths = ['/ok/**']"), one(""));
    let denying = rules(
        "[[network.allow]]\nhost = 'a.test'\n[[network.deny]]\nhost = 'a.test'\npaths = ['/no/**']",
    );
    for row in &rows {
        let [target, _, want] = row.as_slice() else { panic!("{row:?}") };
        let asked = format!("GET {}", quoted(target).concat());
        assert_eq!(told(&decide(&judged, &asked)), *want, "{row:?}");
        assert_eq!(told(&decide(&plain, &asked)), "yes", "nobody judges paths: {row:?}");
        // A rule that denies paths refuses the same targets, whatever allows them.
        let got = told(&decide(&denying, &asked));
        let want = if *want == "path" { "yes" } else { want };
        assert_eq!(got, want, "{row:?}");
    }
    rows.len()
}

fn patterns() -> usize {
    let rows = table("| pattern | is about | and not |");
    for row in &rows {
        let [pattern, about, others] = row.as_slice() else { panic!("{row:?}") };
        let pattern = quoted(pattern).concat();
        let Ok(parsed) = PathPattern::parse(&pattern) else {
            assert!(about.starts_with("none"), "{row:?}");
            continue;
        };
        assert_eq!(parsed.text(), pattern);
        let rules = one(&format!("paths = ['{pattern}']"));
        for (paths, want) in [(quoted(about), true), (quoted(others), false)] {
            for path in paths {
                let got = decide(&rules, &format!("GET {path}"));
                assert_eq!(got.is_ok(), want, "{pattern}: {path}: {got:?}");
            }
        }
    }
    rows.len()
}

fn denials() -> usize {
    let rows = table("| pattern of `network.deny` | denies | and not |");
    let allow = "[[network.allow]]\nhost = 'a.test'\n";
    for row in &rows {
        let [pattern, denied, others] = row.as_slice() else { panic!("{row:?}") };
        let pattern = quoted(pattern).concat();
        let deny = format!("[[network.deny]]\nhost = 'a.test'\npaths = ['{pattern}']\n");
        let rules = rules(&format!("{allow}{deny}"));
        for (paths, want) in
            [(quoted(denied), Err(Unwanted::Denied)), (quoted(others), Ok("network.allow[0]"))]
        {
            for path in paths {
                let got = decide(&rules, &format!("GET {path}"));
                let got = got.as_deref().map_err(|because| *because);
                assert_eq!(got, want, "{pattern}: {path}");
            }
        }
    }
    rows.len()
}

fn requests_of_git() -> usize {
    let rows = table("| request | what it is | verdict |");
    let rules = one("git = ['a/read:read', 'a/write:write', 'b/*:read']");
    for row in &rows {
        let [request, _, want] = row.as_slice() else { panic!("{row:?}") };
        let got = decide(&rules, &quoted(request).concat());
        match want {
            &"ambiguous" => assert!(matches!(got, Err(Unwanted::Ambiguous(_))), "{row:?}: {got:?}"),
            want => assert_eq!(told(&got), *want, "{row:?}"),
        }
    }
    rows.len()
}

#[test]
fn the_tables_about_requests_are_what_the_judge_says() {
    let rows = [targets(), patterns(), denials(), requests_of_git()];
    assert_eq!(rows, [34, 11, 10, 22], "as many rows");
}

#[test]
fn a_rule_asks() {
    use Unwanted::{Ambiguous, Header, Method, Path, Query, Resolver, Websocket};
    let methods = "methods = ['GET', 'HEAD']";
    let query = "query = ['page=*', 'sort=asc', 'acl=', 'q=a+b']";
    let header = "headers = { Accept = 'application/*' }";
    let tenant = "headers = { x-tenant = 'a' }";
    for (lines, asked, want, why) in [
        (methods, "GET /", None, "as written"),
        (methods, "get /", Some(Method), "case counts"),
        (methods, "POST /", Some(Method), "another"),
        (query, "GET /x", None, "no query has no parameter"),
        (query, "GET /x?page=2&sort=asc&page=", None, "each is like one"),
        (query, "GET /x?acl", None, "a name alone has an empty value"),
        (query, "GET /x?acl=", None, "the same"),
        (query, "GET /x?sort=desc", Some(Query), "another value"),
        (query, "GET /x?page=1&x=1", Some(Query), "one is enough"),
        (query, "GET /x?page=1&", Some(Query), "a parameter without a name"),
        (query, "GET /x?", Some(Query), "the same"),
        (query, "GET /x?Page=1", Some(Query), "case counts"),
        (query, "GET /x?page%3D1", Some(Query), "no separator"),
        (query, "GET /x?page=a%26b", None, "a value"),
        (query, "GET /x?q=a+b", None, "as written"),
        (query, "GET /x?q=a%20b", Some(Query), "another to some"),
        (query, "GET /x?q=a%2Bb", Some(Query), "another as it is sent"),
        (query, "GET /x?page=1;admin=1", Some(Ambiguous("a `;` in its query")), "for some"),
        (query, "GET /x?p%61ge=1", Some(Ambiguous(Trick::Unreserved.as_str())), "encoded"),
        (query, "GET /x?page=%00", Some(Ambiguous(Trick::EncodedControl.as_str())), "an end"),
        ("query = []", "GET /x", None, "no query"),
        ("query = []", "GET /x?", Some(Query), "an empty one is one"),
        ("query = []", "GET /x?a=1", Some(Query), "one"),
        (header, "GET /\naccept: application/json", None, "once"),
        (header, "GET /", Some(Header), "missing"),
        (header, "GET /\nAccept: text/html", Some(Header), "another value"),
        (header, "GET /\nAccept: application/a\naccept: application/b", Some(Header), "twice"),
        (tenant, "GET /\nX-TENANT: a", None, "once"),
        (tenant, "GET /\nX_Tenant: a", Some(Header), "to some hosts only"),
        (tenant, "GET /\nX-Tenant: a\nX_Tenant: a", Some(Header), "twice to some hosts"),
        (tenant, "GET /\nX_Tenant: b\nX-Tenant: a", Some(Header), "in any order"),
        (tenant, "GET /\nX-Tenant: a\nx.tenant: b", Some(Header), "every such byte"),
        (tenant, "GET /\nX-Tenant: a\nXTenant: b\nX-Tenant-: b\nX-Tenan-: b", None, "others"),
        (methods, "GET /\nUpgrade: websocket", Some(Websocket), "not said"),
        ("inspect = 'always'", "GET /\nUpgrade: websocket", Some(Websocket), "not said"),
        ("websocket = true", "GET /\nUpgrade: websocket", None, "said"),
        ("", "GET /\nUpgrade: websocket", None, "a plain rule asks nothing"),
        ("graphql = 'query'", "PUT /", Some(Method), "GraphQL has two methods"),
        ("", "GET /\naccept: Application/DNS-Message", Some(Resolver), "a question"),
        ("", "POST /\nContent-Type: application/oblivious-dns-message", Some(Resolver), "hidden"),
        ("", "POST /\nContent_Type: application/dns-message", Some(Resolver), "to some hosts"),
        ("", "GET /\nAccept: text/html, application/dns-json;q=1", Some(Resolver), "among others"),
        ("", "GET /dns-query?dns=AAAB", Some(Resolver), "as RFC 8484 has it"),
        ("", "GET /x/%64ns-query/?a=1&%64ns=AAAB", Some(Resolver), "the same to a careless reader"),
        ("", "GET /dns-query?name=x", None, "no message"),
        ("", "GET /about?dns=1", None, "another path"),
        ("paths = ['/a']\nmethods = ['GET']", "POST /a", Some(Method), "both"),
        ("paths = ['/a']\nmethods = ['GET']", "GET /b", Some(Path), "both"),
        ("paths = ['/a%2Fb']", "GET /a%2fb", None, "a pattern asks for it"),
        ("paths = ['/a%2Fb', '/**']", "GET /x%2fb", None, "nobody judges paths"),
    ] {
        assert_eq!(decide(&one(lines), asked).err(), want, "{lines}: {asked}: {why}");
    }
}

/// Names that some hosts take for one are one to the reader.
#[test]
fn names_of_headers() {
    for (lines, want) in [
        ("headers = { x-a = '1', x-b = '1' }", None),
        ("headers = { x-a = '1', x_A = '1' }", Some("header-twice")),
        ("remove_headers = ['x-a', 'x_a']", Some("header-twice")),
        ("remove_headers = ['x-a']\nset_headers = { x_a = '1' }", Some("header-twice")),
        ("remove_headers = ['x-a']\nset_headers = { xa = '1' }", None),
        ("remove_headers = ['Content_Length']", Some("header-kept")),
        ("set_headers = { transfer_encoding = 'a' }", Some("header-kept")),
        ("set_headers = { proxy_x = 'a' }", Some("header-kept")),
        ("set_headers = { proxies = 'a' }", None),
        ("set_headers = { x_api_key = 'a' }", Some("header-secret")),
    ] {
        let text = format!("version = 1\n[[network.allow]]\nhost = 'a.test'\n{lines}\n");
        let document = Document::parse(Source { name: "p".into(), text });
        assert_eq!(document.err().map(|error| error.code()), want, "{lines}");
    }
}

/// The first rule that allows decides; one that denies wins, wherever it stands.
#[test]
fn the_clause_that_decides() {
    let text = "[[network.allow]]\nhost = 'a.test'\nmethods = ['GET']\npaths = ['/r/**']\n\
        [[network.allow]]\nhost = '*.test'\ndangerous_wide_wildcard = true\nmethods = ['GET', 'POST']\npaths = ['/r/w', '/r/no']\n\
        [[network.allow]]\nhost = 'a.test'\ngit = ['o/r:read']\n\
        [[network.deny]]\nhost = 'a.test'\nmethods = ['DELETE']\n\
        [[network.deny]]\nhost = 'a.test'\npaths = ['/r/no/**', '/@x/**']\n";
    let rules = rules(text);
    for (asked, want) in [
        ("GET /r/w", Ok("network.allow[0]")),
        ("POST /r/w", Ok("network.allow[1]")),
        ("GET /r/no", Err(Unwanted::Denied)),
        ("GET /r/no/", Err(Unwanted::Denied)),
        ("GET /r/NO/x", Err(Unwanted::Denied)),
        ("GET /R/w", Err(Unwanted::Path)),
        ("POST /r/w/", Err(Unwanted::Path)),
        ("DELETE /r/w", Err(Unwanted::Denied)),
        ("delete /r/w", Err(Unwanted::Denied)),
        ("GET /%40x/y", Err(Unwanted::Denied)),
        ("POST /o/r.git/git-upload-pack", Ok("network.allow[2]")),
        ("POST /o/r.git/git-receive-pack", Err(Unwanted::GitAccess)),
        ("PUT /r/w", Err(Unwanted::NotGit)),
        ("GET /r/%2e%2e/w", Err(Unwanted::Ambiguous(Trick::Unreserved.as_str()))),
        ("GET /r/a%2Fb", Err(Unwanted::Ambiguous(Trick::EncodedSlash.as_str()))),
    ] {
        let got = decide(&rules, asked);
        assert_eq!(got.as_deref().map_err(|because| *because), want, "{asked}");
    }
}

/// What a pattern asks for of encoded slashes ends where a rule denies paths.
#[test]
fn an_encoded_slash_is_asked_for() {
    let allow = "[[network.allow]]\nhost = 'a.test'\npaths = ['/@s%2Fn', '/@s%2F*']\n";
    let plain = "[[network.allow]]\nhost = 'a.test'\n";
    let all = "[[network.allow]]\nhost = 'a.test'\npaths = ['/**']\n";
    let deny = "[[network.deny]]\nhost = 'a.test'\npaths = ['/x']\n";
    let slash = Err(Unwanted::Ambiguous(Trick::EncodedSlash.as_str()));
    for (text, asked, want) in [
        (allow.to_owned(), "GET /@s%2fn", Ok(())),
        (allow.to_owned(), "GET /@s%2Fother", Ok(())),
        (allow.to_owned(), "GET /@s%2Fa%2Fb", slash),
        (allow.to_owned(), "GET /@s%2Fn%2e", Err(Unwanted::Ambiguous(Trick::Unreserved.as_str()))),
        (format!("{allow}{deny}"), "GET /@s%2Fn", slash),
        (format!("{plain}{allow}"), "GET /y%2Fn", slash),
        (format!("{all}{allow}"), "GET /y%2Fn", slash),
        (format!("{all}{allow}"), "GET /@s%2Fn", Ok(())),
        (all.to_owned(), "GET /y%2Fn", Ok(())),
    ] {
        assert_eq!(decide(&rules(&text), asked).map(drop), want, "{text}{asked}");
    }
}

#[test]
fn what_is_looked_into() {
    let allow = |host: &str, lines: &str| format!("[[network.allow]]\nhost = '{host}'\n{lines}\n");
    let deny = |lines: &str| format!("[[network.deny]]\nhost = '*.test'\n{lines}\n");
    for (text, want, patterns, why) in [
        (allow("a.test", ""), Ok("opaque"), "", "nothing is asked"),
        (allow("a.test", "methods = ['GET']"), Ok("inside"), "a.test", "something is"),
        (allow("a.test", "inspect = 'always'"), Ok("inside"), "a.test", "said"),
        (allow("a.test", "inspect = 'never'"), Ok("opaque"), "", "said"),
        (
            allow("a.test", "")
                + &allow("*.test", "methods = ['GET']\ndangerous_wide_wildcard = true"),
            Ok("inside"),
            "a.test *.test",
            "by another rule",
        ),
        (
            allow("a.test", "inspect = 'never'")
                + &allow("*.test", "rate = '1/s'\ndangerous_wide_wildcard = true"),
            Ok("opaque"),
            "*.test",
            "the first says never",
        ),
        (
            allow("a.test", "") + &allow("b.test", "rate = '1/s'"),
            Ok("opaque"),
            "b.test",
            "another host",
        ),
        (
            allow("a.test", "") + &allow("a.test", "ports = [444]\nprotocol = 'tls'\nrate = '1/s'"),
            Ok("opaque"),
            "a.test",
            "another port",
        ),
        (allow("a.test", "") + &deny("methods = ['POST']"), Ok("inside"), "a.test", "a denial"),
        (allow("a.test", "") + &deny("ports = [444]\npaths = ['/x']"), Ok("opaque"), "", "a port"),
        (allow("a.test", "") + &deny(""), Err(Unwanted::Denied), "", "no requests"),
        (
            allow("a.test", "inspect = 'never'") + &deny("methods = ['POST']"),
            Err(Unwanted::Unseen),
            "",
            "nobody may look",
        ),
    ] {
        let rules = rules(&text);
        let got = rules.about(&host("a.test")).sight(443, Protocol::Tls);
        let got = got.map(|sight| match sight {
            Sight::Opaque(_) => "opaque",
            Sight::Inside(_) => "inside",
        });
        assert_eq!(got.map_err(|(_, because)| because), want, "{why}: {text}");
        let found: Vec<String> =
            rules.inspected_patterns().iter().map(ToString::to_string).collect();
        assert_eq!(found.join(" "), patterns, "{why}: {text}");
        assert_eq!(rules.inspects(), !patterns.is_empty(), "{why}");
    }
}

/// xorshift64*: the same policies every time.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        usize::try_from(self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33).unwrap() % bound
    }

    fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len())]
    }

    /// Up to four words, with a slash before each.
    fn path(&mut self, words: &[&str]) -> String {
        (0..=self.below(4)).map(|_| format!("/{}", self.one(words))).collect()
    }

    fn allowed(&mut self) -> String {
        let mut text = "[[network.allow]]\nhost = 'a.test'\n".to_owned();
        let pattern = self.path(&["a", "b", "*", "**", "a*", "@a", "a%2Fb"]);
        match self.below(5) {
            0 => {}
            1 => text += "methods = ['GET']\n",
            2 => text += "git = ['a/b:read']\n",
            _ => text += &format!("methods = ['GET', 'POST']\npaths = ['{pattern}']\n"),
        }
        text
    }

    fn denied(&mut self) -> String {
        let mut text = "[[network.deny]]\nhost = 'a.test'\n".to_owned();
        let pattern = self.path(&["a", "b", "*", "**", "@a", "a%2Fb"]);
        match self.below(3) {
            0 => text += "methods = ['POST']\n",
            1 => text += &format!("paths = ['{pattern}']\n"),
            _ => text += &format!("methods = ['GET']\npaths = ['{pattern}']\n"),
        }
        text
    }

    fn asked(&mut self) -> String {
        let words = [
            "a",
            "b",
            "ab",
            "",
            ".",
            "..",
            "%2e%2e",
            "a%2Fb",
            "a%2fb",
            "@a",
            "%40a",
            "a;b",
            "a%5cb",
            "%61",
            "a%25",
            "info",
            "refs",
            "git-upload-pack",
            "b.git",
        ];
        let method = self.one(&["GET", "POST", "post", "DELETE"]);
        format!("{method} {}", self.path(&words))
    }
}

/// The path as a reader has it that decodes, joins slashes and goes up where it is told to.
fn normalised(path: &str) -> String {
    let (mut bytes, mut rest) = (Vec::new(), path.as_bytes());
    while let Some((first, after)) = rest.split_first() {
        let code = after.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        let code = code.filter(|_| *first == b'%').and_then(|two| u8::from_str_radix(two, 16).ok());
        bytes.push(code.unwrap_or(*first));
        rest = if code.is_some() { &after[2..] } else { after };
    }
    let text = String::from_utf8_lossy(&bytes).replace('\\', "/");
    let mut words = Vec::new();
    for word in text.split('/').skip(1) {
        match word.split(';').next().unwrap_or_default() {
            "" | "." => {}
            ".." => drop(words.pop()),
            word => words.push(word.to_owned()),
        }
    }
    let end = if text.ends_with('/') && !words.is_empty() { "/" } else { "" };
    format!("/{}{end}", words.join("/"))
}

/// A denial only ever takes away, in any order; and what is allowed is still allowed as the most
/// obliging reader has it.
#[test]
fn denials_take_away_and_readers_agree() {
    const SEED: u64 = 0x5EED_0006;
    let mut random = Random(SEED);
    let (mut allowed, mut taken) = (0, 0);
    for _ in 0..3_000 {
        let allow: String = (0..=random.below(3)).map(|_| random.allowed()).collect();
        let mut deny: Vec<String> = (0..=random.below(3)).map(|_| random.denied()).collect();
        let without = rules(&allow);
        let with = rules(&(allow.clone() + &deny.concat()));
        deny.reverse();
        let turned = rules(&(allow.clone() + &deny.concat()));
        let fewer = rules(&(allow.clone() + &deny[1..].concat()));
        for _ in 0..8 {
            let asked = random.asked();
            let got = decide(&with, &asked);
            assert_eq!(got.is_ok(), decide(&turned, &asked).is_ok(), "{allow}{deny:?}{asked}");
            let before = decide(&without, &asked);
            if got.is_ok() {
                allowed += 1;
                assert_eq!(got, before, "{allow}{deny:?}{asked}");
                assert!(decide(&fewer, &asked).is_ok(), "{allow}{deny:?}{asked}");
            } else if before.is_ok() {
                taken += 1;
            }
            let judged = allow.split("[[").skip(1).all(|rule| rule.contains("paths"));
            if let (Ok(_), true, false) = (&got, judged, asked.contains("%2")) {
                let (method, path) = asked.split_once(' ').unwrap();
                let read = format!("{method} {}", normalised(path));
                assert!(decide(&with, &read).is_ok(), "{allow}{deny:?}{asked}: {read}");
            }
        }
    }
    assert!(allowed > 1_000 && taken > 500, "{allowed} {taken}");
}
