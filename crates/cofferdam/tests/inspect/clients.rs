//! Programs that people use, looked into: with and without proxy variables the same verdict, the same
//! bytes at the origin and the same event.

use crate::internet::Internet;
use crate::looking::{DIRECT, PROXY, Way, rule, said};
use crate::support::finish;

/// Name, version, what shows that it is there, and a script that fetches `$URL`, and fails on a refusal.
const CLIENTS: &[(&str, &str, &str, &str)] = &[
    ("curl", "h1", "curl --version", "curl -sS --fail --http1.1 $URL"),
    ("curl of HTTP/2", "h2", "curl --version", "curl -sS --fail --http2 $URL"),
    (
        "curl by SOCKS",
        "h1",
        "curl --version",
        "curl -sS --fail --http1.1 ${SOCKS:+--proxy socks5h://$SOCKS} $URL",
    ),
    (
        "urllib",
        "h1",
        "python3 --version",
        "python3 -c 'import sys, urllib.request as u; u.urlopen(sys.argv[1], timeout=8).read()' $URL",
    ),
    (
        "requests",
        "h1",
        "/usr/bin/python3 -c 'import requests'",
        "/usr/bin/python3 -c 'import sys, requests; requests.get(sys.argv[1], timeout=8).raise_for_status()' $URL",
    ),
    (
        "httpx",
        "h1",
        "/usr/bin/python3 -c 'import httpx'",
        "/usr/bin/python3 -c 'import sys, httpx; httpx.get(sys.argv[1], timeout=8).raise_for_status()' $URL",
    ),
    (
        "httpx of HTTP/2",
        "h2",
        "/usr/bin/python3 -c 'import httpx, h2'",
        "/usr/bin/python3 -c 'import sys, httpx; httpx.Client(http2=True).get(sys.argv[1], timeout=8).raise_for_status()' $URL",
    ),
    (
        "aiohttp",
        "h1",
        "/usr/bin/python3 -c 'import aiohttp'",
        "/usr/bin/python3 -c 'import aiohttp, asyncio, sys
async def get():
    async with aiohttp.ClientSession(trust_env=True) as session:
        async with session.get(sys.argv[1]) as answer: answer.raise_for_status()
asyncio.run(get())' $URL",
    ),
    (
        "fetch of node",
        "h1",
        "node --version",
        "node -e 'fetch(process.argv[1]).then(r => { if (!r.ok) throw new Error(r.status) }).catch(e => { console.error(e, e.cause); process.exit(1) })' $URL",
    ),
    (
        "https of node",
        "h1",
        "node --version",
        "node -e 'require(\"https\").get(process.argv[1], r => process.exit(r.statusCode == 200 ? 0 : 1)).on(\"error\", e => { console.error(e); process.exit(2) })' $URL",
    ),
    (
        "http2 of node",
        "h2",
        "node --version",
        "node -e 'const u = new URL(process.argv[1]); const c = require(\"http2\").connect(u.origin);
c.on(\"error\", e => { console.error(e); process.exit(2) }); const r = c.request({\":path\": u.pathname});
r.on(\"response\", h => process.exit(h[\":status\"] == 200 ? 0 : 1)); r.end()' $URL",
    ),
    (
        "openssl s_client",
        "h1",
        "openssl version",
        "printf 'GET %s HTTP/1.1\\r\\nHost: new.test\\r\\nConnection: close\\r\\n\\r\\n' ${URL#https://new.test} |
         openssl s_client -quiet -verify_return_error -connect new.test:443 -servername new.test >$ID.said 2>&1
         cat $ID.said; grep -q '200 OK' $ID.said",
    ),
];

/// How many run at a time.
const AT_ONCE: u32 = 3;
const RULES: &str = "methods = ['GET']\npaths = ['/ok/**']";

struct Job {
    client: &'static str,
    version: &'static str,
    id: String,
    path: String,
    script: String,
}

fn here(net: &Internet) -> Vec<&'static (&'static str, &'static str, &'static str, &'static str)> {
    let is_there = |one: &&'static (&str, &'static str, &str, &str)| {
        let there = net.outside(&["sh", "-c", one.2]).status == Some(0);
        if !there {
            println!("not run: {}: it is not installed", one.0);
        }
        there
    };
    CLIENTS.iter().filter(is_there).collect()
}

/// One for each client and each way, for paths below `below`.
fn jobs(net: &Internet, below: &str, ways: &[Way]) -> Vec<Job> {
    let mut jobs = Vec::new();
    for (client, version, _, script) in here(net) {
        for (way, before) in ways {
            let id = format!("{}{}", &way[..1], jobs.len());
            let path = format!("{below}{id}");
            let socks = if *way == "proxy" { "export SOCKS=198.18.0.1:1080\n" } else { "" };
            let script =
                format!("{before}{socks}export ID={id} URL=https://new.test{path}\n{script}\n");
            jobs.push(Job { client, version, id, path, script });
        }
    }
    jobs
}

/// Runs all of them by `command`, a few at a time; status and what was said.
fn all(net: &Internet, jobs: &[Job], mut command: std::process::Command) -> Vec<(String, String)> {
    for job in jobs {
        net.place.write(&format!("home/src/app/{}.sh", job.id), &job.script);
    }
    let names: Vec<&str> = jobs.iter().map(|job| job.id.as_str()).collect();
    let each = "timeout --signal=KILL 15 sh $0.sh >$0.out 2>&1 </dev/null; echo $? >$0.status";
    let script =
        format!("printf '%s\\n' {} | xargs -P {AT_ONCE} -n 1 sh -c '{each}'", names.join(" "));
    finish(command.args(["sh", "-c", &script])).works("all of them");
    let read = |job: &Job, what: &str| net.place.read(&format!("home/src/app/{}.{what}", job.id));
    jobs.iter().map(|job| (read(job, "status").trim().to_owned(), read(job, "out"))).collect()
}

#[test]
fn clients_are_looked_into_and_notice_nothing() {
    let Some(net) = Internet::take() else { return };
    let control = jobs(&net, "/no/", &[DIRECT]);
    for (job, said) in control.iter().zip(all(&net, &control, net.command_within(60, "env"))) {
        assert_eq!(said.0, "0", "{}: without a wall: {said:?}", job.client);
    }
    assert_eq!(net.asked().len(), control.len(), "the control reaches it");
    net.forget();
    let good = jobs(&net, "/ok/", &[PROXY, DIRECT]);
    let (mut results, mut events) = (Vec::new(), Vec::new());
    let rules = rule(RULES);
    let (_, found) = net.on_record(|| {
        results = all(&net, &good, net.looks(60, &rules));
        net.outside(&["true"])
    });
    events.extend(found);
    let asked = net.asked();
    for (at, (job, result)) in good.iter().zip(&results).enumerate() {
        let why = format!("{}, {}", job.client, job.path);
        assert_eq!(result.0, "0", "{why}: {result:?}");
        let mine: Vec<_> = asked.iter().filter(|one| one.target == job.path).collect();
        assert_eq!(mine.len(), 1, "{why}: one request at the origin");
        let end = format!("new.test {} GET {} 200 allowed", job.version, job.path);
        let mine_told: Vec<_> = events.iter().filter(|one| one.ends_with(&end)).collect();
        assert_eq!(mine_told.len(), 1, "{why}: one event: {events:?}");
        // The same client by the other way: the same bytes.
        if at % 2 == 1 {
            let other = asked.iter().find(|one| one.target == good[at - 1].path).unwrap();
            let other = said(other).replace(&good[at - 1].path, &job.path);
            assert_eq!(other, said(mine[0]), "{why}: both ways alike");
        }
    }
    assert_eq!(events.len(), good.len(), "{events:?}");
    net.forget();
    let bad = jobs(&net, "/no/", &[PROXY, DIRECT]);
    let (_, events) = net.on_record(|| {
        results = all(&net, &bad, net.looks(60, &rules));
        net.outside(&["true"])
    });
    for (job, result) in bad.iter().zip(&results) {
        let why = format!("{}, {}", job.client, job.path);
        assert!(!["0", "137", ""].contains(&result.0.as_str()), "{why}: fails in time: {result:?}");
        let end = format!("new.test {} GET {} 403 path-not-allowed", job.version, job.path);
        let told = events.iter().filter(|one| one.ends_with(&end)).count();
        assert_eq!(told, 1, "{why}: one event: {events:?}");
    }
    assert_eq!(net.asked().len(), 0, "nobody else reaches it");
}
