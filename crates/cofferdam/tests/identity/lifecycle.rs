//! From the start on to the end: revoked, expired, rotated, and worth nothing elsewhere.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::internet::Internet;
use crate::lodging::{SECRET, bound, credential};
use crate::support::{Ran, finish, is_root, programs};

/// Python that does what it is told, a word a line: `ask`, `stream`.
const TOLD: &str = "
k = os.environ['API_KEY']
more = f'x-api-key: {k}\\r\\n'
print('ready', flush=True)
for line in sys.stdin:
    if line == 'ask\\n':
        try: status, fields, _ = ask(get('/v1', more=more))
        except AssertionError as why: status, fields = 'refused', {'x-cofferdam': str(why).split('X-Cofferdam: ')[1].split('\\\\')[0]}
        print(status, fields.get('x-cofferdam', '-'), flush=True)
    if line == 'stream\\n':
        s = open_tls(); s.sendall(get('/slow/20000', more=more))
        print('waits', flush=True)
        began = time.time(); out, ended = say(s, quiet=15)
        print('cut' if ended and time.time() - began < 10 else 'late', flush=True)
";

/// Runs it under rules, with a conversation.
fn conversation(
    net: &Internet,
    rules: &str,
    talk: impl FnOnce(&mut dyn FnMut(&str), &mut dyn FnMut() -> String),
) -> Ran {
    converse(net, net.lent(60, rules), talk)
}

/// The same, started so.
fn converse(
    net: &Internet,
    mut command: Command,
    talk: impl FnOnce(&mut dyn FnMut(&str), &mut dyn FnMut() -> String),
) -> Ran {
    let script = net.speaking("told.py", TOLD);
    command
        .args(["sh", "-c", &script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut hear = || {
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        line.trim().to_owned()
    };
    assert_eq!(hear(), "ready");
    let mut say = |word: &str| input.write_all(format!("{word}\n").as_bytes()).unwrap();
    talk(&mut say, &mut hear);
    drop(input);
    let done = child.wait_with_output().unwrap();
    Ran {
        status: done.status.code(),
        out: String::new(),
        err: String::from_utf8_lossy(&done.stderr).into_owned(),
    }
}

fn cofferdam(net: &Internet, words: &[&str]) -> Ran {
    finish(net.command(programs().join("cofferdam")).args(words))
}

#[test]
fn a_revoked_credential_is_worth_nothing_at_once() {
    let Some(net) = Internet::take() else { return };
    let rules = format!("{}{}", bound(""), credential("header = 'x-api-key'"));
    net.forget();
    let ran = conversation(&net, &rules, |say, hear| {
        say("ask");
        assert_eq!(hear(), "200 -", "before");
        say("stream");
        assert_eq!(hear(), "waits");
        let listed = cofferdam(&net, &["sessions"]).works("sessions");
        assert!(listed.out.contains("bears    api"), "{listed:?}");
        let unknown = cofferdam(&net, &["credentials", "revoke", "other"]);
        assert_eq!(unknown.status, Some(125), "{unknown:?}");
        assert!(
            unknown.err.contains("no credential `other`") && unknown.err.contains("it has: api"),
            "{unknown:?}"
        );
        let done = cofferdam(&net, &["credentials", "revoke", "api"]).works("revoke");
        assert!(done.out.ends_with("api is revoked\n"), "{done:?}");
        assert_eq!(hear(), "cut", "what was under way");
        let began = Instant::now();
        say("ask");
        assert_eq!(hear(), "403 credential-revoked", "after");
        assert!(began.elapsed() < Duration::from_secs(5));
    });
    assert_eq!(ran.status, Some(0), "{ran:?}");
    net.holds_no_secret(&ran, SECRET);
    let revoked = net.events("credential-revoked");
    assert_eq!(revoked.len(), 1);
    assert_eq!(revoked[0]["credential"], "api");
}

#[test]
fn an_expired_credential_is_worth_nothing() {
    let Some(net) = Internet::take() else { return };
    let expires = credential("header = 'x-api-key'").replace("inject", "expires = '3s'\ninject");
    let rules = format!("{}{expires}", bound(""));
    let ran = conversation(&net, &rules, |say, hear| {
        say("ask");
        assert_eq!(hear(), "200 -", "before");
        say("stream");
        assert_eq!(hear(), "waits");
        assert_eq!(hear(), "cut", "what was under way");
        say("ask");
        assert_eq!(hear(), "403 credential-expired", "after");
    });
    assert_eq!(ran.status, Some(0), "{ran:?}");
}

/// Another secret while the session runs: the sandbox notices nothing, and the host sees the new one.
#[test]
fn a_secret_is_rotated_while_the_session_runs() {
    let Some(net) = Internet::take() else { return };
    let file = net.place.write("secrets/api", &format!("{SECRET}\n"));
    let other = SECRET.replace("R34lS3cr3t", "N3w3rS3cr3");
    let rules = format!("{}{}", bound(""), credential("header = 'x-api-key'"))
        .replace("{ env = 'API_SECRET' }", &format!("{{ file = '{}' }}", file.display()));
    net.forget();
    let ran = conversation(&net, &rules, |say, hear| {
        say("ask");
        assert_eq!(hear(), "200 -", "before");
        net.place.write("secrets/api", &other);
        let done = cofferdam(&net, &["credentials", "rotate", "api"]).works("rotate");
        assert!(done.out.ends_with("api is rotated\n"), "{done:?}");
        // It is read by another process meanwhile.
        std::thread::sleep(Duration::from_secs(1));
        say("ask");
        assert_eq!(hear(), "200 -", "after");
    });
    assert_eq!(ran.status, Some(0), "{ran:?}");
    std::fs::remove_file(&file).unwrap();
    net.holds_no_secret(&ran, SECRET);
    net.holds_no_secret(&ran, &other);
    let seen: Vec<bool> = net.asked().iter().map(|one| one.head.contains(&other)).collect();
    assert_eq!(seen, [false, true], "the old one, then the new one");
    assert_eq!(net.events("credential-rotated").len(), 1);
    assert_eq!(net.events("credential-unread").len(), 0);
}

/// What stood in for it in one session is worth nothing in the next: it is another's, and an alarm.
#[test]
fn a_stand_in_of_another_session_is_foreign() {
    let Some(net) = Internet::take() else { return };
    let rules = format!("{}{}", bound(""), credential("header = 'x-api-key'"));
    // Printed it would be masked.
    net.bears(&rules, ("proxy", ""), "open('key.txt', 'w').write(os.environ['API_KEY'])")
        .works("first");
    let old = net.place.read("home/src/app/key.txt");
    assert_eq!((old.len(), old.starts_with("sk-ant-api03-")), (SECRET.len(), true), "{old}");
    let act = format!(
        "table([get('/v1', more='x-api-key: {old}\\r\\n'), get('/v1', more=f'x-api-key: {{os.environ[\"API_KEY\"]}}\\r\\n')])"
    );
    let ran = net.bears(&rules, ("proxy", ""), &act).works("second");
    assert_eq!(ran.out, "403 foreign-credential\n200 -\n", "{ran:?}");
}

/// A secret that cannot be had is a refusal with its rule and the next step, and nothing is started.
#[test]
fn without_the_secret_nothing_starts() {
    let Some(net) = Internet::take() else { return };
    let rules = format!("{}{}", bound(""), credential("header = 'x-api-key'"));
    let mut command = net.looks(30, &rules);
    let ran = finish(command.env_remove("API_SECRET").args(["sh", "-c", "echo started"]));
    assert_eq!((ran.status, ran.out.as_str()), (Some(125), ""), "{ran:?}");
    for part in ["`api`", "API_SECRET", "is not set", "credentials.api", "policy.toml:"] {
        assert!(ran.err.contains(part), "{part}: {ran:?}");
    }
}

/// T07: where the log's disk is full, nothing bears the credential out, and the run says so; once there is
/// room again, requests pass and are on record.
#[test]
fn t07_without_a_record_nothing_is_borne() {
    let Some(net) = Internet::take() else { return };
    if !is_root() {
        println!("not run: a full disk: mounting a small one takes root");
        return;
    }
    let disk = net.place.root.join("disk");
    std::fs::create_dir_all(&disk).unwrap();
    let disk = disk.display().to_string();
    net.outside(&["mount", "-t", "tmpfs", "-o", "size=4m,mode=755", "none", &disk]).works("a disk");
    let rules = format!("{}{}", bound(""), credential("header = 'x-api-key'"));
    let mut command = net.lent(60, &rules);
    command.env("XDG_STATE_HOME", &disk);
    let fill = format!("cat /dev/zero >{disk}/fill; test -s {disk}/fill");
    net.forget();
    let mut served = 0;
    let ran = converse(&net, command, |say, hear| {
        say("ask");
        assert_eq!(hear(), "200 -", "before");
        net.outside(&["sh", "-c", &fill]).works("the disk is full");
        // Room for some is kept.
        let refused = (0..3_000).any(|_| {
            say("ask");
            served += 1;
            hear() == "refused no-record"
        });
        assert!(refused, "the log has no room");
        assert_eq!(net.asked().len(), served, "what was refused has reached nobody");
        net.outside(&["rm", &format!("{disk}/fill")]).works("room");
        // The engine looks for room from time to time.
        let passed = (0..100).any(|_| {
            std::thread::sleep(Duration::from_millis(100));
            say("ask");
            hear() == "200 -"
        });
        assert!(passed, "after");
    });
    assert_eq!(ran.status, Some(0), "{ran:?}");
    assert!(ran.err.contains("[no-record]"), "the run says so: {ran:?}");
    net.holds_no_secret(&ran, SECRET);
    let log = format!("{disk}/cofferdam/audit.jsonl");
    finish(net.command(programs().join("cofferdam")).args(["audit", "verify", &log]))
        .works("the log is whole");
    net.outside(&["umount", &disk]).works("the disk goes");
}

/// A vault that a passphrase opens is opened for a run by what the caller says on a descriptor; without it, or
/// by another one, nothing starts. It opens the vault once more where the secret is rotated, and is nowhere.
#[test]
fn a_passphrase_opens_the_vault_for_a_run() {
    const PHRASE: &str = "Corr3ct horse battery staple";
    let Some(net) = Internet::take() else { return };
    let phrases = net.place.write("phrases", &format!("{PHRASE}\n"));
    // With these words on descriptor 3.
    let with = |seconds: u32, words: &[&str], phrases: &std::path::Path| {
        let mut command = net.command_within(seconds, "sh");
        command.args(["-c", "exec 3<\"$0\"; exec \"$@\""]).arg(phrases);
        command.arg(programs().join("cofferdam")).args(words);
        command.env("COFFERDAM_VAULT_PASSPHRASE_FD", "3");
        command
    };
    let set = |secret: &str| {
        let value = net.place.write("value", secret);
        let mut set = with(20, &["vault", "set", "--passphrase", "api"], &phrases);
        set.stdin(std::fs::File::open(&value).unwrap());
        finish(&mut set).works("set");
        std::fs::remove_file(value).unwrap();
    };
    set(SECRET);
    let rules = format!("{}{}", bound(""), credential("header = 'x-api-key'"))
        .replace("{ env = 'API_SECRET' }", "{ vault = 'api' }");
    let policy = net.place.write("policy.toml", &net.policy(&rules)).display().to_string();
    let words = ["run", "--quiet", "--env", "W", "--policy", &policy, "--"];
    let mut without = net.command_within(20, programs().join("cofferdam"));
    let ran = finish(without.args(words).args(["echo", "started"]));
    assert_eq!((ran.status, ran.out.as_str()), (Some(125), ""), "{ran:?}");
    for part in ["passphrase", "[vault-locked]", "COFFERDAM_VAULT_PASSPHRASE_FD"] {
        assert!(ran.err.contains(part), "{part}: {ran:?}");
    }
    let others = net.place.write("others", "other words\n");
    let ran = finish(with(20, &words, &others).args(["echo", "started"]));
    assert_eq!((ran.status, ran.out.as_str()), (Some(125), ""), "{ran:?}");
    assert!(ran.err.contains("does not open") && ran.err.contains("policy.toml:"), "{ran:?}");
    net.forget();
    let other = SECRET.replace("R34lS3cr3t", "N3w3rS3cr3");
    let ran = converse(&net, with(60, &words, &phrases), |say, hear| {
        say("ask");
        assert_eq!(hear(), "200 -", "opened");
        set(&other);
        cofferdam(&net, &["credentials", "rotate", "api"]).works("rotate");
        std::thread::sleep(Duration::from_secs(3));
        say("ask");
        assert_eq!(hear(), "200 -", "opened again");
    });
    assert_eq!(ran.status, Some(0), "{ran:?}");
    let seen: Vec<bool> = net.asked().iter().map(|one| one.head.contains(&other)).collect();
    assert_eq!(seen, [false, true], "the old one, then the new one");
    std::fs::remove_file(phrases).unwrap();
    for secret in [SECRET, &other, PHRASE] {
        net.holds_no_secret(&ran, secret);
    }
}

/// Files of a kept home hold what stands in for the session that runs, whatever was there: no link that a run
/// left is followed.
#[test]
fn a_kept_home_holds_this_sessions() {
    let Some(net) = Internet::take() else { return };
    let files = "files = { '~/.npmrc' = \"//new.test/:_authToken={api}\", '~/.config/gh/hosts.yml' = \"token: {api}\" }\ninject";
    let rules = format!("{}{}", bound(""), credential("header = 'x-api-key'"))
        .replace("inject", files)
        + "[filesystem]\nhome = 'project'\n";
    let act = "
import re
home = os.environ['HOME']
k = re.search(r'_authToken=(.*)', open(home + '/.npmrc').read()).group(1)
assert k == os.environ['API_KEY'] and open(home + '/.config/gh/hosts.yml').read() == 'token: ' + k
assert not os.path.islink(home + '/.npmrc') and os.stat(home + '/.npmrc').st_mode & 0o777 == 0o600
print(ask(get('/v1', more=f'x-api-key: {k}\\r\\n'))[0])
";
    let links = "
os.unlink(home + '/.npmrc'); os.symlink(os.getcwd() + '/target', home + '/.npmrc')
open('target', 'w').write('as it was')
";
    let way = ("proxy", "");
    net.forget();
    let ran = net.bears(&rules, way, &format!("{act}{links}")).works("first");
    assert_eq!(ran.out, "200\n", "{ran:?}");
    let ran = net.bears(&rules, way, act).works("a link is there");
    assert_eq!(ran.out, "200\n", "{ran:?}");
    assert_eq!(net.place.read("home/src/app/target"), "as it was", "it was not followed");
    assert_eq!(net.asked().iter().filter(|one| one.head.contains(SECRET)).count(), 2);
    let moved = "os.rename(home + '/.config', home + '/moved'); os.symlink(home + '/moved', home + '/.config')";
    net.bears(&rules, way, &format!("{act}{moved}")).works("a directory becomes a link");
    let ran = net.bears(&rules, way, "print('started')");
    assert_eq!((ran.status, ran.out.as_str()), (Some(125), ""), "{ran:?}");
    assert!(ran.err.contains(".config/gh/hosts.yml") && ran.err.contains("in the way"), "{ran:?}");
}
