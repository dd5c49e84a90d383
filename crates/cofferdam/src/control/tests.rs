//! A session's control socket, its thread, the keeper of its record and its log are real here; what
//! stands for the gateway is a loop that takes words as it is told to.

mod asking;
mod sockets;

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use cofferdam_audit::Log;
use cofferdam_plan::message::Question;
use cofferdam_policy::Rules;
use cofferdam_policy::judge::hosts::Protocol;
use cofferdam_policy::judge::{Access, Entry};
use cofferdam_sandbox::{Programs, Witness as _, Word};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::*;
use crate::engine::keeper::Keeper;
use crate::engine::{Engine, Purpose};
use crate::options::{Options, PolicyFrom};
use crate::refused::Refused;

const PLAIN: Drawn = Drawn { color: false, columns: 80 };

/// What stands for the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stands {
    /// It takes what it is told, and says that it holds.
    Obedient,
    /// It takes nothing.
    Deaf,
}

/// A session without a sandbox.
struct Fixture {
    root: PathBuf,
    name: String,
    words: Arc<Mutex<Vec<Word>>>,
    asks: Option<Sender<Question>>,
    carries: Option<JoinHandle<()>>,
}

impl Fixture {
    fn new(stands: Stands, approval: Approval, text: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let top = fs::canonicalize(std::env::temp_dir()).unwrap();
        let root = top.join(format!("cofferdam-control-{}-{number}", std::process::id()));
        let name = format!("{number:08x}{:024x}", std::process::id());
        for folder in ["work/.cofferdam", "programs", "state"] {
            fs::create_dir_all(root.join(folder)).unwrap();
        }
        fs::set_permissions(&root, fs::Permissions::from_mode(0o700)).unwrap();
        fs::write(root.join("programs/cofferdam-init"), "").unwrap();
        let mut fixture = Self { root, name, words: Arc::default(), asks: None, carries: None };
        fixture.start(stands, approval, text);
        fixture
    }

    /// Policy text for this place with further lines.
    fn text(&self, more: &str) -> String {
        let work = self.root.join("work");
        format!(
            "version = 1\n[filesystem]\nworkspace = {{ path = \"{}\", mode = \"read-write\" }}\n{more}",
            work.display()
        )
    }

    fn start(&mut self, stands: Stands, approval: Approval, text: &str) {
        let file = self.write("first.toml", &self.text(text));
        let programs = Arc::new(Programs::in_directory(&self.root.join("programs")).unwrap());
        let options = Options {
            policy: PolicyFrom::File(file),
            allow: vec!["flag.test".into()],
            approve: approval,
            audit: Some(self.root.join("audit.jsonl")),
            ..Options::command(["true"])
        };
        let engine = Engine::of(&programs);
        let resolved = engine.resolve_for_tests(&options);
        let (policy, read) = resolved.unwrap();
        let entry = |path: &Path, access| {
            let clause = policy.workspace.clause.clone();
            Entry { path: path.to_owned(), access, clause }
        };
        let rules = Rules::new([entry(&self.root.join("work"), Access::ReadWrite)])
            .with_names(policy.names.clone());
        let again = Again::new(&programs, &options, &[], read).of(&policy, &rules);
        let command = vec!["make".to_owned(), "test\u{1b}[2J".to_owned()];
        let (name, credentials) = (self.name.clone(), vec!["npm".to_owned()]);
        let identity = Identity { name, command, approval, credentials };
        let rules = policy.network.rules.clone();
        let control = Control::begin(self.root.join("state"), identity, again, rules).unwrap();
        control.stands().unwrap();
        let log = Log::open(&self.root.join("audit.jsonl"), self.name.clone()).unwrap();
        let mut keeper = Keeper::new(log, Some(control));
        let (asks, asked) = channel::<Question>();
        self.asks = Some(asks);
        let words = Arc::clone(&self.words);
        self.carries = Some(std::thread::spawn(move || {
            loop {
                match asked.try_recv() {
                    Ok(question) => keeper.asks(question),
                    Err(std::sync::mpsc::TryRecvError::Disconnected) => break,
                    Err(std::sync::mpsc::TryRecvError::Empty) => {}
                }
                let bell = keeper.bell().unwrap();
                let tick = Timespec { tv_sec: 0, tv_nsec: 2_000_000 };
                let bell = &mut [PollFd::from_borrowed_fd(bell, PollFlags::IN)];
                poll(bell, Some(&tick)).unwrap();
                while let Some(word) = keeper.word() {
                    match (stands, &word) {
                        (Stands::Deaf, _) => keeper.not_taken(&word),
                        (Stands::Obedient, Word::Rules { generation, .. }) => {
                            keeper.applied(*generation);
                        }
                        (
                            Stands::Obedient,
                            Word::Answer { .. } | Word::Revoke { .. } | Word::Rotate { .. },
                        ) => {}
                    }
                    words.lock().unwrap().push(word);
                }
            }
            keeper.sum_up();
        }));
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.root.join(name);
        fs::write(&path, text).unwrap();
        path
    }

    fn state(&self) -> PathBuf {
        self.root.join("state")
    }

    fn apply(&self, file: &Path) -> Reply {
        client::apply(&self.state(), Some(&self.name[..8]), file, PLAIN).unwrap().1
    }

    fn ask(&self, id: u64, host: &str) {
        let (host, method, path) = (host.to_owned(), None, None);
        let question = Question { id, host, port: 443, protocol: Protocol::Tls, method, path };
        self.asks.as_ref().unwrap().send(question).unwrap();
    }

    /// The words that the gateway was told, once there are so many.
    #[track_caller]
    fn words(&self, count: usize) -> Vec<Word> {
        let until = Instant::now() + Duration::from_secs(20);
        loop {
            let words = self.words.lock().unwrap().clone();
            if words.len() >= count {
                return words;
            }
            assert!(Instant::now() < until, "{words:?}");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    fn open(&self, count: usize) -> Vec<Asked> {
        let until = Instant::now() + Duration::from_secs(20);
        loop {
            let open = self.questions().open().unwrap();
            if open.len() == count {
                return open;
            }
            assert!(Instant::now() < until, "{open:?}");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    fn questions(&self) -> Questions {
        client::questions(&self.state(), None).unwrap()
    }

    /// Ends it; the kinds and events of its record.
    fn end(&mut self) -> Vec<serde_json::Value> {
        self.asks = None;
        if let Some(carries) = self.carries.take() {
            carries.join().unwrap();
        }
        let log = fs::read_to_string(self.root.join("audit.jsonl")).unwrap_or_default();
        let event = |line: &str| {
            let record: serde_json::Value = serde_json::from_str(line).unwrap();
            record["event"].clone()
        };
        log.lines().map(event).collect()
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        self.end();
        fs::remove_dir_all(&self.root).unwrap_or(());
    }
}

impl Engine {
    fn resolve_for_tests(
        &self,
        options: &Options,
    ) -> Result<(cofferdam_policy::Policy, crate::places::Read), Refused> {
        let caller = cofferdam_sandbox::Caller::read()?;
        let around = crate::places::Around::Nothing;
        let read = crate::places::Places::of(&caller).read(&options.policy, around, &caller)?;
        let resolved = self.resolve_read(read.clone(), options, &[], Purpose::Look)?;
        Ok((resolved.policy, read))
    }
}

const GOOD: &str = "[[network.allow]]\nhost = \"good.test\"\n";
const OTHER: &str =
    "[[network.allow]]\nhost = \"other.test\"\n[[network.allow]]\nhost = \"*.wide.test\"\n";

fn hosts(word: &Word) -> Vec<String> {
    match word {
        Word::Rules { rules, .. } => {
            rules.allow.iter().map(|rule| rule.pattern.to_string()).collect()
        }
        Word::Answer { .. } | Word::Revoke { .. } | Word::Rotate { .. } => Vec::new(),
    }
}

#[track_caller]
fn told(reply: Reply) -> Refusal {
    let Reply::Refused(told) = reply else { panic!("{reply:?}") };
    *told
}

#[test]
fn five_hundred_policies_hold_one_after_the_other() {
    let mut session = Fixture::new(Stands::Obedient, Approval::Off, GOOD);
    let files = [
        session.write("good.toml", &session.text(GOOD)),
        session.write("other.toml", &session.text(OTHER)),
    ];
    for number in 1..=500_u32 {
        let file = &files[number as usize % 2];
        let rules = if number % 2 == 0 { 2 } else { 3 };
        assert_eq!(session.apply(file), Reply::Live { generation: number, rules });
    }
    let words = session.words(500);
    assert_eq!(words.len(), 500);
    for (number, word) in (1_u32..).zip(&words) {
        let Word::Rules { generation, .. } = word else { panic!("{word:?}") };
        assert_eq!(*generation, number);
        let want: &[&str] = if number % 2 == 0 {
            &["flag.test", "good.test"]
        } else {
            &["flag.test", "other.test", "*.wide.test"]
        };
        assert_eq!(hosts(word), want, "the flag of the start holds");
    }
    let running = client::sessions(&session.state()).unwrap();
    assert_eq!(
        (running[0].generation, running[0].policy.as_str()),
        (500, files[0].to_str().unwrap())
    );
    let record = session.end();
    assert_eq!(record.len(), 500, "each is on record");
    let last = record.last().unwrap();
    assert_eq!((&last["kind"], &last["generation"]), (&"policy-applied".into(), &500.into()));
    assert_eq!(last["source"], files[0].to_str().unwrap());
    assert_eq!(last["by"], rustix::process::getuid().as_raw());
    assert_eq!(last["sha256"].as_str().unwrap().len(), 64);
    assert_ne!(last["sha256"], record[498]["sha256"], "each text has its own");
}

#[test]
fn what_is_not_about_hosts_needs_a_new_run_and_changes_nothing() {
    let mut session = Fixture::new(Stands::Obedient, Approval::Off, GOOD);
    let wrong = session.root.join("elsewhere");
    fs::create_dir_all(&wrong).unwrap();
    let granted =
        format!("grant = [{{ path = \"{}\", mode = \"read-only\" }}]\n{GOOD}", wrong.display());
    for (more, why) in [
        (format!("{GOOD}[environment]\nset = {{ A = \"b\" }}\n"), "a variable"),
        (granted, "a tree"),
        (format!("{GOOD}[limits]\nprocesses = 99\n"), "a limit"),
        (
            format!(
                "{GOOD}[[network.allow]]\nhost = \"db.test\"\nports = [5432]\nprotocol = \"tcp\"\n"
            ),
            "a socket of its own",
        ),
    ] {
        let file = session.write("new.toml", &session.text(&more));
        let Reply::Restart { because } = session.apply(&file) else { panic!("{why}") };
        assert_eq!(because.len(), 1, "{why}: {because:?}");
    }
    let file = session.write("new.toml", &session.text(OTHER));
    assert_eq!(session.apply(&file), Reply::Live { generation: 1, rules: 3 }, "and then this does");
    assert_eq!(session.words(1).len(), 1, "nothing else was sent");
    let record = session.end();
    let codes: Vec<_> = record.iter().map(|event| event["code"].clone()).collect();
    assert_eq!(codes[..4], ["restart"; 4]);
    assert_eq!((record.len(), &record[4]["kind"]), (5, &"policy-applied".into()));
}

#[test]
fn the_sessions_authority_is_for_the_hosts_of_its_start() {
    let rule = |host: &str| format!("[[network.allow]]\nhost = \"{host}\"\nmethods = [\"GET\"]\n");
    let session = Fixture::new(Stands::Obedient, Approval::Socket, &rule("good.test"));
    let file = session.write("new.toml", &session.text(&(rule("good.test") + &rule("new.test"))));
    let reply = session.apply(&file);
    let Reply::Restart { because } = reply else { panic!("{reply:?}") };
    assert_eq!(because.len(), 1, "{because:?}");
    assert!(because[0].starts_with("new.test would be looked into"), "{because:?}");
    let plain = rule("good.test") + "[[network.allow]]\nhost = \"new.test\"\n";
    let file = session.write("new.toml", &session.text(&plain));
    assert_eq!(session.apply(&file), Reply::Live { generation: 1, rules: 3 }, "nobody looks");
}

#[test]
fn a_bad_policy_is_told_as_check_tells_it_and_changes_nothing() {
    let mut session = Fixture::new(Stands::Obedient, Approval::Off, GOOD);
    for (text, code) in [
        (session.text("[filesytem]\n"), "unknown-key"),
        (session.text("[[network.allow]]\nhost = \"https://x.test/\"\n"), "network-host"),
        ("version = 1\n[".into(), "syntax"),
        (String::new(), "version"),
    ] {
        let file = session.write("bad.toml", &text);
        let options = Options { policy: PolicyFrom::File(file.clone()), ..Options::default() };
        let programs = Programs::in_directory(&session.root.join("programs")).unwrap();
        let check = Engine::of(&Arc::new(programs)).resolve(&options).unwrap_err();
        let told = told(session.apply(&file));
        assert_eq!(told.drawn, check.drawn(false, 80), "{code}");
        assert_eq!(told.code, check.code(), "{code}");
        assert_eq!(told.file.as_deref(), file.to_str(), "{code}");
        assert!(told.drawn.lines().count() <= 6, "{}", told.drawn);
    }
    let running = client::sessions(&session.state()).unwrap();
    assert_eq!((running[0].generation, running[0].policy.ends_with("first.toml")), (0, true));
    let record = session.end();
    assert!(session.words.lock().unwrap().is_empty(), "nothing was sent");
    assert!(record.iter().all(|event| event["kind"] == "policy-refused"), "{record:?}");
    assert_eq!(record.len(), 4);
}

#[test]
fn what_the_workload_may_write_is_nobodys_policy() {
    let session = Fixture::new(Stands::Obedient, Approval::Off, GOOD);
    let inside = session.write("work/new.toml", &session.text(OTHER));
    let link = session.root.join("link.toml");
    symlink(&inside, &link).unwrap();
    let outside = session.write("new.toml", &session.text(OTHER));
    let through = session.root.join("work/through.toml");
    symlink(&outside, &through).unwrap();
    for (file, why) in
        [(&inside, "the file"), (&link, "a link to it"), (&through, "a link that it may turn")]
    {
        assert_eq!(told(session.apply(file)).code, "policy-reachable", "{why}");
    }
    let guarded = session.write("work/.cofferdam/policy.toml", &session.text(OTHER));
    assert_eq!(session.apply(&guarded), Reply::Live { generation: 1, rules: 3 }, "it is protected");
    let back = session.write("back.toml", &session.text(GOOD));
    assert_eq!(session.apply(&back), Reply::Live { generation: 2, rules: 2 });
    assert_eq!(session.apply(&outside), Reply::Live { generation: 3, rules: 3 }, "the same text");
}

#[test]
fn a_policy_is_a_regular_file() {
    let session = Fixture::new(Stands::Obedient, Approval::Off, GOOD);
    let fifo = session.root.join("fifo");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &fifo,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RWXU,
        0,
    )
    .unwrap();
    assert!(fs::symlink_metadata(&fifo).unwrap().file_type().is_fifo());
    for file in [
        fifo.as_path(),
        &session.root,
        &session.root.join("missing"),
        Path::new("/dev/null"),
        Path::new("/dev/zero"),
        Path::new("/proc/self/fd/0"),
    ] {
        let told = told(session.apply(file));
        assert_eq!(told.code, "policy-unread", "{}: {told:?}", file.display());
    }
}

#[test]
fn what_cannot_be_recorded_does_not_hold() {
    let session = Fixture::new(Stands::Obedient, Approval::Socket, GOOD);
    let file = session.write("new.toml", &session.text(OTHER));
    session.ask(1, "new.test");
    session.open(1);
    fs::remove_file(session.root.join("audit.jsonl")).unwrap();
    assert_eq!(told(session.apply(&file)).code, "change-unrecorded");
    session.questions().answer(1, true).unwrap();
    let words = session.words(1);
    assert_eq!(words, [Word::Answer { id: 1, allowed: false }], "nobody finds that record");
}

impl Fixture {
    fn raw(&self) -> UnixStream {
        let path = self.root.join("state/sessions").join(&self.name);
        let stream = UnixStream::connect(path).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream
    }
}
