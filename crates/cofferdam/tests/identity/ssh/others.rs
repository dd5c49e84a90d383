//! Agents, keyrings and helpers of the person's: they are outside, and stay there.

use std::fs;
use std::io::Write as _;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::server::Keyed;
use crate::support::{Place, finish, is_root, python};

const TOKEN: &str = "ghp_R3alT0kenOfTh1sP3rsonabcdefghijk0123";

/// An agent of OpenSSH's, ended with this.
struct PersonsAgent(Child);

impl Drop for PersonsAgent {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _waited = self.0.wait();
    }
}

impl PersonsAgent {
    fn at(path: &Path) -> Self {
        let mut agent = Command::new("ssh-agent");
        agent.args(["-D", "-a"]).arg(path).stdin(Stdio::null()).stdout(Stdio::null());
        let agent = Self(agent.spawn().unwrap());
        let until = std::time::Instant::now() + std::time::Duration::from_secs(20);
        while !path.exists() {
            assert!(std::time::Instant::now() < until, "ssh-agent does not start");
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        agent
    }
}

/// C16: the person's own agent, with a key of its own, in the home and in the workspace.
#[test]
fn the_persons_own_agent_is_not_inside() {
    let Some(keyed) = Keyed::new() else { return };
    let root = keyed.folder.root.display();
    let made = format!("ssh-keygen -q -N '' -C mine -t ed25519 -f {root}/mine");
    keyed.place.outside(&made).works("a key of the person's");
    let mine = fs::read_to_string(keyed.folder.root.join("mine.pub")).unwrap();
    let paths = [keyed.place.home.join(".ssh/agent.sock"), keyed.place.work.join("agent.sock")];
    for (path, want) in paths.iter().zip(["No such file", "Operation not permitted"]) {
        let _agent = PersonsAgent::at(path);
        let with = |script: &str| format!("export SSH_AUTH_SOCK={}\n{script}", path.display());
        let add = with(&format!("ssh-add -q {root}/mine && ssh-add -L"));
        assert_eq!(keyed.place.outside(&add).works("outside").out, mine);
        let mut command = keyed.cofferdam(&keyed.policy());
        command.env("SSH_AUTH_SOCK", path).env("SSH_AGENT_PID", "7");
        let script = "echo $SSH_AUTH_SOCK ${SSH_AGENT_PID-none}; ssh-add -L";
        let ran = finish(command.args(["sh", "-c", script])).works("inside");
        assert!(ran.out.starts_with("/.cofferdam/ssh-agent none\nssh-ed25519 "), "{ran:?}");
        assert!(ran.out.ends_with(" deploy\n") && !ran.out.contains(" mine"), "{ran:?}");
        let ran = keyed.runs(&keyed.policy(), &with("ssh-add -L"));
        ran.fails(&[want], "by its path");
    }
}

/// Answers everybody who connects with a secret.
fn tells(listener: UnixListener) {
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let _told = stream.write_all(b"a secret of the person's");
        }
    });
}

/// Directories in `/run`, removed at the end.
struct Runtime(PathBuf);

impl Drop for Runtime {
    fn drop(&mut self) {
        let _removed = fs::remove_dir_all(&self.0);
    }
}

/// C17: sockets of gpg-agent, keyrings, password managers and the session's bus, with an agent of ssh inside
/// and by the names that they have by default: each answers outside, and is not reached inside.
#[test]
fn keyrings_and_password_managers_are_not_reached() {
    let Some(keyed) = Keyed::new() else { return };
    let mut paths: Vec<(PathBuf, &str)> = [
        "home/.gnupg/S.gpg-agent",
        "home/.gnupg/S.gpg-agent.ssh",
        "home/.1password/agent.sock",
        "home/.config/1Password/op-daemon.sock",
        "home/.bitwarden-ssh-agent.sock",
        "home/.cache/keyring-X/control",
        "out/kwallet.socket",
    ]
    .map(|name| (keyed.place.root.join(name), "ENOENT"))
    .into();
    paths.push((keyed.place.work.join("S.gpg-agent"), "EPERM"));
    let run = format!("/run/user/cofferdam-test-{}", std::process::id());
    let mut runtime = None;
    if is_root() {
        let names =
            ["gnupg/S.gpg-agent", "keyring/control", "keyring/ssh", "bus", "op-daemon.sock"];
        paths.extend(names.map(|name| (Path::new(&run).join(name), "ENOENT")));
        runtime = Some(Runtime(run.into()));
    } else {
        println!("not run as an ordinary user: names below /run/user");
    }
    for (path, _) in &paths {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        tells(UnixListener::bind(path).unwrap());
    }
    // An abstract name has no place that could be absent.
    let name = format!("cofferdam-test-keyring-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).unwrap();
    tells(UnixListener::bind_addr(&address).unwrap());
    let hears = |at: &str| {
        format!(
            "import socket\ns = socket.socket(socket.AF_UNIX); s.connect({at})\nprint(s.recv(99).decode())"
        )
    };
    let all = paths.iter().map(|(path, want)| (format!("{:?}", path.display().to_string()), *want));
    for (at, want) in all.chain([(format!("'\\0{name}'"), "ECONNREFUSED")]) {
        let ran = keyed.place.python_outside(&hears(&at)).works("outside");
        assert_eq!(ran.out, "a secret of the person's\n", "{at}");
        let ran = keyed.python(&keyed.policy(), &hears(&at));
        ran.fails(&[want], &at);
    }
    let own = "import socket\na = socket.socket(socket.AF_UNIX); a.bind('own'); a.listen()\n";
    let ran = keyed.python(
        &keyed.policy(),
        &format!("{own}{}", "socket.socket(socket.AF_UNIX).connect('own')"),
    );
    ran.works("one of its own");
    drop(runtime);
}

/// C15: what helps git to a secret outside is not there inside, neither as a variable nor by its answer; and
/// where a policy gives git something, that is what stands in.
#[test]
fn helpers_of_git_say_nothing_inside() {
    let place = Place::new();
    let askpass = place.write("out/askpass", &format!("#!/bin/sh\necho {TOKEN}\n"));
    place.write("home/.git-credentials", &format!("https://x:{TOKEN}@stored.test\n"));
    place.write("home/.gitconfig", "[credential \"https://stored.test\"]\nhelper = store\n");
    place.outside("chmod 755 $OUT/askpass").works("a program");
    let helpers =
        ["GIT_ASKPASS", "SSH_ASKPASS", "GIT_SSH_COMMAND", "GIT_CONFIG_PARAMETERS", "SUDO_ASKPASS"];
    let caller = |command: &mut Command| {
        for name in helpers {
            command.env(name, &askpass);
        }
        command.env("GIT_CONFIG_PARAMETERS", "'credential.useHttpPath'='true'");
        command.env("GITHUB_TOKEN", TOKEN).env("API_SECRET", TOKEN);
    };
    let asks = |host: &str| {
        format!(
            "printf 'protocol=https\\nhost={host}\\n\\n' | GIT_TERMINAL_PROMPT=0 git credential fill"
        )
    };
    for host in ["asked.test", "stored.test"] {
        let mut outside = place.command("sh");
        caller(&mut outside);
        let ran = finish(outside.args(["-c", &asks(host)])).works("outside");
        assert!(ran.out.contains(&format!("password={TOKEN}\n")), "{host}: {ran:?}");
        let mut inside = place.cofferdam(&[]);
        caller(&mut inside);
        let ran = finish(inside.args(["sh", "-c", &asks(host)]));
        assert!(!matches!(ran.status, Some(0 | 125) | None), "{host}: {ran:?}");
        assert!(!ran.out.contains("password="), "{host}: {ran:?}");
        assert!(!ran.err.contains(TOKEN), "{host}: {ran:?}");
    }
    let mut inside = place.cofferdam(&[]);
    caller(&mut inside);
    let ran = finish(inside.arg("env")).works("the environment");
    assert!(
        !helpers.iter().any(|name| ran.out.contains(name)) && !ran.out.contains(TOKEN),
        "{ran:?}"
    );
    let policy = "version = 1\n[[network.allow]]\nhost = 'stored.test'\ncredential = 'api'\n\
        [credentials.api]\nsource = { env = 'API_SECRET' }\ninject = { basic = 'x' }\n\
        files = { '~/.git-credentials' = \"https://x:{api}@stored.test\\n\" }\n";
    let policy = place.write("policy.toml", policy).display().to_string();
    let mut inside = place.cofferdam(&["--policy", &policy]);
    caller(&mut inside);
    // Printed it would be masked.
    let body = "
import subprocess
asked = 'protocol=https\\nhost=stored.test\\n\\n'
said = subprocess.run(['git', '-c', 'credential.helper=store', 'credential', 'fill'], input=asked,
                      capture_output=True, text=True, env={**os.environ, 'GIT_TERMINAL_PROMPT': '0'}).stdout
word = dict(line.split('=', 1) for line in said.split())['password']
print(word.startswith('ghp_'), len(word), 'R3al' in word)
";
    let ran =
        finish(inside.args(["/usr/bin/python3", "-c", &python(body)])).works("what stands in");
    assert_eq!(ran.out, format!("True {} False\n", TOKEN.len()));
}
