//! The agent by its messages: those of a login that OpenSSH made, said again, as they were and changed.

use std::process::Command;

use super::server::{Keyed, SSH};
use crate::support::{finish, is_root, programs, python};

/// Python that logs in once, by a socket that keeps what the client asks of the agent: `bind` and `sign` are
/// two of its messages, and `ask` says messages on a new connection, and gives the kind of the last answer.
fn kept(user: &str) -> String {
    format!(
        "
import socket, struct, subprocess, threading, time
USER = b'{user}'
def message(s):
    head = s.recv(4, socket.MSG_WAITALL)
    return head + s.recv(struct.unpack('>I', head)[0], socket.MSG_WAITALL) if len(head) == 4 else b''
def agent():
    s = socket.socket(socket.AF_UNIX); s.connect(os.environ['SSH_AUTH_SOCK']); return s
said = []
way = socket.socket(socket.AF_UNIX); way.bind('/tmp/way'); way.listen()
def between():
    client, _ = way.accept()
    there = agent()
    while asked := message(client):
        said.append(asked); there.sendall(asked); client.sendall(message(there))
threading.Thread(target=between, daemon=True).start()
subprocess.run('{SSH} -o IdentityAgent=/tmp/way {user}@git.test true', shell=True, check=True)
bind, sign = (next(one for one in said if one[4] == kind) for kind in (27, 13))
def ask(*messages):
    there = agent()
    for one in messages:
        there.sendall(one); last = message(there)
    return last[4]
def turned(text, at): return text[:at] + bytes([text[at] ^ 1]) + text[at + 1:]
# Behind its kind and name a bind has the host's key, the session and the host's signature.
at = 5 + 4 + len('session-bind@openssh.com')
at += 4 + struct.unpack('>I', bind[at:at + 4])[0]
size, = struct.unpack('>I', bind[at:at + 4])
session = bind[at + 4:at + 4 + size]
"
    )
}

/// C16: what counts is the host's own signature over the session, and every byte of the login.
#[test]
fn a_login_is_judged_by_the_hosts_own_word() {
    let Some(keyed) = Keyed::new() else { return };
    let act = "
own = sign.index(session)
for name, messages in [
    ('as it was', [bind, sign]),
    ('told twice', [bind, bind, sign]),
    ('asked twice', [bind, sign, sign]),
    ('without a host', [sign]),
    ('another user', [bind, sign.replace(USER, b'x' * len(USER))]),
    ('another session', [bind, turned(sign, own)]),
    ('another session of the host', [turned(bind, at + 4), turned(sign, own)]),
    ('another signature of the host', [turned(bind, len(bind) - 2), sign]),
    ('forwarded', [turned(bind, len(bind) - 1), sign]),
    ('another service', [bind, sign.replace(b'ssh-connection', b'ssh-userauth99')]),
]: print(name, ask(*messages))
";
    let ran = keyed.python(&keyed.policy(), &format!("{}{act}", kept(&keyed.user)));
    let want = "as it was 14\ntold twice 14\nasked twice 14\nwithout a host 5\nanother user 5\n\
         another session 5\nanother session of the host 5\nanother signature of the host 5\n\
         forwarded 5\nanother service 5\n";
    assert_eq!(ran.works("said again").out, want);
    let codes: Vec<String> = keyed.told(0).into_iter().filter(|code| code != "allowed").collect();
    let want = [
        "unbound",
        "user",
        "session",
        "host-signature",
        "forwarded",
        "host-signature",
        "forwarded",
        "forwarded",
        "forwarded",
        "service",
    ];
    assert_eq!(codes, want.map(|code| format!("ssh-agent-{code}")));
    assert_eq!(keyed.told(0).len() - codes.len(), 5, "each signature is an event");
}

/// A full disk: what is signed is on record, and from there on nothing is.
#[test]
fn without_room_in_the_log_nothing_is_signed() {
    let Some(keyed) = Keyed::new() else { return };
    if !is_root() {
        println!("not run: a full disk: mounting a small one takes root");
        return;
    }
    let act = "
open('begun', 'w').close()
while not os.path.exists('full'): time.sleep(0.01)
signed = 0
while signed < 3000 and ask(bind, sign) == 14: signed += 1
print(signed, ask(bind, sign))
";
    let policy = keyed.place.write("policy.toml", &keyed.policy());
    let act =
        keyed.place.write("home/src/app/act.py", &python(&format!("{}{act}", kept(&keyed.user))));
    let root = keyed.place.root.display();
    let script = format!(
        "mkdir {root}/disk; mount -t tmpfs -o size=2m,mode=755 none {root}/disk
         (n=0; while [ ! -e begun ] && [ $n -lt 3000 ]; do n=$((n+1)); sleep 0.01; done
          cat /dev/zero >{root}/disk/fill 2>/dev/null; touch full) &
         {} run --policy {} --audit {root}/disk/audit.jsonl -- /usr/bin/python3 {}; status=$?
         cp {root}/disk/audit.jsonl {root}/audit.jsonl; exit $status",
        programs().join("cofferdam").display(),
        policy.display(),
        act.display()
    );
    let mut apart: Command = keyed.place.command("unshare");
    let ran = finish(apart.args(["--mount", "sh", "-c", &script])).works("the run goes on");
    let (signed, last) = ran.out.trim().split_once(' ').unwrap();
    let signed: usize = signed.parse().unwrap();
    assert!((1..3000).contains(&signed) && last == "5", "{ran:?}");
    assert!(ran.err.contains("[no-record]"), "the run says so: {ran:?}");
    let told = |line: &&str| line.contains("\"way\":\"agent\"") && line.contains("\"allowed\"");
    let log = keyed.place.read("audit.jsonl");
    assert_eq!(log.lines().filter(told).count(), 1 + signed, "each is on record: {log}");
}
