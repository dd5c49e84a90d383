//! A session's control socket, its thread, the keeper of its record and its log are real here; what
//! stands for the gateway is a loop that takes words as it is told to.

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
        let identity = Identity { name: self.name.clone(), command, approval };
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
                        (Stands::Obedient, Word::Answer { .. }) => {}
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
        let read = crate::places::Places::of(&caller).read(&options.policy, &caller)?;
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
        Word::Answer { .. } => Vec::new(),
    }
}

#[track_caller]
fn told(reply: Reply) -> Refusal {
    match reply {
        Reply::Refused(told) => *told,
        other => panic!("{other:?}"),
    }
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
    assert_eq!(codes[..4], ["restart", "restart", "restart", "restart"]);
    assert_eq!((record.len(), &record[4]["kind"]), (5, &"policy-applied".into()));
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
fn rules_that_the_gateway_does_not_take_do_not_hold() {
    let mut session = Fixture::new(Stands::Deaf, Approval::Socket, GOOD);
    let file = session.write("new.toml", &session.text(OTHER));
    for _ in 0..2 {
        assert_eq!(told(session.apply(&file)).code, "rules-not-taken");
    }
    session.ask(1, "new.test");
    session.open(1);
    let answered = session.questions().answer(1, true).unwrap();
    assert_eq!(answered, Reply::Answered { id: 1, allowed: true });
    let words = session.words(4);
    assert_eq!(hosts(&words[2]), ["flag.test", "good.test", "new.test"], "the first policy's");
    assert_eq!(words[3], Word::Answer { id: 1, allowed: false }, "no rule, no yes");
    let running = client::sessions(&session.state()).unwrap();
    assert_eq!(running[0].generation, 0);
    let kinds: Vec<_> = session.end().iter().map(|event| event["kind"].clone()).collect();
    let each = ["policy-applied", "policy-refused"];
    assert_eq!(kinds, [each[0], each[1], each[0], each[1], "approved"]);
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

#[test]
fn a_yes_is_a_rule_of_this_session() {
    let mut session = Fixture::new(Stands::Obedient, Approval::Socket, GOOD);
    for (id, host) in [(1, "new.test"), (2, "new.test"), (3, "other-new.test"), (4, "*.test")] {
        session.ask(id, host);
    }
    let words = session.words(1);
    assert_eq!(words, [Word::Answer { id: 4, allowed: false }], "no host");
    let open = session.open(2);
    assert_eq!((open[0].id, open[0].host.as_str(), open[0].port), (1, "new.test", 443));
    assert!(open[0].seconds_left <= 60);
    assert_eq!(told(session.questions().answer(2, true).unwrap()).code, "no-question");
    session.questions().answer(1, true).unwrap();
    session.questions().answer(3, false).unwrap();
    assert_eq!(told(session.questions().answer(1, true).unwrap()).code, "no-question", "once");
    let words = session.words(5);
    assert_eq!(hosts(&words[1]), ["flag.test", "good.test", "new.test"], "the rules come first");
    let answers = [(1, true), (2, true), (3, false)];
    assert_eq!(words[2..], answers.map(|(id, allowed)| Word::Answer { id, allowed }));
    let file = session.write("new.toml", &session.text(OTHER));
    assert_eq!(session.apply(&file), Reply::Live { generation: 2, rules: 4 });
    let last = session.words(6);
    let want = ["flag.test", "other.test", "*.wide.test", "new.test"];
    assert_eq!(hosts(&last[5]), want, "a yes stands whatever policy is applied");
    let record = session.end();
    let of = |kind: &str| {
        let found = record.iter().filter(|event| event["kind"] == kind);
        found.cloned().collect::<Vec<_>>()
    };
    let (yes, no) = (of("approved"), of("refused"));
    let uid = rustix::process::getuid().as_raw();
    assert_eq!((yes.len(), no.len()), (1, 2), "{record:?}");
    assert_eq!((&yes[0]["host"], &yes[0]["by"]), (&"new.test".into(), &uid.into()));
    assert_eq!(yes[0]["generation"], 1);
    assert_eq!(no[0]["why"], "no rule can allow just this, so nobody was asked");
    assert_eq!((&no[1]["host"], &no[1]["by"]), (&"other-new.test".into(), &uid.into()));
}

#[test]
fn a_flood_of_questions_is_denied_and_counted() {
    let mut session = Fixture::new(Stands::Obedient, Approval::Socket, GOOD);
    for id in 0..1_000 {
        session.ask(id, &format!("h{id}.test"));
    }
    let words = session.words(992);
    assert!(words.iter().all(|word| matches!(word, Word::Answer { allowed: false, .. })));
    assert_eq!(session.open(8).len(), 8, "so many a person is asked");
    let record = session.end();
    let times: Vec<_> = record.iter().map(|event| event["times"].as_u64().unwrap()).collect();
    assert_eq!(times, [1, 991], "said once, and counted: {record:?}");
}

#[test]
fn who_watches_hears_of_each_change() {
    let session = Fixture::new(Stands::Obedient, Approval::Socket, GOOD);
    let mut watcher = session.raw();
    watcher.write_all(b"{\"do\":\"watch\"}\n").unwrap();
    let mut hears = |want: &[u64]| {
        let mut line = Vec::new();
        while line.last() != Some(&b'\n') {
            let mut byte = [0];
            watcher.read_exact(&mut byte).unwrap();
            line.extend(byte);
        }
        let reply: Reply = serde_json::from_slice(&line).unwrap();
        let Reply::Questions { open } = reply else { panic!("{reply:?}") };
        assert_eq!(open.iter().map(|asked| asked.id).collect::<Vec<_>>(), want);
    };
    hears(&[]);
    session.ask(7, "a.test");
    hears(&[7]);
    session.ask(8, "b.test");
    hears(&[7, 8]);
    session.questions().answer(7, false).unwrap();
    hears(&[8]);
}

impl Fixture {
    fn raw(&self) -> UnixStream {
        let path = self.root.join("state/sessions").join(&self.name);
        let stream = UnixStream::connect(path).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream
    }
}

#[test]
fn noise_is_refused_and_holds_nobody() {
    let session = Fixture::new(Stands::Obedient, Approval::Off, GOOD);
    let idle: Vec<UnixStream> = (0..8).map(|_| session.raw()).collect();
    let mut half = session.raw();
    half.write_all(b"{\"do\":").unwrap();
    for noise in [
        &b"\n"[..],
        b"GET / HTTP/1.1\n",
        b"{\"do\":\"dance\"}\n",
        b"{\"do\":\"answer\",\"id\":-1,\"allowed\":true}\n",
        b"{\"do\":\"describe\",\"more\":1}\n",
        b"\xff\xfe\n",
        &[b'x'; 20 << 10],
    ] {
        let mut stream = session.raw();
        stream.write_all(noise).unwrap();
        let mut said = String::new();
        stream.read_to_string(&mut said).unwrap_or(0);
        assert!(said.contains("session-build"), "{said:?}");
    }
    let mut watch = session.raw();
    watch
        .write_all(b"{\"do\":\"watch\"}\n{\"do\":\"answer\",\"id\":1,\"allowed\":true}\n")
        .unwrap();
    let mut said = [0; 4096];
    let length = watch.read(&mut said).unwrap();
    assert!(String::from_utf8_lossy(&said[..length]).contains("not-asking"));
    assert_eq!(client::sessions(&session.state()).unwrap().len(), 1, "and it answers others");
    drop(idle);
}

#[test]
fn a_name_is_a_beginning_that_one_session_has() {
    let one = Fixture::new(Stands::Obedient, Approval::Off, GOOD);
    let find = |asked: Option<&str>| match client::questions(&one.state(), asked) {
        Ok(found) => panic!("{found:?}"),
        Err(Refused::Session(error)) => error,
        Err(error) => panic!("{error}"),
    };
    for (asked, want, why) in [
        (Some(&one.name[..8]), "not-asking", "the beginning of its name"),
        (Some(one.name.as_str()), "not-asking", "its name"),
        (Some("fff"), "session-prefix", "too short"),
        (Some(""), "session-prefix", "nothing"),
        (Some("../../x"), "session-prefix", "a path"),
        (Some("FFFF"), "session-prefix", "other letters"),
        (Some("ffff"), "session-unknown", "no such"),
        (None, "session-unknown", "none that asks"),
    ] {
        let error = find(asked);
        assert_eq!(error.code(), want, "{why}");
        let text = Refused::from(error).drawn(false, 80);
        assert!(text.lines().count() <= 6, "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        assert!(!text.contains('\u{1b}'), "{text:?}");
        if want == "session-unknown" {
            let row = format!("  {}  pid {}  since ", &one.name[..12], std::process::id());
            assert!(text.contains(&row) && text.contains("make test"), "{text}");
        }
    }
    // Further ones in the same place: their names begin alike.
    let sockets = || Sockets::open(&one.state(), Missing::Leave).unwrap();
    let names: Vec<String> = (0..5).map(|n| format!("{}{n:024x}", &one.name[..8])).collect();
    let held: Vec<_> = names.iter().map(|name| sockets().listen(name).unwrap()).collect();
    let several = SessionError::Several {
        running: names
            .iter()
            .map(|id| Running {
                id: id.clone(),
                pid: 1,
                since: "2026-01-01T00:00:00.000Z".into(),
                command: "x".repeat(300),
                policy: "built-in".into(),
                generation: 0,
                approve: false,
            })
            .collect(),
    };
    let text = Refused::from(several).drawn(false, 80);
    assert_eq!(text.lines().count(), 5, "{text}");
    assert!(text.contains("  and 3 more"), "{text}");
    drop(held);
}

#[test]
fn a_socket_is_this_users_alone_and_goes_with_its_session() {
    let mut session = Fixture::new(Stands::Obedient, Approval::Off, GOOD);
    let folder = session.root.join("state/sessions");
    let path = folder.join(&session.name);
    let mode = |path: &Path| fs::symlink_metadata(path).unwrap().mode() & 0o7777;
    assert_eq!((mode(&folder), mode(&path)), (0o700, 0o600));
    assert_eq!(client::sessions(&session.state()).unwrap().len(), 1);
    session.end();
    assert!(!path.exists(), "gone");
    assert!(client::sessions(&session.state()).unwrap().is_empty());
}

#[test]
fn what_a_killed_session_left_confuses_nobody() {
    let session = Fixture::new(Stands::Obedient, Approval::Off, GOOD);
    let folder = session.root.join("state/sessions");
    let stale = folder.join("ab".repeat(16));
    // Its listener is closed without its name being removed, as a killed process does.
    drop(std::os::unix::net::UnixListener::bind(&stale).unwrap());
    let begun = folder.join(format!("{}.new", "cd".repeat(16)));
    drop(std::os::unix::net::UnixListener::bind(&begun).unwrap());
    fs::write(folder.join("notes"), "a person's").unwrap();
    assert!(stale.exists());
    let running = client::sessions(&session.state()).unwrap();
    assert_eq!(running.len(), 1, "{running:?}");
    assert_eq!(running[0].id, session.name);
    assert!(!stale.exists(), "whoever lists removes it");
    assert!(begun.exists(), "it may be about to listen");
    assert!(folder.join("notes").exists(), "what is no session's stays");
    let long_ago = rustix::fs::Timespec { tv_sec: 1_000_000, tv_nsec: 0 };
    let times = rustix::fs::Timestamps { last_access: long_ago, last_modification: long_ago };
    rustix::fs::utimensat(rustix::fs::CWD, &begun, &times, rustix::fs::AtFlags::empty()).unwrap();
    client::sessions(&session.state()).unwrap();
    assert!(!begun.exists(), "nobody is about to listen for so long");
}

#[test]
fn a_directory_that_others_may_enter_is_not_used() {
    let session = Fixture::new(Stands::Obedient, Approval::Off, GOOD);
    let folder = session.root.join("state/sessions");
    let set = |mode| fs::set_permissions(&folder, fs::Permissions::from_mode(mode)).unwrap();
    for mode in [0o750, 0o701, 0o777] {
        set(mode);
        let error = client::sessions(&session.state()).unwrap_err();
        assert_eq!(error.code(), "control-place", "{mode:o}");
    }
    set(0o700);
    assert_eq!(client::sessions(&session.state()).unwrap().len(), 1, "nothing else was wrong");
    let elsewhere = session.root.join("elsewhere");
    symlink(session.state(), &elsewhere).unwrap();
    let error = client::sessions(&elsewhere).unwrap_err();
    assert_eq!(error.code(), "control-place", "through a link");
}
