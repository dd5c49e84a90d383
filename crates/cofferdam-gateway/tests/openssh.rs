//! The agent against OpenSSH's own client and host on the loopback interface: what it signs logs in there, and
//! what OpenSSH's programs ask beside that is refused.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "panics are how tests fail; the exemption for tests does not cover what they call"
)]
#![expect(clippy::disallowed_methods, reason = "OpenSSH's programs are what is tried")]

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use cofferdam_gateway::agent::{Frames, HostKey, Identity, Outcome, PrivateKey, Reason, Session};

const SSHD: &str = "/usr/sbin/sshd";
/// Kinds of keys, as `ssh-keygen -t` has them, each with how its host signs.
const KINDS: &[(&str, &str)] =
    &[("ed25519", "ssh-ed25519"), ("ecdsa", "ecdsa-sha2-nistp256"), ("rsa", "rsa-sha2-512")];
/// A loaded machine takes no longer.
const UP_WITHIN: Duration = Duration::from_secs(30);

/// Keys and sockets of one test, and its host.
struct Place {
    folder: PathBuf,
    user: String,
    port: u16,
    sshd: Child,
}

impl Drop for Place {
    fn drop(&mut self) {
        let _gone = self.sshd.kill();
        let _waited = self.sshd.wait();
        let _removed = fs::remove_dir_all(&self.folder);
    }
}

fn said(command: &mut Command) -> Output {
    command.stdin(Stdio::null()).output().unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

fn key(folder: &Path, name: &str, kind: &[&str]) {
    let mut make = Command::new("ssh-keygen");
    make.args(["-q", "-N", "", "-C", "a comment", "-f"])
        .arg(folder.join(name))
        .arg("-t")
        .args(kind);
    assert!(said(&mut make).status.success(), "{name}");
}

impl Place {
    /// `None` where OpenSSH is not installed.
    fn new(name: &str) -> Option<Self> {
        let has_client = Command::new("ssh").arg("-V").stderr(Stdio::null()).status().is_ok();
        if !Path::new(SSHD).exists() || !has_client {
            println!("not run: OpenSSH's client and server are not installed");
            return None;
        }
        let folder =
            std::env::temp_dir().join(format!("cofferdam-agent-{name}-{}", std::process::id()));
        fs::create_dir(&folder).unwrap();
        let mut authorized = String::new();
        let mut settings = String::new();
        for (kind, _) in KINDS {
            key(&folder, &format!("host-{kind}"), &[kind]);
            key(&folder, &format!("key-{kind}"), &[kind]);
            authorized += &fs::read_to_string(folder.join(format!("key-{kind}.pub"))).unwrap();
            settings += &format!("HostKey {}\n", folder.join(format!("host-{kind}")).display());
        }
        fs::write(folder.join("authorized"), authorized).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        settings += &format!(
            "Port {port}\nListenAddress 127.0.0.1\nAuthorizedKeysFile {}\nUsePAM no\nStrictModes no\n\
             PidFile none\nPasswordAuthentication no\nPermitRootLogin yes\n",
            folder.join("authorized").display()
        );
        fs::write(folder.join("sshd_config"), settings).unwrap();
        let user = said(Command::new("id").arg("-un")).stdout;
        let user = String::from_utf8(user).unwrap().trim().to_owned();
        if user == "root" {
            // sshd asks for it, at each connection; it is the system's, and stays.
            fs::create_dir_all("/run/sshd").unwrap();
        }
        let mut sshd = Command::new(SSHD);
        sshd.args(["-D", "-e", "-f"]).arg(folder.join("sshd_config"));
        let sshd = sshd.stdin(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let mut place = Self { folder, user, port, sshd };
        let until = Instant::now() + UP_WITHIN;
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            let ended = place.sshd.try_wait().unwrap();
            assert!(ended.is_none() && Instant::now() < until, "sshd does not start: {ended:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
        Some(place)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// An identity of the key of this kind.
    fn identity(&self, kind: &str, hosts: &[&str], users: &[&str]) -> Identity {
        let file = fs::read(self.path(&format!("key-{kind}"))).unwrap();
        let host = |kind: &&str| {
            let line = fs::read_to_string(self.path(&format!("host-{kind}.pub"))).unwrap();
            HostKey::parse(&line).unwrap()
        };
        Identity {
            key: PrivateKey::parse(&file).unwrap(),
            comment: format!("key {kind}"),
            hosts: hosts.iter().map(host).collect(),
            users: users.iter().map(|user| (*user).to_owned()).collect(),
        }
    }

    fn all(&self, kind: &str) -> Vec<Identity> {
        let hosts: Vec<&str> = KINDS.iter().map(|(kind, _)| *kind).collect();
        vec![self.identity(kind, &hosts, &[&self.user])]
    }

    /// Serves an agent until the test ends.
    fn serve(&self, name: &str, identities: Vec<Identity>) -> Agent {
        let path = self.path(name);
        let listener = UnixListener::bind(&path).unwrap();
        let outcomes = Arc::<Mutex<Vec<Outcome>>>::default();
        let kept = Arc::clone(&outcomes);
        let identities = Arc::new(identities);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (identities, kept) = (Arc::clone(&identities), Arc::clone(&kept));
                std::thread::spawn(move || converse(&identities, &kept, stream.unwrap()));
            }
        });
        Agent { path, outcomes }
    }

    /// `ssh` to the host, whose key is of this kind.
    fn ssh(&self, agent: &Agent, host: &str, more: &[&str]) -> Output {
        let mut ssh = Command::new("ssh");
        ssh.args(["-F", "none", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no"]);
        ssh.args(["-o", "UserKnownHostsFile=/dev/null", "-o", "IdentityFile=none"]);
        ssh.args(["-o", "PreferredAuthentications=publickey", "-o", "LogLevel=ERROR"]);
        ssh.arg("-o").arg(format!("IdentityAgent={}", agent.path.display()));
        ssh.arg("-o").arg(format!("HostKeyAlgorithms={host}")).arg("-p").arg(self.port.to_string());
        said(ssh.args(more))
    }

    fn login(&self, agent: &Agent, host: &str) -> bool {
        let to = format!("{}@127.0.0.1", self.user);
        let output = self.ssh(agent, host, &[&to, "echo", "inside"]);
        let is_in = output.stdout == b"inside\n";
        assert_eq!(output.status.success(), is_in, "{output:?}");
        is_in
    }
}

fn converse(identities: &[Identity], outcomes: &Mutex<Vec<Outcome>>, mut stream: UnixStream) {
    let (mut session, mut frames) = (Session::new(identities), Frames::new());
    let mut buffer = [0; 512];
    while let Ok(read @ 1..) = stream.read(&mut buffer) {
        let mut rest = &buffer[..read];
        loop {
            let (taken, message) = frames.feed(rest).unwrap();
            rest = &rest[taken..];
            let Some(message) = message else { break };
            let (reply, outcome) = session.answer(&message);
            outcomes.lock().unwrap().push(outcome);
            if stream.write_all(&reply).is_err() {
                return;
            }
        }
    }
}

struct Agent {
    path: PathBuf,
    outcomes: Arc<Mutex<Vec<Outcome>>>,
}

impl Agent {
    /// What it did since this was asked last.
    fn did(&self) -> Vec<Outcome> {
        std::mem::take(&mut self.outcomes.lock().unwrap())
    }

    fn denied(&self) -> Vec<Reason> {
        let reason = |outcome| match outcome {
            Outcome::Denied(denied) => Some(denied.reason),
            Outcome::Listed | Outcome::Bound | Outcome::Signed { .. } => None,
        };
        self.did().into_iter().filter_map(reason).collect()
    }

    fn asks(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env("SSH_AUTH_SOCK", &self.path);
        command
    }
}

#[test]
fn keys_of_each_kind_log_in_at_hosts_of_each() {
    let Some(place) = Place::new("kinds") else { return };
    for (kind, _) in KINDS {
        let agent = place.serve(&format!("agent-{kind}"), place.all(kind));
        for (_, host) in KINDS {
            assert!(place.login(&agent, host), "{kind} at {host}");
            let did = agent.did();
            let signed = did.iter().find(|outcome| matches!(outcome, Outcome::Signed { .. }));
            let Some(Outcome::Signed { identity: 0, user, host }) = signed else {
                panic!("{kind} at {host}: {did:?}")
            };
            assert_eq!(user, &place.user);
            assert!(host.starts_with("SHA256:"), "{host}");
            assert_eq!(did.first(), Some(&Outcome::Bound), "{did:?}");
        }
    }
}

#[test]
fn another_host_or_user_is_refused() {
    let Some(place) = Place::new("others") else { return };
    let user = place.user.clone();
    let identity = |hosts: &[&str], users: &[&str]| vec![place.identity("ed25519", hosts, users)];
    let agent = place.serve("agent-host", identity(&["ecdsa"], &[&user]));
    assert!(place.login(&agent, "ecdsa-sha2-nistp256"), "the positive twin");
    assert_eq!(agent.denied(), [], "the positive twin");
    assert!(!place.login(&agent, "ssh-ed25519"), "a host that is not named");
    assert_eq!(agent.denied(), [Reason::Host]);
    let agent = place.serve("agent-user", identity(&["ed25519"], &["somebody"]));
    assert!(!place.login(&agent, "ssh-ed25519"), "a user who is not named");
    assert_eq!(agent.denied(), [Reason::User]);
}

#[test]
fn openssh_changes_nothing_and_signs_nothing_else() {
    let Some(place) = Place::new("asks") else { return };
    let agent = place.serve("agent", place.all("ed25519"));
    key(&place.folder, "new", &["ed25519"]);
    let public = place.path("key-ed25519.pub");
    let listed = said(agent.asks("ssh-add").arg("-L"));
    let listed = String::from_utf8(listed.stdout).unwrap();
    let want = fs::read_to_string(&public).unwrap();
    assert_eq!(listed.split(' ').nth(1), want.split(' ').nth(1), "the key is shown");
    assert_eq!(agent.denied(), []);
    for (arguments, path, want, why) in [
        (["-q"].as_slice(), Some("new"), Reason::Message, "a key to add"),
        (&["-q", "-t", "60"], Some("new"), Reason::Message, "one for a while"),
        (&["-D"], None, Reason::Message, "all keys to remove"),
        (&["-d"], Some("key-ed25519.pub"), Reason::Message, "one to remove"),
        (&["-T"], Some("key-ed25519.pub"), Reason::Unbound, "bytes to sign"),
    ] {
        let path = path.map(|name| place.path(name));
        let output = said(agent.asks("ssh-add").args(arguments).args(path));
        assert!(!output.status.success(), "{why}: {output:?}");
        assert!(agent.denied().contains(&want), "{why}");
    }
    let file = place.path("file");
    fs::write(&file, "a file").unwrap();
    let mut sign = agent.asks("ssh-keygen");
    sign.args(["-Y", "sign", "-n", "file", "-f"]).args([&public, &file]);
    assert!(!said(&mut sign).status.success(), "a file to sign");
    assert_eq!(agent.denied(), [Reason::Unbound]);
    assert!(!place.path("file.sig").exists());

    // On the host the forwarded agent is another connection, which says so.
    let to = format!("{}@127.0.0.1", place.user);
    let plain = place.ssh(&agent, "ssh-ed25519", &["-a", &to, "true"]);
    assert!(plain.status.success(), "{plain:?}");
    assert_eq!(agent.denied(), []);
    let forwarded = place.ssh(&agent, "ssh-ed25519", &["-A", &to, "ssh-add", "-l"]);
    assert!(!forwarded.status.success(), "{forwarded:?}");
    assert!(agent.denied().contains(&Reason::Forwarded));
}
