//! Programs that people use, with and without proxy variables: allowed names work, others are
//! refused by name, in less than the watchdog's time.

use std::process::Command;

use crate::asking::POLICY;
use crate::internet::{Internet, PROXY, WATCHDOG_SECONDS};
use crate::support::{Ran, finish};

/// Variables that send a client to a proxy; none of them is needed.
pub(crate) const WITHOUT: &str = "unset http_proxy https_proxy all_proxy no_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY NO_PROXY NODE_USE_ENV_PROXY; ";

/// Name, what shows that it is there, and a script that fetches `$SCHEME://$NAME/x`.
const CLIENTS: &[(&str, &str, &str)] = &[
    ("curl", "curl --version", "curl -sS --fail $SCHEME://$NAME/x"),
    (
        "urllib",
        "python3 --version",
        "python3 -c 'import sys, urllib.request as u; print(u.urlopen(sys.argv[1], timeout=8).read())' $SCHEME://$NAME/x",
    ),
    (
        "fetch of node",
        "node --version",
        "node -e 'fetch(process.argv[1]).then(r => { if (!r.ok) throw new Error(r.status) }).catch(e => { console.error(e, e.cause); process.exit(1) })' $SCHEME://$NAME/x",
    ),
];

/// The same for those that are only asked for `https`.
const TLS_CLIENTS: &[(&str, &str, &str)] = &[
    (
        "curl by SOCKS",
        "curl --version",
        "curl -sS --fail --proxy socks5h://${SOCKS:-198.18.0.1:1080} $SCHEME://$NAME/x",
    ),
    (
        "requests",
        "python3 -c 'import requests'",
        "python3 -c 'import sys, requests; requests.get(sys.argv[1], timeout=8).raise_for_status()' $SCHEME://$NAME/x",
    ),
    (
        "httpx",
        "python3 -c 'import httpx'",
        "python3 -c 'import sys, httpx; httpx.get(sys.argv[1], timeout=8).raise_for_status()' $SCHEME://$NAME/x",
    ),
    (
        "aiohttp",
        "python3 -c 'import aiohttp'",
        "python3 -c 'import aiohttp, asyncio, sys
async def get():
    async with aiohttp.ClientSession(trust_env=True) as session:
        async with session.get(sys.argv[1]) as answer: answer.raise_for_status()
asyncio.run(get())' $SCHEME://$NAME/x",
    ),
    (
        "a socket",
        "python3 --version",
        "python3 -c 'import socket, ssl, sys
n = sys.argv[1]
s = ssl.create_default_context().wrap_socket(socket.create_connection((n, 443), 8), server_hostname=n)
s.sendall(b\"GET /x HTTP/1.1\\r\\nHost: \" + n.encode() + b\"\\r\\nConnection: close\\r\\n\\r\\n\")
assert b\"200 OK\" in s.recv(999)' $NAME",
    ),
    (
        "openssl s_client",
        "openssl version",
        "printf 'GET /x HTTP/1.1\\r\\nHost: %s\\r\\nConnection: close\\r\\n\\r\\n' $NAME |
         openssl s_client -quiet -verify_return_error -CAfile ca.pem -connect $NAME:443 -servername $NAME >$NAME.said 2>&1
         cat $NAME.said; grep -q '200 OK' $NAME.said",
    ),
];

/// What a client says when its name is refused: by the resolver, or by the proxy.
pub(crate) const REFUSED: &[&str] = &[
    "403",
    "resolve",
    "not known",
    "ENOTFOUND",
    "No address",
    "getaddrinfo",
    "SOCKS5",
    "No such host",
];

/// How many run at a time.
const AT_ONCE: u32 = 3;

/// One client that asks for one name.
struct Job {
    client: &'static str,
    scheme: &'static str,
    name: String,
    script: String,
}

/// A client, its scheme, and its script.
type Here = (&'static str, &'static str, &'static str);

/// Those that are installed; says which are not.
fn here(net: &Internet) -> Vec<Here> {
    let mut here = Vec::new();
    for (schemes, clients) in [(&["http", "https"][..], CLIENTS), (&["https"], TLS_CLIENTS)] {
        for (client, there, script) in clients {
            if net.outside(&["sh", "-c", there]).status == Some(0) {
                here.extend(schemes.iter().map(|scheme| (*client, *scheme, *script)));
            } else {
                println!("not run: {client}: it is not installed");
            }
        }
    }
    here
}

/// One for each client and each way, for names below `suffix`.
fn jobs(here: &[Here], suffix: &str, ways: &[(&str, &str)]) -> Vec<Job> {
    let mut jobs = Vec::new();
    for (client, scheme, script) in here {
        for (how, before) in ways {
            let name = format!("{how}{}.{suffix}", jobs.len());
            let script = format!("{before}export SCHEME={scheme} NAME={name}\n{script}\n");
            jobs.push(Job { client, scheme, name, script });
        }
    }
    jobs
}

/// Runs all of them by `command`, a few at a time, each with the watchdog; status and what was said.
fn all(net: &Internet, jobs: &[Job], mut command: Command) -> (Ran, Vec<(String, String)>) {
    for job in jobs {
        net.place.write(&format!("home/src/app/{}.sh", job.name), &job.script);
    }
    let names: Vec<&str> = jobs.iter().map(|job| job.name.as_str()).collect();
    let each = format!(
        "timeout --signal=KILL {WATCHDOG_SECONDS} sh $0.sh >$0.out 2>&1 </dev/null; echo $? >$0.status"
    );
    let script =
        format!("printf '%s\\n' {} | xargs -P {AT_ONCE} -n 1 sh -c '{each}'", names.join(" "));
    let ran = finish(command.args(["sh", "-c", &script]));
    let read = |job: &Job, what: &str| net.place.read(&format!("home/src/app/{}.{what}", job.name));
    let said = jobs.iter().map(|job| (read(job, "status").trim().to_owned(), read(job, "out")));
    (ran, said.collect())
}

/// `cofferdam run` under the common policy that also says at its end what was refused.
fn loud(net: &Internet) -> Command {
    let policy = net.place.write("policy.toml", POLICY).display().to_string();
    let quiet = net.cofferdam(&["--policy", &policy]);
    let mut command = net.place.command(quiet.get_program());
    // All of them together have longer than one has.
    let words = quiet.get_args().filter(|word| *word != "--quiet");
    command.args(words.map(|word| if word == "10" { "60".as_ref() } else { word }));
    command.env_clear().envs(quiet.get_envs().filter_map(|(key, value)| Some((key, value?))));
    command
}

#[test]
fn allowed_ones_work_and_others_are_refused_by_name() {
    let Some(net) = Internet::take() else { return };
    let socks = format!("export SOCKS={PROXY}:1080\n");
    let here = here(&net);
    let control = jobs(&here, "evil.test", &[("c", &socks)]);
    let (_, said) = all(&net, &control, net.command_within(60, "env"));
    let requests = net.settled().requests;
    for (job, said) in control.iter().zip(said) {
        assert_eq!(said.0, "0", "{}, {}: without a wall: {said:?}", job.client, job.scheme);
        let asked = requests.iter().any(|one| one.hosts == [job.name.as_str()]);
        assert!(asked, "{}, {}: the control reaches it", job.client, job.scheme);
    }
    net.forget();
    let ways = [("p", ""), ("d", WITHOUT)];
    let good = jobs(&here, "good.test", &ways);
    let evil = jobs(&here, "evil.test", &ways);
    let (_, said) = all(&net, &good, loud(&net));
    let seen = net.settled();
    let events = net.events("connection");
    for (job, said) in good.iter().zip(said) {
        let why = format!("{}, {}, {}", job.client, job.scheme, job.name);
        assert_eq!(said.0, "0", "{why}: {said:?}");
        let asked = seen.requests.iter().filter(|one| one.hosts == [job.name.as_str()]);
        let asked: Vec<bool> = asked.map(|one| one.tls).collect();
        assert_eq!(asked, [job.scheme == "https"], "{why}");
        let told: Vec<_> = events.iter().filter(|one| one["host"] == *job.name).collect();
        assert_eq!(told.len(), 1, "{why}: one connection, one event: {told:?}");
        assert_eq!(told[0]["verdict"], "allowed", "{why}: {told:?}");
    }
    net.forget();
    let before = events.len();
    let (ran, said) = all(&net, &evil, loud(&net));
    let events = net.events("connection").split_off(before);
    for (job, said) in evil.iter().zip(said) {
        let why = format!("{}, {}, {}", job.client, job.scheme, job.name);
        assert!(!["0", "137", ""].contains(&said.0.as_str()), "{why}: fails in time: {said:?}");
        assert!(REFUSED.iter().any(|word| said.1.contains(word)), "{why}: by name: {said:?}");
        let told: Vec<_> = events.iter().filter(|one| one["host"] == *job.name).collect();
        assert!(!told.is_empty(), "{why}: on record");
        assert!(told.iter().all(|one| one["code"] == "host-not-allowed"), "{why}: {told:?}");
    }
    net.is_silent("whoever is not allowed");
    assert!(ran.err.contains("[host-not-allowed]"), "{ran:?}");
    assert!(ran.err.contains("--allow "), "the exit note says how: {ran:?}");
}

#[test]
fn git_clones_and_pushes_by_https() {
    let Some(net) = Internet::take() else { return };
    for (before, name) in [("", "proxied"), (WITHOUT, "direct")] {
        let bare = net.www().join(format!("git/{name}.git")).display().to_string();
        net.outside(&["git", "init", "-q", "--bare", &bare]).works("a repository");
        let script = |host: &str, copy: &str| {
            format!(
                "{before}set -e; git clone -q https://{host}/git/{name}.git {copy} 2>&1; cd {copy}
                git -c user.name=a -c user.email=a@b.test commit -q --allow-empty -m {copy}
                git push -q origin HEAD:refs/heads/{copy} 2>&1"
            )
        };
        net.outside(&["sh", "-c", &script("evil.test", &format!("control-{name}"))])
            .works("without a wall");
        assert!(net.evil() > 0);
        net.forget();
        net.inside(POLICY, &["sh", "-c", &script("good.test", &format!("copy-{name}"))])
            .works(name);
        let refs =
            net.outside(&["git", "-C", &bare, "log", "--format=%s", &format!("copy-{name}")]);
        assert_eq!(
            refs.works("what was pushed").out.lines().next(),
            Some(&*format!("copy-{name}"))
        );
        net.forget();
        // The variables are heeded, or the resolver is asked: refused by name in both cases.
        let told = match name {
            "proxied" => "proxy evil.test:443 host-not-allowed",
            _ => "lookup evil.test:0 host-not-allowed",
        };
        net.tells(&[told], || {
            net.inside(POLICY, &["sh", "-c", &script("evil.test", &format!("bad-{name}"))])
                .fails(REFUSED, name)
        });
        net.is_silent(name);
    }
}
