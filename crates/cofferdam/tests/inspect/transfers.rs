//! A gigabyte each way, whole, while the gateway holds next to none of it.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::asking::below;
use crate::internet::{Internet, Pattern};
use crate::looking::{DIRECT, PROXY, rule};
use crate::support::variable;

const GIB: u64 = 1 << 30;

/// A gigabyte, or what `COFFERDAM_TRANSFER_BYTES` says, for who has seen a whole one pass already.
fn size() -> u64 {
    variable("COFFERDAM_TRANSFER_BYTES").and_then(|size| size.parse().ok()).unwrap_or(GIB)
}
/// Resident memory of a gateway with one stream under way. KiB.
const RESIDENT_KIB_MAX: u64 = 48 << 10;

/// The most that the gateway below an engine has resident until that ends, and the engine's output.
pub(crate) fn watched(mut command: Command) -> (u64, std::process::Output) {
    let mut engine: Child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut most = 0;
    while engine.try_wait().unwrap().is_none() {
        most = most.max(below(engine.id(), "cofferdam-gateway").map_or(0, resident));
        std::thread::sleep(Duration::from_millis(20));
    }
    (most, engine.wait_with_output().unwrap())
}

/// Resident memory of a process. KiB.
pub(crate) fn resident(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|one| one.strip_prefix("VmRSS:"));
    line.and_then(|kib| kib.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}

#[test]
fn a_gigabyte_goes_through_and_is_not_held() {
    let Some(net) = Internet::take() else { return };
    let size = size();
    let digest = Pattern::digest(size);
    let mut file = std::fs::File::create(net.place.work.join("bytes")).unwrap();
    Pattern::of(size).pour(&mut file).unwrap();
    let up = |version: &str| format!("curl -sS --fail {version} -T bytes https://new.test/sink");
    let down = |version: &str| {
        format!(
            "curl -sS --fail {version} https://new.test/pattern/{size} | openssl dgst -sha256 -r"
        )
    };
    let small = "curl -sS --fail -d x https://new.test/sink";
    net.outside(&["sh", "-c", small]).works("without a wall");
    let rules = rule("inspect = 'always'");
    let uploaded = format!("{size} {digest}\n");
    let (first, second) = (format!("h1 GET /pattern/{size}"), format!("h2 GET /pattern/{size}"));
    let downloaded = format!("{digest} *stdin\n");
    for (script, (way, before), want, event) in [
        (up("--http1.1"), DIRECT, &uploaded, "h1 PUT /sink"),
        (up("--http2"), PROXY, &uploaded, "h2 PUT /sink"),
        (down("--http1.1"), PROXY, &downloaded, &first),
        (down("--http2"), DIRECT, &downloaded, &second),
    ] {
        let (_, told) = net.on_record(|| {
            let mut command = net.looks(90, &rules);
            command.args(["sh", "-c", &format!("{before}{script}")]);
            let began = std::time::Instant::now();
            let (most, output) = watched(command);
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            assert_eq!(&said, want, "{way}, {event}: {output:?}");
            println!(
                "{size} bytes, {way}, {event}: {:?}, at most {most} KiB resident",
                began.elapsed()
            );
            assert!((1..RESIDENT_KIB_MAX).contains(&most), "{way}, {event}: {most} KiB");
            net.outside(&["true"])
        });
        assert_eq!(told, [format!("{way} new.test {event} 200 allowed")]);
        let event = net.events("connection").pop().unwrap();
        let carried = event["sent"].as_u64().max(event["received"].as_u64());
        assert!(carried >= Some(size), "what it carried is on record: {event:?}");
    }
}
