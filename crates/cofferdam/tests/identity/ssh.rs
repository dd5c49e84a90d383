//! The agent of ssh: the key stays outside and logs in where the policy says, against OpenSSH's own host; and
//! no other agent, keyring or helper of the person's is reached.

mod others;
mod replayed;
mod server;

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};

use server::{Keyed, SSH, STRANGER};

use crate::support::{Ran, finish, programs};

/// The act works with the key itself; inside without it, on record with its rule. The host is known there.
#[test]
fn a_named_user_logs_in_on_a_named_host() {
    let Some(keyed) = Keyed::new() else { return };
    let (user, port, key) = (&keyed.user, keyed.git.port, keyed.folder.root.join("key"));
    let outside = format!("{STRANGER} -i {} -p {port} {user}@127.0.0.1 echo in", key.display());
    assert_eq!(keyed.place.outside(&outside).works("with the key").out, "in\n");
    let ran = keyed.runs(&keyed.policy(), &format!("{SSH} {user}@git.test echo in"));
    assert_eq!(ran.works("by the agent").out, "in\n");
    let events = keyed.events();
    assert_eq!(events.len(), 1, "{events:?}");
    let event = &events[0];
    assert_eq!(event["verdict"], "allowed");
    assert_eq!(event["host"], keyed.git.fingerprint);
    assert!(event["clause"].as_str().unwrap().starts_with("credentials.deploy ("), "{event}");
    assert!(event["why"].as_str().unwrap().contains(user.as_str()), "{event}");
    // Another host of that name is not believed.
    let other = keyed.other();
    let (reaches, signs) =
        (keyed.reaches("git.test", &other), keyed.signs(&[user], &[&keyed.git.key]));
    let script = format!("{SSH} {user}@git.test echo in");
    let ran = keyed.runs(&format!("version = 1\n{reaches}{signs}"), &script);
    ran.fails(&["Host key verification failed", "IDENTIFICATION HAS CHANGED"], "another host");
}

#[test]
fn git_clones_and_pushes() {
    let Some(keyed) = Keyed::new() else { return };
    let (user, root) = (&keyed.user, keyed.folder.root.display());
    let made = format!(
        "set -e; git init -q --bare {root}/me.git; git init -q seed; cd seed; echo hello >hello; git add hello
         git -c user.name=a -c user.email=a@b.test commit -qm seed; git push -q {root}/me.git HEAD:refs/heads/main
         git -C {root}/me.git symbolic-ref HEAD refs/heads/main; cd ..; rm -rf seed"
    );
    keyed.place.outside(&made).works("a repository");
    let works = |host: &str, branch: &str| {
        format!(
            "set -e; cd $(mktemp -d); git clone -q ssh://{user}@{host}{root}/me.git here; cd here; cat hello
             git -c user.name=a -c user.email=a@b.test commit -q --allow-empty -m more
             git push -q origin HEAD:refs/heads/{branch}"
        )
    };
    let key = keyed.folder.root.join("key");
    let host = format!("127.0.0.1:{}", keyed.git.port);
    let with_key = format!("export GIT_SSH_COMMAND='{STRANGER} -i {}'\n", key.display());
    keyed.place.outside(&(with_key + &works(&host, "outside"))).works("with the key");
    let ran = keyed.runs(&keyed.policy(), &works("git.test", "inside"));
    assert_eq!(ran.works("by the agent").out, "hello\n");
    let list = format!("git -C {root}/me.git branch --list --format '%(refname:short)'");
    assert_eq!(keyed.place.outside(&list).works("branches").out, "inside\nmain\noutside\n");
    assert_eq!(keyed.told(0), ["allowed", "allowed"], "a clone and a push");
}

/// Everything that the sandbox can look at, while the agent signs.
#[test]
fn the_key_is_nowhere_inside() {
    let Some(keyed) = Keyed::new() else { return };
    let line = keyed.secret.iter().max_by_key(|line| line.len()).unwrap();
    let (one, two) = line.split_at(line.len() / 2);
    let body = format!(
        "
import glob, re, subprocess
said = subprocess.run('{SSH} {}@git.test echo in', shell=True, capture_output=True).stdout
one, two = b'{one}', b'{two}'
found, looked = [], 0
def looks(what, read):
    nonlocal looked
    try: text = read()
    except OSError: return
    looked += 1
    at = text.find(two)
    while at >= 0:
        if text[at - len(one):at] == one: found.append(what)
        at = text.find(two, at + 1)
for top in ('/home', '/root', '/tmp', '/etc', '/run', '/.cofferdam', os.environ['HOME'], os.environ['W']):
    for folder, _, files in os.walk(top):
        for name in files:
            path = os.path.join(folder, name)
            looks(path, lambda: open(path, 'rb').read(1 << 20))
for path in glob.glob('/proc/[0-9]*/environ') + glob.glob('/proc/[0-9]*/cmdline'):
    looks(path, lambda: open(path, 'rb').read())
print(said, found, looked > 20)
",
        keyed.user
    );
    let ran = keyed.python(&keyed.policy(), &body).works("looks everywhere");
    assert_eq!(ran.out, "b'in\\n' [] True\n");
}

/// C16: another host, and another user, with the host's own word for it.
#[test]
fn another_host_or_user_is_refused() {
    let Some(keyed) = Keyed::new() else { return };
    let (user, other) = (keyed.user.as_str(), keyed.other());
    let reaches = keyed.reaches("git.test", &keyed.git) + &keyed.reaches("other.test", &other);
    let script = format!(
        "for host in git.test other.test; do {STRANGER} {user}@$host echo in $host || echo out $host; done"
    );
    for (users, hosts, want, codes, why) in [
        (
            vec![user],
            vec![&keyed.git.key, &other.key],
            "in git.test\nin other.test\n",
            vec!["allowed", "allowed"],
            "both are named",
        ),
        (
            vec![user],
            vec![&keyed.git.key],
            "in git.test\nout other.test\n",
            vec!["allowed", "ssh-agent-host"],
            "one host is",
        ),
        (
            vec!["somebody"],
            vec![&keyed.git.key, &other.key],
            "out git.test\nout other.test\n",
            vec!["ssh-agent-user", "ssh-agent-user"],
            "another user is",
        ),
    ] {
        let hosts: Vec<&str> = hosts.into_iter().map(String::as_str).collect();
        let before = keyed.events().len();
        let policy = format!("version = 1\n{reaches}{}", keyed.signs(&users, &hosts));
        let ran = keyed.runs(&policy, &script);
        assert_eq!(ran.out, want, "{why}: {ran:?}");
        assert_eq!(keyed.told(before), codes, "{why}");
        for code in codes.iter().filter(|code| **code != "allowed") {
            assert!(ran.err.contains("alarm: refused: SHA256:"), "{why}: {ran:?}");
            assert!(ran.err.contains(&format!("[{code}]")), "{why}: {ran:?}");
        }
    }
}

/// Two keys, each for a host of its own: no key signs where the other one does.
#[test]
fn each_key_logs_in_at_its_own_hosts() {
    let Some(keyed) = Keyed::new() else { return };
    let (user, other) = (keyed.user.as_str(), keyed.second());
    let (one, two) = (keyed.git.key.as_str(), other.key.as_str());
    let reaches = keyed.reaches("git.test", &keyed.git) + &keyed.reaches("other.test", &other);
    let script =
        format!("for host in git.test other.test; do {SSH} {user}@$host echo in || echo out; done");
    for (first, second, out, codes) in [
        (one, two, "in\nin\n", ["allowed", "allowed"]),
        (two, one, "out\nout\n", ["ssh-agent-host", "ssh-agent-host"]),
    ] {
        let second = keyed.signs(&[user], &[second]).replace("deploy", "second");
        let policy = format!("version = 1\n{reaches}{}{second}", keyed.signs(&[user], &[first]));
        let before = keyed.events().len();
        let ran = keyed.runs(&policy, &script);
        assert_eq!(ran.out, out, "{ran:?}");
        assert_eq!(keyed.told(before), codes, "{ran:?}");
        let clause = |one: &serde_json::Value| one["clause"].as_str().unwrap().to_owned();
        let clauses: Vec<String> = keyed.events().split_off(before).iter().map(clause).collect();
        match codes {
            ["allowed", _] => {
                assert!(clauses[0].starts_with("credentials.deploy ("), "{clauses:?}");
                assert!(clauses[1].starts_with("credentials.second ("), "{clauses:?}");
            }
            _ => assert_eq!(clauses[0], "credentials.ssh (built-in)", "of no one of them"),
        }
    }
}

/// A home that is kept is the person's to fill: nothing is written there, and the agent signs as ever.
#[test]
fn a_kept_home_gets_no_file() {
    let Some(keyed) = Keyed::new() else { return };
    let policy = keyed.policy().replace("version = 1", "version = 1\nfilesystem.home = 'project'");
    let script =
        format!("ls ~/.ssh/known_hosts || echo none; {STRANGER} {}@git.test echo in", keyed.user);
    assert_eq!(keyed.runs(&policy, &script).works("a kept home").out, "none\nin\n");
    let ran = keyed.runs(&keyed.policy(), "cat ~/.ssh/known_hosts").works("a private one");
    assert_eq!(ran.out, format!("* {}\n", keyed.git.key));
    let named = keyed.policy().replace(&keyed.git.key, &format!("git.test {}", keyed.git.key));
    let ran = keyed.runs(&named, "cat ~/.ssh/known_hosts").works("with a name");
    assert_eq!(ran.out, format!("git.test {}\n", keyed.git.key));
}

/// C16: the agent lists its one key and signs logins; nobody changes it, locks it, has files signed, or
/// takes it along to the host.
#[test]
fn nothing_else_is_done_by_the_agent() {
    let Some(keyed) = Keyed::new() else { return };
    let (user, public) =
        (&keyed.user, fs::read_to_string(keyed.folder.root.join("key.pub")).unwrap());
    keyed.place.write("home/src/app/key.pub", &public);
    let policy = keyed.policy();
    let listed = keyed.runs(&policy, "ssh-add -L").works("the list").out;
    assert_eq!(listed, format!("{} deploy\n", public.trim()));
    assert_eq!(keyed.told(0), [""; 0], "a list is no event");
    let (own, port) = (keyed.folder.root.join("key"), keyed.git.port);
    for (script, code, why) in [
        ("K=$(mktemp -u); ssh-keygen -qN '' -t ed25519 -f $K && ssh-add -q $K", "message", "add"),
        ("K=$(mktemp -u); ssh-keygen -qN '' -f $K && ssh-add -qt 9 $K", "message", "for a while"),
        ("ssh-add -D", "message", "remove all"),
        ("ssh-add -d key.pub", "message", "remove it"),
        ("ssh-add -T key.pub", "unbound", "sign bytes"),
        ("echo a >f; rm -f f.sig; ssh-keygen -Y sign -n file -f key.pub f", "unbound", "a file"),
        ("$SSH -A $TO ssh-add -l", "forwarded", "on the host"),
    ] {
        // OpenSSH's own agent does it.
        let before = format!("SSH='{STRANGER} -p {port}' TO={user}@127.0.0.1");
        let act = format!("{before}\nssh-add -q {} && {script}\n", own.display());
        keyed.place.write("home/src/app/act", &act);
        keyed.place.outside("ssh-agent sh act").works(why);
        let before = keyed.events().len();
        let ran = keyed.runs(&policy, &format!("SSH='{SSH}' TO={user}@git.test\n{script}"));
        assert!(!matches!(ran.status, Some(0 | 125) | None), "{why}: {ran:?}");
        let (told, code) = (keyed.told(before), format!("ssh-agent-{code}"));
        assert!(told.contains(&code), "{why}: {told:?}: {ran:?}");
        assert!(ran.err.contains("alarm: refused"), "{why}: {ran:?}");
    }
    // Every message of the protocol but the three that it answers: what adds, removes, locks, unlocks, of smart
    // cards, and of the first version, too.
    let raw = "
import socket, struct
agent = socket.socket(socket.AF_UNIX); agent.connect(os.environ['SSH_AUTH_SOCK'])
def ask(message):
    agent.sendall(struct.pack('>I', len(message)) + message)
    length, = struct.unpack('>I', agent.recv(4, socket.MSG_WAITALL))
    return agent.recv(length, socket.MSG_WAITALL)
assert ask(bytes([11]))[0] == 12, 'it is there'
print(sum(ask(bytes([kind]) + struct.pack('>I', 1) + b'a') == bytes([5]) for kind in range(256) if kind != 27))
";
    assert_eq!(keyed.python(&policy, raw).works("each is refused").out, "255\n");
}

/// The socket keeps its name: what is done to any other socket is not done to it, and it still answers.
#[test]
fn the_agents_socket_stays_where_it_is() {
    let Some(keyed) = Keyed::new() else { return };
    let acts = "
import socket
def act(name, function):
    try: function(); print(name, 'done')
    except OSError as e: print(name, errno.errorcode[e.errno])
def bound(path):
    s = socket.socket(socket.AF_UNIX); s.bind(path); return s
act('bind', lambda: bound(at))
act('chmod', lambda: os.chmod(at, 0o777))
act('link', lambda: os.link(at, at + '.2'))
act('rename over', lambda: os.rename('/tmp/mine', at))
act('rename', lambda: os.rename(at, at + '.3'))
act('symlink', lambda: os.symlink('/tmp/x', at))
act('unlink', lambda: os.unlink(at))
act('rename folder', lambda: os.rename(os.path.dirname(at), os.path.dirname(at) + '.old'))
";
    let own =
        format!("os.mkdir('/tmp/f'); at = '/tmp/f/s'\nopen('/tmp/mine', 'w').close()\n{acts}");
    let policy = keyed.policy();
    let ran = keyed.python(&policy, &own).works("a socket of its own");
    let words = ["bind", "chmod", "link", "rename over", "rename"];
    let done: String = words.iter().map(|word| format!("{word} done\n")).collect();
    assert!(ran.out.starts_with(&done) && ran.out.ends_with("rename folder done\n"), "{ran:?}");
    let agents = format!(
        "open('/tmp/mine', 'w').close(); at = os.environ['SSH_AUTH_SOCK']\n{acts}
assert at == '/.cofferdam/ssh-agent', at
import subprocess
print(subprocess.run('{SSH} {}@git.test echo in', shell=True, capture_output=True, text=True).stdout)
",
        keyed.user
    );
    let ran = keyed.python(&policy, &agents).works("the agent's");
    assert!(!ran.out.contains("done"), "{ran:?}");
    assert_eq!((ran.out.lines().count(), ran.out.contains("\nin\n")), (10, true), "{ran:?}");
}

/// A script that logs in once for each line that it reads, and says how that went.
fn conversation(keyed: &Keyed, policy: &str, talk: impl FnOnce(&mut dyn FnMut() -> String)) -> Ran {
    let script = format!(
        "while read -r line; do {SSH} -n {}@git.test echo in 2>/dev/null || echo out; done",
        keyed.user
    );
    let mut command = keyed.cofferdam(policy);
    command.args(["sh", "-c", &script]);
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    talk(&mut || {
        input.write_all(b"\n").unwrap();
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        line.trim().to_owned()
    });
    drop(input);
    let done = child.wait_with_output().unwrap();
    let err = String::from_utf8_lossy(&done.stderr).into_owned();
    Ran { status: done.status.code(), out: String::new(), err }
}

fn cofferdam(keyed: &Keyed, words: &[&str]) -> Ran {
    finish(keyed.place.command(programs().join("cofferdam")).args(words))
}

#[test]
fn a_revoked_key_signs_nothing_more() {
    let Some(keyed) = Keyed::new() else { return };
    let ran = conversation(&keyed, &keyed.policy(), |login| {
        assert_eq!(login(), "in", "before");
        cofferdam(&keyed, &["credentials", "revoke", "deploy"]).works("revoke");
        assert_eq!(login(), "out", "after");
    });
    assert_eq!(ran.status, Some(0), "{ran:?}");
    assert_eq!(keyed.told(0), ["allowed", "credential-revoked"]);
}

#[test]
fn an_expired_key_signs_nothing_more() {
    let Some(keyed) = Keyed::new() else { return };
    let policy = keyed.policy() + "expires = '5s'\n";
    let ran = conversation(&keyed, &policy, |login| {
        assert_eq!(login(), "in", "before");
        std::thread::sleep(std::time::Duration::from_secs(6));
        assert_eq!(login(), "out", "after");
    });
    assert_eq!(ran.status, Some(0), "{ran:?}");
    assert_eq!(keyed.told(0), ["allowed", "credential-expired"]);
}

/// Another key in the vault: the next login is signed with it.
#[test]
fn a_key_is_rotated_while_the_session_runs() {
    let Some(keyed) = Keyed::new() else { return };
    let root = keyed.folder.root.display();
    let made = format!(
        "ssh-keygen -q -N '' -C '' -t ed25519 -f {root}/next && cat {root}/next.pub >>{root}/key.pub"
    );
    keyed.place.outside(&made).works("another key, which the host takes");
    let ran = conversation(&keyed, &keyed.policy(), |login| {
        assert_eq!(login(), "in", "before");
        // The first is taken no more.
        keyed.place.outside(&format!("cp {root}/next.pub {root}/key.pub")).works("only the next");
        assert_eq!(login(), "out", "with the first");
        let mut set = keyed.place.command(programs().join("cofferdam"));
        let input = fs::File::open(keyed.folder.root.join("next")).unwrap();
        finish(set.args(["vault", "rotate", "deploy"]).stdin(input)).works("into the vault");
        cofferdam(&keyed, &["credentials", "rotate", "deploy"]).works("rotate");
        // It is read by another process meanwhile.
        std::thread::sleep(std::time::Duration::from_secs(1));
        assert_eq!(login(), "in", "with the next");
    });
    assert_eq!(ran.status, Some(0), "{ran:?}");
}

/// What is no key that signs is a refusal with its rule and the next step, and nothing is started.
#[test]
fn what_is_no_key_starts_nothing() {
    let Some(keyed) = Keyed::new() else { return };
    let root = keyed.folder.root.display();
    let made = format!(
        "cd {root}; ssh-keygen -q -N secret-words -t ed25519 -f locked; ssh-keygen -q -m PEM -N '' -t rsa -f pem
         ssh-keygen -q -N '' -t ecdsa -b 521 -f p521; printf 'no key at all' >none; cp key good"
    );
    keyed.place.outside(&made).works("files");
    for (file, code) in [
        ("good", None),
        ("locked", Some("passphrase")),
        ("pem", Some("another form")),
        ("p521", Some("Ed25519, ECDSA")),
        ("none", Some("no key in the form of OpenSSH")),
    ] {
        let source = format!("{{ file = '{root}/{file}' }}");
        let policy = keyed.policy().replace("{ vault = 'deploy' }", &source);
        let ran = keyed.runs(&policy, "echo started");
        match code {
            None => assert_eq!(ran.works("a key").out, "started\n"),
            Some(words) => {
                assert_eq!(ran.out, "", "{file}: {ran:?}");
                let ran = ran.refused(words, file);
                assert!(ran.err.contains("credentials.deploy"), "{file}: {ran:?}");
            }
        }
    }
}

/// What a person reads before anything runs, whether or not a rule leads there.
#[test]
fn the_plan_says_who_logs_in_where() {
    let Some(keyed) = Keyed::new() else { return };
    let (user, host) = (&keyed.user, &keyed.git.fingerprint);
    let want = format!("by an agent of ssh that signs for user {user} on host {host}");
    let signs = keyed.signs(&[user], &[&keyed.git.key]);
    let nowhere = format!("version = 1\nnetwork.publish = ['3999']\n{signs}");
    let file = keyed.place.root.join("policy.toml").display().to_string();
    for policy in [keyed.policy(), nowhere] {
        keyed.place.write("policy.toml", &policy);
        for words in [vec!["plan", "--policy", &file, "--", "true"], vec!["policy", "show", &file]]
        {
            let ran = cofferdam(&keyed, &words).works(words[0]);
            let said: Vec<&str> = ran.out.split_whitespace().collect();
            assert!(said.join(" ").contains(&want), "{policy}: {words:?}: {ran:?}");
        }
    }
}

/// Where no key is, there is no agent.
#[test]
fn without_a_key_there_is_no_agent() {
    let Some(keyed) = Keyed::new() else { return };
    let script =
        "echo ${SSH_AUTH_SOCK-none}; ls -A /.cofferdam | grep -c ssh-agent; ls ~/.ssh/known_hosts";
    let with = keyed.runs(&keyed.policy(), script).works("with a key");
    assert!(with.out.starts_with("/.cofferdam/ssh-agent\n1\n/"), "{with:?}");
    let policy = format!("version = 1\n{}", keyed.reaches("git.test", &keyed.git));
    let mut command: Command = keyed.cofferdam(&policy);
    let ran = finish(command.env("SSH_AUTH_SOCK", "/tmp/of-the-person").args(["sh", "-c", script]));
    assert_eq!(ran.out, "none\n0\n", "{ran:?}");
}
