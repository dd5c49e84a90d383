//! Rows of the field's catalogue behind this wall.

use std::fs;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::Wall;
use crate::support::{finish, programs};

struct Victim(Child);

impl Drop for Victim {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// F17, K18: no process of the host's is there, and no log of its kernel.
#[test]
fn f17_no_other_process_is_there() {
    for wall in Wall::all() {
        let mut command = wall.place.command("sleep");
        let victim = Victim(command.arg("60").spawn().unwrap());
        let read = format!("cat /proc/{}/environ > /dev/null", victim.0.id());
        wall.place.outside(&read).works("the control");
        wall.sh(&read).fails(&["No such file"], wall.name);
        let seen = wall.sh("cat /proc/[0-9]*/cmdline | tr '\\0' ' '").works(wall.name).out;
        assert!(!seen.contains("sleep") && !seen.contains("cofferdam-init"), "{seen}");
    }
}

/// F18: our own programs and files, and `runsc` itself, are not there to be overwritten.
#[test]
fn f18_own_files_are_not_there() {
    for wall in Wall::all() {
        assert!(wall.place.outside(&format!("test -s {}", wall.runsc.display())).status == Some(0));
        let ran = wall.sh("ls -A /.cofferdam/gvisor; cat /.cofferdam/gvisor/runsc");
        assert!(ran.out.is_empty(), "{}: {ran:?}", wall.name);
        ran.fails(&["No such file"], wall.name);
        wall.sh("echo x > /proc/1/exe").fails(&["ermission", "busy", "ead-only"], wall.name);
        wall.sh("cat /proc/self/exe > /dev/null").works("one's own");
    }
}

/// F27: the root of gVisor's kernel makes nothing of the host's writable.
#[test]
fn f27_remounts_do_not_reach_the_host() {
    let body = "for at in (os.environ['OUT'], os.environ['W'], '/usr'):
    for flags in (32, 32 | 4096):
        try: call(165, ctypes.c_char_p(), at.encode(), ctypes.c_char_p(), flags, ctypes.c_char_p())
        except OSError as e: pass
    try: open(at + '/remounted', 'w').close()
    except OSError as e: print(at, errno.errorcode[e.errno])
    else: print(at, 'made')";
    for wall in Wall::all() {
        let out = wall.place.out.display().to_string();
        let grant = format!("{out}:ro");
        let mut command = wall.command(&["--grant", &grant]);
        let body = crate::support::python(body);
        let ran = finish(command.args(["/usr/bin/python3", "-c", &body])).works(wall.name);
        assert!(ran.out.contains(&format!("{out} EROFS\n")), "{}: {ran:?}", wall.name);
        let there = [&wall.place.out, &wall.place.work].map(|at| at.join("remounted").exists());
        assert_eq!(there, [false, false], "{}", wall.name);
        assert!(!fs::exists("/usr/remounted").unwrap(), "{}", wall.name);
        wall.sh_with(&["--grant", &grant], "cat $OUT/canary").works("it is granted");
    }
}

/// K05, K06: what of sockets a stream of the run's is passes no descriptor in.
#[test]
fn k05_no_descriptor_comes_through_a_stream() {
    let body = "import array, socket
s = socket.socket(fileno=os.dup(0))
words, parts, flags, _ = s.recvmsg(9, 256)
print(len(parts))";
    let body = crate::support::python(body);
    let send = "import socket, os, array
s = socket.socket(fileno=0)
s.sendmsg([b'x'], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', [os.open(os.environ['OUT'] + '/canary', 0)]))])
s.recv(1)";
    let receive = |mut command: Command, place: &crate::support::Place| {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let mut sender = place.command("/usr/bin/python3");
        let fd: std::os::fd::OwnedFd = ours.into();
        let mut sender = sender.args(["-c", send]).stdin(fd).spawn().unwrap();
        let theirs: std::os::fd::OwnedFd = theirs.into();
        let ran = finish(command.args(["/usr/bin/python3", "-c", &body]).stdin(theirs));
        drop(command);
        drop(sender.kill());
        sender.wait().unwrap();
        ran
    };
    for wall in Wall::all() {
        let python = wall.place.command("/usr/bin/env");
        assert_eq!(receive(python, &wall.place).works("the control").out, "1\n");
        let ran = receive(wall.command(&[]), &wall.place);
        assert!(!ran.out.contains('1'), "{}: {ran:?}", wall.name);
    }
}

/// K31: cofferdam inside gives no other rules.
#[test]
fn k31_no_sandbox_of_its_own_rules_inside() {
    let Some(wall) = Wall::reading() else { return };
    let bin = programs().display().to_string();
    let nested = format!(
        "{bin}/cofferdam run --quiet --env OUT --grant $OUT:rw -- sh -c 'echo nested > $OUT/made'"
    );
    wall.place.outside(&nested).works("the control");
    fs::remove_file(wall.place.out.join("made")).unwrap();
    let grant = format!("{bin}:ro");
    let options = ["--grant", grant.as_str()];
    let ran = wall.sh_with(&options, &format!("mkdir -p $OUT; {nested}"));
    assert_ne!(ran.status, Some(0), "{ran:?}");
    assert!(!wall.place.out.join("made").exists());
    wall.sh_with(&options, &format!("{bin}/cofferdam --version")).works("it is there");
}

/// Processes below this one, with the times at which they began.
fn below(pid: u32) -> Vec<(u32, String)> {
    let mut all = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Ok(number) = entry.file_name().to_string_lossy().parse::<u32>() else { continue };
        let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        let Some((_, rest)) = stat.rsplit_once(") ") else { continue };
        let words: Vec<&str> = rest.split(' ').collect();
        let (Some(parent), Some(since)) = (words.get(1), words.get(19)) else { continue };
        if words.first() != Some(&"Z") {
            all.push((number, parent.parse::<u32>().unwrap(), (*since).to_owned()));
        }
    }
    let (mut found, mut parents) = (Vec::new(), vec![pid]);
    while let Some(parent) = parents.pop() {
        for (number, _, since) in all.iter().filter(|(_, of, _)| *of == parent) {
            found.push((*number, since.clone()));
            parents.push(*number);
        }
    }
    found
}

fn is_there((pid, since): &(u32, String)) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let rest = stat.rsplit_once(") ").map(|(_, rest)| rest).unwrap_or_default();
    !rest.starts_with('Z') && rest.split(' ').nth(19) == Some(since)
}

/// K32: a daemon inside, and gVisor's own processes, end with the run.
#[test]
fn k32_nothing_outlives_the_run() {
    for wall in Wall::all() {
        for kill in [false, true] {
            let mut command = wall.command(&[]);
            let script =
                "setsid sh -c 'trap \"\" TERM HUP; sleep 300' >/dev/null 2>&1 & echo up; read word";
            command.args(["sh", "-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped());
            let mut engine = command.spawn().unwrap();
            let mut up = [0; 3];
            std::io::Read::read_exact(engine.stdout.as_mut().unwrap(), &mut up).unwrap();
            let during = below(engine.id());
            assert!(during.len() >= 4, "{}: init, runsc, its kernel: {during:?}", wall.name);
            if kill {
                engine.kill().unwrap();
            }
            drop(engine.stdin.take());
            engine.wait().unwrap();
            let end = Instant::now() + Duration::from_secs(20);
            while during.iter().any(is_there) {
                assert!(kill && Instant::now() < end, "{}: {during:?} outlive it", wall.name);
                std::thread::sleep(Duration::from_millis(10));
            }
        }
    }
}

/// K33: bombs are bounded, and the host's `true` runs meanwhile.
#[test]
fn k33_bombs_are_bounded() {
    let Some(wall) = Wall::tenant() else { return };
    let forks = "import time
made = 0
try:
    for n in range(2000):
        if os.fork() == 0: time.sleep(30); os._exit(0)
        made += 1
except OSError as e: print(errno.errorcode[e.errno])
print(made)";
    let descriptors = "held = []
try:
    for n in range(5000): held.append(os.open('/dev/null', 0))
except OSError as e: print(errno.errorcode[e.errno])
print(len(held))";
    let space = "f = open('/dev/shm/bomb', 'wb')
try:
    for n in range(64): f.write(bytes(1 << 20)); f.flush()
except OSError as e: print(errno.errorcode[e.errno])
print(f.tell() >> 20)";
    for (body, options, what) in [
        (forks, &["--limit", "processes=64", "--limit", "wall_time=20s"][..], "processes"),
        (descriptors, &["--limit", "open_files=64"], "descriptors"),
        (space, &["--limit", "private_size=16MiB"], "space"),
    ] {
        let body = crate::support::python(body);
        let mut command = wall.command(options);
        command
            .args(["/usr/bin/python3", "-c", &body])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let bomb = command.spawn().unwrap();
        let begin = Instant::now();
        while begin.elapsed() < Duration::from_secs(2) {
            wall.place.outside("true").works("the host goes on");
            std::thread::sleep(Duration::from_millis(50));
        }
        let ran = bomb.wait_with_output().unwrap();
        let out = String::from_utf8_lossy(&ran.stdout).into_owned();
        println!("{what}: {:?}: {}", ran.status.code(), out.replace('\n', " "));
        match what {
            "descriptors" => assert!(out.starts_with("EMFILE\n"), "{ran:?}"),
            "space" => assert!(out.starts_with("ENOSPC\n"), "{ran:?}"),
            _ => assert!(!out.contains("2000"), "{ran:?}"),
        }
        wall.sh("true").works("and the next one starts");
    }
}

/// L06: two sessions at once see nothing of each other.
#[test]
fn l06_sessions_are_apart() {
    let Some(wall) = Wall::tenant() else { return };
    let mut one = wall.command(&[]);
    let script = "for at in /tmp /dev/shm /var/tmp $H .; do echo mine > $at/of-one; done; \
                  /usr/bin/python3 -c \"import socket, sys; s = socket.socket(1); s.bind('\\\\0of-one'); s.listen(); \
                  t = socket.create_server(('127.0.0.1', 7654)); print('up', flush=True); sys.stdin.read()\"; echo end";
    one.args(["sh", "-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut one = one.spawn().unwrap();
    let mut up = [0; 3];
    std::io::Read::read_exact(one.stdout.as_mut().unwrap(), &mut up).unwrap();
    assert_eq!(&up, b"up\n");
    let look = "ls -A /tmp /dev/shm /var/tmp $H . | grep of-one; ps=$(cat /proc/[0-9]*/cmdline | tr '\\0' ' '); echo \"$ps\" | grep -c 7654; \
                /usr/bin/python3 -c \"import socket\ntry: socket.create_connection(('127.0.0.1', 7654), 2)\nexcept OSError: print('no port')\n\
                try: socket.socket(1).connect('\\\\0of-one')\nexcept OSError: print('no name')\"";
    // The words themselves are in the process that looks; only those of another count.
    let look = look.replace("grep -c 7654", "grep -c create_[s]erver");
    let other = wall.sh(&look).works("it looks");
    assert_eq!(other.out, "0\nno port\nno name\n", "{other:?}");
    drop(one.stdin.take());
    assert!(one.wait().unwrap().success());
}
