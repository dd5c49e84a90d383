//! Programs that people use, with and without proxy variables: allowed names work, others are
//! refused by name, in less than the watchdog's time.

use crate::asking::POLICY;
use crate::internet::{GOOD, GOOD_6, Internet};

/// Variables that send a client to a proxy; none of them is needed.
const WITHOUT: &str = "unset http_proxy https_proxy all_proxy no_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY NO_PROXY NODE_USE_ENV_PROXY; ";

/// Name, a command that must be there, a script that fetches `$SCHEME://$NAME/x`.
const CLIENTS: &[(&str, &str, &[&str], &str)] = &[
    ("curl", "/usr/bin/curl", &["http", "https"], "curl -sS --fail $SCHEME://$NAME/x"),
    (
        "curl by SOCKS",
        "/usr/bin/curl",
        &["http", "https"],
        "curl -sS --fail --proxy socks5h://${SOCKS:-198.18.0.1:1080} $SCHEME://$NAME/x",
    ),
    (
        "urllib",
        "/usr/bin/python3",
        &["http", "https"],
        "python3 -c 'import sys, urllib.request as u; print(u.urlopen(sys.argv[1], timeout=8).read())' $SCHEME://$NAME/x",
    ),
    (
        "a socket",
        "/usr/bin/python3",
        &["https"],
        "python3 -c 'import socket, ssl, sys
n = sys.argv[1]
s = ssl.create_default_context().wrap_socket(socket.create_connection((n, 443), 8), server_hostname=n)
s.sendall(b\"GET /x HTTP/1.1\\r\\nHost: \" + n.encode() + b\"\\r\\nConnection: close\\r\\n\\r\\n\")
assert b\"200 OK\" in s.recv(999)' $NAME",
    ),
    (
        "openssl s_client",
        "/usr/bin/openssl",
        &["https"],
        "printf 'GET /x HTTP/1.1\\r\\nHost: %s\\r\\nConnection: close\\r\\n\\r\\n' $NAME |
         openssl s_client -quiet -verify_return_error -CAfile ca.pem -connect $NAME:443 -servername $NAME 2>&1 | tee said
         grep -q '200 OK' said",
    ),
    (
        "fetch of node",
        "/usr/bin/node",
        &["http", "https"],
        "node -e 'fetch(process.argv[1]).then(r => { if (!r.ok) throw new Error(r.status) }).catch(e => { console.error(e, e.cause); process.exit(1) })' $SCHEME://$NAME/x",
    ),
];

/// What a client says when its name is refused: by the resolver, or by the proxy.
const REFUSED: &[&str] = &[
    "403",
    "resolve",
    "not known",
    "ENOTFOUND",
    "No address",
    "getaddrinfo",
    "SOCKS5",
    "No such host",
];

fn there(net: &Internet, program: &str) -> bool {
    let there = net.outside(&["test", "-x", program]).status == Some(0);
    if !there {
        println!("not run: {program} inside: it is not installed");
    }
    there
}

#[test]
fn allowed_ones_work_and_others_are_refused_by_name() {
    let Some(net) = Internet::take() else { return };
    for (client, program, schemes, script) in CLIENTS {
        if !there(&net, program) {
            continue;
        }
        for (scheme, before) in schemes.iter().flat_map(|one| [(one, ""), (one, WITHOUT)]) {
            let why = format!("{client}, {scheme}, {before:?}");
            let run = |name: &str| format!("{before}SCHEME={scheme} NAME={name}; {script}");
            let socks = format!("SOCKS={}:1080; ", crate::internet::PROXY);
            net.outside(&["sh", "-c", &format!("{socks}{}", run("evil.test"))]).works(&why);
            assert!(net.evil() > 0, "{why}: the control reaches it");
            net.forget();
            net.inside(POLICY, &["sh", "-c", &run("good.test")]).works(&why);
            let seen = net.settled();
            let hosts: Vec<_> = seen.requests.iter().map(|r| (r.tls, r.hosts.join(","))).collect();
            assert_eq!(hosts, [(*scheme == "https", "good.test".to_owned())], "{why}");
            net.forget();
            net.inside(POLICY, &["sh", "-c", &run("evil.test")]).fails(REFUSED, &why);
            assert_eq!((net.evil(), net.seen().packets), (0, vec![]), "{why}");
        }
    }
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
        net.inside(POLICY, &["sh", "-c", &script("evil.test", &format!("bad-{name}"))])
            .fails(REFUSED, name);
        assert_eq!(net.evil(), 0);
    }
}

#[test]
fn pip_installs_from_an_index_that_is_allowed() {
    let Some(net) = Internet::take() else { return };
    if net.outside(&["/usr/bin/python3", "-m", "pip", "--version"]).status != Some(0) {
        println!("not run: pip inside: it is not installed");
        return;
    }
    let wheel = net.www().join("small-1-py3-none-any.whl").display().to_string();
    net.python_outside(&format!(
        "import zipfile\n\
         z = zipfile.ZipFile('{wheel}', 'w')\n\
         z.writestr('small.py', 'x = 1\\n')\n\
         z.writestr('small-1.dist-info/METADATA', 'Metadata-Version: 2.1\\nName: small\\nVersion: 1\\n')\n\
         z.writestr('small-1.dist-info/WHEEL', 'Wheel-Version: 1.0\\nGenerator: a\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n')\n\
         z.writestr('small-1.dist-info/RECORD', '')\nz.close()"
    ))
    .works("a wheel");
    // The index: any page with a link. A server that answers by path has it as a file.
    let index = net.www().join("simple/small");
    std::fs::create_dir_all(&index).unwrap();
    std::fs::write(
        index.join("index.html"),
        "<a href=\"/small-1-py3-none-any.whl\">small-1-py3-none-any.whl</a>",
    )
    .unwrap();
    let script = |before: &str, host: &str| {
        format!(
            "{before}/usr/bin/python3 -m pip download -q --no-deps --no-cache-dir --retries 0 --timeout 5 \
             --disable-pip-version-check -d got --index-url https://{host}/simple small 2>&1 && test -s got/*.whl && rm -r got"
        )
    };
    for before in ["", WITHOUT] {
        net.outside(&["sh", "-c", &script(before, "evil.test")]).works("without a wall");
        net.forget();
        net.inside(POLICY, &["sh", "-c", &script(before, "good.test")]).works(before);
        let seen = net.settled();
        assert_eq!(seen.requests_to(GOOD).len() + seen.requests_to(GOOD_6).len(), 2);
        net.forget();
        let ran = net.inside(POLICY, &["sh", "-c", &script(before, "evil.test")]);
        ran.fails(&["No matching distribution", "403", "resolve"], before);
        assert_eq!(net.evil(), 0);
    }
}
