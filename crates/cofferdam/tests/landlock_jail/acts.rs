//! What the workload must not do, each first done by the same user without a wall.

use super::{attack, inside, outside, place, python_inside};
use crate::support::{finish, is_root, python};

const SHUT: &[&str] = &["EACCES", "EPERM", "ENOENT", "EROFS"];

#[test]
fn files_that_are_not_granted() {
    let place = place();
    for (body, why) in [
        ("open(os.environ['H'] + '/.ssh/id_test').read()", "a key is read"),
        ("os.listdir(os.environ['H'] + '/.ssh')", "a directory is listed"),
        ("open(os.environ['OUT'] + '/canary').read()", "another's file is read"),
        ("open(os.environ['OUT'] + '/canary', 'a').write('x')", "and written"),
        ("open(os.environ['OUT'] + '/new', 'w')", "made"),
        ("os.mkdir(os.environ['OUT'] + '/d'); os.rmdir(os.environ['OUT'] + '/d')", "a directory"),
        ("os.truncate(os.environ['OUT'] + '/canary', 3)", "cut"),
        ("os.chmod(os.environ['OUT'] + '/canary', 0o640)", "its mode"),
        (
            "fd = os.open(os.environ['OUT'] + '/canary', os.O_PATH)\nos.chmod(f'/proc/self/fd/{fd}', 0o644)",
            "its mode, by a descriptor that was not asked for",
        ),
        ("os.chown(os.environ['OUT'] + '/canary', -1, os.getgid())", "its group"),
        (
            "os.mkfifo(os.environ['OUT'] + '/fifo'); os.unlink(os.environ['OUT'] + '/fifo')",
            "a fifo",
        ),
        (
            "os.symlink('x', os.environ['OUT'] + '/l'); os.unlink(os.environ['OUT'] + '/l')",
            "a link",
        ),
        (
            "os.link(os.environ['OUT'] + '/canary', os.environ['OUT'] + '/l'); os.unlink(os.environ['OUT'] + '/l')",
            "another name",
        ),
        (
            "os.rename(os.environ['OUT'] + '/canary', os.environ['OUT'] + '/c'); os.rename(os.environ['OUT'] + '/c', os.environ['OUT'] + '/canary')",
            "a name is moved",
        ),
        ("open('/tmp/landlock-jail-test', 'w'); os.unlink('/tmp/landlock-jail-test')", "/tmp"),
        (
            "open('/dev/shm/landlock-jail-test', 'w'); os.unlink('/dev/shm/landlock-jail-test')",
            "/dev/shm",
        ),
    ] {
        attack(&place, body, SHUT, why);
    }
    python_inside(&place, "open('own', 'w').write('x'); os.chmod('own', 0o640); os.mkfifo('f'); os.truncate('own', 0)")
        .works("the same in the workspace");
    attack(&place, "open('/etc/passwd').read(); os.listdir('/etc')", SHUT, "/etc is not listed");
    inside(&place, "cat /etc/passwd > /dev/null && ls /usr > /dev/null")
        .works("entries of it are read");
}

#[test]
fn a_link_in_the_workspace_leads_nowhere_new() {
    let place = place();
    finish(&mut outside(
        &place,
        "ln",
        &["-s", &place.home.join(".ssh").display().to_string(), "away"],
    ))
    .works("a link");
    attack(&place, "open('away/id_test').read()", SHUT, "through a link");
}

#[test]
fn every_family_of_sockets_but_one() {
    let place = place();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    for (body, why) in [
        (format!("import socket; socket.create_connection(('127.0.0.1', {port}))"), "TCP"),
        (
            format!(
                "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', {port}))"
            ),
            "UDP",
        ),
        ("import socket; socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)".into(), "netlink"),
        (
            "import socket; socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)".into(),
            "AF_UNIX datagrams",
        ),
        (
            "import socket; s = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen()".into(),
            "listening",
        ),
    ] {
        attack(&place, &body, &["EPERM"], why);
    }
    python_inside(
        &place,
        "import socket\na, b = socket.socketpair()\na.send(b'x')\nassert b.recv(1) == b'x'",
    )
    .works("a pair of streams");
    inside(&place, "python3 -c 'import socket; socket.getaddrinfo(\"example.com\", 80)'")
        .fails(&["gaierror"], "no name is asked for");
}

#[test]
fn sockets_of_processes_outside() {
    let place = place();
    let name = format!("landlock-jail-{}", std::process::id());
    let path = place.out.join("socket");
    let serve = format!(
        "import socket, time\na = socket.socket(socket.AF_UNIX); a.bind('\\0{name}'); a.listen()\n\
         p = socket.socket(socket.AF_UNIX); p.bind('{}'); p.listen()\nprint('up', flush=True)\ntime.sleep(60)",
        path.display()
    );
    let mut server = outside(&place, "/usr/bin/python3", &["-c", &serve]);
    let mut server = server.stdout(std::process::Stdio::piped()).spawn().unwrap();
    let mut up = [0; 2];
    std::io::Read::read_exact(server.stdout.as_mut().unwrap(), &mut up).unwrap();
    let connect =
        |to: &str| format!("import socket; socket.socket(socket.AF_UNIX).connect('{to}')");
    attack(&place, &connect(&format!("\\0{name}")), &["EPERM"], "an abstract one");
    attack(&place, &connect(&path.display().to_string()), SHUT, "one with a path");
    python_inside(
        &place,
        "import socket\nfor at in ['', 'own']:\n\
         \x20   s = socket.socket(socket.AF_UNIX); s.bind(at); s.listen()\n\
         \x20   socket.socket(socket.AF_UNIX).connect(s.getsockname())",
    )
    .works("its own");
    let take = format!("import socket; socket.socket(socket.AF_UNIX).bind('\\0{name}-taken')");
    attack(&place, &take, &["EPERM"], "an abstract name of the machine's is taken");
    server.kill().unwrap();
    server.wait().unwrap();
}

#[test]
fn processes_outside() {
    let place = place();
    let mut other = outside(&place, "sleep", &["60"]);
    let mut other = other.env("CANARY", "of-another").spawn().unwrap();
    std::thread::sleep(std::time::Duration::from_millis(300));
    let pid = other.id();
    for (body, why) in [
        (format!("os.kill({pid}, 0)"), "a signal"),
        (format!("call(434, {pid}, 0); call(424, call(434, {pid}, 0), 0, 0, 0)"), "by a pidfd"),
        (format!("call(101, 0x4206, {pid}, 0, 0)"), "ptrace"),
        (
            format!("assert b'CANARY' in open('/proc/{pid}/environ', 'rb').read()"),
            "its environment",
        ),
        (format!("os.readlink('/proc/{pid}/fd/0')"), "its descriptors"),
        (format!("os.setpriority(os.PRIO_PROCESS, {pid}, 5)"), "its priority"),
        (format!("os.sched_setaffinity({pid}, os.sched_getaffinity({pid}))"), "its processors"),
        (
            format!("call(302, {pid}, 7, ctypes.byref((ctypes.c_ulong * 2)(512, 512)), 0)"),
            "its limits",
        ),
    ] {
        attack(&place, &body, &["EPERM", "EACCES", "ESRCH"], why);
    }
    python_inside(&place, "import subprocess\np = subprocess.Popen(['sleep', '9']); p.kill(); assert p.wait() == -9\nos.sched_setaffinity(0, os.sched_getaffinity(0))")
        .works("its own");
    other.kill().unwrap();
    other.wait().unwrap();
    for (body, why) in [
        ("call(29, 0, 4096, 0o600)", "shared memory"),
        ("call(68, 0, 0o600)", "a queue"),
        ("call(64, 0, 1, 0o600)", "semaphores"),
        (
            "call(240, b'landlock-jail', 0o102, 0o600, 0); call(241, b'landlock-jail')",
            "a queue by name",
        ),
    ] {
        attack(&place, body, &["EPERM"], why);
    }
}

#[test]
fn init_is_closed() {
    let place = place();
    for body in [
        "os.kill(os.getppid(), 0)",
        "open(f'/proc/{os.getppid()}/mem', 'r+b')",
        "os.open(f'/proc/{os.getppid()}/comm', os.O_WRONLY | os.O_CREAT)",
        "call(101, 0x4206, os.getppid(), 0, 0)",
        "os.setpriority(os.PRIO_PROCESS, os.getppid(), 5)",
    ] {
        python_inside(&place, body).fails(&["EPERM", "EACCES"], body);
    }
}

#[test]
fn names_are_held_by_the_broker() {
    let place = place();
    finish(&mut outside(
        &place,
        "sh",
        &["-c", "git init -q . && echo SECRET=1 > .env && mkdir sub"],
    ))
    .works("a repository");
    let mut told = Vec::new();
    for (body, why) in [
        ("os.mkdir('.claude')", "a name that is not there"),
        ("open('.envrc', 'w')", "another"),
        ("open('.git/hooks/pre-commit', 'w')", "a hook"),
        ("open('.git/config', 'a').write('[core]\\n\\tfsmonitor = x\\n')", "git's settings"),
        ("os.rename('.git', '.got')", "what is above one"),
        ("os.rename('.git/hooks', '.git/h')", "the name itself"),
        ("os.symlink('sub', '.vscode')", "a link of that name"),
    ] {
        let ran = python_inside(&place, body);
        told.push((why, ran.status, ran.err.clone()));
        ran.fails(&["EPERM", "EACCES", "EROFS", "EBUSY", "EXDEV"], why);
    }
    let hides = ["--hide", "**/.env", "--protect", "sub"];
    let body = |body: &str| {
        finish(super::run(&place, &hides).args(["/usr/bin/python3", "-c", &python(body)]))
    };
    body("open('.env').read()").fails(&["ENOENT", "EACCES"], "hidden");
    body("open('sub/x', 'w')").fails(&["EPERM", "EACCES", "EROFS"], "protected");
    body("open('other', 'w')").works("beside it");
    assert_eq!(place.read("home/src/app/.env"), "SECRET=1\n");
    assert!(is_root() || told.len() == 7);
}

/// A read-only tree in a writable one: Landlock adds rights up, so the broker alone holds it.
#[test]
fn a_read_only_tree_in_the_workspace() {
    let place = place();
    finish(&mut outside(&place, "sh", &["-c", "mkdir vendor && echo x > vendor/f"]))
        .works("a tree");
    let grant = format!("{}:ro", place.work.join("vendor").display());
    let body = |body: &str| {
        finish(super::run(&place, &["--grant", &grant]).args([
            "/usr/bin/python3",
            "-c",
            &python(body),
        ]))
    };
    body("assert open('vendor/f').read() == 'x\\n'").works("it is read");
    for act in [
        "open('vendor/f', 'a')",
        "os.truncate('vendor/f', 0)",
        "os.chmod('vendor/f', 0o600)",
        "open('vendor/g', 'w')",
        "os.unlink('vendor/f')",
    ] {
        body(act).fails(&["EPERM", "EACCES", "EROFS"], act);
    }
    let text = super::plan(&place, &["--grant", &grant]).works("plan").out;
    assert!(text.contains("the broker alone holds it"), "{text}");
}
