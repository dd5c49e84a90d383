//! `home = "project"`: a home of the sandbox's own that stays, for one workspace, and is never the
//! real one.

use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Stdio};

use crate::support::{Place, Ran, finish, is_root, programs};

fn kept() -> (Place, String) {
    let place = Place::new();
    let policy = place.write("p.toml", "version = 1\n[filesystem]\nhome = \"project\"\n");
    (place, policy.display().to_string())
}

fn run(place: &Place, policy: &str, script: &str) -> Ran {
    place.inside_with(&["--policy", policy], script)
}

fn ours(place: &Place, words: &[&str]) -> Ran {
    finish(place.command(programs().join("cofferdam")).args(words))
}

#[test]
fn a_kept_home_stays_and_is_not_the_real_one() {
    let (place, policy) = kept();
    place.write("home/.netrc", "secret\n");
    run(&place, &policy, "echo login > ~/.login && mkdir -p ~/.config/x && pwd && ls -A")
        .works("once");
    run(&place, &policy, "cat ~/.login && test -d ~/.config/x").works("and again");
    assert!(!place.home.join(".login").exists(), "the real home has nothing of it");
    for secret in ["cat ~/.netrc", "cat ~/.ssh/id_test"] {
        place.outside(secret).works("the control");
        run(&place, &policy, secret).fails(&["No such file"], secret);
    }
    place.inside("cat ~/.login").fails(&["No such file"], "a private home is fresh");
    // Each workspace has its own.
    let other = format!("{}/src/other", place.home.display());
    place
        .inside_with(&["--policy", &policy, "--workspace", &other], "cat ~/.login")
        .fails(&["No such file"], "of another workspace");
    let homes = place.home.join(".local/state/cofferdam/homes");
    for at in std::fs::read_dir(&homes).unwrap() {
        let mode = at.unwrap().metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o700, "shut for everybody else");
    }
    // What its workload does to its bits shuts nobody out.
    run(&place, &policy, "chmod 777 ~").works("the home is the workload's");
    run(&place, &policy, "chmod 000 ~").works("shut");
    run(&place, &policy, "true").works("and again");
}

/// An identity, and nothing else that git or anybody keeps in a home.
#[test]
fn the_seed_is_a_name_and_an_address() {
    let (place, policy) = kept();
    let text = "[user]\n\tname = A \\\"B\\\" C\n\temail = a@example.com\n\tsigningkey = KEY\n\
                [credential]\n\thelper = store\n[include]\n\tpath = ~/more\n[core]\n\tsshCommand = x\n";
    place.write("home/.gitconfig", text);
    place.write("home/more", "[user]\n\tname = Included\n");
    let ran =
        run(&place, &policy, "git config user.name; cat ~/.gitconfig; ls -A ~").works("seeded");
    assert!(ran.out.starts_with("A \"B\" C\n"), "{ran:?}");
    for word in ["KEY", "store", "Included", "sshCommand", "more", ".ssh"] {
        assert!(!ran.out.contains(word), "{word}: {ran:?}");
    }
    // What the workload makes of it stays, and nothing is written through what it leaves there.
    let plant = "rm ~/.gitconfig && ln -s $W/target ~/.gitconfig";
    run(&place, &policy, plant).works("a link in its place");
    run(&place, &policy, "test -L ~/.gitconfig").works("is left alone");
    assert!(!place.work.join("target").exists(), "nothing followed it");
    // A file that git would refuse seeds nothing, a FIFO holds nobody up.
    for (what, make) in
        [("broken", "echo '[user' > $H/.gitconfig"), ("a FIFO", "mkfifo $H/.gitconfig")]
    {
        place.outside(&format!("rm -f $H/.gitconfig && {make}")).works(what);
        ours(&place, &["home", "reset"]).works("afresh");
        run(&place, &policy, "test ! -e ~/.gitconfig").works(what);
    }
}

/// What a run leaves in the way of the view is told, and nothing is made through it.
#[test]
fn what_is_in_the_way_is_not_followed() {
    let (place, policy) = kept();
    place.outside("mkdir -p $H/.cargo/bin $OUT/x").works("a toolchain");
    run(&place, &policy, "ls -d ~/.cargo/bin").works("is in view");
    let before = place.outside("find $OUT").works("before").out;
    let out = place.out.display();
    for (plant, planter) in [
        (format!("rm -rf ~/.cargo; mv ~/.cargo ~/c; ln -s {out}/x ~/.cargo"), "the workload"),
        (format!("mv ~/src ~/s && ln -s {out}/x ~/src"), "another"),
        ("mv ~/src ~/s && echo x > ~/src".to_owned(), "another"),
    ] {
        if planter == "another" {
            // With names in it that are held, it is busy: nothing of the workspace is copied out.
            place.write("home/src/app/file", "kept\n");
            run(&place, &policy, &plant).fails(&["busy"], &plant);
            assert_eq!(place.read("home/src/app/file"), "kept\n", "{plant}");
            let home = "$H/.local/state/cofferdam/homes/*/home";
            let plant = plant.replace('~', "$HOME");
            place
                .outside(&format!("HOME=$(echo {home}); {plant}"))
                .works("somebody else plants it");
        } else {
            run(&place, &policy, &format!("{plant}; true")).works("the workload plants it");
        }
        run(&place, &policy, "true")
            .refused("something is in the way of", &plant)
            .refused("home reset WORKSPACE", "and the remedy");
        assert_eq!(place.outside("find $OUT").out, before, "nothing was made there");
        ours(&place, &["home", "reset"]).works("afresh");
        run(&place, &policy, "true").works("starts again");
    }
}

#[test]
fn homes_are_listed_and_removed() {
    let (place, policy) = kept();
    assert_eq!(ours(&place, &["home", "list"]).works("none").out, "no home is kept\n");
    ours(&place, &["home", "reset"]).refused("no home is kept for", "none to remove");
    run(&place, &policy, "echo x > ~/file").works("one");
    let other = format!("{}/src/other", place.home.display());
    place.inside_with(&["--policy", &policy, "--workspace", &other], "true").works("another");
    let list = ours(&place, &["home", "list", "--json"]).works("two").out;
    let list: serde_json::Value = serde_json::from_str(&list).unwrap();
    let rows = list["homes"].as_array().unwrap();
    assert_eq!(rows.len(), 2, "{list}");
    assert_eq!(rows[0]["workspace"], place.work.display().to_string());
    assert!(rows[0]["last_used"].as_u64().unwrap() > 1_700_000_000, "{list}");
    assert_eq!(
        (&rows[0]["workspace_exists"], &rows[1]["workspace_exists"]),
        (&true.into(), &true.into())
    );
    place.outside("rm -r $H/src/other").works("");
    assert!(ours(&place, &["home", "list"]).out.contains("the workspace is gone"));
    ours(&place, &["home", "reset", &other]).works("of a workspace that is gone");
    run(&place, &policy, "cat ~/file").works("the other stays");
    ours(&place, &["home", "reset", "--all"]).works("all of them");
    run(&place, &policy, "cat ~/file").fails(&["No such file"], "a fresh one");
    // A directory that others may enter is not ours.
    place.outside("chmod 755 $H/.local/state/cofferdam/homes").works("");
    run(&place, &policy, "true").refused("is not this user's alone", "opened to others");
    ours(&place, &["home", "list"]).refused("chmod go-rwx", "to look at as well");
    place.outside("chmod 700 $H/.local/state/cofferdam/homes && mv $H/.local/state/cofferdam/homes $OUT/h && ln -s $OUT/h $H/.local/state/cofferdam/homes").works("");
    run(&place, &policy, "true").refused("is no directory", "a link in its place");
}

fn waiting(command: &mut Command) -> std::io::Result<Child> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()
}

/// Two runs share a home; nobody removes it meanwhile.
#[test]
fn a_home_in_use_stays() {
    let (place, policy) = kept();
    let mut first = waiting(place.cofferdam(&["--policy", &policy]).args([
        "sh",
        "-c",
        "echo here > ~/first; touch started; read line; cat ~/second",
    ]))
    .unwrap();
    while !place.work.join("started").exists() {
        assert!(first.try_wait().unwrap().is_none(), "it starts");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    ours(&place, &["home", "reset"]).refused("is in use", "while a sandbox uses it");
    run(&place, &policy, "cat ~/first && echo there > ~/second").works("a second one shares it");
    drop(first.stdin.take());
    let output = first.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "there\n");
    ours(&place, &["home", "reset"]).works("when both have ended");
    // Many at once make one home.
    let runs: Vec<_> = (0..6)
        .map(|number| {
            let script = format!("echo x > ~/{number}");
            waiting(place.cofferdam(&["--policy", &policy]).args(["sh", "-c", &script])).unwrap()
        })
        .collect();
    for child in runs {
        assert!(child.wait_with_output().unwrap().status.success(), "each starts");
    }
    run(&place, &policy, "cd && cat 0 1 2 3 4 5").works("in the same home");
}

/// Root makes nothing in the home of another.
#[test]
fn root_keeps_no_home_for_another() {
    if !is_root() {
        eprintln!("not run as an ordinary user: kept_homes: root_keeps_no_home_for_another");
        return;
    }
    let (place, policy) = kept();
    place.outside("chown 4242:4242 $W && chmod 755 $R $H $H/src").works("another's workspace");
    run(&place, &policy, "true")
        .refused("root is here for user 4242", "whose home it would be")
        .refused("run as that user", "the remedy");
    assert!(!place.home.join(".local/state/cofferdam/homes").exists(), "nothing was made");
    place.inside("true").works("a private home is no matter");
}
