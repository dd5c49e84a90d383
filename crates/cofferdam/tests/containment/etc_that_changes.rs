//! The host changes what is hidden in `/etc` while a workload runs: a password, an account.

use std::path::Path;

use super::inside_a_container::contained;
use crate::support::{Place, Ran, is_root};

/// Looks until `there`, or for a minute.
fn wait_for(there: impl Fn() -> bool) {
    for _ in 0..1_200 {
        if there() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}

/// A run whose `/etc/shadow` was made by `make`, and replaced in the middle as `passwd(1)` does it.
fn replaced(place: &Place, make: &str) -> (Ran, String) {
    let make = |name: &str| format!("cd $OUT/etc && echo hash > {name} && f={name} && {make}");
    place.outside(&format!("mkdir -p $OUT/etc && {}", make("shadow"))).works("a file");
    let log = || std::fs::read_to_string(place.audit_log()).unwrap_or_default();
    let before = log().len();
    let inside = "sh -c 'cat /etc/shadow; touch ready; n=0; \
                  while [ ! -e recorded ] && [ $n -lt 1200 ]; do n=$((n+1)); sleep 0.05; done; \
                  cat /etc/shadow; echo lived'";
    let ran = std::thread::scope(|scope| {
        scope.spawn(|| {
            let there = |name: &str| Path::new(&place.work).join(name).exists();
            wait_for(|| there("ready"));
            place.outside(&format!("{} && mv new shadow", make("new"))).works("replaced");
            wait_for(|| log().get(before..).is_some_and(|log| log.contains("mount-fell")));
            place.outside("touch recorded").works("on record");
        });
        contained(place, "mount --bind $OUT/etc /etc", inside)
    });
    place.outside("rm -f ready recorded").works("the next");
    let log = log().split_off(before);
    assert_eq!(
        ran.err.matches("Permission denied").count(),
        if ran.status == Some(0) { 2 } else { 1 },
        "{ran:?}"
    );
    assert!(!ran.out.contains("hash"), "{ran:?}");
    (ran, log)
}

/// What the workload could read but for the mount ends it; what is shut anyway is an event.
#[test]
fn what_the_host_shuts_itself_may_change() {
    let place = Place::new();
    let killed = |make: &str| {
        let (ran, log) = replaced(&place, make);
        assert_eq!(ran.status, Some(137), "{make}: {ran:?}");
        assert!(log.contains("\"guard\":\"kill\"") && log.contains("/etc/shadow"), "{log}");
    };
    killed("chmod 644 $f");
    killed("chmod 600 $f");
    if !is_root() {
        eprintln!("not run as an ordinary user: etc_that_changes: a file of another's");
        return;
    }
    let (ran, log) = replaced(&place, "chown 4242:4242 $f && chmod 600 $f");
    assert_eq!((ran.status, ran.out.as_str()), (Some(0), "lived\n"), "{ran:?}");
    assert!(log.contains("\"guard\":\"note\"") && log.contains("/etc/shadow"), "{log}");
    // Another's as well, but the workload is on its access list, or a member of nobody's group.
    killed("chown 4242:4242 $f && chmod 604 $f");
    let list = "import os, struct; e = lambda *e: struct.pack(\"<HHI\", *e); no = 0xffffffff; \
                os.setxattr(\"$f\", \"system.posix_acl_access\", struct.pack(\"<I\", 2) + \
                e(1, 6, no) + e(2, 4, 0) + e(4, 0, no) + e(16, 4, no) + e(32, 0, no))";
    killed(&format!(
        "chown 4242:4242 $f && chmod 600 $f && python3 -c '{}'",
        list.replace("$f", "'$f'")
    ));
}
