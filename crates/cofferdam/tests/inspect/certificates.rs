//! Whom each side believes: S21 where no TLS can be ended nothing passes; hosts that nobody is to
//! believe; the session's authority, its bounds and its key; names that are hidden; what is said early.

use crate::internet::Internet;
use crate::looking::{DIRECT, PROXY, WAYS, rule};
use crate::support::{finish, python};

/// Names whose certificate nobody is to believe, and why.
const BAD: &[&str] = &["expired.test", "self.test", "stranger.test", "wrong.test"];

fn all(asks: &str) -> String {
    let one = |host: &&str| format!("[[network.allow]]\nhost = '{host}'\n{asks}\n");
    BAD.iter().map(one).collect::<String>() + &rule(asks)
}

/// A host that cannot prove its name gets no request, whatever its client would believe.
#[test]
fn s21_a_host_that_is_not_believed_hears_nothing() {
    let Some(net) = Internet::take() else { return };
    let script = |host: &str| {
        format!(
            "curl -sSk --http1.1 -o said -w '%{{http_code}} ' https://{host}/x; grep -o '\"code\":\"[a-z]*\"' said || true"
        )
    };
    for host in BAD {
        net.outside(&["sh", "-c", &script(host)]).works("who believes everybody");
    }
    assert_eq!(net.asked().len(), BAD.len());
    for way in WAYS {
        for host in BAD {
            net.forget();
            let told = [format!("{} {host} h1 GET /x 502 certificate", way.0)];
            let ran = net.records(&told, || {
                net.scripted(&all("inspect = 'always'"), way, &script(host)).works(host)
            });
            assert_eq!(ran.out, "502 \"code\":\"certificate\"\n", "{host}");
            assert_eq!(net.asked().len(), 0, "{host}");
        }
    }
    net.scripted(&all("inspect = 'always'"), PROXY, &script("new.test")).works("one that is");
    assert_eq!(net.asked().len(), 1);
    // And without the file that names its authority, neither is that one.
    net.forget();
    let policy = format!("version = 1\n{}", rule("inspect = 'always'"));
    let act = script("new.test");
    let ran = finish(net.looks_by(20, &policy).args(["sh", "-c", &act]));
    assert!(ran.out.starts_with("502 \"code\":\"certificate\""), "{ran:?}");
    assert_eq!(net.asked().len(), 0);
}

/// S21: an authority that cannot be is a refusal to start, never a tunnel.
#[test]
fn s21_without_an_authority_nothing_starts() {
    let Some(net) = Internet::take() else { return };
    let file = net.place.write("believed/other.pem", "");
    let policy =
        |rules: &str| format!("version = 1\n[network]\ntrust_ca = ['{}']\n{rules}", file.display());
    let run = |rules: &str| finish(net.looks_by(20, &policy(rules)).arg("true"));
    let good = net.place.read("home/src/app/ca.pem");
    let cut = good.replacen("MII", "AAA", 1);
    for (why, text) in [("nothing", ""), ("no PEM", "hello\n"), ("no certificate", &cut)] {
        std::fs::write(&file, text).unwrap();
        run(&rule("inspect = 'always'")).refused("trust_ca", why);
    }
    std::fs::remove_file(&file).unwrap();
    run(&rule("inspect = 'always'")).refused("other.pem", "no file");
    std::fs::write(&file, &good).unwrap();
    run(&rule("inspect = 'always'")).works("one that is there");
    assert_eq!(net.settled().packets, [], "nobody was asked");
}

/// A client with a list of its own is told apart from a host that fails, and the event says what helps.
#[test]
fn a_client_that_does_not_believe_the_session_is_on_record() {
    let Some(net) = Internet::take() else { return };
    net.place.write("home/src/app/own.pem", &net.place.read("home/src/app/ca.pem"));
    let script = "curl -sS --cacert own.pem https://new.test/x";
    net.outside(&["sh", "-c", script]).works("without a wall");
    for way in WAYS {
        net.forget();
        let before = net.events("connection").len();
        let ran = net.scripted(&rule("inspect = 'always'"), way, script);
        ran.fails(&["SSL", "certificate"], way.0);
        assert_eq!(net.unheard(before), [format!("{} new.test client-distrusts", way.0)]);
        let event = net.events("connection").pop().unwrap();
        let fix = event["fix"].as_str().unwrap_or_default();
        assert!(fix.contains("SSL_CERT_FILE") && fix.contains("never"), "{event}");
        assert_eq!(net.asked().len(), 0, "the host hears no request");
    }
    let ran = net.scripted(&rule("inspect = 'never'"), DIRECT, script);
    ran.works("what helps, does");
}

/// Variables that lead to the authorities, in the sandbox.
const VARIABLES: &str = "SSL_CERT_FILE NODE_EXTRA_CA_CERTS REQUESTS_CA_BUNDLE CURL_CA_BUNDLE GIT_SSL_CAINFO \
     CARGO_HTTP_CAINFO PIP_CERT AWS_CA_BUNDLE DENO_CERT";

/// The certificates that a client sees, as text; the authority's last.
fn chain(net: &Internet, rules: &str, host: &str) -> String {
    let script = format!(
        "set -e; openssl s_client -connect {host}:443 -servername {host} -verify_return_error -verify_hostname {host} \
         -CAfile $SSL_CERT_FILE </dev/null >said 2>&1 || {{ cat said; exit 1; }}
         awk '/BEGIN CERT/,/END CERT/' said | openssl x509 -text -noout
         for v in {VARIABLES}; do eval f=\\$$v; test -s \"$f\" || {{ echo no $v >&2; exit 1; }}; done
         csplit -sz -f own- $NODE_EXTRA_CA_CERTS '/BEGIN CERT/' '{{*}}'
         for f in own-*; do openssl x509 -in $f -noout -subject | grep -q cofferdam && openssl x509 -in $f -text -noout; done; rm own-*"
    );
    net.scripted(rules, DIRECT, &script).works(host).out
}

/// P16 and L13: for the hosts of the policy alone, valid since yesterday, another for each session.
#[test]
fn the_authority_is_for_the_hosts_of_the_policy() {
    let Some(net) = Internet::take() else { return };
    let rules = "[[network.allow]]\nhost = 'new.test'\ninspect = 'always'\n\
         [[network.allow]]\nhost = 'one.test'\n\
         [[network.allow]]\nhost = '*.new.test'\nmethods = ['GET']\n";
    let text = chain(&net, rules, "a.new.test");
    let flat: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(flat.contains("DNS:a.new.test"), "the name that was asked for: {text}");
    assert!(!flat.contains("DNS:*."), "and no other: {text}");
    let bounds = flat.split("X509v3 Name Constraints: critical").nth(1).unwrap_or_default();
    assert!(bounds.contains("Permitted:") && bounds.contains("DNS:new.test"), "{text}");
    assert!(!bounds.contains("one.test") && !bounds.contains("evil"), "{text}");
    assert!(
        flat.matches("CA:TRUE, pathlen:0").count() == 1 && flat.matches("CA:TRUE").count() == 1,
        "{text}"
    );
    let yesterday = finish(net.place.command("date").args(["-u", "-d", "-23 hours", "+%s"]));
    for line in text.lines().filter_map(|line| line.trim().strip_prefix("Not Before: ")) {
        let at = finish(net.place.command("date").args(["-u", "-d", line, "+%s"]));
        let number = |text: &str| text.trim().parse::<u64>().unwrap();
        assert!(number(&at.out) < number(&yesterday.out), "back-dated: {line}");
    }
    let serial = |text: &str| {
        let all = text.split("Serial Number:").skip(1);
        all.map(|part| part.split_whitespace().next().unwrap_or_default().to_owned())
            .collect::<Vec<_>>()
    };
    let other = chain(&net, rules, "a.new.test");
    assert_ne!(serial(&text), serial(&other), "another session, another authority");
}

/// The bounds hold for who verifies: the same bounds around a key that we have pass no other name.
#[test]
fn a_stolen_key_would_be_good_for_no_other_host() {
    let Some(net) = Internet::take() else { return };
    let script = "set -e; cd forged
        bounds=$(openssl x509 -in ../seen.pem -noout -ext nameConstraints)
        echo \"$bounds\" | grep -q critical
        names=$(echo \"$bounds\" | grep -o 'DNS:[^ ,]*' | sed 's/^/permitted;/' | paste -sd,)
        key='-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes'
        openssl req -x509 $key -keyout ca.key -out ca.pem -days 2 -subj /CN=forged -addext basicConstraints=critical,CA:TRUE \
            -addext keyUsage=critical,keyCertSign -addext nameConstraints=critical,$names 2>log
        for n in new.test a.new.test evil.test good.test; do
            printf 'subjectAltName=DNS:%s\\nextendedKeyUsage=serverAuth\\n' $n >ext
            openssl req -new $key -keyout $n.key -subj /CN=x -out $n.csr 2>log
            openssl x509 -req -in $n.csr -CA ca.pem -CAkey ca.key -days 1 -extfile ext -out $n.pem 2>log
            openssl verify -CAfile ca.pem -verify_hostname $n $n.pem >log 2>&1 && echo $n yes || echo $n no
        done";
    let rules = "[[network.allow]]\nhost = 'new.test'\ninspect = 'always'\n\
         [[network.allow]]\nhost = '*.new.test'\ninspect = 'always'\n[[network.allow]]\nhost = 'good.test'\n";
    let seen = "csplit -sz -f own- $NODE_EXTRA_CA_CERTS '/BEGIN CERT/' '{*}'; \
         for f in own-*; do openssl x509 -in $f -noout -subject | grep -q cofferdam && cp $f seen.pem; done; mkdir forged";
    net.scripted(rules, DIRECT, seen).works("the authority is seen inside");
    let ran = net.outside(&["sh", "-c", script]).works("forged");
    assert_eq!(ran.out, "new.test yes\na.new.test yes\nevil.test no\ngood.test no\n");
}

/// The key is in no file, environment, argument or log, inside or outside, and in no core.
#[test]
fn the_key_is_nowhere() {
    let Some(net) = Internet::take() else { return };
    let act = r"
ask(get('/x'))
found, key = [], b'PRIVATE' + b' KEY'
for top in ('/etc', '/run', '/tmp', '/var/tmp', '/dev/shm', '/usr/local', '/usr/lib/ssl', '/usr/share/ca-certificates', os.environ['HOME'], os.path.dirname(os.environ['SSL_CERT_FILE'])):
    for at, folders, files in os.walk(top):
        for name in files:
            path = os.path.join(at, name)
            try:
                if os.path.isfile(path) and os.path.getsize(path) < 1 << 20 and key in open(path, 'rb').read(): found.append(path)
            except OSError: pass
assert key.decode() not in str(os.environ)
for pid in filter(str.isdigit, os.listdir('/proc')):
    for name in ('environ', 'cmdline'):
        try: assert key not in open(f'/proc/{pid}/{name}', 'rb').read()
        except OSError: pass
assert found == [], found
print(open(os.environ['SSL_CERT_FILE']).read().count('BEGIN CERTIFICATE') > 0)
";
    // A control: where one lies, it is found.
    net.place.write("home/src/app/home/key", "-----BEGIN PRIVATE KEY-----\n");
    let planted = format!("import os\nos.environ['HOME'] = os.getcwd() + '/home'\n{act}");
    let own = net.policy(&rule("inspect = 'always'"));
    let script = net.speaking("planted.py", &planted);
    let ran = finish(net.looks_by(30, &own).args(["sh", "-c", &script]));
    ran.fails(&["home/key"], "a key that lies there is found");
    std::fs::remove_file(net.place.work.join("home/key")).unwrap();
    net.speaks(&rule("inspect = 'always'"), DIRECT, act).works("inside");
    let log = std::fs::read_to_string(net.place.audit_log()).unwrap();
    assert!(!log.contains("PRIVATE KEY"));
    let root = net.place.root.display().to_string();
    let ran = net.outside(&["grep", "-rl", "PRIVATE KEY", &root]);
    assert_eq!(ran.out, "", "on the host's side");
}

/// While it runs: nobody may look into the gateway, and it leaves no core.
#[test]
fn the_gateway_leaves_no_core() {
    let Some(net) = Internet::take() else { return };
    let mut command = net.looks(20, &rule("inspect = 'always'"));
    command.args(["sh", "-c", "touch ready; while [ ! -e go ]; do sleep .05; done"]);
    let mut engine = command.spawn().unwrap();
    let until = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while !net.place.work.join("ready").exists() {
        assert!(std::time::Instant::now() < until && engine.try_wait().unwrap().is_none());
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let gateway = crate::asking::below(engine.id(), "cofferdam-gateway").expect("a gateway");
    let limits = std::fs::read_to_string(format!("/proc/{gateway}/limits")).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    let core: Vec<&str> = core.split_whitespace().collect();
    // One byte: with none a program that takes cores on a pipe would still get one (core(5)).
    assert!(["0", "1"].contains(&core[4]) && ["0", "1"].contains(&core[5]), "{limits}");
    // Not dumpable: its memory is root's, whoever started it (prctl(2)).
    let act = format!("import os\nprint(os.stat('/proc/{gateway}/mem').st_uid)");
    let ran = finish(net.place.command("/usr/bin/python3").args(["-c", &python(&act)]));
    assert_eq!(ran.works("its owner").out, "0\n");
    net.place.write("home/src/app/go", "");
    assert!(engine.wait().unwrap().success());
}

/// Asks twice on one session of TLS, the second time before the handshake is over (RFC 8446, 2.3).
const EARLY: &str = "printf 'GET /early HTTP/1.1\\r\\nHost: %s\\r\\n\\r\\n' $H >early
    o=\"-connect $A -servername $H -tls1_3 -CAfile $CA\"
    (printf 'GET /first HTTP/1.1\\r\\nHost: %s\\r\\n\\r\\n' $H; sleep 1) | openssl s_client $o -sess_out sess >first 2>&1
    test -s sess || { cat first; exit 3; }
    (sleep 1) | openssl s_client $o -sess_in sess -early_data early >second 2>&1
    grep -o 'Early data was [a-z ]*' second || echo none";

#[test]
fn nothing_is_taken_early() {
    let Some(net) = Internet::take() else { return };
    // A server that takes it.
    let control = format!(
        "set -e; openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout s.key -out s.pem -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost 2>log
        openssl s_server -quiet -accept 4433 -key s.key -cert s.pem -tls1_3 -early_data >served 2>&1 </dev/null &
        p=$!; trap 'kill $p' EXIT; sleep .5; H=localhost A=127.0.0.1:4433 CA=s.pem; {EARLY}"
    );
    let ran = net.outside(&["sh", "-c", &control]).works("a server that takes it");
    assert_eq!(ran.out, "Early data was accepted\n");
    let script = format!("H=new.test A=new.test:443 CA=$SSL_CERT_FILE; {EARLY}");
    let ran = net.scripted(&rule("inspect = 'always'"), DIRECT, &script).works("inside");
    assert!(
        ["none\n", "Early data was rejected\n", "Early data was not sent\n"].contains(&&*ran.out),
        "{ran:?}"
    );
    assert_eq!(net.targets(), ["/first"]);
}

/// S06: a hello that hides its name, or that has none.
#[test]
fn s06_a_hidden_name_is_none() {
    let Some(net) = Internet::take() else { return };
    let act = |hello: &str| {
        crate::asking::body(
            "198.18.0.1",
            &format!(
                "ech = b'\\xfe\\x0d\\x00\\x0e\\x00\\x00\\x01\\x00\\x01\\x07\\x00\\x00\\x00\\x04abcd'\nprint(tls(('new.test', 443), {hello}))"
            ),
        )
    };
    for (why, hello, code) in
        [("encrypted", "hello('new.test', ech)", "ech"), ("none", "hello(None)", "no-name")]
    {
        assert_eq!(net.python_outside(&act(hello)).works(why).out, "22\n", "{why}");
        net.forget();
        let before = net.events("connection").len();
        let script = python(&act(hello));
        let rules = net.policy(&rule("inspect = 'always'"));
        let ran = finish(net.looks_by(20, &rules).args(["/usr/bin/python3", "-c", &script]));
        assert_eq!(ran.works(why).out, "21\n", "{why}: an alert");
        assert_eq!(net.unheard(before), [format!("direct new.test {code}")], "{why}");
        assert_eq!(net.settled().connections.iter().filter(|c| c.received > 0).count(), 0);
    }
}
