//! `cofferdam doctor` against reality: in each situation its answer is right, and `run` refuses for
//! the reason that it names.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "panics are how tests fail"
)]

#[path = "doctor/broker.rs"]
mod broker;
#[path = "doctor/gateway.rs"]
mod gateway;
#[path = "doctor/situations.rs"]
mod situations;
#[path = "support/mod.rs"]
mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use serde_json::Value;
use situations::{NOTHING, contained, contained_by, filter, traced_with_abi, with_abi, without};
use support::{Place, Ran, finish, is_root, programs, python};

/// `doctor --json`.
struct Answer {
    status: Option<i32>,
    all: Value,
}

impl Answer {
    #[track_caller]
    fn of(ran: &Ran) -> Self {
        let all = serde_json::from_str(&ran.out);
        Self { status: ran.status, all: all.unwrap_or_else(|error| panic!("{error}: {ran:?}")) }
    }

    #[track_caller]
    fn row(&self, name: &str) -> &Value {
        let rows = self.all["guarantees"].as_array().unwrap();
        rows.iter().find(|row| row["guarantee"] == name).unwrap_or_else(|| panic!("no {name}"))
    }

    /// One row says this; `words` are in what was found, what is open, or the remedy.
    #[track_caller]
    fn says(&self, name: &str, state: &str, words: &str) -> &Self {
        let row = self.row(name);
        assert_eq!(row["state"], state, "{name}: {row}");
        assert!(row.to_string().contains(words), "{name} should say {words:?}: {row}");
        self
    }

    /// Names of the rows in this state.
    fn in_state(&self, state: &str) -> Vec<&str> {
        let rows = self.all["guarantees"].as_array().unwrap();
        let rows = rows.iter().filter(|row| row["state"] == state);
        rows.map(|row| row["guarantee"].as_str().unwrap()).collect()
    }

    #[track_caller]
    fn holds(&self) -> &Self {
        assert_eq!(self.status, Some(0), "{:#}", self.all);
        assert_eq!(self.all["holds"], true);
        assert!(self.in_state("absent").is_empty() && self.in_state("unknown").is_empty());
        self
    }

    #[track_caller]
    fn does_not_hold(&self) -> &Self {
        assert_eq!(self.status, Some(1), "{:#}", self.all);
        assert_eq!(self.all["holds"], false);
        self
    }
}

fn command(place: &Place, around: &str, words: &[&str]) -> Command {
    let temporary = place.root.join("tmp");
    fs::create_dir_all(&temporary).unwrap();
    let mut command = place.command("sh");
    command.args(["-c", around, "sh"]).arg(programs().join("cofferdam")).args(words);
    command.env("TMPDIR", temporary);
    command
}

#[track_caller]
fn doctor(place: &Place, around: &str) -> Answer {
    Answer::of(&finish(&mut command(place, around, &["doctor", "--json"])))
}

/// `run` in the same situation: `None` where it works, else the code and the remedy of its refusal.
#[track_caller]
fn run(place: &Place, around: &str) -> Option<(String, String)> {
    run_with(place, around, &[])
}

#[track_caller]
fn run_with(place: &Place, around: &str, flags: &[&str]) -> Option<(String, String)> {
    let work = place.work.display().to_string();
    let words = [&["run", "--json", "--workspace", &work], flags, &["--", "true"]].concat();
    let ran = finish(&mut command(place, around, &words));
    if ran.status == Some(0) {
        return None;
    }
    assert_eq!(ran.status, Some(125), "{ran:?}");
    let said: Value = serde_json::from_str(ran.err.lines().last().unwrap_or_default()).unwrap();
    let text = |name: &str| said[name].as_str().unwrap_or_default().to_owned();
    Some((text("code"), text("hint")))
}

/// The refusal of `run` has this code, and its remedy stands in the doctor's row.
#[track_caller]
fn agree(place: &Place, around: &str, row: &str, code: &str) {
    let (found, hint) = run(place, around).unwrap_or_else(|| panic!("{code}: `run` works"));
    assert_eq!(found, code, "{hint}");
    doctor(place, around).does_not_hold().says("wall", "absent", &format!("{code}: ")).says(
        row,
        "absent",
        Value::from(hint).to_string().trim_matches('"'),
    );
}

#[test]
fn everything_is_enforced_where_nothing_is_in_the_way() {
    let place = Place::new();
    let answer = doctor(&place, NOTHING);
    answer.holds();
    for name in ["wall", "view", "network", "gateway", "seccomp", "seccomp-notify", "broker"] {
        answer.says(name, "enforced", "");
    }
    answer.says("user-namespaces", "enforced", "").says("private-terminals", "enforced", "");
    answer.says("landlock-jail", "not-needed", "would not hold: absent, processes, private-places");
    let idmapped = if is_root() { "enforced" } else { "not-needed" };
    answer.says("idmapped-mounts", idmapped, "");
    assert_eq!(run(&place, NOTHING), None);
    let text = finish(&mut command(&place, NOTHING, &["doctor"])).works("in words");
    assert!(text.out.contains("all holds that the wall needs"), "{text:?}");
    assert!(text.out.contains("\nkernel     Linux "), "{text:?}");
}

#[test]
fn namespaces_switched_off_are_named() {
    let place = Place::new();
    let around = "exec unshare -Ur sh -c 'echo 0 > /proc/sys/user/max_user_namespaces && exec \"$@\"' sh \"$@\"";
    agree(&place, around, "user-namespaces", "userns-off");
    agree(
        &place,
        &contained("echo 1 > /proc/sys/user/max_user_namespaces"),
        "user-namespaces",
        "userns-limit",
    );
    let answer = doctor(&place, around);
    for name in ["namespaces", "fresh-proc", "detached-mounts", "view", "network", "gateway"] {
        answer.says(name, "unknown", "not tried");
    }
    answer.says("landlock", "enforced", "").says("no-new-privileges", "enforced", "");
    let nine = contained("echo 9 > /proc/sys/user/max_user_namespaces");
    doctor(&place, &nine).says("user-namespaces", "enforced", "");
    assert_eq!(run(&place, &nine), None, "with room for ours");
}

#[test]
fn what_a_container_takes_away_is_named() {
    let place = Place::new();
    let masked = contained("mount --bind /dev/null /proc/uptime");
    agree(&place, &masked, "fresh-proc", "proc-masked");
    let answer = doctor(&place, &masked);
    answer.says("user-namespaces", "enforced", "").says("detached-mounts", "enforced", "");
    let around = answer.all["around"].to_string();
    assert!(around.contains("/proc/uptime") && around.contains("systempaths"), "{around}");
    let plain = contained("true");
    doctor(&place, &plain).holds().says("fresh-proc", "enforced", "");
    assert_eq!(run(&place, &plain), None, "an open container");

    let denied = without(&place, 272, 1);
    agree(&place, &denied, "user-namespaces", "userns-seccomp");
    let around = doctor(&place, &denied).all["around"].to_string();
    assert!(around.contains("seccomp=unconfined"), "{around}");
}

/// Ubuntu's setting, in a container whose `/proc/sys/kernel` is the test's.
#[test]
fn apparmor_is_named_with_its_two_commands() {
    let place = Place::new();
    let around = |value: u8| {
        let setting = "/proc/sys/kernel/apparmor_restrict_unprivileged_userns";
        let before = format!("mount -t tmpfs none /proc/sys/kernel && echo {value} > {setting}");
        contained_by(&before, &filter(&place, 272, 1))
    };
    agree(&place, &around(1), "user-namespaces", "userns-apparmor");
    let (_, hint) = run(&place, &around(1)).unwrap();
    for part in ["doctor --apparmor-profile", "sudo apparmor_parser -r /etc/apparmor.d/cofferdam"] {
        assert!(hint.contains(part), "{hint}");
    }
    agree(&place, &around(0), "user-namespaces", "userns-seccomp");
}

/// What a security module says of an outer container's mounts.
#[test]
fn a_confined_container_is_named() {
    let place = Place::new();
    let (code, hint) = run(&place, &without(&place, 165, 13)).unwrap();
    assert_eq!(code, "mounts-confined");
    assert!(hint.contains("apparmor=unconfined") && hint.contains("label=disable"), "{hint}");
    let answer = doctor(&place, &without(&place, 165, 13));
    answer.does_not_hold().says("wall", "absent", "mounts-confined");
    answer.says("namespaces", "absent", "private").says("user-namespaces", "enforced", "");
}

/// Where no file of a temporary directory may be executed, the workload is the installed program.
#[test]
fn temporary_directories_need_not_execute() {
    let place = Place::new();
    let tmpfs = "mount -t tmpfs -o noexec,mode=1777 none";
    let around = contained(&format!("{tmpfs} $TMPDIR && {tmpfs} /var/tmp"));
    doctor(&place, &around).holds().says("view", "enforced", "");
    let closed = "exec unshare -Urm sh -c 'for at in $TMPDIR /var/tmp; do \
                  mount -t tmpfs -o ro none $at; done; cd $W; exec \"$@\"' sh \"$@\"";
    let ran = finish(&mut command(&place, closed, &["doctor", "--json"]));
    ran.refused("cannot-diagnose", "nowhere to try");
    let gone = "mkdir gone && cd gone && rmdir ../gone && exec \"$@\"";
    let ran = finish(&mut command(&place, gone, &["doctor", "--json"]));
    ran.refused("no-working-directory", "as `run` says");
}

/// Root in root's own directory, on a file system without idmapped mounts.
#[test]
fn what_cannot_be_idmapped_is_named() {
    if !is_root() {
        println!("not run: an ordinary user needs no idmapped mounts");
        return;
    }
    let place = Place::new();
    let overlay = |at: &str| {
        format!(
            "mkdir -p $OUT/{at}/u $OUT/{at}/w $OUT/{at}/m && mount -t overlay -o \
             lowerdir=$OUT,upperdir=$OUT/{at}/u,workdir=$OUT/{at}/w none $OUT/{at}/m && cd $OUT/{at}/m"
        )
    };
    let around = format!(
        "exec unshare -m sh -c 'mount -t tmpfs none $OUT && {} && export TMPDIR=$PWD && exec \"$@\"' \
         sh \"$@\"",
        overlay("o")
    );
    let answer = doctor(&place, &around);
    let words = answer.row("idmapped-mounts").to_string();
    if words.contains("\"enforced\"") {
        println!("not run: overlayfs takes idmapped mounts here");
        return;
    }
    answer.does_not_hold().says("idmapped-mounts", "absent", "chown");
    answer.says("view", "enforced", "").says("wall", "absent", "cannot-idmap");
    let around = around.replace("exec \"$@\"'", "shift 6; exec $BIN run --json -- true'");
    let mut command = command(&place, &around, &["1", "2", "3", "4", "5"]);
    let ran = finish(command.env("BIN", programs().join("cofferdam")));
    ran.refused("cannot-idmap", "as `run` says");
}

#[test]
fn a_missing_piece_of_the_kernel_is_named() {
    let (eperm, enosys) = (1, 38);
    let place = Place::new();
    for (what, number, errno, row) in [
        ("open_tree", 428, enosys, "detached-mounts"),
        ("move_mount", 429, enosys, "detached-mounts"),
        ("fsopen", 430, eperm, "detached-mounts"),
        ("mount_setattr", 442, enosys, "detached-mounts"),
        ("seccomp", 317, eperm, "seccomp"),
        ("landlock_restrict_self", 446, eperm, "landlock"),
        ("landlock_create_ruleset", 444, enosys, "landlock"),
        ("setsid", 112, eperm, "wall"),
    ] {
        let around = without(&place, number, errno);
        assert!(run(&place, &around).is_some(), "{what}: `run` is refused");
        let answer = doctor(&place, &around);
        answer.does_not_hold().says("wall", "absent", "").says(row, "absent", "");
    }
    agree(&place, &without(&place, 444, enosys), "landlock", "landlock-missing");
    doctor(&place, &without(&place, 9999, eperm)).holds();
}

/// A filter that answers "done" and does nothing: what a call says is not what holds.
#[test]
fn what_only_says_that_it_is_done_is_absent() {
    let place = Place::new();
    for (what, number, row, words, code) in [
        ("landlock_restrict_self", 446, "landlock", "read-outside worked", None),
        ("seccomp", 317, "seccomp", "setuid-mode worked", Some("broker-refused")),
        ("mount_setattr", 442, "detached-mounts", "write-kept", None),
    ] {
        let around = without(&place, number, 0);
        let refused = run(&place, &around).map(|(code, _)| code);
        assert_eq!(refused.as_deref(), code, "{what}: where not refused, `run` cannot know");
        doctor(&place, &around).does_not_hold().says(row, "absent", words);
    }
}

#[test]
fn an_old_landlock_is_weaker() {
    let place = Place::new();
    let parts = [(2, "REFER"), (3, "TRUNCATE"), (4, "NET"), (5, "IOCTL_DEV"), (6, "scopes")];
    for abi in 1..=6 {
        let around = with_abi(abi);
        let answer = doctor(&place, &around);
        // Who answers so is a supervisor, and the kernel allows one: that is another row.
        answer.says("seccomp-notify", "absent", "supervisor");
        let state = if abi < 6 { "weaker" } else { "enforced" };
        answer.says("landlock", state, &format!("ABI {abi}, "));
        let row = answer.row("landlock").to_string();
        for (first, word) in parts {
            assert_eq!(row.contains(word), abi < first, "ABI {abi}, {word}: {row}");
        }
        assert_eq!(run(&place, &traced_with_abi(abi)), None, "ABI {abi} is enough to start");
    }
    agree(&place, &with_abi(0), "landlock", "landlock-missing");
}

#[test]
fn without_control_groups_limits_are_weaker() {
    let place = Place::new();
    let hidden = contained("mount -t tmpfs none /sys/fs/cgroup");
    let answer = doctor(&place, &hidden);
    answer.holds().says("limits", "weaker", "Delegate=yes");
    assert_eq!(run(&place, &hidden), None, "the built-in policy needs none");
}

#[test]
fn inside_a_sandbox_nothing_is_started() {
    let place = Place::new();
    let bin = place.root.join("bin");
    fs::create_dir(&bin).unwrap();
    for name in ["cofferdam", "cofferdam-init"] {
        fs::copy(programs().join(name), bin.join(name)).unwrap();
    }
    let grant = format!("{}:ro", bin.display());
    let inside = |words: &[&str]| {
        let mut command = place.cofferdam(&["--grant", &grant]);
        finish(command.arg(bin.join("cofferdam")).args(words))
    };
    for words in [&["run", "--json", "--", "true"][..], &["plan", "--json", "--", "true"]] {
        let ran = inside(words).refused("\"code\":\"nested\"", "inside");
        assert!(ran.err.contains("run the command directly"), "{ran:?}");
    }
    let answer = Answer::of(&inside(&["doctor", "--json"]));
    answer.does_not_hold().says("outermost", "absent", "run the command directly");
    assert_eq!(answer.in_state("enforced").len(), 0, "{:#}", answer.all);
    let ran = finish(place.command(bin.join("cofferdam")).args(["run", "--quiet", "--", "true"]));
    ran.works("the same program outside");
}

/// The mark outside, which only root can make: the message says what to do about it.
#[test]
fn a_mark_that_is_not_ours_is_named() {
    let place = Place::new();
    let around = |mark: &str| {
        format!(
            "exec unshare -Urm sh -c 'mkdir $OUT/root && mount -t tmpfs none $OUT/root && \
             for at in /*; do \
               if [ -L $at ]; then cp -P $at $OUT/root$at; \
               elif [ -d $at ]; then mkdir $OUT/root$at && mount --rbind $at $OUT/root$at; fi; \
             done; {mark}; cd $OUT/root && mkdir old && /usr/sbin/pivot_root . old && umount -l /old && \
             cd $W && exec unshare -U --map-user=1000 --map-group=1000 \"$@\"' sh \"$@\""
        )
    };
    assert_eq!(run(&place, &around("true")), None, "the control");
    fs::remove_dir(place.out.join("root")).unwrap();
    let marked = around("mkdir -p $OUT/root/.cofferdam/hidden-directory");
    let (code, hint) = run(&place, &marked).unwrap();
    assert_eq!(code, "nested");
    assert!(hint.contains("as root, remove it") && hint.contains("/.cofferdam/"), "{hint}");
}

#[test]
fn our_own_files_are_looked_at() {
    let place = Place::new();
    let bin = place.root.join("bin");
    let copied = |name: &str| {
        fs::create_dir_all(&bin).unwrap();
        fs::copy(programs().join(name), bin.join(name)).unwrap();
    };
    let ask = || {
        let mut command = command(&place, "shift; exec $BIN \"$@\"", &["doctor", "--json"]);
        Answer::of(&finish(command.env("BIN", bin.join("cofferdam"))))
    };
    copied("cofferdam");
    ask().does_not_hold().says("programs", "absent", "install all programs of one build");
    fs::write(bin.join("cofferdam-init"), "#!/bin/sh\nexit 0\n").unwrap();
    fs::set_permissions(bin.join("cofferdam-init"), fs::Permissions::from_mode(0o755)).unwrap();
    ask().does_not_hold().says("wall", "absent", "`run` is refused here");
    let mut bytes = fs::read(programs().join("cofferdam-init")).unwrap();
    let build = cofferdam::plan::BUILD.as_bytes();
    let at: Vec<_> = (0..bytes.len()).filter(|at| bytes[*at..].starts_with(build)).collect();
    at.iter().for_each(|at| bytes[at + build.len() - 1] = b'z');
    assert!(!at.is_empty(), "init knows its build");
    fs::write(bin.join("cofferdam-init"), bytes).unwrap();
    ask().does_not_hold().says("programs", "absent", "install all programs of one build");
    copied("cofferdam-init");
    copied("cofferdam-gateway");
    ask().holds().says("programs", "enforced", "").says("install", "enforced", "");

    let mode = |path: &std::path::Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    mode(&bin, 0o777);
    ask().does_not_hold().says("install", "absent", "others may change");
    mode(&bin, 0o755);
    mode(&bin.join("cofferdam-init"), 0o4755);
    ask().does_not_hold().says("install", "absent", "setuid");
    mode(&bin.join("cofferdam-init"), 0o755);
    let policy = place.write("home/.config/cofferdam/policy.toml", "version = 1\n");
    mode(&policy, 0o666);
    ask().does_not_hold().says("install", "absent", "policy.toml");
    assert_eq!(run(&place, NOTHING).unwrap().0, "policy-shared");
    mode(&policy, 0o600);
    ask().holds().says("install", "enforced", "");

    let log = place.write("home/.local/state/cofferdam/audit.jsonl", "");
    mode(&log, 0o644);
    ask().does_not_hold().says("audit-log", "absent", "audit.jsonl");
    assert!(run(&place, NOTHING).is_some(), "no record, no action");
    mode(&log, 0o600);
    ask().holds().says("audit-log", "enforced", "");
}

/// The field's catalogue, F47: our own installation in the tree that the workload may write.
#[test]
fn an_installation_in_the_workspace_is_weaker() {
    let place = Place::new();
    for name in ["cofferdam", "cofferdam-init", "cofferdam-gateway"] {
        fs::copy(programs().join(name), place.work.join(name)).unwrap();
    }
    let ask = |folder: &std::path::Path| {
        let mut command = place.command(place.work.join("cofferdam"));
        Answer::of(&finish(command.current_dir(folder).args(["doctor", "--json"])))
    };
    ask(&place.work).holds().says("install", "weaker", "src/app/cofferdam");
    ask(&place.out).holds().says("install", "enforced", "");
}

/// A process that adopts what its child leaves behind: it has no child left at the end, and the
/// file systems are as before.
#[test]
fn nothing_is_left() {
    let place = Place::new();
    let body = "import subprocess, glob
call(157, 36, 1, 0, 0, 0)
mounts = open('/proc/self/mountinfo').read()
child = subprocess.Popen(sys.argv[1:], stdout=subprocess.PIPE)
child.communicate()
assert child.returncode == 0, child.returncode
try:
    print('left:', os.waitpid(-1, 0)); sys.exit(1)
except ChildProcessError:
    pass
assert open('/proc/self/mountinfo').read() == mounts
assert os.listdir(os.environ['TMPDIR']) == [], os.listdir(os.environ['TMPDIR'])
assert not glob.glob('/sys/fs/cgroup/**/cofferdam-doctor-%d' % child.pid, recursive=True)
assert not os.path.exists(os.environ['HOME'] + '/.local')";
    let script = place.write("out/check.py", &python(body));
    let around = format!("exec /usr/bin/python3 {} \"$@\"", script.display());
    finish(&mut command(&place, &around, &["doctor"])).works("nothing is left");
}

/// The names in the document are those of the program.
#[test]
fn the_document_has_every_guarantee() {
    let place = Place::new();
    let answer = doctor(&place, NOTHING);
    let rows = answer.all["guarantees"].as_array().unwrap();
    let named: Vec<_> = rows.iter().map(|row| row["guarantee"].as_str().unwrap()).collect();
    let text = include_str!("../../../docs/doctor.md");
    let lines = text.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    assert_eq!(lines.collect::<Vec<_>>(), named);
}

/// The profile names the programs where they are, and parses where there is a parser.
#[test]
fn the_apparmor_profile() {
    let place = Place::new();
    let shipped = include_str!("../../../packaging/apparmor/cofferdam");
    let own = finish(&mut command(&place, NOTHING, &["doctor", "--apparmor-profile"]));
    let own = own.works("prints it").out;
    let init = fs::canonicalize(programs()).unwrap().join("cofferdam-init");
    let line = |text: &str| text.lines().find(|line| line.starts_with("@{")).unwrap().to_owned();
    assert_eq!(line(&own), format!("@{{cofferdam_init}} = {}", init.display()));
    let usual =
        "/usr/bin/cofferdam-init /usr/local/bin/cofferdam-init @{HOME}/.cargo/bin/cofferdam-init";
    assert_eq!(line(shipped), format!("@{{cofferdam_init}} = {usual}"));
    let rest = |text: &str| text.replace(&line(text), "");
    assert_eq!(rest(own.trim()), rest(shipped.trim()), "nothing else differs");
    for text in [shipped, &own] {
        for part in ["abi <abi/4.0>,", "\n  userns,\n", "flags=(unconfined)"] {
            assert!(text.contains(part), "{part}");
        }
    }
    let file = place.write("out/cofferdam", &own);
    let parser = "/usr/sbin/apparmor_parser";
    if !fs::exists("/etc/apparmor.d/abi/4.0").unwrap() || !fs::exists(parser).unwrap() {
        println!("not run: apparmor_parser with abi/4.0 is not installed here");
        return;
    }
    let file = file.display().to_string();
    finish(place.command(parser).args(["-Q", "-K", &file])).works("it parses");
}

/// K44: that a file of the kernel's is missing says nothing: Landlock is asked for by system call, and used.
#[test]
fn landlock_is_found_without_its_file() {
    let place = Place::new();
    let doctor = programs().join("cofferdam");
    let hide = "test -e /sys/kernel/security/lsm && { mount -t tmpfs none /sys/kernel || exit 9; }; \
                test ! -e /sys/kernel/security/lsm && exec \"$@\" doctor --json";
    let mut command = place.command("/usr/bin/unshare");
    let user: &[&str] = if is_root() { &[] } else { &["--user", "--map-root-user"] };
    command.args(user).args(["--mount", "sh", "-c", hide, "sh"]).arg(&doctor);
    let answer = Answer::of(&finish(&mut command));
    if is_root() {
        answer.says("landlock", "enforced", "ABI");
    } else {
        // As the only root of a user namespace it has nobody to give way to; Landlock is there all the same.
        assert_ne!(answer.row("landlock")["state"], "absent", "{:#}", answer.all);
    }
}

/// What `doctor` says of bubblewrap and what a run in it comes to agree.
#[test]
fn bubblewrap_is_tried() {
    let place = Place::new();
    let answer =
        Answer::of(&finish(place.command(programs().join("cofferdam")).args(["doctor", "--json"])));
    let there = std::path::Path::new("/usr/bin/bwrap").exists();
    answer.says("bubblewrap", if there { "enforced" } else { "not-needed" }, "");
}
