//! L10: removing what a workload left follows no link and changes nothing's owner or mode elsewhere,
//! also as root, also while names are swapped.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::support::{Place, finish, programs};

/// What it may not touch.
const STATE: &str = "find $OUT -printf '%p %m %U %G %s\\n' | sort; cat $OUT/canary";

fn place() -> (Place, String) {
    let place = Place::new();
    let policy = place.write("p.toml", "version = 1\n[filesystem]\nhome = \"project\"\n");
    place.outside("mkdir $OUT/dir && echo x > $OUT/dir/file && chmod 750 $OUT/dir").works("");
    (place, policy.display().to_string())
}

fn reset(place: &Place) -> crate::support::Ran {
    finish(place.command(programs().join("cofferdam")).args(["home", "reset"]))
}

#[test]
fn a_hostile_home_is_removed_and_nothing_else() {
    let (place, policy) = place();
    let before = place.outside(STATE).works("before").out;
    let out = place.out.display();
    let plant = format!(
        "cd && ln -s {out}/canary a && ln -s {out}/dir b && mkdir -p c/d && ln -s {out}/dir c/d/e && \
         ln -s . loop && mkfifo f && mkdir shut && echo x > shut/x && mkdir shut/in && chmod 000 shut && \
         mkdir .moved-0 && echo x > .moved-0/x && mkdir ro && echo x > ro/x && chmod 500 ro && \
         printf x > \"$(printf 'a\\nb\\377')\" && mkdir \"$(printf 'd\\n\\377')\" && ln a second"
    );
    place.inside_with(&["--policy", &policy], &plant).works("the workload plants it");
    // Deeper than any path, and than a process may open descriptors.
    let deep = "cd && python3 - <<'E'\nimport os\nfor n in range(2000):\n  os.mkdir('d'); open('g', 'w').close(); os.chdir('d')\nE";
    place.inside_with(&["--policy", &policy], deep).works("and digs");
    // What a careless removal does: it opens modes by name.
    place
        .outside("ln -s $OUT/dir l && chmod 700 l && stat -c %a $OUT/dir | grep 700")
        .works("the control");
    place.outside("chmod 750 $OUT/dir && rm l").works("");
    reset(&place).works("removed");
    assert_eq!(place.outside(STATE).out, before, "and nothing else");
    let left = place.outside("find $H/.local/state/cofferdam/homes -mindepth 1").out;
    assert_eq!(left, "", "nothing of it is left");
    place.inside_with(&["--policy", &policy], "ls -A ~ | grep -v src; true").works("a fresh one");
}

#[test]
fn names_that_are_swapped_lead_nowhere() {
    let (place, policy) = place();
    let before = place.outside(STATE).works("before").out;
    let (done, mut seen) = (AtomicBool::new(false), 0);
    let (mut removed, mut told) = (0, 0);
    let homes = place.home.join(".local/state/cofferdam/homes");
    std::thread::scope(|scope| {
        let swapper = scope.spawn(|| {
            let mut swaps = 0_u64;
            let link = place.root.join("swap-link");
            std::os::unix::fs::symlink(place.out.join("dir"), &link).unwrap();
            while !done.load(Ordering::Relaxed) {
                // Wherever the removal is at work: `home` before it, `removed` during it.
                for entry in std::fs::read_dir(&homes).into_iter().flatten().flatten() {
                    for name in ["home/x", "removed/x", "removed/x/y", "removed/.moved-0"] {
                        let at = entry.path().join(name);
                        let flags = rustix::fs::RenameFlags::EXCHANGE;
                        let cwd = rustix::fs::CWD;
                        if rustix::fs::renameat_with(cwd, &at, cwd, &link, flags).is_ok() {
                            swaps += 1;
                        }
                    }
                }
            }
            swaps
        });
        for _ in 0..60 {
            let plant = "mkdir -p ~/x/y/z ~/w/y/z && for n in 1 2 3 4 5 6 7 8; do echo > ~/x/$n; done; true";
            place.inside_with(&["--policy", &policy], plant);
            let ran = reset(&place);
            match ran.status {
                Some(0) => removed += 1,
                Some(125) => told += 1,
                _ => panic!("{ran:?}"),
            }
            // The swapper's name is now one or the other.
            seen += 1;
        }
        done.store(true, Ordering::Relaxed);
        let swaps = swapper.join().unwrap();
        assert!(swaps > 0, "names were swapped: {swaps}");
    });
    println!("{seen} removals: {removed} whole, {told} told");
    // The directory that the link led to may itself have been swapped in and out: it is the same.
    assert_eq!(place.outside(STATE).out, before, "what a link led to is as it was");
    reset(&place);
}
