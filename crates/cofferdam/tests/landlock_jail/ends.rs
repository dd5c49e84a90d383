//! Nothing of a sandbox outlives it, as far as that is claimed.

use std::process::Stdio;
use std::time::{Duration, Instant};

use super::{place, run};
use crate::support::{Place, finish, groups_of, marked, programs};

/// A process that has left its session and its parent.
const ORPHAN: &str =
    "setsid sh -c '(sleep 300 & sleep 300) & echo $$' > /dev/null 2>&1 & sleep 0.3; echo ready; ";

fn gone(mark: &str) -> bool {
    let until = Instant::now() + Duration::from_secs(10);
    while Instant::now() < until {
        if marked(mark).is_empty() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    false
}

fn start(place: &Place, mark: &str, script: &str) -> std::process::Child {
    let mut command = run(place, &["--env", mark]);
    command.args(["sh", "-c", script]).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut word = [0; 5];
    std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut word).unwrap();
    assert_eq!(&word, b"ready");
    child
}

#[test]
fn orphans_end_with_the_command() {
    let place = place();
    let mark = format!("MARK=end-{}", std::process::id());
    let mut child = start(&place, &mark, &format!("{ORPHAN} sleep 0.5; exit 3"));
    assert!(marked(&mark).len() >= 3, "they run");
    assert_eq!(child.wait().unwrap().code(), Some(3));
    assert_eq!(marked(&mark), [0_u32; 0], "the end is the end of all of them");
}

#[test]
fn orphans_end_with_the_engine() {
    let place = place();
    let mark = format!("MARK=killed-{}", std::process::id());
    let mut child = start(&place, &mark, &format!("{ORPHAN} echo $HOME; sleep 300"));
    assert!(marked(&mark).len() >= 3, "they run");
    let mut home = String::new();
    let mut out = std::io::BufReader::new(child.stdout.as_mut().unwrap());
    for _ in 0..2 {
        home.clear();
        std::io::BufRead::read_line(&mut out, &mut home).unwrap();
    }
    let home = std::path::PathBuf::from(home.trim_end());
    assert!(home.is_dir(), "its home: {}", home.display());
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(gone(&mark), "left: {:?}", marked(&mark));
    // Its home is the next start's to remove.
    super::inside(&place, "true").works("the next start");
    assert!(!home.exists(), "nothing is left");
}

/// Who forks on and on is ended too: where signals are scoped, all of them at once.
#[test]
fn a_bomb_ends_with_the_command() {
    let place = place();
    let mark = format!("MARK=bomb-{}", std::process::id());
    let bomb = "import os, time\n\
                for i in range(4):\n\
                \x20   if os.fork() == 0:\n\
                \x20       os.setsid()\n\
                \x20       end = time.time() + 60\n\
                \x20       while time.time() < end:\n\
                \x20           if os.fork(): os._exit(0)\n\
                \x20           time.sleep(0.001)\n\
                print('ready', flush=True); time.sleep(0.3)";
    let mut child = start(&place, &mark, &format!("exec /usr/bin/python3 -c \"{bomb}\""));
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(marked(&mark), [0_u32; 0], "none is left");
}

/// Init that is killed ends nobody any more; the control group still does, where there is one.
#[test]
fn orphans_end_with_init_in_a_control_group() {
    let place = place();
    let mark = format!("MARK=init-{}", std::process::id());
    let mut child = start(&place, &mark, &format!("{ORPHAN} echo $PPID; sleep 300"));
    assert!(marked(&mark).len() >= 3, "they run");
    let mut out = std::io::BufReader::new(child.stdout.as_mut().unwrap());
    let mut init = String::new();
    for _ in 0..2 {
        init.clear();
        std::io::BufRead::read_line(&mut out, &mut init).unwrap();
    }
    let grouped = !groups_of(child.id()).is_empty();
    place.outside(&format!("kill -9 {init}")).works("init is killed");
    if !grouped {
        // As is stated: they run on.
        place
            .outside(&format!(
                "kill -9 {}",
                marked(&mark).iter().map(u32::to_string).collect::<Vec<_>>().join(" ")
            ))
            .works("by hand");
    }
    assert_eq!(child.wait().unwrap().code(), Some(125), "the engine says that it is lost");
    assert!(gone(&mark), "left: {:?}", marked(&mark));
}

/// Who joins init's group and reads the terminal from there stops itself, and nobody else.
#[test]
fn init_is_not_stopped_by_the_terminal() {
    const DRIVER: &str = include_str!("../terminal/driver.py");
    let place = place();
    let acts = format!(
        r#"
open("act.py", "w").write("""import os, signal, time
state = lambda pid: open(f'/proc/{{pid}}/stat').read().rsplit(')', 1)[1].split()[0]
other = os.fork()
if other == 0:
    os.setpgid(0, os.getsid(0))
    os.read(0, 1)
    os._exit(0)
time.sleep(1)
print('joined', os.getpgid(other) == os.getsid(0), 'other', state(other), 'init', state(os.getsid(0)))
""")
os.chmod("act.py", 0o644)
p.types("cofferdam run --quiet --jail landlock --best-effort {given_up} -- /usr/bin/python3 act.py; echo st=$?\n")
p.sees("joined True other T init S"); p.sees("st=0"); p.prompt()
assert p.settings() == before, 'the settings'
p.ends()
"#,
        given_up = super::GIVEN_UP
    );
    let mut command = place.command("/usr/bin/python3");
    command.env("COFFERDAM_BIN", programs()).args(["-c", &format!("{DRIVER}\n{acts}")]);
    finish(&mut command).works("a terminal");
}
