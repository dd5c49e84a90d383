//! The keychain of the system: the kernel's keyring where no bus answers, and the Secret Service.

use std::os::unix::net::UnixListener;
use std::process::Command;

use super::command;
use super::support::{Place, finish, programs};

/// Runs the rest with a keyring of its own, as a login has it; status 77 where the kernel gives none.
/// (`keyctl(2)`: 1 joins a new session keyring, 22 finds the persistent one.)
const SESSION: &str = r"
import ctypes, os, sys
c = ctypes.CDLL(None)
if c.syscall(250, 1, None) < 0 or c.syscall(250, 22, -1, -3) < 0: sys.exit(77)
os.execvp(sys.argv[1], sys.argv[1:])
";

/// A shell in which `c` is `cofferdam vault` and `g` the gateway's program.
fn shell(place: &Place, before: &[&str], script: &str) -> Command {
    let mut command = place.command(before[0]);
    command.args(&before[1..]).args(["sh", "-c"]).arg(format!(
        "c() {{ \"$B/cofferdam\" vault \"$@\"; }}; g() {{ env -i DBUS_SESSION_BUS_ADDRESS=\
         \"$DBUS_SESSION_BUS_ADDRESS\" \"$B/cofferdam-gateway\" \"$@\"; }}\n{script}"
    ));
    command.env("B", programs());
    command
}

/// Starts a Secret Service, and waits until the bus has it.
const DAEMON: &str = "
printf phrase | gnome-keyring-daemon --unlock --components=secrets >/dev/null
gdbus wait --session --timeout 30 org.freedesktop.secrets || exit 3
";

const ACTS: &str = "
set -e
printf 'first\\n' | c set --keychain a
printf second-value | c rotate --keychain a
c test --keychain a
test \"$(g vault-keychain a)\" = +second-value
c list --keychain || true
c remove --keychain a
c test --keychain a 2>&1 || true
printf x | c rotate --keychain a 2>&1 || true
test \"$(g vault-keychain a)\" = -keychain-missing
";

#[test]
fn the_kernels_keyring_keeps_it_where_no_bus_answers() {
    let place = Place::new();
    let session = ["/usr/bin/python3", "-c", SESSION];
    let mut command = shell(&place, &session, ACTS);
    command.env("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nowhere/bus");
    let ran = finish(&mut command);
    if ran.status == Some(77) {
        eprintln!("the_kernels_keyring_keeps_it_where_no_bus_answers: not run: no keyring here");
        return;
    }
    let ran = ran.works("the kernel's keyring");
    assert!(ran.out.contains("stored `a` in the kernel's keyring"), "{ran:?}");
    assert!(ran.out.contains("`a` can be read: 12 bytes"), "{ran:?}");
    assert!(ran.err.contains("[keychain-unlisted]"), "{ran:?}");
    assert_eq!(ran.out.matches("[keychain-missing]").count(), 2, "{ran:?}");
    assert!(!format!("{ran:?}").contains("second-value"), "{ran:?}");
}

/// A bus that takes the call and says nothing.
#[test]
fn a_silent_bus_is_not_waited_for_for_ever() {
    let place = Place::new();
    let path = place.root.join("bus");
    let _listener = UnixListener::bind(&path).unwrap();
    let address = format!("unix:path={}", path.display());
    let mut test = command(&place);
    test.args(["test", "--keychain", "a"]).env("DBUS_SESSION_BUS_ADDRESS", &address);
    finish(&mut test).refused("[keychain-silent]", "within 5 seconds");
    let mut gateway = place.command(programs().join("cofferdam-gateway"));
    gateway.args(["vault-keychain", "a"]).env("DBUS_SESSION_BUS_ADDRESS", &address);
    assert_eq!(finish(&mut gateway).works("it answers").out, "-keychain-silent");
}

/// Whether a program can be started here.
fn there_is(place: &Place, program: &str) -> bool {
    place.outside(&format!("command -v {program}")).status == Some(0)
}

#[test]
fn the_secret_service_keeps_it() {
    let place = Place::new();
    for program in ["dbus-run-session", "gdbus", "gnome-keyring-daemon"] {
        if !there_is(&place, program) {
            eprintln!("the_secret_service_keeps_it: not run: {program} is not installed");
            return;
        }
    }
    let script = format!("{DAEMON}{ACTS}");
    let ran = finish(&mut shell(&place, &["dbus-run-session", "--"], &script));
    let ran = ran.works("the Secret Service");
    assert!(ran.out.contains("stored `a` in the keychain of the session"), "{ran:?}");
    assert!(ran.out.contains("`a` can be read: 12 bytes"), "{ran:?}");
    assert!(ran.out.contains("a   keychain"), "it is listed: {ran:?}");
    assert_eq!(ran.out.matches("[keychain-missing]").count(), 2, "{ran:?}");
}

#[test]
fn a_locked_keychain_gives_nothing() {
    let place = Place::new();
    for program in ["dbus-run-session", "gdbus", "gnome-keyring-daemon"] {
        if !there_is(&place, program) {
            eprintln!("a_locked_keychain_gives_nothing: not run: {program} is not installed");
            return;
        }
    }
    // Nobody is there to type into its window.
    let acts = "
printf value | c set --keychain a || exit 1
gdbus call --session --dest org.freedesktop.secrets --object-path /org/freedesktop/secrets \
    --method org.freedesktop.Secret.Service.Lock \
    \"['/org/freedesktop/secrets/collection/login']\" >/dev/null || exit 2
c test --keychain a
";
    let script = format!("{DAEMON}{acts}");
    let ran = finish(&mut shell(&place, &["dbus-run-session", "--"], &script));
    assert_eq!(ran.status, Some(125), "{ran:?}");
    let locked = ["[keychain-locked]", "[keychain-silent]"];
    assert!(locked.iter().any(|code| ran.err.contains(code)), "{ran:?}");
}
