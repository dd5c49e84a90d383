//! What is left when the engine is killed at any moment: nothing.

#[path = "support/mod.rs"]
mod support;

use std::fs;
use std::process::Stdio;
use std::sync::Mutex;
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use support::{Place, finish, groups_of};

/// How often the engine is killed.
const KILLS: u32 = 200;
/// A run takes about 10 ms here; kills are spread over twice that. Microseconds.
const MOMENT_MAX: u64 = 20_000;

/// Children are counted by process, so one test at a time.
static ALONE: Mutex<()> = Mutex::new(());

/// xorshift64*: moments only have to be spread.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) % bound
    }
}

/// Waits until no descendant of ours is left; orphans come to us, since we are their subreaper.
fn all_gone(within: Duration) -> bool {
    let until = Instant::now() + within;
    loop {
        match rustix::process::wait(rustix::process::WaitOptions::NOHANG) {
            Err(rustix::io::Errno::CHILD) => return true,
            Ok(None) if Instant::now() > until => return false,
            Ok(None) => sleep(Duration::from_millis(1)),
            Ok(Some(_)) | Err(_) => {}
        }
    }
}

/// Mounts of this namespace, and names of ours in shared places.
fn traces() -> String {
    let mut text = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    for folder in ["/tmp", "/var/tmp", "/dev/shm", "/run", "/sys/fs/cgroup"] {
        let names = fs::read_dir(folder).into_iter().flatten().flatten();
        let ours = names
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .filter(|name| name.contains("cofferdam") && !name.starts_with("cofferdam-test-"));
        text.extend(ours.map(|name| format!("{folder}/{name}\n")));
    }
    text
}

#[test]
fn a_killed_engine_leaves_nothing() {
    let _alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    rustix::process::set_child_subreaper(Some(rustix::process::getpid())).unwrap();
    let place = Place::new();
    place.write("home/src/app/.git/hooks/pre-commit", "#!/bin/sh\n");
    let before = traces();
    let seed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos();
    let seed = u64::try_from(seed & u128::from(u64::MAX)).unwrap() | 1;
    println!("seed {seed}");
    let mut random = Random(seed);
    let mut ran = 0;
    let mut engines = Vec::new();
    for number in 0..KILLS {
        drop(fs::remove_file(place.work.join("ran")));
        let mut command = place.cofferdam(&[]);
        // The workload tries to stay: its own session, no terminal, signals ignored.
        command.args([
            "sh",
            "-c",
            "trap '' TERM HUP INT; echo x > ran; (setsid sleep 1000 &) ; sleep 1000",
        ]);
        let mut engine = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        engines.push(engine.id());
        sleep(Duration::from_micros(random.below(MOMENT_MAX)));
        engine.kill().unwrap();
        engine.wait().unwrap();
        assert!(all_gone(Duration::from_secs(10)), "kill {number}: a process is left");
        ran += u32::from(place.work.join("ran").exists());
    }
    println!("{ran} of {KILLS} were killed after the workload began");
    assert!(ran > 0 && ran < KILLS, "moments before and after the workload began: {ran}");
    assert_eq!(traces(), before, "no mount and no name of ours is left");
    let names = place.outside("ls -A $W | sort").works("look").out;
    assert!(names.lines().all(|name| name == ".git" || name == "ran"), "the workspace: {names}");
    // The log may end in a torn record: the next run accounts for it.
    // A group has nobody to remove it: it is left empty, and the next run takes it away.
    let groups = || engines.iter().flat_map(|engine| groups_of(*engine)).collect::<Vec<_>>();
    let left = groups();
    println!("{} empty groups of the last engine", left.len());
    assert!(left.len() <= 3, "each start tidied up after the one before: {left:?}");
    finish(place.cofferdam(&[]).arg("true")).works("the next run");
    assert_eq!(groups(), Vec::<std::path::PathBuf>::new(), "no group is left");
    let verified = cofferdam::audit::verify(&place.audit_log()).unwrap();
    assert_eq!(verified.unfinished, 0, "the chain holds to its end");
}

#[test]
fn eight_at_once_in_one_directory() {
    let _alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let place = Place::new();
    place.write("home/src/app/.git/hooks/pre-commit", "#!/bin/sh\n");
    std::thread::scope(|scope| {
        for number in 0..8 {
            let place = &place;
            scope.spawn(move || {
                for round in 0..5 {
                    let script =
                        format!("echo {round} > out-{number} && cat out-{number} && sleep 0.05");
                    let ran = place.inside(&script).works("one of eight");
                    assert_eq!(ran.out.trim(), round.to_string());
                }
            });
        }
    });
    let verified = cofferdam::audit::verify(&place.audit_log()).unwrap();
    assert_eq!((verified.sessions, verified.records), (40, 120), "each has its three records");
}
