//! A managed policy in a mount namespace of the test's own, and a person at a terminal.

use std::process::Command;

use crate::support::{Place, Ran, finish, is_root, programs};

/// Has `/etc` be a copy with the managed policy `$M` in it, changed by `$CHANGE`, then becomes the words.
/// What an ordinary user cannot read of `/etc` is not in the copy.
const MANAGED: &str = r#"
mount --make-rprivate / || exit 99
mkdir -p "$E" && cp -a /etc/. "$E" 2>/dev/null
rm -rf "$E/cofferdam"; mkdir "$E/cofferdam" || exit 99
cp "$M" "$E/cofferdam/policy.toml" && chmod 644 "$E/cofferdam/policy.toml" || exit 99
chmod 755 "$E" "$E/cofferdam"
mount --bind "$E" /etc || exit 99
eval "$CHANGE" || exit 99
exec "$@"
"#;

/// Whether a mount namespace can be made here: root's own, or one below a user namespace.
fn unshare() -> Option<Command> {
    let words = if is_root() { "-m" } else { "-Urm" };
    let can = Command::new("unshare").args([words, "true"]).status();
    if !can.is_ok_and(|status| status.success()) {
        println!("not run: a managed policy: no mount namespace of one's own can be made here");
        return None;
    }
    let mut command = Command::new("unshare");
    command.arg(words);
    Some(command)
}

/// `cofferdam` with these words below the managed policy `text`, after the shell did `change`. `None`
/// where that cannot be arranged, which is printed.
pub(crate) fn managed(place: &Place, text: &str, change: &str, words: &[&str]) -> Option<Ran> {
    let file = place.write("managed.toml", &format!("version = 1\n{text}\n"));
    let unshare = unshare()?;
    let mut command = place.command(unshare.get_program());
    command.args(unshare.get_args()).args(["sh", "-c", MANAGED, "sh"]);
    command.arg(programs().join("cofferdam")).args(words);
    command.env("M", file).env("E", place.root.join("etc")).env("CHANGE", change);
    let ran = finish(&mut command);
    assert_ne!(ran.status, Some(99), "the namespace: {ran:?}");
    Some(ran)
}

/// `cofferdam WORDS` in `place`.
pub(crate) fn says(place: &Place, words: &[&str]) -> Ran {
    finish(place.command(programs().join("cofferdam")).args(words))
}

/// Has a person at a terminal type `$ANSWER` once `$ASKED` is seen; prints all that the terminal got.
const TERMINAL: &str = r#"
import os, pty, sys, select, time
pid, fd = pty.fork()
if pid == 0:
    os.execv(sys.argv[1], sys.argv[1:])
seen, typed = b"", False
end = time.time() + 60
while time.time() < end:
    if select.select([fd], [], [], 0.2)[0]:
        try: part = os.read(fd, 65536)
        except OSError: break
        if not part: break
        seen += part
    if not typed and os.environb[b"ASKED"] in seen:
        for path, text in [(os.environ.get("SWAP"), os.environ.get("WITH"))]:
            if path:
                with open(path + ".new", "w") as new: new.write(text)
                os.rename(path + ".new", path)
        time.sleep(0.05)
        os.write(fd, os.environb[b"ANSWER"])
        typed = True
sys.stdout.buffer.write(seen)
status = os.waitpid(pid, 0)[1]
sys.exit(os.waitstatus_to_exitcode(status))
"#;

/// The same at a terminal, where a person answers; `swap` changes a file between question and answer.
pub(crate) fn at_a_terminal(
    place: &Place,
    words: &[&str],
    answer: &str,
    swap: Option<(&std::path::Path, &str)>,
) -> Ran {
    let mut command = place.command("/usr/bin/python3");
    command.args(["-c", TERMINAL]).arg(programs().join("cofferdam")).args(words);
    command.env("ASKED", "to let it hold here: ").env("ANSWER", answer);
    if let Some((path, text)) = swap {
        command.env("SWAP", path).env("WITH", text);
    }
    finish(&mut command)
}

/// The project of `place` has this policy, which a person trusts.
pub(crate) fn trusted(place: &Place, text: &str) {
    place.write("home/src/app/.cofferdam/policy.toml", text);
    at_a_terminal(place, &["trust"], "yes\n", None).works("a person types yes");
}
