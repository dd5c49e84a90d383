//! Acts, each some Python, on both sides of the wall: a session takes one after the other and says
//! what became of it, so that a test can do something on the host between two of them.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use crate::support::{Place, Ran, python};

/// How long one act may take before the session is ended and the test has failed.
const PATIENCE: Duration = Duration::from_secs(40);

/// Reads acts and answers each with `ok`, the name of its errno, or what it left in `said`.
const SESSION: &str = r#"
import ctypes, fcntl, json, mmap, resource, signal, socket, stat, struct, subprocess, threading, time
def put(path, text='x'):
    with open(path, 'w') as f: f.write(text)
def get(path):
    with open(path) as f: return f.read()
def git(*words):
    done = subprocess.run(('git',) + words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode: raise AssertionError(done.stdout.decode())
    return done.stdout.decode()
def follow(link, to):
    'link(2) as a name of what a link leads to.'
    call(265, -100, os.fsencode(link), -100, os.fsencode(to), 0x400)
def until(done, seconds=10):
    end = time.time() + seconds
    while not done():
        assert time.time() < end, 'waited too long'
        time.sleep(0.005)
def judge(act, names):
    try:
        exec(act, names)
        return str(names.pop('said', 'ok'))
    except OSError as e: return errno.errorcode.get(e.errno, str(e))
    except BaseException as e: return repr(e)
def apart(act, there=None):
    'In a process of its own, and in a directory of its own.'
    r, w = os.pipe()
    pid = os.fork()
    if pid == 0:
        if there:
            os.chdir(there)
            os.environ['W'] = there
        os.write(w, judge(act, dict(names)).encode())
        os._exit(0)
    os.close(w)
    said = os.read(r, 60000).decode()
    os.close(r)
    os.waitpid(pid, 0)
    return said or 'died'
names = {**globals(), **locals()}
for line in sys.stdin:
    print(json.dumps(judge(json.loads(line), names)), flush=True)
"#;

/// An interpreter that waits for acts.
#[derive(Debug)]
pub(crate) struct Session {
    child: Child,
    to: Option<ChildStdin>,
    from: Receiver<String>,
    errors: PathBuf,
}

impl Session {
    /// Inside, in the workspace.
    #[track_caller]
    pub(crate) fn inside(place: &Place, options: &[&str]) -> Self {
        let mut command = place.cofferdam(options);
        command.args(["/usr/bin/python3", "-c", &python(SESSION)]);
        Self::start(place, command)
    }

    /// Without a wall, in `folder`.
    #[track_caller]
    pub(crate) fn outside(place: &Place, folder: &Path) -> Self {
        let mut command = place.command("/usr/bin/python3");
        command.args(["-c", &python(SESSION)]).current_dir(folder).env("W", folder);
        Self::start(place, command)
    }

    #[track_caller]
    fn start(place: &Place, mut command: Command) -> Self {
        let errors = place.root.join(format!("errors-{:?}", std::time::Instant::now()));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(File::create(&errors).unwrap());
        let mut child = command.spawn().unwrap();
        let (to, out) = (child.stdin.take(), child.stdout.take().unwrap());
        let (lines, from) = channel();
        std::thread::spawn(move || {
            let sent = BufReader::new(out).lines().map_while(Result::ok);
            let gone = sent.map(|line| lines.send(line)).any(|sent| sent.is_err());
            drop((gone, lines));
        });
        let mut session = Self { child, to, from, errors };
        session.ok("pass");
        session
    }

    /// The engine's process, or the interpreter's own.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What became of an act: `ok`, the name of an errno, or what it left in `said`.
    #[track_caller]
    pub(crate) fn act(&mut self, act: &str) -> String {
        self.tell(act);
        self.hear(act)
    }

    /// Sends an act and does not wait.
    #[track_caller]
    pub(crate) fn tell(&mut self, act: &str) {
        let line = serde_json::to_string(act).unwrap();
        let sent = writeln!(self.to.as_mut().unwrap(), "{line}");
        assert!(sent.is_ok(), "{act}: nobody hears it: {}", self.complaints());
    }

    /// The answer to the act that was told last.
    #[track_caller]
    pub(crate) fn hear(&mut self, act: &str) -> String {
        match self.from.recv_timeout(PATIENCE) {
            Ok(line) => serde_json::from_str(&line).unwrap(),
            Err(why) => panic!("{act}: {why}: {:?} {}", self.child.kill(), self.complaints()),
        }
    }

    /// An act that works.
    #[track_caller]
    pub(crate) fn ok(&mut self, act: &str) {
        let said = self.act(act);
        assert_eq!(said, "ok", "{act}: should work: {}", self.complaints());
    }

    /// An act that fails with one of these errnos.
    #[track_caller]
    pub(crate) fn fails(&mut self, act: &str, with: &str) {
        let said = self.act(act);
        assert!(with.split(' ').any(|one| one == said), "{act}: should fail with {with}: {said}");
    }

    /// What it wrote on standard error.
    pub(crate) fn complaints(&self) -> String {
        fs::read_to_string(&self.errors).unwrap_or_default()
    }

    /// Lets it come to its end.
    #[track_caller]
    pub(crate) fn end(mut self) -> Ran {
        drop(self.to.take());
        let status = self.child.wait().unwrap().code();
        Ran { status, out: String::new(), err: self.complaints() }
    }

    /// Kills the process that was started: the engine, where it is inside.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        drop(self.to.take());
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A policy file with these lines in its `[filesystem]`, and the options that name it.
pub(crate) fn policy(place: &Place, filesystem: &str) -> [String; 2] {
    let text = format!("version = 1\n\n[filesystem]\n{filesystem}\n");
    ["--policy".into(), place.write("policy.toml", &text).display().to_string()]
}

/// A copy of the workspace beside it, another one each time.
pub(crate) fn twin(place: &Place) -> PathBuf {
    copy_of(place, &place.work)
}

pub(crate) fn copy_of(place: &Place, folder: &Path) -> PathBuf {
    let copies = place.root.join("copies");
    fs::create_dir_all(&copies).unwrap();
    let copy = copies.join(fs::read_dir(&copies).unwrap().count().to_string());
    let done = place.command("cp").arg("-a").arg(folder).arg(&copy).status();
    assert!(done.is_ok_and(|status| status.success()), "a copy");
    copy
}

/// Everything in a tree: kind, mode, names, content, and when it changed.
pub(crate) fn seen(folder: &Path) -> BTreeMap<PathBuf, String> {
    let mut all = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let what = fs::symlink_metadata(&folder).unwrap();
        let entries = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
        folders.extend(entries.filter(|path| {
            let what = fs::symlink_metadata(path).unwrap();
            let content = if what.is_file() { fs::read(path).unwrap() } else { Vec::new() };
            let link = fs::read_link(path).unwrap_or_default();
            let text = String::from_utf8_lossy(&content).into_owned();
            let when = (what.mtime(), what.mtime_nsec());
            let line = format!("{:o} {} {when:?} {text:?} {link:?}", what.mode(), what.nlink());
            all.insert(path.clone(), line);
            what.is_dir()
        }));
        all.insert(folder, format!("{:o} {:?}", what.mode(), (what.mtime(), what.mtime_nsec())));
    }
    all
}

/// Acts, each with the errnos that it may meet: each works on a copy without a wall, fails inside,
/// and nothing changes.
#[track_caller]
pub(crate) fn denied(place: &Place, options: &[&str], acts: &[(String, &str)]) {
    let mut outside = Session::outside(place, &place.work);
    let before = seen(&place.work);
    // Whatever an act that is not denied changes, the others' control is as it was.
    let first = twin(place);
    let mut inside = Session::inside(place, options);
    let mut faults = Vec::new();
    for (act, with) in acts {
        let copy = copy_of(place, &first);
        let quoted = serde_json::to_string(act).unwrap();
        let there = serde_json::to_string(&copy).unwrap();
        let control = outside.act(&format!("said = apart({quoted}, {there})"));
        assert_eq!(control, "ok", "{act}: should work without a wall");
        fs::remove_dir_all(&copy).unwrap();
        let said = inside.act(&format!("said = apart({quoted})"));
        if !with.split(' ').any(|one| one == said) {
            faults.push(format!("{act}: {said}, not {with}"));
        }
    }
    assert!(faults.is_empty(), "{} of {}:\n{}", faults.len(), acts.len(), faults.join("\n"));
    inside.end().works("the session goes on to its end");
    let after = seen(&place.work);
    let changed = |(path, line): &(&PathBuf, &String)| before.get(*path) != Some(line);
    let changed: Vec<_> = after.iter().filter(changed).collect();
    assert!(changed.is_empty() && after.len() == before.len(), "changed: {changed:?}");
}

/// Acts that work inside, one after the other.
#[track_caller]
pub(crate) fn allowed(place: &Place, options: &[&str], acts: &[&str]) {
    let mut inside = Session::inside(place, options);
    for act in acts {
        inside.ok(act);
    }
    inside.end().works("the twins");
}

/// Acts that come to the same inside and, in a copy of the workspace, outside. Returns what.
#[track_caller]
pub(crate) fn same(place: &Place, options: &[&str], acts: &[&str]) -> Vec<String> {
    let copy = twin(place);
    let mut outside = Session::outside(place, &copy);
    let mut inside = Session::inside(place, options);
    let mut came = Vec::new();
    for act in acts {
        let (want, got) = (outside.act(act), inside.act(act));
        assert_eq!(got, want, "{act}: inside, and without a wall");
        came.push(got);
    }
    inside.end().works("the session");
    came
}

/// The record's events of one kind.
pub(crate) fn events(place: &Place, kind: &str) -> Vec<serde_json::Value> {
    let text = fs::read_to_string(place.audit_log()).unwrap_or_default();
    let lines = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let event = |line: serde_json::Value| line.get("event").cloned().unwrap_or(line);
    lines.map(event).filter(|event| event["kind"] == kind).collect()
}

/// Pid 1 of the sandbox that the engine `pid` runs, as the host counts.
pub(crate) fn init_of(pid: u32) -> u32 {
    let children = |pid: u32| {
        let path = format!("/proc/{pid}/task/{pid}/children");
        let text = fs::read_to_string(path).unwrap_or_default();
        text.split_whitespace().filter_map(|word| word.parse().ok()).collect::<Vec<u32>>()
    };
    let first = |pid: &u32| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let inner = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
        inner.is_some_and(|inner| inner.split_whitespace().skip(1).eq(["1"]))
    };
    let mut found = children(pid);
    found.extend(found.clone().into_iter().flat_map(children));
    found.into_iter().find(first).unwrap_or_else(|| panic!("no pid 1 below {pid}"))
}
