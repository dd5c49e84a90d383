//! Rules of the network, row by row.

use crate::document::{Document, Source};
use crate::judge::hosts::{Decision, Host, HostRules, Protocol};
use crate::network::ProxyHost;

fn parse(text: &str) -> Result<Document, crate::PolicyError> {
    Document::parse(Source { name: "p.toml".into(), text: text.into() })
}

/// `rest` is what a rule has beside its host, line 4; `want` is the code and the column there.
#[track_caller]
fn check(rest: &str, want: Result<&str, (&str, usize)>, why: &str) {
    let text = format!("version = 1\n[[network.allow]]\nhost = 'good.test'\n{rest}");
    let got = parse(&text).map(|document| {
        let rule = document.network.allow.first().cloned().unwrap();
        let dial = rule.dial.map(|dial| format!(" {dial}")).unwrap_or_default();
        format!("{} {:?}{dial}", rule.protocol.as_str(), rule.ports)
    });
    let got = got.map_err(|error| (error.code(), error.column().unwrap_or(0)));
    assert_eq!(got.as_deref().map_err(|fault| *fault), want, "{rest}: {why}");
}

#[test]
fn a_rule() {
    let many = |count: u16| {
        let ports: Vec<String> = (1..=count).map(|port| port.to_string()).collect();
        format!("protocol = 'tcp'\nports = [{}]", ports.join(", "))
    };
    for (rest, want, why) in [
        ("", Ok("tls [443]"), "what most hosts speak"),
        ("ports = [443]", Ok("tls [443]"), "the same"),
        ("ports = [80]", Ok("http [80]"), "what everybody speaks there"),
        ("ports = [8443]\nprotocol = 'tls'", Ok("tls [8443]"), "said"),
        ("ports = [443]\nprotocol = 'tcp'", Ok("tcp [443]"), "said, whatever is usual"),
        ("ports = [90, 80]\nprotocol = 'http'", Ok("http [80, 90]"), "ascending"),
        ("protocol = 'http'", Ok("http [443]"), "said, without a port"),
        ("ports = [1, 65535]\nprotocol = 'tcp'", Ok("tcp [1, 65535]"), "the bounds themselves"),
        ("ports = [80, 443]", Err(("protocol-missing", 9)), "which on which?"),
        ("ports = [22]", Err(("protocol-missing", 9)), "never guessed"),
        ("ports = []", Err(("ports-empty", 9)), "none, or all?"),
        ("ports = [0]", Err(("port-number", 10)), "no port"),
        ("ports = [65536]", Err(("port-number", 10)), "too large"),
        ("ports = [-1]", Err(("port-number", 10)), "no sign"),
        ("ports = [+1]", Err(("port-number", 10)), "no sign"),
        ("ports = [0x50]", Err(("port-number", 10)), "one spelling"),
        ("ports = [4_4_3]", Err(("port-number", 10)), "one spelling"),
        ("ports = [443, 443]", Err(("port-twice", 15)), "once"),
        ("ports = ['443']", Err(("wrong-type", 10)), "a number"),
        ("ports = 443", Err(("wrong-type", 9)), "a list"),
        ("protocol = 'TLS'", Err(("protocol-unknown", 12)), "one spelling"),
        ("protocol = 'udp'", Err(("protocol-unknown", 12)), "not of ours"),
        ("protocol = 6", Err(("wrong-type", 12)), "a word"),
        ("dial = '192.0.2.7:8443'", Ok("tls [443] 192.0.2.7:8443"), "elsewhere"),
        ("dial = '[2001:db8::7]:1'", Ok("tls [443] [2001:db8::7]:1"), "IPv6"),
        ("dial = '192.0.2.7'", Err(("dial-address", 8)), "a port"),
        ("dial = 'other.test:443'", Err(("dial-address", 8)), "a name would be resolved again"),
        ("dial = '2001:db8::7:443'", Err(("dial-address", 8)), "two readings"),
        ("dial = '[::ffff:192.0.2.7]:443'", Err(("dial-address", 8)), "a second spelling"),
        ("dial = '[fe80::1%2]:443'", Err(("dial-address", 8)), "a zone"),
        ("dial = '[192.0.2.7]:443'", Err(("dial-address", 8)), "brackets are for IPv6"),
        ("dial = '127.1:443'", Err(("dial-address", 8)), "an odd form"),
        ("dial = '192.0.2.7:0'", Err(("dial-address", 8)), "no port"),
        ("dial = '192.0.2.7:0443'", Err(("dial-address", 8)), "one spelling"),
        (
            "ports = [1, 2]\nprotocol = 'tls'\ndial = '192.0.2.7:1'",
            Err(("dial-ports", 8)),
            "which of them?",
        ),
        ("reason = 'why'", Ok("tls [443]"), "words"),
        ("reason = ''", Err(("reason-text", 10)), "no words"),
        ("reason = \"a\\nb\"", Err(("reason-text", 10)), "two lines"),
        ("dangerous_wide_wildcard = 'yes'", Err(("wrong-type", 27)), "yes or no"),
        ("credential = 'x'", Ok("tls [443]"), "a credential, which is looked for later"),
        ("credential = 'X'", Err(("credential-name", 14)), "no name of one"),
        ("body = 1", Err(("key-not-yet", 1)), "a later release"),
        ("port = 443", Err(("unknown-key", 1)), "never ignored"),
    ] {
        check(rest, want, why);
    }
    check(&format!("reason = '{}'", "é".repeat(200)), Ok("tls [443]"), "the limit itself");
    check(&format!("reason = '{}'", "é".repeat(201)), Err(("reason-text", 10)), "one past it");
    let text = |count| format!("version = 1\n[[network.allow]]\nhost = 'a.test'\n{}", many(count));
    assert!(parse(&text(64)).is_ok(), "the limit itself");
    assert_eq!(parse(&text(65)).map_err(|error| error.code()), Err("too-many-ports"));
}

/// `want` is the code, the line and the column.
#[track_caller]
fn refused(text: &str, want: (&str, usize, usize), why: &str) {
    let text = format!("version = 1\n{text}");
    let got = parse(&text)
        .map(drop)
        .map_err(|error| (error.code(), error.line().unwrap_or(0), error.column().unwrap_or(0)));
    assert_eq!(got, Err(want), "{text}: {why}");
}

#[test]
fn the_table() {
    for (text, want, why) in [
        ("[[network.allow]]\nports = [443]", ("host-missing", 2, 1), "whom?"),
        ("[[network.allow]]\nhost = 1", ("wrong-type", 3, 8), "a text"),
        ("[[network.allow]]\nhost = 'https://a.test/'", ("host-text", 3, 8), "a URL"),
        ("[[network.allow]]\nhost = '2001:db8::1:443'", ("host-text", 3, 8), "two readings"),
        ("[[network.allow]]\nhost = '*.com'", ("host-too-wide", 3, 8), "everybody's"),
        ("[[network.allow]]\nhost = '*.github.io'", ("host-too-wide", 3, 8), "everybody's"),
        ("[[network.allow]]\nhost = '*'", ("host-too-wide", 3, 8), "everybody"),
        ("[[network.allow]]\nhost = '0.0.0.0/0'", ("host-too-wide", 3, 8), "everybody"),
        (
            "[[network.allow]]\nhost = '*'\ndangerous_wide_wildcard = false",
            ("host-too-wide", 3, 8),
            "said, and no",
        ),
        (
            "[[network.allow]]\nhost = '*.a.test'\ndial = '192.0.2.7:443'",
            ("dial-pattern", 4, 8),
            "one address for many names",
        ),
        (
            "[[network.allow]]\nhost = '192.0.2.0/24'\ndial = '192.0.2.7:443'",
            ("dial-pattern", 4, 8),
            "or addresses",
        ),
        ("[network]\nallow = 'a.test'", ("wrong-type", 3, 9), "a list"),
        ("[network]\nallow = ['a.test']", ("wrong-type", 3, 10), "of tables"),
        ("[network.allow]\nhost = 'a.test'", ("wrong-type", 2, 1), "one table is no list"),
        ("[[network.deny]]\nports = [1]", ("host-missing", 2, 1), "whom?"),
        ("[[network.deny]]\nhost = 'a.test'\nprotocol = 'tls'", ("unknown-key", 4, 1), "of all"),
        ("[[network.deny]]\nhost = 'a.test'\nports = []", ("ports-empty", 4, 9), "none, or all?"),
        (
            "[network]\nallow = [{ host = 'a.test' }, { host = 'A.test', protocol = 'tcp' }]",
            ("rules-clash", 3, 31),
            "which of them?",
        ),
        (
            "[network]\nallow = [{ host = 'a.test', dial = '192.0.2.7:1' }, { host = 'a.test' }]",
            ("rules-clash", 3, 53),
            "which of them?",
        ),
        ("[network]\nlisten = []", ("key-not-yet", 3, 1), "a later release"),
        ("[network]\nlocal = true", ("key-not-yet", 3, 1), "a later release"),
        ("[network]\ndns = {}", ("key-not-yet", 3, 1), "a later release"),
        ("[network]\nupstream_proxy = 'p.test:1'", ("proxy-address", 3, 18), "how?"),
        ("[network]\nupstream_proxy = 'http://p.test'", ("proxy-address", 3, 18), "a port"),
        ("[network]\nupstream_proxy = 'http://p.test:1/'", ("proxy-address", 3, 18), "a path"),
        ("[network]\nupstream_proxy = 'http://[::1:1'", ("proxy-address", 3, 18), "brackets"),
        ("[network]\nupstream_proxy = 'http://::1:1'", ("proxy-address", 3, 18), "brackets"),
        ("[network]\nupstream_proxy = 'http://127.1:1'", ("proxy-address", 3, 18), "an odd form"),
        ("[network]\nupstream_proxy = 'https://p.test:1'", ("proxy-scheme", 3, 18), "later"),
        ("[network]\nupstream_proxy = 'socks5h://p.test:1'", ("proxy-scheme", 3, 18), "none"),
        ("[network]\nupstream_proxy = 'http://u:p@p.test:1'", ("proxy-user", 3, 18), "a secret"),
        ("[network]\npublish = ['3000:0']", ("publish-port", 3, 12), "no port"),
        ("[network]\npublish = ['0.0.0.0:3000:3000']", ("publish-port", 3, 12), "loopback only"),
        ("[network]\npublish = ['1', '2:1']", ("publish-twice", 3, 17), "one port, two servers"),
        ("[network]\npublish = [3000]", ("wrong-type", 3, 12), "a text"),
    ] {
        refused(text, want, why);
    }
    let two = "version = 1\n[network]\nallow = [{ host = 'a.test' }, { host = 'a.test' },\n\
               { host = 'a.test', ports = [22], protocol = 'tcp' }]";
    assert!(parse(two).is_ok(), "the same twice, and another port, say nothing different");
}

/// Rules about hosts are found by an index, so that there may be many; nothing else has one.
#[test]
fn as_many_as_are_found_at_once() {
    let code = |text: String| {
        let parsed = parse(&format!("version = 1\n{text}"));
        parsed.map(drop).map_err(|error| (error.code(), error.to_string()))
    };
    let refused = |key: &str, count: usize, most: usize| {
        let text = format!("p.toml:{}: `{key}` has {count} entries; at most {most} are allowed", 2);
        Err(("too-many-entries", text))
    };
    for list in ["allow", "deny"] {
        let key = format!("network.{list}");
        let rules = |count: usize| format!("[[{key}]]\nhost = 'a.test'\n").repeat(count);
        assert_eq!(code(rules(10_000)), Ok(()), "{key}");
        assert_eq!(code(rules(10_001)), refused(&key, 10_001, 10_000), "{key}");
    }
    let hosts = |count: usize| format!("network.allow = [{}]", "'ca.pem', ".repeat(count));
    let files = |count: usize| hosts(count).replace("allow", "trust_ca");
    assert_eq!(code(files(256)), Ok(()));
    assert_eq!(code(files(257)), refused("network.trust_ca", 257, 256), "files as before");
}

/// Each of very many clauses knows its own line, and no two of them may disagree, however far apart.
#[test]
fn ten_thousand_rules_know_their_lines() {
    let mut text = String::from("version = 1\nnetwork.allow = [\n");
    for number in 0..9_999 {
        text += &format!("  {{ host = 'h{number}.test' }},\n");
    }
    let with = |last: &str| parse(&format!("{text}  {last},\n]\n"));
    let document = with("{ host = '*.last.test' }").unwrap();
    let lines: Vec<u32> = document.network.allow.iter().map(|rule| rule.clause.line).collect();
    assert_eq!(lines, (3..10_003).collect::<Vec<u32>>());
    for (last, want) in [
        ("{ host = 'h0.test', protocol = 'http' }", "rules-clash"),
        ("{ host = 'h9998.test', protocol = 'tcp' }", "rules-clash"),
    ] {
        let error = with(last).unwrap_err();
        assert_eq!((error.code(), error.line()), (want, Some(10_002)), "{last}");
    }
}

#[test]
fn what_is_read_is_what_is_judged() {
    let text = "version = 1\n[network]\nupstream_proxy = 'socks5://[::1]:1080'\n\
                publish = ['3000', '80:8080']\n\
                [[network.allow]]\nhost = '*.BÜCHER.test'\n[[network.allow]]\nhost = '*.dev'\n\
                dangerous_wide_wildcard = true\n[[network.deny]]\nhost = 'evil.Bücher.test'\n";
    let document = parse(text).unwrap();
    let network = &document.network;
    let clauses = network.allow.iter().map(|rule| rule.clause.to_string());
    assert!(
        clauses.eq(["network.allow[0] (p.toml:5)", "network.allow[1] (p.toml:7)"]),
        "{:?}",
        network.allow
    );
    assert_eq!(network.deny[0].clause.to_string(), "network.deny[0] (p.toml:10)");
    let proxy = network.upstream_proxy.clone().unwrap();
    assert_eq!(proxy.host, ProxyHost::Address("::1".parse().unwrap()));
    assert_eq!(proxy.clause.to_string(), "network.upstream_proxy (p.toml:3)");
    let [first, second] = network.publish.as_slice() else { panic!("two ports") };
    assert_eq!((first.inside, first.outside.to_string().as_str()), (3000, "127.0.0.1:3000"));
    assert_eq!((second.inside, second.outside.to_string().as_str()), (80, "127.0.0.1:8080"));
    let [danger] = network.dangers.as_slice() else { panic!("one is too wide") };
    assert!(danger.what.contains("`*.dev`"), "{danger:?}");
    assert_eq!(danger.clause, network.allow[1].clause);
    let base = network.base.clone();
    let rules = HostRules { allow: network.allow.clone(), deny: network.deny.clone(), base };
    for (name, want, why) in [
        ("a.xn--bcher-kva.test", true, "the A-label of the policy's letters"),
        ("evil.xn--bcher-kva.test", false, "denied in the same letters"),
        ("EVIL.XN--BCHER-KVA.test.", false, "in any case, with the root's dot"),
        ("xn--bcher-kva.test", false, "the apex"),
    ] {
        let host = Host::Name(crate::Name::parse(name.as_bytes()).unwrap());
        let got = matches!(rules.decide(&host, 443, Protocol::Tls), Decision::Allow(_));
        assert_eq!(got, want, "{name}: {why}");
    }
}

/// An empty list is no rule at all, not a rule for everything.
#[test]
fn nothing_allows_nothing() {
    for text in ["", "[network]", "[network]\nallow = []", "network = { allow = [], deny = [] }"] {
        let network = parse(&format!("version = 1\n{text}")).unwrap().network;
        let rules = HostRules { allow: network.allow, deny: network.deny, base: network.base };
        for host in [Host::Address("192.0.2.1".parse().unwrap()), Host::Name(name("a.test"))] {
            for (port, protocol) in [(443, Protocol::Tls), (80, Protocol::Http), (1, Protocol::Tcp)]
            {
                let got = rules.decide(&host, port, protocol);
                assert!(matches!(got, Decision::Deny(..)), "{text}: {host}:{port}");
            }
        }
    }
}

fn name(text: &str) -> crate::Name {
    crate::Name::parse(text.as_bytes()).unwrap()
}

#[test]
fn flags() {
    for (words, want, why) in [
        ("good.test", Ok("good.test [443] tls"), "443 speaks tls"),
        ("GOOD.test:443", Ok("good.test [443] tls"), "written out"),
        ("good.test:80", Ok("good.test [80] http"), "80 speaks http"),
        ("good.test:443/tcp", Ok("good.test [443] tcp"), "said"),
        ("db.test:5432/tcp", Ok("db.test [5432] tcp"), "said"),
        ("*.good.test:8080/http", Ok("*.good.test [8080] http"), "a wildcard"),
        ("192.0.2.1", Ok("192.0.2.1 [443] tls"), "an address"),
        ("192.0.2.0/24:22/tcp", Ok("192.0.2.0/24 [22] tcp"), "a block"),
        ("[2001:db8::1]", Ok("2001:db8::1/128 [443] tls"), "in brackets"),
        ("[2001:db8::a]:80", Ok("2001:db8::a/128 [80] http"), "with a port"),
        ("[2001:db8::/32]:22/tcp", Ok("2001:db8::/32 [22] tcp"), "a block"),
        ("2001:db8::1", Err("allow-brackets"), "an address without"),
        ("2001:db8::1:443", Err("allow-brackets"), "two readings"),
        ("::1", Err("allow-brackets"), "an address without"),
        ("[good.test]:443", Err("allow-words"), "brackets are for IPv6"),
        ("[2001:db8::1", Err("allow-words"), "left open"),
        ("[2001:db8::1]443", Err("allow-words"), "no colon"),
        ("good.test:22:33", Err("allow-words"), "two ports"),
        ("good.test:22", Err("protocol-missing"), "never guessed"),
        ("good.test:", Err("port-number"), "no port"),
        ("good.test:0", Err("port-number"), "no port"),
        ("good.test:65536", Err("port-number"), "too large"),
        ("good.test:0443", Err("port-number"), "one spelling"),
        ("good.test:https", Err("port-number"), "a name of a port"),
        ("good.test:443/udp", Err("protocol-unknown"), "not of ours"),
        ("good.test:443/", Err("protocol-unknown"), "no word"),
        ("good.test/tcp", Err("host-text"), "a protocol without its port"),
        ("https://good.test:443/", Err("host-text"), "a URL"),
        ("user@good.test:443", Err("host-text"), "a user"),
        ("", Err("host-text"), "nothing"),
        (":443", Err("host-text"), "nobody"),
        ("*.com", Err("host-too-wide"), "everybody's"),
        ("*", Err("host-too-wide"), "everybody"),
    ] {
        let mut document = Document::built_in();
        let got = document.add_allowed(words).map_err(|error| error.code()).map(|()| {
            let rule = document.network.flags.first().unwrap();
            assert_eq!(rule.clause.to_string(), "--allow (command line)");
            format!("{} {:?} {}", rule.pattern, rule.ports, rule.protocol.as_str())
        });
        assert_eq!(got.as_deref().map_err(|code| *code), want, "{words}: {why}");
    }
    let mut document = Document::built_in();
    let mut publish = |words| document.add_published(words).map_err(|error| error.code());
    for (words, want, why) in [
        ("3000", Ok(()), "the same outside"),
        ("3001:80", Ok(()), "another"),
        ("3000:3002", Ok(()), "one server by two ports"),
        ("4000:3000", Err("publish-twice"), "two servers by one port"),
        ("x", Err("publish-port"), "no port"),
        ("1:2:3", Err("publish-port"), "an address is not chosen"),
    ] {
        assert_eq!(publish(words), want, "{words}: {why}");
    }
    document.close_network();
    for error in [document.add_allowed("good.test"), document.add_published("1")] {
        assert_eq!(error.map_err(|error| error.code()), Err("network-contradiction"));
    }
}
