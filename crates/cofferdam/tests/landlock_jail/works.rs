//! Ordinary work.

use std::process::Stdio;

use super::{inside, place, plan, python_inside, run};
use crate::support::{finish, is_root};

#[test]
fn status_signal_and_streams_pass() {
    let place = place();
    finish(run(&place, &[]).arg("true")).works("the least");
    for status in [1, 7, 123] {
        let ran = inside(&place, &format!("exit {status}"));
        assert_eq!(ran.status, Some(status), "{ran:?}");
    }
    assert_eq!(inside(&place, "kill -TERM $$").status, Some(143));
    let mut command = run(&place, &[]);
    command.args(["sh", "-c", "tr a-z A-Z; echo told >&2"]).stdin(Stdio::piped());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), b"some words").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(
        (output.stdout.as_slice(), output.stderr.as_slice()),
        (&b"SOME WORDS"[..], &b"told\n"[..])
    );
    let missing = finish(run(&place, &[]).arg("no-such-program"));
    assert_eq!(missing.status, Some(127), "{missing:?}");
}

#[test]
fn tools_work_in_the_workspace() {
    let place = place();
    inside(&place, "mkdir d && echo x > d/f && mv d/f g && cp g h && rm g && chmod 700 h && ln h i && ln -s h j && cat j")
        .works("files");
    python_inside(
        &place,
        "import subprocess, tempfile\n\
         with tempfile.TemporaryDirectory() as d:\n\
         \x20   open(d + '/x', 'w').write('y')\n\
         \x20   subprocess.run(['cp', d + '/x', 'from-python'], check=True)",
    )
    .works("python, its children and what is temporary");
    finish(&mut super::outside(&place, "git", &["init", "-q", "."])).works("a repository");
    let git = "git -c user.name=a -c user.email=a@example.com commit -q --allow-empty -m x && git log --oneline";
    assert!(inside(&place, git).works("git").out.contains(" x"));
    inside(&place, "touch a && touch -d 2001-01-01 a && test a -ot h; true")
        .works("times in the workspace");
}

#[test]
fn the_home_is_private_fresh_and_gone() {
    let place = place();
    let ran = inside(
        &place,
        "echo kept > ~/mark; echo $HOME; stat -c %a $HOME; test -w $TMPDIR && echo w",
    )
    .works("home");
    let mut lines = ran.out.lines();
    let home = std::path::PathBuf::from(lines.next().unwrap());
    assert_eq!((lines.next(), lines.next()), (Some("700"), Some("w")), "{ran:?}");
    assert_ne!(home, place.home);
    assert!(!home.exists(), "it is removed: {}", home.display());
    let again = inside(&place, "ls -A ~").works("again");
    assert_eq!(again.out, ".tmp\n", "nothing of the last one");
    assert_eq!(home.starts_with("/var/lib/cofferdam"), is_root());
}

/// P15: of the caller's variables only those that a rule names get in.
#[test]
fn the_environment_is_made_anew() {
    let place = place();
    let mut command = run(&place, &[]);
    for name in ["LD_PRELOAD", "BASH_ENV", "GIT_DIR", "PYTHONPATH", "NODE_OPTIONS", "MY_TOKEN"] {
        command.env(name, "planted");
    }
    let ran = finish(command.arg("env")).works("env");
    assert!(!ran.out.contains("planted"), "{ran:?}");
    let names = ran.out.lines().filter_map(|line| line.split('=').next());
    let ours = [
        "HOME", "USER", "LOGNAME", "TMPDIR", "SHELL", "PATH", "W", "H", "OUT", "LANG", "TERM", "TZ",
    ];
    let strange: Vec<&str> =
        names.filter(|name| !ours.contains(name) && !name.starts_with("LC_")).collect();
    assert_eq!(strange, [""; 0], "{ran:?}");
}

/// The policy says in each place what it gives up.
#[test]
fn what_is_given_up_is_told() {
    let place = place();
    let text = plan(&place, &[]).works("plan").out;
    assert!(text.starts_with("wall       process/landlock\n"), "{text}");
    for promise in ["absent", "processes", "private-places", "private-size", "times"] {
        assert!(text.contains(&format!("{promise}: ")), "{promise}: {text}");
    }
    let log = place.root.join("log.jsonl").display().to_string();
    let mut loud = place.command(crate::support::programs().join("cofferdam"));
    loud.args([
        "run",
        "--audit",
        &log,
        "--jail",
        "landlock",
        "--best-effort",
        super::GIVEN_UP,
        "--",
        "true",
    ]);
    let ran = finish(&mut loud).works("with its note");
    assert!(ran.err.contains("best-effort: absent, processes, private-places"), "{ran:?}");
    let log = std::fs::read_to_string(&log).unwrap();
    assert!(log.contains("\"best_effort\":[{\"promise\":\"absent\""), "{log}");
    let mut native = place.command(crate::support::programs().join("cofferdam"));
    native.args(["run", "--best-effort", "absent", "--", "true"]);
    let ran = finish(&mut native).works("another jail holds it all the same");
    assert!(!ran.err.contains("best-effort"), "{ran:?}");
}

/// Where namespaces are forbidden altogether this jail starts, and native says why it does not.
#[test]
fn it_starts_where_no_namespace_can_be_made() {
    let place = place();
    let programs = crate::support::programs();
    let cofferdam = programs.join("cofferdam");
    let uid = if is_root() { super::OWNER.parse().unwrap() } else { rustix_uid() };
    let script = |arguments: &str| {
        format!(
            "import ctypes, os, sys\n\
             if os.getuid() == 0:\n\
             \x20   os.setgroups([]); os.setresgid({uid}, {uid}, {uid}); os.setresuid({uid}, {uid}, {uid})\n\
             gid = os.getgid()\n\
             libc = ctypes.CDLL(None, use_errno=True)\n\
             # Dumpable again, so that the maps are its own.\n\
             libc.prctl(4, 1, 0, 0, 0)\n\
             assert libc.unshare(0x10000000) == 0, ctypes.get_errno()\n\
             open('/proc/self/setgroups', 'w').write('deny')\n\
             open('/proc/self/uid_map', 'w').write('{uid} {uid} 1')\n\
             open('/proc/self/gid_map', 'w').write(f'{{gid}} {{gid}} 1')\n\
             open('/proc/sys/user/max_user_namespaces', 'w').write('0')\n\
             os.execv('{}', ['cofferdam', 'run', '--quiet', {arguments}'--', 'sh', '-c', 'echo inside; ! cat ~/../nothing'])\n",
            cofferdam.display()
        )
    };
    let run = |arguments: &str| {
        finish(place.command("/usr/bin/python3").args(["-c", &script(arguments)]))
    };
    run("'--jail', 'native', ").refused("/proc/sys/user/max_user_namespaces", "native");
    let landlock = format!("'--jail', 'landlock', '--best-effort', '{}', ", super::GIVEN_UP);
    let ran = run(&landlock).works("landlock");
    assert_eq!(ran.out, "inside\n", "{ran:?}");
}

fn rustix_uid() -> u32 {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").unwrap().uid()
}
