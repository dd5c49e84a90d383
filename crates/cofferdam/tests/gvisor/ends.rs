//! Streams, ends, limits and a terminal, as without gVisor.

use std::io::Write;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::Wall;
use crate::support::{finish, programs};

#[test]
fn statuses() {
    for wall in Wall::all() {
        wall.place.write("home/src/app/plain", "no program\n");
        for (words, status) in [
            (&["true"][..], 0),
            (&["sh", "-c", "exit 7"], 7),
            (&["./plain"], 126),
            (&["no-such-command"], 127),
            (&["sh", "-c", "kill -9 $$"], 137),
            (&["sh", "-c", "kill -15 $$"], 143),
        ] {
            let ran = finish(wall.command(&[]).args(words));
            assert_eq!(ran.status, Some(status), "{}: {words:?}: {ran:?}", wall.name);
        }
    }
}

#[test]
fn streams_environment_and_directory() {
    for wall in Wall::all() {
        let mut command = wall.command(&["--env", "OWN"]);
        command.env("OWN", "a b=\"c\"\\ é").args([
            "sh",
            "-c",
            "cat; printf '%s\\n' \"$OWN\" >&2; pwd >&2; hostname >&2; test ! -t 0",
        ]);
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let bytes: Vec<u8> =
            (0..1_u32 << 20).map(|n| n.to_le_bytes()[usize::from(n % 3 == 1)]).collect();
        let (mut to, sent) = (child.stdin.take().unwrap(), bytes.clone());
        let writer = std::thread::spawn(move || to.write_all(&sent));
        let ran = child.wait_with_output().unwrap();
        writer.join().unwrap().unwrap();
        assert!(ran.status.success() && ran.stdout == bytes, "{}: {:?}", wall.name, ran.status);
        let said = String::from_utf8_lossy(&ran.stderr);
        let want = format!("a b=\"c\"\\ é\n{}\ncofferdam\n", wall.place.work.display());
        assert_eq!(said, want, "{}", wall.name);
    }
}

#[test]
fn limits_of_a_process() {
    let body = "import resource
assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == 40, resource.getrlimit(resource.RLIMIT_NOFILE)
held = []
try:
    for n in range(100): held.append(os.open('/dev/null', 0))
except OSError as e: print(errno.errorcode[e.errno])
for fd in held: os.close(fd)
import signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
try:
    with open('/tmp/big', 'wb') as f: f.write(bytes(2 << 20))
except OSError as e: print(errno.errorcode[e.errno])";
    let body = crate::support::python(body);
    for wall in Wall::all() {
        let limits = ["--limit", "open_files=40", "--limit", "file_size=1MiB"];
        let mut command = wall.command(&limits);
        let ran = finish(command.args(["/usr/bin/python3", "-c", &body])).works(wall.name);
        assert_eq!(ran.out, "EMFILE\nEFBIG\n", "{}", wall.name);
    }
}

#[test]
fn the_wall_time_ends_it() {
    for wall in Wall::all() {
        let begin = Instant::now();
        let ran = wall.sh_with(&["--limit", "wall_time=3s"], "trap '' TERM; sleep 60");
        assert!(ran.err.contains("wall_time") && ran.status != Some(0), "{}: {ran:?}", wall.name);
        assert!(begin.elapsed() < Duration::from_secs(30), "{}: {:?}", wall.name, begin.elapsed());
    }
}

/// Runs the words on a terminal of 30 lines, types Ctrl-C when it is up, and tells status and output.
const TERMINAL: &str = "import fcntl, os, pty, select, struct, sys, termios, time
pid, fd = pty.fork()
if pid == 0:
    time.sleep(0.3)
    os.execvp(sys.argv[1], sys.argv[1:])
fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack('HHHH', 30, 100, 0, 0))
seen, typed, end = b'', False, time.time() + 60
while time.time() < end:
    if not select.select([fd], [], [], 1)[0]: continue
    try: part = os.read(fd, 4096)
    except OSError: break
    if not part: break
    seen += part
    if b'up' in seen and not typed:
        typed = True; time.sleep(0.2); os.write(fd, b'\\x03')
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])); print(seen.decode())";

#[test]
fn a_terminal() {
    for wall in Wall::all() {
        let runsc = wall.runsc.display().to_string();
        let cofferdam = programs().join("cofferdam").display().to_string();
        let mut command = wall.place.command("/usr/bin/python3");
        command.args(["-c", TERMINAL, &cofferdam, "run", "--quiet", "--runsc", &runsc]);
        command.args(wall.options).args(["--", "sh", "-c"]);
        command.arg("test -t 0 -a -t 1 -a -t 2 && stty size; echo up; exec sleep 50");
        let ran = finish(&mut command).works(wall.name);
        // That build's own client is ended by the key as well, and tells 255.
        let status = if wall.name.contains("2022") { "255\n" } else { "130\n" };
        assert!(ran.out.starts_with(status), "{}: {ran:?}", wall.name);
        assert!(ran.out.contains("30 100"), "{}: {ran:?}", wall.name);
    }
}
