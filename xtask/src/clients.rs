//! `cargo xtask clients`: programs of many languages, each as it comes, with the proxy's variables and
//! without them. What is not installed says so.

mod servers;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::bench::Scratch;
use crate::test::step;
use servers::Servers;

/// Seconds after which a client is stuck.
const WATCHDOG: &str = "60";
/// Nobody asks for a host that exists, so a client that is let through by mistake finds nothing.
const ALLOWED: &str = "good.test";
const DENIED: &str = "evil.test";
/// How a way is told whose requests were seen.
const LOOKED: &str = ", looked into";
/// What every client prints of what came back.
const GREETING: &str = "hello from ";

/// A client: its name, the program that must be there, and a script that talks to `$HOST`. `$CA` is
/// the authority to trust, `$WHO` a person on the host, `$KEY` his key for ssh.
struct Client(&'static str, &'static str, &'static str);

const SSH: &str = "ssh -F none -i $KEY -o UserKnownHostsFile=/dev/null -o StrictHostKeyChecking=no \
                   -o BatchMode=yes -o LogLevel=ERROR -o ConnectTimeout=20";

const CLIENTS: &[Client] = &[
    Client("curl", "curl", "curl -sSf --cacert $CA https://$HOST/"),
    Client("wget", "wget", "wget -T 20 -t 1 -nv -O- --ca-certificate=$CA https://$HOST/"),
    Client("Go, net/http", "go", "SSL_CERT_FILE=$CA ./goclient https://$HOST/"),
    Client("Java, HttpClient", "javac", "java -cp . Main HttpClient \"$JAVA_CA\" https://$HOST/"),
    Client(
        "Java, HttpURLConnection",
        "javac",
        "java -cp . Main URLConnection \"$JAVA_CA\" https://$HOST/",
    ),
    Client(
        "cargo fetch",
        "cargo",
        "export CARGO_HOME=$(mktemp -d) CARGO_HTTP_CAINFO=$CA CARGO_NET_RETRY=0; \
         export RUSTC=${CARGO%cargo}rustc; cd crate && \
         export CARGO_REGISTRIES_LOCAL_INDEX=sparse+https://$HOST/$HOST-index/ && rm -f Cargo.lock && \
         $CARGO fetch && ls $CARGO_HOME/registry/cache/*/greeting-1.0.0.crate >/dev/null && \
         echo hello from cargo",
    ),
    Client(
        "psql, plain",
        "psql",
        "psql \"host=$HOST user=$WHO dbname=postgres sslmode=disable connect_timeout=20\" \
         -Atc \"select 'hello from '||version()\"",
    ),
    Client(
        "psql, sslmode=require",
        "psql",
        "psql \"host=$HOST user=$WHO dbname=postgres sslmode=require connect_timeout=20\" \
         -Atc \"select 'hello from '||cipher from pg_stat_ssl where pid = pg_backend_pid() and ssl\"",
    ),
    Client("ssh", "sshd", "$SSH $WHO@$HOST echo hello from ssh"),
    Client(
        "git over ssh, clone and push",
        "sshd",
        "cd $(mktemp -d) && export GIT_SSH_COMMAND=\"$SSH\" && git clone -q ssh://$WHO@$HOST$REPO here && \
         cd here && echo again >>hello && git -c user.name=a -c user.email=a@b commit -qam again && \
         git push -q && git fetch -q && git show origin/HEAD:hello | head -1",
    ),
    Client("node WebSocket, ws", "node", "node --experimental-websocket ws.mjs ws://$HOST/ws"),
    Client(
        "node WebSocket, wss",
        "node",
        "NODE_EXTRA_CA_CERTS=$CA node --experimental-websocket ws.mjs wss://$HOST/ws",
    ),
    Client("python WebSocket, ws", "python3", "/usr/bin/python3 ws.py ws://$HOST/ws"),
    Client("python WebSocket, wss", "python3", "/usr/bin/python3 ws.py wss://$HOST/ws"),
    Client(
        "ruby, open-uri",
        "ruby",
        "SSL_CERT_FILE=$CA ruby -ropen-uri -e 'puts URI.open(\"https://#{ENV[\"HOST\"]}/\").read'",
    ),
    Client(
        "perl, LWP",
        "lwp-request",
        "PERL_LWP_ENV_PROXY=1 HTTPS_CA_FILE=$CA perl -MLWP::UserAgent -e '$a = LWP::UserAgent->new(timeout \
         => 20)->get(\"https://$ENV{HOST}/\"); print $a->decoded_content; exit !$a->is_success'",
    ),
    Client(
        "php, streams",
        "php",
        "php -r '$c = stream_context_create([\"ssl\" => [\"cafile\" => getenv(\"CA\")]]); \
         $a = file_get_contents(\"https://\" . getenv(\"HOST\") . \"/\", false, $c); echo $a; \
         exit($a === false ? 1 : 0);'",
    ),
    Client(
        "bun, fetch",
        "bun",
        "NODE_EXTRA_CA_CERTS=$CA $BUN -e 'console.log(await (await fetch(`https://${process.env.HOST}/`)).text())'",
    ),
    Client(
        "deno, fetch",
        "deno",
        "export DENO_DIR=$(mktemp -d) DENO_CERT=$CA; echo 'const a = await fetch(`https://${Deno.args[0]}/`); \
         console.log(await a.text())' >$DENO_DIR/a.js && $DENO run -q --allow-net $DENO_DIR/a.js $HOST",
    ),
];

/// What the gateway sees of TLS.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sees {
    /// Nothing: a tunnel.
    Nothing,
    /// Each request.
    Requests,
}

/// With which variables a client runs.
#[derive(Clone, Copy)]
enum Variables {
    Set,
    Unset,
}

/// What is measured, and with what.
struct Bench {
    cofferdam: PathBuf,
    scratch: PathBuf,
    servers: Servers,
    sees: Sees,
}

/// How one run of a client went.
struct Went {
    works: bool,
    said: String,
    /// Words of the log: ways, and verdicts about the host.
    ways: Vec<String>,
    denied: bool,
}

pub(crate) fn run(sees: Sees) -> Result<(), String> {
    let mut build = Command::new("cargo");
    step("build", build.args(["build", "--profile", "ci", "--locked", "-q"]))?;
    let this = std::env::current_exe().map_err(|error| error.to_string())?;
    let scratch = Scratch::new()?;
    let servers = Servers::up(&scratch.0)?;
    let (cofferdam, scratch_path) = (this.with_file_name("cofferdam"), scratch.0.clone());
    let bench = Bench { cofferdam, scratch: scratch_path, servers, sees };
    let policy = bench.servers.policy(sees);
    fs::write(scratch.0.join("clients.toml"), policy).map_err(|error| error.to_string())?;
    println!(
        "\n| client | with proxy variables | without | a host that is not allowed |\n|---|---|---|---|"
    );
    let mut failed = Vec::new();
    for client in CLIENTS {
        if let Some(why) = bench.servers.absent(client.1) {
            println!("| {} | not run: {why} | | |", client.0);
            continue;
        }
        let row =
            [Variables::Set, Variables::Unset].map(|how| bench.both(client, how, &mut failed));
        let [set, unset] = row;
        println!("| {} | {} | {} | {}; {} |", client.0, set.0, unset.0, set.1, unset.1);
    }
    if failed.is_empty() { Ok(()) } else { Err(failed.join("\n")) }
}

impl Bench {
    /// The allowed host, and its twin that is not.
    fn both(&self, client: &Client, how: Variables, failed: &mut Vec<String>) -> (String, String) {
        let mut check =
            |host, good: fn(&Went) -> bool, word: &str| match self.one(client, how, host) {
                Ok(went) if good(&went) => {
                    if went.works {
                        format!("{word} ({})", went.ways.join(", "))
                    } else {
                        word.into()
                    }
                }
                Ok(went) => {
                    failed.push(format!("{} to {host}: {}", client.0, went.said));
                    "**failed**".to_owned()
                }
                Err(why) => {
                    failed.push(format!("{} to {host}: {why}", client.0));
                    "**failed**".to_owned()
                }
            };
        let allowed = check(ALLOWED, |went| went.works && !went.denied, "works");
        (allowed, check(DENIED, |went| !went.works && went.denied, "refused by name"))
    }

    fn one(&self, client: &Client, how: Variables, host: &str) -> Result<Went, String> {
        let log = self.scratch.join("log/audit.jsonl");
        drop(fs::remove_file(&log));
        let unset = match how {
            Variables::Set => "",
            Variables::Unset => {
                "unset HTTP_PROXY http_proxy HTTPS_PROXY https_proxy ALL_PROXY all_proxy \
                 NODE_USE_ENV_PROXY\n"
            }
        };
        let script = format!(
            "{unset}export HOST={host} SSH='{}' {}\n{}\n",
            SSH.replace("$KEY", &self.servers.key()),
            self.servers.variables(self.sees),
            client.2
        );
        let mut command = Command::new("timeout");
        command.args(["--signal=TERM", "--kill-after=10", WATCHDOG]).arg(&self.cofferdam);
        command.current_dir(self.servers.work()).args(["run", "--quiet", "--audit"]).arg(&log);
        command.arg("--policy").arg(self.scratch.join("clients.toml"));
        command.args(["--", "sh", "-c", &script]).stdin(Stdio::null());
        let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let (ways, denied) = of_log(&log)?;
        let encrypted = ["https://", "wss://"].iter().any(|scheme| client.2.contains(scheme));
        let unseen = self.sees == Sees::Requests
            && encrypted
            && !ways.iter().all(|way| way.ends_with(LOOKED));
        let works = output.status.success() && said.contains(GREETING) && !unseen;
        let said = format!(
            "{}, by {ways:?}\n{said}{}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(Went { works, said, ways, denied })
    }
}

/// Ways of connections that were let through, each once, and whether the denied host was refused.
fn of_log(log: &Path) -> Result<(Vec<String>, bool), String> {
    let text = fs::read_to_string(log).map_err(|error| format!("{}: {error}", log.display()))?;
    let (mut ways, mut denied) = (Vec::new(), false);
    for line in text.lines().filter(|line| line.contains("\"kind\":\"connection\"")) {
        let has = |key: &str, value: &str| line.contains(&format!("\"{key}\":\"{value}\""));
        denied |= has("verdict", "denied") && has("host", DENIED);
        let looked = if line.contains("\"request\":{") { LOOKED } else { "" };
        for way in ["direct", "proxy", "socks"] {
            let said = format!("{way}{looked}");
            if has("verdict", "allowed") && has("way", way) && !ways.contains(&said) {
                ways.push(said);
            }
        }
    }
    Ok((ways, denied))
}
