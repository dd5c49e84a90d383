//! K17: when the engine or init dies, the workload dies.

use std::time::{Duration, Instant};

use crate::support::Place;

/// Whether a marker that the workload renews ten times a second still changes.
fn beats(path: &std::path::Path) -> bool {
    let read = || std::fs::read_to_string(path).unwrap_or_default();
    let before = read();
    std::thread::sleep(Duration::from_millis(300));
    read() != before
}

#[test]
fn the_workload_does_not_outlive_the_engine() {
    for victim in ["engine", "init"] {
        let place = Place::new();
        let marker = place.work.join("beat");
        let script = "i=0; while [ $i -lt 600 ]; do i=$((i+1)); echo $i > beat; sleep 0.1; done";
        let mut engine = place.cofferdam(&[]).args(["sh", "-c", script]).spawn().unwrap();
        let until = Instant::now() + Duration::from_secs(20);
        while !marker.exists() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(10));
        }
        assert!(beats(&marker), "the workload runs");
        if victim == "engine" {
            engine.kill().unwrap();
        } else {
            let children = format!("/proc/{0}/task/{0}/children", engine.id());
            let children = std::fs::read_to_string(children).unwrap();
            let init = children.split_whitespace().next().unwrap().to_owned();
            place.outside(&format!("kill -9 {init}")).works("killing init from outside");
        }
        let status = engine.wait().unwrap();
        std::thread::sleep(Duration::from_millis(200));
        assert!(!beats(&marker), "{victim} killed: the workload is gone");
        if victim == "init" {
            assert_eq!(status.code(), Some(125), "and the engine says that it was lost");
        }
    }
}
