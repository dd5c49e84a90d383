//! The real servers that clients talk to, on the host's loopback, as an ordinary user.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::Sees;

/// Who they are as, where root runs this: made for it, and removed.
const USER: &str = "cofclients";
/// Where PostgreSQL of Debian has its programs.
const POSTGRES: &str = "/usr/lib/postgresql/15/bin";
const SSHD: &str = "/usr/sbin/sshd";
/// How long a server may take until it hears.
const UP_WITHIN: Duration = Duration::from_secs(20);

const FILES: &[(&str, &str)] = &[
    ("Main.java", include_str!("Main.java")),
    ("main.go", include_str!("main.go")),
    ("ws.mjs", include_str!("ws.mjs")),
    ("ws.py", include_str!("ws.py")),
    ("web.py", include_str!("web.py")),
];

/// Everything that is made before, in the workspace `$1`: an authority and a leaf, a crate and its
/// index, a repository, keys, programs of compilers.
const MAKE: &str = r#"
set -e
cd "$1"
ec='-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2'
openssl req -x509 $ec -subj '/CN=cofferdam clients' -keyout ca.key -out ca.pem 2>/dev/null
openssl req $ec -subj /CN=good.test -keyout leaf.key -out leaf.csr 2>/dev/null
printf 'subjectAltName=DNS:good.test\nextendedKeyUsage=serverAuth\n' >leaf.cnf
openssl x509 -req -in leaf.csr -CA ca.pem -CAkey ca.key -days 2 -extfile leaf.cnf -out leaf.pem 2>/dev/null
mkdir -p www/good.test-index/gr/ee www/crates greeting-1.0.0/src crate/src
printf '[package]\nname = "greeting"\nversion = "1.0.0"\nedition = "2021"\n' >greeting-1.0.0/Cargo.toml
touch greeting-1.0.0/src/lib.rs crate/src/lib.rs
tar czf www/crates/greeting.crate greeting-1.0.0
sum=$(sha256sum www/crates/greeting.crate | cut -d' ' -f1)
echo '{"dl": "https://good.test/crates/{crate}.crate"}' >www/good.test-index/config.json
echo "{\"name\":\"greeting\",\"vers\":\"1.0.0\",\"deps\":[],\"cksum\":\"$sum\",\"features\":{},\"yanked\":false}" \
    >www/good.test-index/gr/ee/greeting
printf '[package]\nname = "a"\nversion = "1.0.0"\nedition = "2021"\n[dependencies]\ngreeting = { version = "1", registry = "local" }\n[workspace]\n' >crate/Cargo.toml
git init -q -b main --bare repository.git
git init -q -b main seed
cd seed
echo 'hello from git' >hello
git add hello
git -c user.name=a -c user.email=a@b commit -qm seed
git push -q ../repository.git main
cd ..
if command -v ssh-keygen >/dev/null; then
    ssh-keygen -q -t ed25519 -N '' -f host_key
    ssh-keygen -q -t ed25519 -N '' -f key
fi
if command -v go >/dev/null; then GOCACHE="$1/gocache" GO111MODULE=off CGO_ENABLED=0 go build -o goclient main.go; fi
if command -v javac >/dev/null; then javac Main.java; fi
"#;

/// A temporary user, removed with this.
struct Person {
    name: String,
    temporary: bool,
}

impl Person {
    fn new(home: &Path) -> Result<Self, String> {
        let name = said(Command::new("id").arg("-un"))?;
        if name != "root" {
            return Ok(Self { name, temporary: false });
        }
        let mut add = Command::new("useradd");
        add.args(["--no-create-home", "--user-group", "--shell", "/bin/sh", "--home-dir"])
            .arg(home);
        said(add.arg(USER))?;
        Ok(Self { name: USER.into(), temporary: true })
    }

    /// A program as this person.
    fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        if !self.temporary {
            return Command::new(program);
        }
        let mut command = Command::new("setpriv");
        command.args(["--reuid", &self.name, "--regid", &self.name, "--clear-groups"]);
        command.args(["--pdeathsig", "TERM", "--"]).arg(program).env("HOME", "/nonexistent");
        command
    }
}

impl Drop for Person {
    fn drop(&mut self) {
        if self.temporary {
            drop(Command::new("userdel").arg(&self.name).stderr(Stdio::null()).status());
        }
    }
}

/// A process of ours that ends with this.
struct Server {
    child: Child,
    port: u16,
}

impl Drop for Server {
    fn drop(&mut self) {
        // SIGTERM first: PostgreSQL has children, and tells them.
        let pid = rustix::process::Pid::from_child(&self.child);
        if rustix::process::kill_process(pid, rustix::process::Signal::TERM).is_err() {
            drop(self.child.kill());
        }
        drop(self.child.wait());
    }
}

/// All of them, in the order in which they end.
pub(super) struct Servers {
    postgres: Result<Server, String>,
    sshd: Result<Server, String>,
    web: Server,
    web_tls: u16,
    work: PathBuf,
    tools: Vec<(&'static str, PathBuf)>,
    person: Person,
}

impl Servers {
    pub(super) fn up(scratch: &Path) -> Result<Self, String> {
        let work = scratch.join("work");
        fs::create_dir(&work).map_err(|error| format!("{}: {error}", work.display()))?;
        for (name, text) in FILES {
            fs::write(work.join(name), text).map_err(|error| format!("{name}: {error}"))?;
        }
        let person = Person::new(&scratch.join("home"))?;
        let tools = tools(&work)?;
        said(Command::new("sh").args(["-c", MAKE, "sh"]).arg(&work))?;
        if person.temporary {
            let owner = format!("{0}:{0}", person.name);
            said(Command::new("chown").args(["-R", &owner]).arg(&work))?;
        }
        let (web, web_tls) = web(&person, &work)?;
        let postgres = postgres(&person, &work);
        let sshd = sshd(&person, &work);
        Ok(Self { postgres, sshd, web, web_tls, work, tools, person })
    }

    pub(super) fn work(&self) -> &Path {
        &self.work
    }

    pub(super) fn key(&self) -> String {
        self.work.join("key").display().to_string()
    }

    /// Variables of the scripts, as a shell takes them.
    ///
    /// What is looked into is believed by what the sandbox has been given, and by nothing of ours.
    pub(super) fn variables(&self, sees: Sees) -> String {
        let at = |name: &str| self.work.join(name).display().to_string();
        let tools = self
            .tools
            .iter()
            .map(|(name, path)| format!(" {}={}", name.to_uppercase(), path.display()));
        let tools: String = tools.collect();
        let trusts = match sees {
            Sees::Nothing => format!("CA={0} JAVA_CA={0}", at("ca.pem")),
            Sees::Requests => "CA=$SSL_CERT_FILE JAVA_CA=".into(),
        };
        format!("{trusts} REPO={} WHO={}{tools}", at("repository.git"), self.person.name)
    }

    /// Why a client that needs `program` cannot run.
    pub(super) fn absent(&self, program: &str) -> Option<String> {
        match program {
            "psql" => self.postgres.as_ref().err().cloned(),
            "sshd" => self.sshd.as_ref().err().cloned(),
            "cargo" | "bun" | "deno" => {
                let found = self.tools.iter().any(|(name, _)| *name == program);
                (!found).then(|| format!("{program} is not installed"))
            }
            _ => path_of(program).is_none().then(|| format!("{program} is not installed")),
        }
    }

    pub(super) fn policy(&self, sees: Sees) -> String {
        let dial = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));
        let rule = |port: u16, protocol: &str, to: u16| {
            format!(
                "[[network.allow]]\nhost = \"good.test\"\nports = [{port}]\n\
                 protocol = \"{protocol}\"\ndial = \"{}\"\n",
                dial(to)
            )
        };
        let mut text = String::from("version = 1\n");
        match sees {
            Sees::Nothing => text += &rule(443, "tls", self.web_tls),
            Sees::Requests => {
                text += &format!("[network]\ntrust_ca = [{:?}]\n", self.work.join("ca.pem"));
                text += &rule(443, "tls", self.web_tls);
                text += "inspect = \"always\"\nwebsocket = true\n";
            }
        }
        text += &rule(80, "http", self.web.port);
        for (port, server) in [(5432, &self.postgres), (22, &self.sshd)] {
            if let Ok(server) = server {
                text += &rule(port, "tcp", server.port);
            }
        }
        text
    }
}

/// Toolchains that lie in one person's home: copied to where another one sees them. Of Rust's, what
/// `cargo fetch` starts.
fn tools(work: &Path) -> Result<Vec<(&'static str, PathBuf)>, String> {
    let mut found = Vec::new();
    let root = said(Command::new("rustc").args(["--print", "sysroot"]));
    if let Ok(root) = root.map(PathBuf::from)
        && root.join("bin/cargo").exists()
    {
        let copy = "mkdir -p \"$2/rust/lib\" && cp -r \"$1/bin\" \"$2/rust\" && cp \"$1\"/lib/*.so* \"$2/rust/lib\"";
        said(Command::new("sh").args(["-c", copy, "sh"]).arg(&root).arg(work))?;
        found.push(("cargo", work.join("rust/bin/cargo")));
    }
    for name in ["bun", "deno"] {
        let installed = PathBuf::from("target/presets/bin").join(name);
        let Some(from) = path_of(name).or_else(|| installed.exists().then_some(installed)) else {
            continue;
        };
        let to = work.join(name);
        fs::copy(&from, &to).map_err(|error| format!("{}: {error}", from.display()))?;
        found.push((name, to));
    }
    Ok(found)
}

fn path_of(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|path| path.exists())
}

fn web(person: &Person, work: &Path) -> Result<(Server, u16), String> {
    let mut command = person.command("/usr/bin/python3");
    command.current_dir(work).args(["web.py", "leaf.pem", "leaf.key", "www"]);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| format!("{command:?}: {error}"))?;
    let mut line = String::new();
    if let Some(out) = child.stdout.take() {
        BufReader::new(out).read_line(&mut line).map_err(|error| error.to_string())?;
    }
    let mut ports = line.split_whitespace().map_while(|word| word.parse().ok());
    match (ports.next(), ports.next()) {
        (Some(port), Some(tls)) => Ok((Server { child, port }, tls)),
        _ => Err("the web server does not say its ports".into()),
    }
}

fn postgres(person: &Person, work: &Path) -> Result<Server, String> {
    let program = Path::new(POSTGRES);
    if !program.join("postgres").exists() || path_of("psql").is_none() {
        return Err("PostgreSQL 15 is not installed: postgresql-15".into());
    }
    let (folder, port) = (work.join("pg"), free_port()?);
    let mut make = person.command(program.join("initdb"));
    make.args(["--auth=trust", "--no-sync", "--username", &person.name, "-D"]).arg(&folder);
    said(&mut make)?;
    let at = |name: &str| work.join(name).display().to_string();
    let settings = [
        format!("port={port}"),
        "listen_addresses=127.0.0.1".into(),
        format!("unix_socket_directories={}", folder.display()),
        "fsync=off".into(),
        "ssl=on".into(),
        format!("ssl_cert_file={}", at("leaf.pem")),
        format!("ssl_key_file={}", at("leaf.key")),
    ];
    let mut command = person.command(program.join("postgres"));
    command.arg("-D").arg(&folder);
    for setting in settings {
        command.args(["-c", &setting]);
    }
    started(command, port)
}

fn sshd(person: &Person, work: &Path) -> Result<Server, String> {
    if !Path::new(SSHD).exists() {
        return Err("no sshd: openssh-server is not installed".into());
    }
    let port = free_port()?;
    let at = |name: &str| work.join(name).display().to_string();
    let settings = format!(
        "Port {port}\nListenAddress 127.0.0.1\nHostKey {}\nAuthorizedKeysFile {}\nUsePAM no\n\
         StrictModes no\nPidFile none\nPasswordAuthentication no\n",
        at("host_key"),
        at("key.pub")
    );
    let path = work.join("sshd_config");
    fs::write(&path, settings).map_err(|error| format!("{}: {error}", path.display()))?;
    let mut command = person.command(SSHD);
    command.args(["-D", "-e", "-f"]).arg(path);
    started(command, port)
}

/// A port that nobody hears on now.
fn free_port() -> Result<u16, String> {
    let bound = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    bound.map(|at| at.port()).map_err(|error| format!("a port: {error}"))
}

/// Waits until it hears.
fn started(mut command: Command, port: u16) -> Result<Server, String> {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let child = command.spawn().map_err(|error| format!("{command:?}: {error}"))?;
    let mut server = Server { child, port };
    let until = Instant::now() + UP_WITHIN;
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        let gone = !matches!(server.child.try_wait(), Ok(None));
        if gone || Instant::now() > until {
            return Err(format!("it does not start: {command:?}"));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(server)
}

/// What a command prints, without its last newline.
fn said(command: &mut Command) -> Result<String, String> {
    let output = command.stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("{command:?}: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned());
    }
    Err(format!("{command:?}: {}{}", output.status, String::from_utf8_lossy(&output.stderr)))
}
