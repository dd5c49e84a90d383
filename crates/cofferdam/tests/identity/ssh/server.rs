//! OpenSSH's host on the loopback interface, a key that logs in there, and policies whose agent has it.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{Place, Ran, finish, is_root, programs, python};

const SSHD: &str = "/usr/sbin/sshd";
/// A loaded machine takes no longer.
const UP_WITHIN: Duration = Duration::from_secs(30);

/// One host.
pub(super) struct Host {
    pub(super) port: u16,
    /// Its public key, without a comment.
    pub(super) key: String,
    /// As OpenSSH shows it.
    pub(super) fingerprint: String,
    sshd: Child,
}

impl Drop for Host {
    fn drop(&mut self) {
        let _gone = self.sshd.kill();
        let _waited = self.sshd.wait();
    }
}

/// A person's place, with a key that only the vault has, and hosts that take it.
pub(super) struct Keyed {
    pub(super) place: Place,
    /// Who runs this, and logs in.
    pub(super) user: String,
    /// Keys and hosts: not below the place, which is searched for the key.
    pub(super) folder: Place,
    /// Lines of the private key.
    pub(super) secret: Vec<String>,
    pub(super) git: Host,
}

impl Keyed {
    /// `None` where OpenSSH is not installed; it says so.
    pub(super) fn new() -> Option<Self> {
        let has_client = Command::new("ssh").arg("-V").stderr(Stdio::null()).status().is_ok();
        if !Path::new(SSHD).exists() || !has_client {
            println!("not run: the agent of ssh: OpenSSH's client and server are not installed");
            return None;
        }
        if is_root() {
            // sshd asks for it, at each connection; it is the system's, and stays.
            fs::create_dir_all("/run/sshd").unwrap();
        }
        let (place, folder) = (Place::new(), Place::new());
        let user = finish(Command::new("id").arg("-un")).works("who this is").out.trim().to_owned();
        key(&folder.root, "key");
        let git = host(&folder.root, "git", "key.pub");
        let file = fs::read_to_string(folder.root.join("key")).unwrap();
        let secret =
            file.lines().filter(|line| !line.starts_with('-')).map(str::to_owned).collect();
        let keyed = Self { place, user, folder, secret, git };
        let mut set = keyed.place.command(programs().join("cofferdam"));
        let input = fs::File::open(keyed.folder.root.join("key")).unwrap();
        finish(set.args(["vault", "set", "deploy"]).stdin(input)).works("into the vault");
        Some(keyed)
    }

    /// Another host that takes the same key.
    pub(super) fn other(&self) -> Host {
        host(&self.folder.root, "other", "key.pub")
    }

    /// One more key in the vault, and a host that takes no other.
    pub(super) fn second(&self) -> Host {
        key(&self.folder.root, "second");
        let mut set = self.place.command(programs().join("cofferdam"));
        let input = fs::File::open(self.folder.root.join("second")).unwrap();
        finish(set.args(["vault", "set", "second"]).stdin(input)).works("into the vault");
        host(&self.folder.root, "second-host", "second.pub")
    }

    /// A rule that reaches a host by this name.
    pub(super) fn reaches(&self, name: &str, host: &Host) -> String {
        format!(
            "[[network.allow]]\nhost = '{name}'\nports = [22]\nprotocol = 'tcp'\ndial = '127.0.0.1:{}'\n",
            host.port
        )
    }

    /// A key of the vault's that signs for these users on these hosts.
    pub(super) fn signs(&self, users: &[&str], hosts: &[&str]) -> String {
        format!(
            "[credentials.deploy]\nsource = {{ vault = 'deploy' }}\nssh = {{ hosts = {hosts:?}, users = {users:?} }}\n"
        )
    }

    /// The policy of most: `git.test` is reached, and the key logs in there.
    pub(super) fn policy(&self) -> String {
        let (reaches, user) = (self.reaches("git.test", &self.git), self.user.as_str());
        format!("version = 1\n{reaches}{}", self.signs(&[user], &[&self.git.key]))
    }

    /// `cofferdam run` under a policy.
    pub(super) fn cofferdam(&self, policy: &str) -> Command {
        let policy = self.place.write("policy.toml", policy).display().to_string();
        let mut command = self.place.command(programs().join("cofferdam"));
        command.args(["run", "--env", "W", "--policy", &policy, "--"]);
        command
    }

    /// Runs a script under a policy; nothing that was written has a line of the key.
    #[track_caller]
    pub(super) fn runs(&self, policy: &str, script: &str) -> Ran {
        let ran = finish(self.cofferdam(policy).args(["sh", "-c", script]));
        self.holds_no_key(&ran);
        ran
    }

    /// The same in Python.
    #[track_caller]
    pub(super) fn python(&self, policy: &str, body: &str) -> Ran {
        let ran = finish(self.cofferdam(policy).args(["/usr/bin/python3", "-c", &python(body)]));
        self.holds_no_key(&ran);
        ran
    }

    /// What a run said, and every file of the person's place, has no line of the key.
    #[track_caller]
    fn holds_no_key(&self, ran: &Ran) {
        for line in &self.secret {
            assert!(!ran.out.contains(line) && !ran.err.contains(line), "{ran:?}");
            let root = self.place.root.display().to_string();
            let mut find = Command::new("grep");
            let found = finish(find.args(["-raqF", "-e", line, &root]));
            assert_eq!(found.status, Some(1), "the key is in a file: {found:?}");
        }
    }

    /// Events of connections that came to the agent, in order.
    pub(super) fn events(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.place.audit_log()).unwrap_or_default();
        let records = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let events = records.map(|record| record["event"].clone());
        events.filter(|one| one["kind"] == "connection" && one["way"] == "agent").collect()
    }

    /// Verdict or code of each, since there were so many.
    pub(super) fn told(&self, before: usize) -> Vec<String> {
        let word = |one: Value| {
            let code = one["code"].as_str().or_else(|| one["verdict"].as_str());
            code.unwrap_or_default().to_owned()
        };
        self.events().split_off(before).into_iter().map(word).collect()
    }
}

/// `ssh` inside, to a host that the seeded file of known hosts knows.
pub(super) const SSH: &str = "ssh -o BatchMode=yes";
/// The same to a host that nobody knows.
pub(super) const STRANGER: &str = "ssh -o BatchMode=yes -o StrictHostKeyChecking=no \
     -o UserKnownHostsFile=/dev/null -o GlobalKnownHostsFile=/dev/null -o LogLevel=ERROR";

fn key(folder: &Path, name: &str) -> PathBuf {
    let mut make = Command::new("ssh-keygen");
    make.args(["-q", "-N", "", "-C", "", "-t", "ed25519", "-f"]).arg(folder.join(name));
    finish(&mut make).works("a key");
    folder.join(name)
}

/// A host that takes the keys of a file.
fn host(folder: &Path, name: &str, takes: &str) -> Host {
    let file = key(folder, &format!("host-{name}"));
    let public = file.with_extension("pub");
    let shown = finish(Command::new("ssh-keygen").arg("-lf").arg(&public)).works("shown").out;
    let fingerprint = shown.split(' ').nth(1).unwrap().to_owned();
    let key = fs::read_to_string(&public).unwrap().trim().to_owned();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let settings = format!(
        "Port {port}\nListenAddress 127.0.0.1\nHostKey {}\nAuthorizedKeysFile {}\nUsePAM no\n\
         StrictModes no\nPidFile none\nPasswordAuthentication no\nPermitRootLogin yes\n",
        file.display(),
        folder.join(takes).display()
    );
    let config = folder.join(format!("{name}.config"));
    fs::write(&config, settings).unwrap();
    let mut sshd = Command::new(SSHD);
    sshd.args(["-D", "-e", "-f"]).arg(config).stdin(Stdio::null()).stderr(Stdio::null());
    let mut host = Host { port, key, fingerprint, sshd: sshd.spawn().unwrap() };
    let until = Instant::now() + UP_WITHIN;
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        let ended = host.sshd.try_wait().unwrap();
        assert!(ended.is_none() && Instant::now() < until, "sshd does not start: {ended:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
    host
}
