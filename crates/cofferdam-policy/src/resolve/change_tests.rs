//! What may change while a session runs, by policies as people write them.

use super::fixture::facts;
use crate::change::{Restart, egress_change};
use crate::document::{Document, Source};
use crate::facts::{Facts, Kind};
use crate::model::Policy;
use crate::resolve::resolve;

fn policy(text: &str, facts: &Facts) -> Policy {
    let source = Source { name: "policy".into(), text: format!("version = 1\n{text}") };
    let document = Document::parse(source).unwrap_or_else(|why| panic!("{why}: {text}"));
    resolve(&document, facts).unwrap_or_else(|why| panic!("{why}: {text}"))
}

fn because(old: &str, new: &str) -> Result<usize, Vec<String>> {
    let rows = [("vendor", Kind::Directory), ("ca.pem", Kind::File)];
    let rows = rows.map(|(name, kind)| (format!("/home/u/w/{name}"), kind));
    let rows = rows.iter().map(|(path, kind)| (path.as_str(), *kind));
    let rows: Vec<_> = [("/opt", Kind::Directory)].into_iter().chain(rows).collect();
    let facts = facts(&rows);
    let (old, new) = (policy(old, &facts), policy(new, &facts));
    let change = egress_change(&old, &new);
    if let Ok(rules) = &change {
        assert_eq!(*rules, new.network.rules, "the new rules, whole");
    }
    let told = |restart: &Restart| {
        assert!(restart.clause.line > 0 || restart.clause.file == "built-in", "{restart}");
        restart.because.clone()
    };
    change.map(|rules| rules.allow.len()).map_err(|all| all.iter().map(told).collect())
}

const A: &str = "[[network.allow]]\nhost = 'a.test'\n";

#[test]
fn what_changes_while_it_runs() {
    const ASKS: &str = "[[network.allow]]\nhost = 'a.test'\nmethods = ['GET']\n";
    const BELOW: &str = "[[network.allow]]\nhost = '*.a.test'\nrate = '1/s'\n";
    let on = |host: &str, lines: &str| format!("[[network.allow]]\nhost = '{host}'\n{lines}\n");
    let tcp = |port| on("a.test", &format!("ports = [{port}]\nprotocol = 'tcp'"));
    let uncertified = |host: &str| {
        format!("{host} would be looked into, and the session's authority is not for it")
    };
    for (old, new, want, why) in [
        (A.to_owned(), A.to_owned(), Ok(1), "nothing"),
        (A.into(), format!("\n\n# moved\n{A}"), Ok(1), "only its place"),
        (A.into(), A.to_owned() + &on("b.test", ""), Ok(2), "a host"),
        (A.into(), A.to_owned() + &on("b.test", "ports = [80]"), Ok(2), "on the other port"),
        (
            A.into(),
            A.to_owned() + &on("b.test", "ports = [443]\nprotocol = 'tcp'"),
            Ok(2),
            "by tcp",
        ),
        (A.into(), String::new(), Ok(0), "no host at all"),
        (A.into(), A.to_owned() + "[[network.deny]]\nhost = 'a.test'\n", Ok(1), "a denial"),
        (ASKS.into(), A.into(), Ok(1), "nothing is asked any more"),
        (ASKS.into(), on("a.test", "paths = ['/x']"), Ok(1), "something else is asked"),
        (BELOW.into(), BELOW.to_owned() + &on("b.a.test", "rate = '2/s'"), Ok(2), "of one below"),
        (tcp(22), tcp(22) + &on("a.test", ""), Ok(2), "a port that it has"),
        (tcp(22), tcp(23), Err(vec!["port 23 of a.test is not heard".to_owned()]), "a new port"),
        (
            tcp(22),
            on("b.test", "ports = [22]\nprotocol = 'tcp'"),
            Err(vec!["port 22 of b.test is not heard".to_owned()]),
            "another host's",
        ),
        (A.into(), ASKS.into(), Err(vec![uncertified("a.test")]), "no authority at all"),
        (
            BELOW.into(),
            BELOW.to_owned() + ASKS,
            Err(vec![uncertified("a.test")]),
            "not for the apex",
        ),
        (
            A.into(),
            A.to_owned() + "[[network.deny]]\nhost = 'a.test'\npaths = ['/x']\n",
            Err(vec![uncertified("a.test")]),
            "a denial looks too",
        ),
        (
            String::new(),
            A.into(),
            Err(vec!["the session began without a way out".to_owned()]),
            "no gateway",
        ),
        (
            "[network]\npublish = ['3000']".into(),
            format!("[network]\npublish = ['3000']\n{A}"),
            Err(vec!["the session began without a way out".to_owned()]),
            "a gateway, and no way out",
        ),
    ] {
        assert_eq!(because(&old, &new), want, "{why}: {old} -> {new}");
    }
}

#[test]
fn what_holds_from_the_start() {
    for (old, new, want, why) in [
        (
            A.to_owned(),
            format!("{A}[network]\npublish = ['3000']"),
            vec!["network.publish changed".to_owned()],
            "a server",
        ),
        (
            A.to_owned(),
            format!("{A}[network]\nupstream_proxy = 'http://p.test:1'"),
            vec!["network.upstream_proxy changed".to_owned()],
            "a proxy",
        ),
        (
            format!("{A}[network]\ntrust_ca = ['ca.pem']"),
            A.to_owned(),
            vec!["network.trust_ca changed".to_owned()],
            "an authority",
        ),
        (
            A.to_owned(),
            format!("{A}[filesystem]\nprotect = ['vendor']"),
            vec!["what is hidden, masked or protected changed".to_owned()],
            "a name",
        ),
        (
            A.to_owned(),
            format!("{A}[filesystem]\ngrant = [{{ path = '/opt', mode = 'read-only' }}]"),
            vec!["filesystem changed".to_owned()],
            "a tree",
        ),
        (
            A.to_owned(),
            format!("{A}[environment]\nset = {{ X = '1' }}"),
            vec!["environment changed".to_owned()],
            "a variable",
        ),
        (
            format!("{A}[limits]\nprocesses = 64"),
            format!("{A}[limits]\nprocesses = 65\n[network]\npublish = ['1']"),
            vec!["limits changed".to_owned(), "network.publish changed".to_owned()],
            "everything is told",
        ),
        (
            format!("{A}[output]\nmax_bytes = '1MiB'"),
            format!("{A}[output]\nmax_bytes = '2MiB'"),
            vec!["output changed".to_owned()],
            "how much is passed on",
        ),
        (
            format!("{A}[canary]\nX = 'planted'"),
            format!("{A}[canary]\nX = 'another'"),
            vec!["canary changed".to_owned()],
            "a planted string",
        ),
    ] {
        assert_eq!(because(&old, &new), Err(want), "{why}: {old} -> {new}");
    }
}
