//! P07: trust is in bytes, not in a name. Whatever changes has to be read again.

use crate::places::{at_a_terminal, says, trusted};
use crate::support::{Place, finish, programs};

const TEXT: &str = "version = 1\n[filesystem]\nhide = [\"mine\"]\n";

#[test]
fn p07_what_changed_is_asked_again() {
    let place = Place::new();
    place.write("home/src/app/mine", "mine\n");
    trusted(&place, TEXT);
    let run = |words: &[&str]| says(&place, &[&["run"], words, &["--", "cat", "mine"]].concat());
    run(&[]).fails(&["No such file", "hidden"], "it hides");
    for (change, why) in [
        ("echo '#' >> .cofferdam/policy.toml", "a byte more"),
        ("rm .cofferdam/policy.toml", "gone, with what it hides"),
        ("rm -r .cofferdam", "gone with its directory"),
        (
            "mv .cofferdam/policy.toml x; ln -s ../x .cofferdam/policy.toml",
            "the same bytes behind a link",
        ),
        ("mv .cofferdam c; ln -s c .cofferdam", "behind another link"),
        ("rm .cofferdam/policy.toml; mkfifo .cofferdam/policy.toml", "a FIFO"),
        ("rm .cofferdam/policy.toml; mkdir .cofferdam/policy.toml", "a directory"),
        ("truncate -s 10G .cofferdam/policy.toml", "too long to be read"),
    ] {
        place.outside(change).works(why);
        for words in
            [&["run", "--", "touch", "started"][..], &["plan", "--", "true"], &["policy", "check"]]
        {
            let ran = says(&place, words).refused("project-changed", why);
            assert!(
                ran.err.contains("cofferdam trust") && ran.err.contains("--no-project"),
                "{ran:?}"
            );
        }
        assert!(!place.work.join("started").exists());
        let without = run(&["--no-project"]);
        if change.contains("ln -s c .cofferdam") {
            without.refused("guarded-link", "a protected name that leads elsewhere");
        } else {
            assert_eq!(without.works("without it, as was said").out, "mine\n");
        }
        place.outside("rm -rf .cofferdam c x").works("");
        place.write("home/src/app/.cofferdam/policy.toml", TEXT);
        run(&[])
            .fails(&["No such file", "hidden"], "the same bytes again are those that are trusted");
    }
    let more = format!("{TEXT}# another\n");
    place.write("home/src/app/.cofferdam/policy.toml", &more);
    at_a_terminal(&place, &["trust"], "yes\n", None).works("read again");
    run(&[]).fails(&["No such file", "hidden"], "it hides again");
}

#[test]
fn p07_the_same_bytes_elsewhere_are_another_project() {
    let place = Place::new();
    trusted(&place, TEXT);
    place.write("home/src/other/.cofferdam/policy.toml", TEXT);
    let mut command = place.command(crate::support::programs().join("cofferdam"));
    command.current_dir(place.home.join("src/other")).args(["run", "--", "true"]);
    let ran = crate::support::finish(&mut command).works("");
    assert!(ran.err.contains("is not trusted"), "{ran:?}");
}

/// From further down, what is hidden stays so: neither a repository of its own nor a policy that nobody
/// trusts takes the trusted one away.
#[test]
fn what_is_trusted_holds_further_down() {
    let place = Place::new();
    place.outside("git init -q . && mkdir -p sub/deep && echo d > sub/deep/.env").works("");
    let text = "version = 1\n[filesystem]\nhide = [\"**/.env\", \"sub/own\"]\n";
    trusted(&place, text);
    place.write("home/src/app/sub/own", "own\n");
    let below = |script: &str| {
        let mut command = place.command(crate::support::programs().join("cofferdam"));
        command.current_dir(place.work.join("sub")).args(["run", "--", "sh", "-c", script]);
        crate::support::finish(&mut command)
    };
    let hidden = ["No such file", "hidden"];
    below("cat deep/.env").fails(&hidden, "from a directory below");
    below("cat own").fails(&hidden, "names begin at the project");
    place.outside("git init -q sub").works("a repository of its own");
    below("cat own").fails(&hidden, "a repository further down");
    place.write("home/src/app/sub/.cofferdam/policy.toml", "version = 1\n");
    below("cat own").fails(&hidden, "an untrusted policy further down");
    below("echo x > .cofferdam/policy.toml").fails(&[""], "which the command cannot write");
}

/// A clone can bring a store that trusts its own policy, and a variable that leads there.
#[test]
fn p07_a_store_below_the_work_trusts_nothing() {
    let place = Place::new();
    trusted(&place, TEXT);
    let check = |state: std::path::PathBuf| {
        let mut command = place.command(programs().join("cofferdam"));
        finish(command.args(["policy", "check"]).env("XDG_STATE_HOME", state))
    };
    place.outside("cp -a $H/.local/state ../.st && cp -a $H/.local/state .st").works("");
    let beside = place.home.join("src/.st");
    check(beside.clone()).works("elsewhere");
    place.outside("mkdir ../.git").works("");
    check(beside).refused("state-inside", "in the repository around it");
    check(place.work.join(".st")).refused("state-inside", "below the working directory");
}
