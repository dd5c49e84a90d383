//! What the workload of the trial tries, and says: each act worked outside a moment ago.

use std::fs;
use std::io;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use cofferdam_sys::process::{Namespaces, unshare};
use rustix::process::Pid;

use super::probe::{tell, try_terminal};

/// The file outside of the view that the workload tries to make.
pub(super) const LEAK: &str = "written";

/// Namespaces that the sandbox has of its own, as `/proc/self/ns` names them.
pub(super) const SPACES: [&str; 7] = ["user", "mnt", "pid", "net", "ipc", "uts", "cgroup"];

/// The name of a namespace of this process, the same for two processes of one namespace.
pub(super) fn space(name: &str) -> io::Result<String> {
    Ok(fs::read_link(format!("/proc/self/ns/{name}"))?.display().to_string())
}

/// A connection to `port` of this machine's loopback. It answers at once, or not at all.
pub(super) fn connect(port: u16) -> io::Result<()> {
    let at = (std::net::Ipv4Addr::LOCALHOST, port).into();
    TcpStream::connect_timeout(&at, Duration::from_millis(200)).map(drop)
}

/// Tries everything.
pub(super) fn answer(place: &Path, port: &str) {
    for name in SPACES {
        tell(name, space(name));
    }
    let done = |done: io::Result<()>| done.map(|()| "");
    tell("canary", fs::read(place.join("canary")).map(|_| ""));
    // A private /tmp takes it; what counts is whether it is there outside.
    fs::write(place.join(LEAK), "").unwrap_or(());
    tell("read-kept", fs::read(place.join("kept/file")).map(|_| ""));
    tell("write-kept", done(fs::write(place.join("kept/written"), "")));
    let made = place.join("work/made");
    tell("write-work", done(fs::write(&made, "")));
    let mode = |mode| fs::set_permissions(&made, fs::Permissions::from_mode(mode));
    tell("plain-mode", done(mode(0o755)));
    tell("setuid-mode", done(mode(0o4755)));
    let own = TcpListener::bind("127.0.0.1:0").and_then(|own| own.local_addr());
    tell("own-port", own.map(|own| own.port()));
    let own = TcpListener::bind("127.0.0.1:0");
    tell("own-loopback", own.and_then(|own| connect(own.local_addr()?.port())).map(|()| ""));
    tell("host-loopback", done(port.parse().map_err(io::Error::other).and_then(connect)));
    tell("processes", processes());
    let memory = fs::File::open("/proc/1/mem").map(|_| "");
    tell("init-memory", memory);
    tell(
        "proc-sys",
        fs::OpenOptions::new().write(true).open("/proc/sys/kernel/hostname").map(|_| ""),
    );
    tell("signal-init", rustix::process::test_kill_process(Pid::INIT).map(|()| ""));
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    for name in ["NoNewPrivs", "Seccomp", "CapPrm", "CapEff", "CapBnd"] {
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        tell(name, line.map(str::trim).ok_or(io::Error::from(io::ErrorKind::NotFound)));
    }
    let core = rustix::process::getrlimit(rustix::process::Resource::Core).maximum;
    tell("core-limit", Ok::<_, io::Error>(core.map_or("none".into(), |most| most.to_string())));
    let terminal = try_terminal();
    tell("unshare", done(unshare(Namespaces::USER)));
    tell("end", Ok::<_, io::Error>(""));
    // Closed by the end of the process, which is then not hung up on.
    std::mem::forget(terminal);
}

/// How many processes `/proc` shows.
fn processes() -> io::Result<usize> {
    let number =
        |name: &std::ffi::OsStr| name.to_str().is_some_and(|name| name.parse::<u32>().is_ok());
    Ok(fs::read_dir("/proc")?.flatten().filter(|entry| number(&entry.file_name())).count())
}
