//! A real run: a sandbox of the Engine's, and in it a workload that tries what must fail.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Write};
use std::net::TcpListener;
use std::os::fd::AsFd;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, lchown};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use cofferdam_sandbox::{Caller, Outcome, Sink};
use rustix::fs::{StatVfsMountFlags, statvfs};

use super::broker::{HELD, HIDDEN};
use super::inside::{LEAK, SPACES, connect, space};
use super::probe::Answers;
use crate::engine::Engine;
use crate::options::{Options, PolicyFrom};
use crate::refused::Refused;

/// Long enough for a busy machine; the workload takes a few milliseconds.
const PATIENCE: Duration = Duration::from_millis(1_500);
const REMOVAL_TRIES: u32 = 3;
/// `struct signalfd_siginfo` (`signalfd(2)`): its size, and the number of `SIGKILL`, which comes
/// first in it.
const SIGNAL_RECORD: usize = 128;
const SIGKILL: u8 = 9;
/// Nothing but what every policy has.
const POLICY: &str = "version = 1\n";

/// A directory of its own, removed at the end, with `canary` and `work` for single probes. In it
/// `tree`, for the trials: `canary` (outside of the view), `kept/file` (read-only), `old/file` (never
/// lost), `work` (the workspace) with a file that is hidden from the broker's. Only the tree is given away: its owner can plant links, which root must not follow.
#[derive(Debug)]
pub(super) struct Place {
    /// Where the caller may go on to make files.
    pub(super) own: PathBuf,
    pub(super) tree: PathBuf,
    /// This program in the workspace; `None` where no file there may be executed.
    program: Option<PathBuf>,
    owner: Option<(u32, u32)>,
}

impl Place {
    /// Makes it, for `owner` where root makes it for somebody, who gets `tree` with [`Place::give`].
    pub(super) fn make(owner: Option<(u32, u32)>) -> io::Result<Self> {
        let starts = |folder: &PathBuf| {
            let seen = statvfs(folder.as_path());
            seen.is_ok_and(|seen| !seen.f_flag.contains(StatVfsMountFlags::NOEXEC))
        };
        let mut name = [0_u8; 8];
        rustix::rand::getrandom(&mut name[..], rustix::rand::GetRandomFlags::empty())?;
        let name = format!("cofferdam-doctor-{:016x}", u64::from_ne_bytes(name));
        let make = |folder: &PathBuf| {
            let root = fs::canonicalize(folder)?.join(&name);
            fs::DirBuilder::new().mode(0o755).create(&root)?;
            Ok(root)
        };
        // Where a program may be started, if there is such a place.
        let mut folders = [std::env::temp_dir(), "/var/tmp".into()];
        folders.sort_by_key(|folder| !starts(folder));
        let [first, second] = &folders;
        let (own, executes) = match make(first) {
            Ok(root) => (root, starts(first)),
            Err(error) => (make(second).map_err(|_: io::Error| error)?, starts(second)),
        };
        // From here on it is removed, whatever fails.
        let mut place = Self { tree: own.join("tree"), own, program: None, owner };
        let at = |name: &str| place.own.join(name);
        for name in ["tree", "tree/work", "tree/kept", "tree/old", "work"] {
            fs::create_dir(at(name))?;
            fs::set_permissions(at(name), fs::Permissions::from_mode(0o755))?;
        }
        let hidden = format!("tree/work/{HIDDEN}");
        for name in ["tree/canary", "tree/kept/file", "tree/old/file", &hidden, "canary"] {
            fs::write(at(name), "nothing that matters\n")?;
            fs::set_permissions(at(name), fs::Permissions::from_mode(0o644))?;
        }
        let program = at("tree/work/cofferdam");
        if executes {
            fs::copy("/proc/self/exe", &program)?;
            fs::set_permissions(&program, fs::Permissions::from_mode(0o755))?;
        }
        place.program = executes.then_some(program);
        Ok(place)
    }

    /// Gives the tree to its owner. From here on the caller opens nothing in it by name: what lies
    /// deeper is given first, and the last to be given holds all others.
    fn give(&self) -> io::Result<()> {
        let Some((uid, gid)) = self.owner else { return Ok(()) };
        let names = ["kept/file", "kept", "old/file", "old", "canary"];
        let names = names.map(|name| self.tree.join(name));
        let hidden = self.tree.join("work").join(HIDDEN);
        let last = [self.tree.join("work"), self.tree.clone()];
        let mut all = names.iter().chain([&hidden]).chain(&self.program).chain(&last);
        all.try_for_each(|path| lchown(path, Some(uid), Some(gid)))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // Whom the tree was given to shall not fill it while it is emptied, nor finish what they do
        // in it just now.
        fs::set_permissions(&self.own, fs::Permissions::from_mode(0o700)).unwrap_or(());
        // What cannot be removed is empty but for a few bytes of no meaning.
        (0..REMOVAL_TRIES).find(|_| fs::remove_dir_all(&self.own).is_ok());
    }
}

/// What came of it.
#[derive(Debug)]
pub(super) struct Trial {
    /// How the workload ended, where it is not as it should.
    pub(super) fault: Option<String>,
    /// What the workload said.
    pub(super) inside: Answers,
    /// Namespaces of this process, by [`SPACES`].
    pub(super) outside: Vec<Option<String>>,
    /// Acts that must fail inside and do not even work outside: nothing was shown of them.
    pub(super) no_control: Vec<&'static str>,
    /// Whether what the workload wrote beside its workspace came out.
    pub(super) leaked: bool,
}

/// What a workload of this program's is sent to do.
pub(super) struct Errand {
    /// The policy's text.
    pub(super) policy: String,
    /// Grants besides the workspace.
    pub(super) grants: Vec<String>,
    /// What follows `doctor --probe`.
    pub(super) words: Vec<OsString>,
    /// After this long it is ended.
    pub(super) patience: Duration,
}

/// Runs it.
///
/// # Errors
/// What `run` would refuse here, or a fault of the place.
pub(super) fn hold(place: &Place, engine: &Engine) -> Result<Trial, Refused> {
    let failed = |doing: &'static str| move |source| Refused::Diagnosis { doing, source };
    let listener = TcpListener::bind("127.0.0.1:0").map_err(failed("listen on the loopback"))?;
    let port = listener.local_addr().map_err(failed("listen on the loopback"))?.port();
    // Without a wall first, as long as nobody else can change what is there.
    let (no_control, outside) = (controls(&place.tree, port), SPACES.map(|name| space(name).ok()));
    place.give().map_err(failed("give a directory to its owner"))?;
    let path = |name: &str| place.tree.join(name);
    let errand = Errand {
        policy: POLICY.into(),
        grants: vec![format!("{}:ro", path("kept").display())],
        words: vec!["inside".into(), place.tree.clone().into(), port.to_string().into()],
        patience: PATIENCE,
    };
    let (fault, inside) = send(place, engine, errand)?;
    let leaked = fs::symlink_metadata(path(LEAK)).is_ok();
    drop(listener);
    Ok(Trial { fault, inside, outside: outside.into(), no_control, leaked })
}

/// Runs one workload in a sandbox at `place`: how it ended, where not as it should, and what it said.
///
/// # Errors
/// What `run` would refuse here, or a fault of the place.
pub(super) fn send(
    place: &Place,
    engine: &Engine,
    errand: Errand,
) -> Result<(Option<String>, Answers), Refused> {
    let failed = |doing: &'static str| move |source| Refused::Diagnosis { doing, source };
    let program = match &place.program {
        Some(program) => program.clone(),
        None => fs::read_link("/proc/self/exe").map_err(failed("find this program"))?,
    };
    let Errand { policy, mut grants, words, patience } = errand;
    if place.program.is_none() {
        grants.push(format!("{}:ro", program.display()));
    }
    let command = [program.into_os_string(), "doctor".into(), "--probe".into()];
    let options = Options {
        policy: PolicyFrom::Text { name: "the doctor's".into(), text: policy },
        workspace: Some(format!("{}:rw", place.tree.join("work").display())),
        grants,
        audit: Some(place.own.join("audit.jsonl")),
        ..Options::command(command.into_iter().chain(words))
    };
    // Our own text looks at the machine, and opens nothing for anybody.
    let prepared = engine.prepare_own(&options)?.uncontrolled();
    let session = engine.start(&prepared)?;
    let mut said = Vec::new();
    let mut errors = Vec::new();
    let (alarm, rings) = io::pipe().map_err(failed("make a pipe"))?;
    let (done, waits) = channel::<()>();
    let outcome = std::thread::scope(|scope| {
        // A workload that hangs is asked to end as by a signal of the person.
        scope.spawn(move || {
            let mut rings = rings;
            while let Err(RecvTimeoutError::Timeout) = waits.recv_timeout(patience) {
                let mut record = [0; SIGNAL_RECORD];
                if let Some(number) = record.first_mut() {
                    *number = SIGKILL;
                }
                rings.write_all(&record).unwrap_or(());
            }
        });
        let (output, error) = (Sink::Collect(&mut said), Sink::Collect(&mut errors));
        let outcome = session.run(None, output, error, Some(alarm.as_fd()));
        drop(done);
        outcome
    });
    let fault = match outcome?.outcome {
        Outcome::Exited(0) => None,
        Outcome::Failed { doing, errno } => {
            Some(format!("cannot {doing}: {}", cofferdam_sandbox::refusal::errno_text(errno)))
        }
        ended @ (Outcome::Exited(_)
        | Outcome::Signaled(_)
        | Outcome::NotStarted(_)
        | Outcome::Killed { .. }
        | Outcome::Ended(_)
        | Outcome::Limited { .. }
        | Outcome::OutputLost { .. }
        | Outcome::Lost) => Some(format!("the workload ended with status {}", ended.status())),
    };
    Ok((fault, Answers::parse(&String::from_utf8_lossy(&said))))
}

/// The same acts without a wall.
fn controls(place: &Path, port: u16) -> Vec<&'static str> {
    let file = place.join("outside");
    let mode = |mode| fs::set_permissions(&file, fs::Permissions::from_mode(mode));
    let (old, other) = (place.join("old/file"), place.join("old/other"));
    let held = place.join("work").join(HELD);
    let acts = [
        ("canary", fs::read(place.join("canary")).is_ok()),
        (LEAK, fs::write(&file, "").is_ok()),
        ("setuid-mode", mode(0o4755).and_then(|()| mode(0o644)).is_ok()),
        ("write-kept", fs::write(place.join("kept/outside"), "").is_ok()),
        ("host-loopback", connect(port).is_ok()),
        ("create-protected", fs::write(&held, "").and_then(|()| fs::remove_file(&held)).is_ok()),
        ("look-hidden", fs::symlink_metadata(place.join("work").join(HIDDEN)).is_ok()),
        ("read-hidden", fs::read(place.join("work").join(HIDDEN)).is_ok()),
        ("rename-old", fs::rename(&old, &other).and_then(|()| fs::rename(&other, &old)).is_ok()),
        ("remove-old", fs::hard_link(&old, &other).and_then(|()| fs::remove_file(&other)).is_ok()),
    ];
    acts.iter().filter(|(_, worked)| !worked).map(|(name, _)| *name).collect()
}

/// The workload's user where `run` is started here, and whom root makes the place for.
pub(super) fn owner(caller: &Caller) -> ((u32, u32), Option<(u32, u32)>) {
    use cofferdam_plan::facts::Ids;
    let (person, _) = caller.person(&caller.cwd);
    let owner = matches!(person.ids, Ids::Owner { .. }).then(|| person.ids.pair());
    (person.ids.pair(), owner)
}
