//! K30: asking somebody outside to start a process: job queues, the service manager, a daemon.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use crate::support::{Place, marked, python};

/// A daemon outside that starts what it is asked for, as `atd` and service managers do.
const DAEMON: &str = "import socket, subprocess
s = socket.socket(socket.AF_UNIX)
s.bind(os.environ['OUT'] + '/spawn.sock'); s.listen()
print('ready', flush=True)
while True:
    c, _ = s.accept()
    subprocess.Popen(['sleep', '300'], env={'MARK': c.recv(100).decode()}); c.send(b'x'); c.close()";

const ASK: &str = "import socket
s = socket.socket(socket.AF_UNIX)
s.connect(os.environ['OUT'] + '/spawn.sock'); s.send(os.environ['MARKED'].encode()); s.recv(1)";

#[test]
fn a_daemon_outside_is_out_of_reach() {
    let place = Place::new();
    let mut daemon = place
        .command("/usr/bin/python3")
        .args(["-c", &python(DAEMON)])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = String::new();
    BufReader::new(daemon.stdout.take().unwrap()).read_line(&mut said).unwrap();
    assert_eq!(said, "ready\n");
    let name = |side: &str| format!("{side}-{}", std::process::id());
    let ask = |mark: &str| format!("os.environ['MARKED'] = '{mark}'\n{ASK}");
    place.python_outside(&ask(&name("outside"))).works("the daemon does as it is asked");
    let started = marked(&format!("MARK={}", name("outside")));
    let inside = place.python_inside(&ask(&name("inside")));
    let escaped = marked(&format!("MARK={}", name("inside")));
    for pid in started.iter().chain(&escaped) {
        place.outside(&format!("kill -9 {pid}")).works("tidy up");
    }
    daemon.kill().unwrap();
    daemon.wait().unwrap();
    assert_eq!(started.len(), 1, "the control");
    inside.fails(&["ENOENT", "EACCES"], "its socket");
    assert!(escaped.is_empty(), "nothing was started: {escaped:?}");
}

/// The tools that hand work to such daemons, where they are installed; their daemons may not run
/// here, so their own answer outside is no control: that they start inside is.
#[test]
fn job_tools_reach_nobody() {
    let place = Place::new();
    let mark = format!("JOB=job-{}", std::process::id());
    for (tool, starts, job) in [
        ("at", "at -V", "echo sleep 300 | at now"),
        ("crontab", "command -v crontab", "echo '* * * * * sleep 300' | crontab -"),
        ("systemd-run", "systemd-run --version", "systemd-run --no-ask-password sleep 300"),
        ("systemd-run", "systemd-run --version", "systemd-run --user sleep 300"),
        (
            "dbus-send",
            "command -v dbus-send",
            "dbus-send --system --print-reply --dest=org.freedesktop.systemd1 / x.y",
        ),
    ] {
        if place.inside(&format!("command -v {tool}")).status != Some(0) {
            eprintln!("not run here: k30: {tool} is not installed");
            continue;
        }
        place.inside(starts).works("the tool itself starts");
        let ran = place.inside(&format!("export {mark}; {job}"));
        assert!(!matches!(ran.status, Some(0 | 125)), "{job}: {ran:?}");
    }
    assert!(marked(&mark).is_empty(), "nothing was started");
}
