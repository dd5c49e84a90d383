//! F19: names that are swapped while sandboxes start never move a mount out of the sandbox.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use crate::support::Place;

/// What must have been swapped before the test may end.
const SWAPS: u32 = 20_000;

#[test]
fn swapping_a_protected_name_moves_no_mount() {
    let place = Place::new();
    place.write("home/src/app/.vscode/settings.json", "{}");
    std::os::unix::fs::symlink(&place.out, place.work.join("link")).unwrap();
    let before = place
        .outside("ls -la --time-style=full-iso $OUT; cat /proc/self/mountinfo")
        .works("before");
    let (done, swaps) = (AtomicBool::new(false), AtomicU32::new(0));
    let mut started = [0_u32; 2];
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let (a, b) = (place.work.join(".vscode"), place.work.join("link"));
            while !done.load(Ordering::Relaxed) || swaps.load(Ordering::Relaxed) < SWAPS {
                let flags = rustix::fs::RenameFlags::EXCHANGE;
                rustix::fs::renameat_with(rustix::fs::CWD, &a, rustix::fs::CWD, &b, flags).unwrap();
                swaps.fetch_add(1, Ordering::Relaxed);
                // Both states must be seen by some start.
                if swaps.load(Ordering::Relaxed).is_multiple_of(63) {
                    std::thread::sleep(std::time::Duration::from_micros(500));
                }
            }
        });
        while swaps.load(Ordering::Relaxed) < SWAPS {
            let ran = place.inside(
                "cat .vscode/canary; echo x > .vscode/planted; echo x > link/planted; true",
            );
            match ran.status {
                // Refused: a link at the start, or changed meanwhile.
                Some(125) => started[0] += 1,
                // Started, or killed since the guard fell.
                Some(0 | 137) => started[1] += 1,
                status => panic!("{status:?}: {ran:?}"),
            }
            assert!(!ran.out.contains("out-canary"), "read through the wall: {ran:?}");
        }
        done.store(true, Ordering::Relaxed);
    });
    assert!(started[0] > 0 && started[1] > 0, "refused and started: {started:?}");
    let after =
        place.outside("ls -la --time-style=full-iso $OUT; cat /proc/self/mountinfo").works("after");
    assert_eq!(after.out, before.out, "nothing was made or mounted outside");
}
