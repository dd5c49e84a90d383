//! That a command runs, with its streams, its status, its terminal and its network.

use std::io::Write;
use std::process::Stdio;

use crate::Cage;
use crate::support::{Place, finish, is_root};

#[test]
fn a_command_ends_as_it_ends() {
    let cage = Cage::new();
    for (script, status) in [("true", 0), ("exit 7", 7), ("kill -9 $$", 137), ("kill -15 $$", 143)]
    {
        assert_eq!(cage.inside(script).status, Some(status), "{script}");
    }
    let ran = finish(cage.command(&[]).arg("no-such-program"));
    assert_eq!(ran.status, Some(127), "{ran:?}");
}

#[test]
fn streams_are_carried() {
    let cage = Cage::new();
    let mut command = cage.command(&[]);
    command.args(["sh", "-c", "cat; echo err >&2"]);
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut run = command.spawn().unwrap();
    let text = "x".repeat(200_000);
    let mut input = run.stdin.take().unwrap();
    let sent = text.clone();
    let writer = std::thread::spawn(move || input.write_all(sent.as_bytes()));
    let output = run.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert_eq!(output.stdout, text.as_bytes());
    assert_eq!(output.stderr, b"err\n");
}

/// The walls that init puts on are the same as natively: the same filters, no capability, one id.
#[test]
fn the_walls_are_those_of_the_native_jail() {
    let cage = Cage::new();
    let script = "grep -E '^(Cap|NoNewPrivs|Seccomp)' /proc/self/status; cat /proc/self/uid_map; \
                  ls -A /run /sys; cat /etc/passwd; ls /proc | grep -v '^[0-9]' | sort; ulimit -a; umask";
    let here = cage.inside(script).works("in bubblewrap").out;
    let native = cage.0.inside(script).works("natively").out;
    assert_eq!(here, native);
    assert!(here.contains("CapBnd:\t0000000000000000"), "{here}");
}

#[test]
fn a_terminal_is_the_sandboxs_own() {
    let cage = Cage::new();
    let run = cage.command(&[]);
    let words: Vec<_> = run.get_args().map(|word| word.to_str().unwrap().to_owned()).collect();
    let script = "tty; test -t 0 && test -t 1 && stty -a | head -1; ls /dev/pts";
    let line =
        format!("{} {} sh -c '{script}'", run.get_program().to_str().unwrap(), words.join(" "));
    let ran = finish(cage.0.command("/usr/bin/script").args(["-qec", &line, "/dev/null"]));
    let ran = ran.works("on a terminal");
    assert!(ran.out.contains("/dev/pts/0"), "{ran:?}");
    assert!(ran.out.contains("speed"), "{ran:?}");
    // Without one there is none to be made.
    cage.inside("test -z \"$(ls -A /dev/pts)\"").works("no terminals");
}

#[test]
fn a_closed_network_leads_nowhere() {
    let cage = Cage::new();
    let script = "test \"$(ls /sys/class/net 2>/dev/null)\" = ''; cat /proc/net/dev | wc -l; \
                  cat /proc/net/route | wc -l";
    let ran = cage.inside_with(&["--network", "none"], script).works("look at the interfaces");
    assert_eq!(ran.out.split_whitespace().collect::<Vec<_>>(), ["3", "1"], "lo alone, no route");
    let body = "import socket\ns = socket.create_connection(('192.0.2.1', 80), 2)";
    let python = crate::support::python(body);
    let ran =
        finish(cage.command(&["--network", "none"]).args(["/usr/bin/python3", "-c", &python]));
    ran.fails(&["ENETUNREACH"], "an address outside");
}

/// A name that is allowed has an address of its own, one that is not has none; and the way to it passes
/// the gateway.
#[test]
fn names_are_the_gateways() {
    let cage = Cage::new();
    let allowed = ["--allow", "allowed.test"];
    let ran = cage.inside_with(&allowed, "getent ahosts allowed.test && ! getent hosts other.test");
    let ran = ran.works("names");
    assert!(ran.out.contains("allowed.test"), "{ran:?}");
    // Nobody outside has that name: the gateway takes the connection and says so.
    let asked = "curl -sS -o /dev/null -w '%{http_code}' http://allowed.test/; true";
    let ran = cage.inside_with(&allowed, asked).works("ask");
    assert!(!ran.err.contains("Could not resolve"), "{ran:?}");
    cage.inside("getent hosts allowed.test").fails(&[""], "not without the rule");
}

#[test]
fn roots_own_workspace_is_a_refusal() {
    if !is_root() {
        eprintln!("not run as an ordinary user: it has no stand-in");
        return;
    }
    let place = Place::new();
    place.inside_with(&["--jail", "bubblewrap"], "true").refused("bubblewrap-stand-in", "root's");
    place.inside("true").works("natively it is shown to a stand-in");
}
